// cocagrad/data: images, captions, tokenizers, batches, and the files that they come from. data-browser.ts is the part that needs no Node.

export * from '../data/index.ts'
export {
  fileError,
  LockedError,
  openSafetensors,
  openTensors,
  type ReadBytesOptions,
  readBytes,
  readJson,
  readSafetensors,
  readText,
  SafetensorsFile,
  streamSafetensors,
  type TensorFile,
  TorchFileError,
  writeAtomically,
  writeSafetensors,
} from '../io/index.ts'
export * from './data-browser.ts'
