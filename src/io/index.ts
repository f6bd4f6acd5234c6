// Reading and writing files: atomic writes, reads of byte ranges, locks for one writer at a time, and file formats of
// tensors.

export {
  BatchError,
  DataError,
  type DataLocation,
  FileError,
  ImageError,
  LockedError,
  messageOf,
  SafetensorsError,
  TokenizerError,
  TorchFileError,
} from './errors.ts'
export { Faults } from './faults.ts'
export {
  fileError,
  isFileSystemError,
  makeFolders,
  notAFile,
  type OpenFile,
  openToRead,
  type ReadBytesOptions,
  readBytes,
  readJson,
  readText,
  syncFolder,
  writeAtomically,
} from './files.ts'
export { checkFinite, describeNonFinite, type NonFiniteTensor, NonFiniteWeightsError, nonFiniteIn } from './finite.ts'
export { fillFolder, makeFolder, makeNamedFolder, namesIn, removeFolder, removeUnfinished } from './folders.ts'
export { crc32 } from './formats/crc.ts'
export { type NpyArray, npyHead, openNpy, parseNpy } from './formats/npy.ts'
export { openTensors } from './formats/open-tensors.ts'
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
export {
  openSafetensors,
  readSafetensors,
  SafetensorsFile,
  streamSafetensors,
  writeSafetensors,
} from './formats/safetensors-file.ts'
export { TarError, type TarMember, tarMembers, WindowedFile } from './formats/tar.ts'
export { type RowRange, type TensorFile, wrapperOf } from './formats/tensor-file.ts'
export { inflateMember, readZip, ZipError } from './formats/zip.ts'
export { type JsonForm, type JsonLimits, type LinePlace, parseAnyJsonLine, parseJson, parseJsonLine } from './json.ts'
export { LineFile, readJsonLines } from './line-file.ts'
export { lock, whileLocked } from './lock.ts'
export { cut, inLines, onOneLine, quoted, shownJson } from './plain.ts'
export { type OpenedFile, type ReadRange, withFile } from './ranges.ts'
export { WeightFile } from './weights.ts'
