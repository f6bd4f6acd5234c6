// Files of numbers by path or as bytes in memory, and the decompression of gzip with a limit that the header gives.

import { constants, gunzipSync } from 'node:zlib'
import { DataError, messageOf, type OpenedFile, readBytes, withFile } from '../../io/index.ts'

/** A path, or the bytes of a file. */
export type FileSource = string | Uint8Array

export type RefuseFile = (reason: string, line?: number) => DataError

/** Errors that name the file; bytes in memory have no name. */
export const refusalOf = (source: FileSource): RefuseFile => {
  const file = typeof source === 'string' ? source : 'the bytes'
  return (reason, line) => new DataError(reason, { file, line })
}

/** @throws FileError if the file cannot be read or has more than 2 GiB */
export const bytesOf = async (source: FileSource): Promise<Uint8Array> =>
  typeof source === 'string' ? readBytes(source) : source

/** Calls a task with a function that reads ranges. */
export async function opened<T>(
  source: FileSource,
  task: (file: Omit<OpenedFile, 'version'>) => Promise<T>,
): Promise<T> {
  if (typeof source === 'string') return withFile(source, task)
  const refuse = refusalOf(source)
  return task({
    length: source.length,
    async read(start, length) {
      if (start + length > source.length) throw refuse(`ends ${start + length - source.length} bytes early`)
      return source.subarray(start, start + length)
    },
  })
}

const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b

/** Compressed bytes that contain a header: they become 4 MiB at most. */
const HEAD = 4096

/**
 * The bytes of a file, which may be compressed with gzip. Its header is read first, so that no more is decompressed than it says.
 * @param lengthOf the length that a header says, given the first bytes; throws for a wrong header
 * @throws DataError for another length, and for damaged compression
 */
export function unzipped(bytes: Uint8Array, lengthOf: (head: Uint8Array) => number, refuse: RefuseFile): Uint8Array {
  if (!isGzip(bytes)) return whole(bytes, lengthOf(bytes), refuse)
  const open = (part: Uint8Array, options: object): Uint8Array => {
    try {
      return gunzipSync(part, options)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
        throw refuse('has more bytes than its header says')
      throw refuse(`cannot be decompressed: ${messageOf(error)}`)
    }
  }
  const length = lengthOf(open(bytes.subarray(0, HEAD), { finishFlush: constants.Z_SYNC_FLUSH }))
  return whole(open(bytes, { maxOutputLength: Math.max(1, length) }), length, refuse)
}

function whole(bytes: Uint8Array, length: number, refuse: RefuseFile): Uint8Array {
  if (bytes.length !== length)
    throw refuse(`has ${bytes.length} bytes, but its header says ${length}: it is truncated, or another kind of file`)
  return bytes
}
