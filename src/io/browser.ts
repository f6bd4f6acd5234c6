// The part of io that runs in a browser: errors, safetensors from bytes, files of a page and URLs, JSON, and text in messages.

export { browserStoreNames, openBrowserStore, removeBrowserStore } from './browser-store.ts'
export * from './errors.ts'
export { checkFinite, describeNonFinite, type NonFiniteTensor, NonFiniteWeightsError, nonFiniteIn } from './finite.ts'
export { fromSafetensors, toSafetensors } from './formats/device-tensors.ts'
export {
  OpenedSafetensors,
  openSafetensors,
  type ReadTensorsOptions,
  readSafetensors,
} from './formats/open-safetensors.ts'
export {
  encodeSafetensors,
  parseSafetensors,
  type SafetensorsContent,
  type SafetensorsData,
  type SafetensorsDtype,
  type SafetensorsEntry,
  type SafetensorsLayout,
  type SafetensorsTensor,
  safetensorBytes,
  safetensorElementBytes,
  safetensorsHead,
  toInt32,
} from './formats/safetensors.ts'
export { packTar, TarError, unpackTar } from './formats/tar.ts'
export { type RowRange, wrapperOf } from './formats/tensor-file.ts'
export {
  type JsonForm,
  type JsonLimits,
  type LinePlace,
  OBJECT_NAMES,
  parseAnyJsonLine,
  parseJson,
  parseJsonLine,
} from './json.ts'
export { cut, inLines, onOneLine, quoted, shownJson } from './plain.ts'
export { sha256 } from './sha256.ts'
export type { BlobSource, ByteSource, OnBytes, OpenSourceOptions, UrlSource } from './sources.ts'
export { type FileStore, MemoryStore } from './store.ts'
