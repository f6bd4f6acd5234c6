// Reading and writing files: atomic writes, reads of byte ranges, locks for one writer at a time, and file formats of
// tensors.

export * from './browser.ts'
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
export { fillFolder, makeFolder, makeNamedFolder, namesIn, removeFolder, removeUnfinished } from './folders.ts'
export { crc32 } from './formats/crc.ts'
export { dtypeStoredAs, SAFETENSORS_DTYPE } from './formats/device-tensors.ts'
export { type NpyArray, npyHead, openNpy, parseNpy } from './formats/npy.ts'
export { openTensors } from './formats/open-tensors.ts'
export {
  openSafetensors,
  readSafetensors,
  SafetensorsFile,
  streamSafetensors,
  writeSafetensors,
} from './formats/safetensors-file.ts'
export { type TarMember, tarMembers } from './formats/tar.ts'
export type { TensorFile } from './formats/tensor-file.ts'
export { WindowedFile } from './formats/windowed-file.ts'
export { inflateMember, readZip, ZipError } from './formats/zip.ts'
export { LineFile, readJsonLines } from './line-file.ts'
export { lock, whileLocked } from './lock.ts'
export { type OpenedFile, type ReadRange, withFile } from './ranges.ts'
export { WeightFile } from './weights.ts'
