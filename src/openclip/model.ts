// OpenCLIP's configurations and tensors as those of a model here: the part of this room that runs in a browser.

export { fromOpenClipConfig, type OpenClipConfig, toOpenClipConfig } from './config.ts'
export {
  fromOpenClipTensor,
  type OpenClipTensor,
  openClipTensors,
  toOpenClipState,
  toOpenClipTensor,
} from './names.ts'
