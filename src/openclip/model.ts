// OpenCLIP's configurations and tensors converted to those of a model here: the part that runs in a browser.

export { fromOpenClipConfig, type OpenClipConfig, toOpenClipConfig } from './config.ts'
export {
  fromOpenClipTensor,
  type OpenClipTensor,
  openClipTensors,
  toOpenClipState,
  toOpenClipTensor,
} from './names.ts'
