// Errors of data. Data comes from people and disks, so most of these errors are not bugs. A DataError says which file,
// which line and what is wrong, so a command line can print the message alone.

import { cut, inLines, onOneLine } from './plain.ts'

/** Where a mistake was found. */
export interface DataLocation {
  /** path of the file */
  readonly file?: string
  /** counted from 1 */
  readonly line?: number
  /** the error that led to this one */
  readonly cause?: unknown
}

/** The most characters of a reason: a message does not repeat a whole file. */
const LONGEST_REASON = 2000

/**
 * Something about the data is wrong. The message reads `file:line: reason`. Control characters other than the line feeds of a reason
 * are written as `\u001b`, those of a file's name all, and a reason of more than 2,000 characters is cut.
 */
export class DataError extends Error {
  /** path of the file, if it is one */
  readonly file: string | undefined
  /** line of the file, counted from 1, if it is known */
  readonly line: number | undefined
  /** what is wrong, without the place */
  readonly reason: string

  constructor(reason: string, { file, line, cause }: DataLocation = {}) {
    const name = file === undefined ? '' : cut(onOneLine(file), LONGEST_REASON)
    const place = file === undefined ? '' : line === undefined ? `${name}: ` : `${name}:${line}: `
    const plain = cut(inLines(reason), LONGEST_REASON)
    super(place + plain, cause === undefined ? undefined : { cause })
    this.name = new.target.name
    this.file = file
    this.line = line
    this.reason = plain
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
