// Reads of byte ranges of a file that is open for the length of one task: a checkpoint is larger than the part that is
// needed, and no file stays open between tasks.

import { DataError, FileError, messageOf } from './errors.ts'
import { fileError, openToRead } from './files.ts'

/** Reads a whole range of a file. */
export type ReadRange = (start: number, length: number) => Promise<Uint8Array>

/** A file as it was when it was opened. */
export interface OpenedFile {
  readonly read: ReadRange
  /** size in bytes */
  readonly length: number
  /** changes when the file is replaced or written to */
  readonly version: string
}

/** @throws FileError if the file cannot be opened or read or is no regular file, and any error of the task */
export async function withFile<T>(path: string, task: (file: OpenedFile) => Promise<T>): Promise<T> {
  try {
    const { handle } = await openToRead(path)
    try {
      const { ino, size, mtimeNs } = await handle.stat({ bigint: true })
      const read = async (start: number, length: number): Promise<Uint8Array> => {
        const bytes = allocate(length, path)
        let filled = 0
        while (filled < length) {
          const { bytesRead } = await handle.read(bytes, filled, length - filled, start + filled)
          if (bytesRead === 0) throw new FileError(`ends ${length - filled} bytes early`, { file: path })
          filled += bytesRead
        }
        return bytes
      }
      return await task({ read, length: Number(size), version: `${ino} ${size} ${mtimeNs}` })
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw error instanceof DataError ? error : fileError(path, error)
  }
}

function allocate(length: number, file: string): Uint8Array {
  try {
    return new Uint8Array(length)
  } catch (error) {
    throw new FileError(`${length} bytes do not fit in one array: ${messageOf(error)}`, { file })
  }
}
