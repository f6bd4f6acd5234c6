// Errors of data. Data comes from people and disks, so most of these errors are not bugs. A DataError says which file,
// which line and what is wrong, so a command line can print the message alone.

/** Where a mistake was found. */
export interface DataLocation {
  readonly file?: string
  /** counted from 1 */
  readonly line?: number
  readonly cause?: unknown
}

/** Something about the data is wrong. The message reads `file:line: reason`. */
export class DataError extends Error {
  readonly file: string | undefined
  readonly line: number | undefined
  /** what is wrong, without the place */
  readonly reason: string

  constructor(reason: string, { file, line, cause }: DataLocation = {}) {
    const place = file === undefined ? '' : line === undefined ? `${file}: ` : `${file}:${line}: `
    super(place + reason, cause === undefined ? undefined : { cause })
    this.name = new.target.name
    this.file = file
    this.line = line
    this.reason = reason
  }
}

/** A file or folder that cannot be read or written. */
export class FileError extends DataError {}

/** A file or folder that another process is writing. */
export class LockedError extends DataError {}

/** An image that cannot be decoded. */
export class ImageError extends DataError {}

/** A text that a tokenizer cannot turn into ids, or ids that it cannot turn into text. */
export class TokenizerError extends DataError {}

/** A batch that cannot be made, or a state that belongs to other data. */
export class BatchError extends DataError {}

/** A file that does not follow the safetensors format. */
export class SafetensorsError extends DataError {}

/** A file of PyTorch that is damaged, or holds more than tensors and plain containers. */
export class TorchFileError extends DataError {}

/** The message of any thrown value. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
