// Reads of byte ranges of a file that is open for the length of one task: a checkpoint is larger than the part that is
// needed, and no file stays open between tasks.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { DataError, FileError, messageOf } from './errors.ts'
import { fileError, notAFile, openToRead } from './files.ts'
import type { ReadPart } from './sources.ts'

/** Reads a whole range of a file. */
export type ReadRange = ReadPart

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
      const found = await handle.stat({ bigint: true })
      const read: ReadPart = async (start, length, onBytes) => {
        const bytes = allocate(length, path)
        let filled = 0
        while (filled < length) {
          const { bytesRead } = await handle.read(bytes, filled, length - filled, start + filled)
          if (bytesRead === 0) throw new FileError(`ends ${length - filled} bytes early`, { file: path })
          filled += bytesRead
          onBytes?.(bytesRead)
        }
        return bytes
      }
      return await task({ read, length: Number(found.size), version: versionOf(found) })
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw error instanceof DataError ? error : fileError(path, error)
  }
}

const versionOf = ({ ino, size, mtimeNs }: { ino: bigint; size: bigint; mtimeNs: bigint }): string =>
  `${ino} ${size} ${mtimeNs}`

/** Bytes that are read at once: 4 MiB, a multiple of the size of every element. */
const PIECE = 2 ** 22

/** The memory of the last piece, for the next one. */
let spare: Uint8Array<ArrayBuffer> | undefined

/**
 * Bytes `begin` to `end` of a file in pieces, read synchronously, for code that cannot wait. All pieces are in the same memory: each is
 * valid until the next is asked for. The file is open until the last piece.
 * @param version of the file when it was opened
 * @throws FileError if the file has changed since, is gone, or cannot be read
 */
export function* piecesOf(
  path: string,
  version: string,
  begin: number,
  end: number,
): Generator<Uint8Array<ArrayBuffer>> {
  const memory = spare ?? new Uint8Array(PIECE)
  spare = undefined
  let handle: number | undefined
  try {
    handle = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    const found = fstatSync(handle, { bigint: true })
    const other = notAFile(found)
    if (other !== undefined) throw new FileError(other, { file: path })
    if (versionOf(found) !== version) throw new FileError('the file has changed since it was opened', { file: path })
    for (let at = begin; at < end; at += PIECE) {
      const bytes = memory.subarray(0, Math.min(PIECE, end - at))
      let filled = 0
      while (filled < bytes.length) {
        const count = readSync(handle, bytes, filled, bytes.length - filled, at + filled)
        if (count === 0) throw new FileError(`ends ${end - at - filled} bytes early`, { file: path })
        filled += count
      }
      yield bytes
    }
  } catch (error) {
    if (error instanceof DataError) throw error
    const { reason } = fileError(path, error)
    const when = 'it was there when it was opened, and its values are read when they are needed'
    throw new FileError(`${reason}: ${when}`, { file: path, cause: error })
  } finally {
    if (handle !== undefined) closeSync(handle)
    spare = memory
  }
}

function allocate(length: number, file: string): Uint8Array {
  try {
    return new Uint8Array(length)
  } catch (error) {
    throw new FileError(`${length} bytes do not fit in one array: ${messageOf(error)}`, { file })
  }
}
