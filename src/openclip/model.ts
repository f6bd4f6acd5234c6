// Conversion of OpenCLIP's configurations and tensors to those of this package: the part that runs in a browser.

export { fromClipConfig, toClipConfig } from './clip.ts'
export { fromOpenClipConfig, type OpenClipConfig, toOpenClipConfig } from './config.ts'
export {
  fromOpenClipTensor,
  type OpenClipModel,
  type OpenClipTensor,
  openClipTensors,
  toOpenClipState,
  toOpenClipTensor,
} from './names.ts'
