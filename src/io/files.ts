// Atomic writes: a run can be killed at any moment, so every file is written under a temporary name next to its final
// one, flushed to the disk, and renamed. Reading turns the system's error codes into sentences.

import { randomBytes } from 'node:crypto'
import { constants, existsSync } from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { type Settings, settle } from '../tensor/options.ts'
import { DataError, FileError, messageOf } from './errors.ts'
import { OBJECT_NAMES, parseJson } from './json.ts'

const SENTENCES: Record<string, string> = {
  ENOENT: 'does not exist',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EISDIR: 'is a folder, not a file',
  ENOTDIR: 'a part of this path is a file, not a folder',
  EEXIST: 'a file of this name is in the way',
  ENOSPC: 'no space left on the disk: free some, or write to another one',
  EDQUOT: 'no space left for this user on the disk: free some, or write to another one',
  EFBIG: 'a file that is written is larger than the system allows (see ulimit -f)',
  EROFS: 'cannot be written: the file system is read-only',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'symbolic links go in a circle',
}

/** Whether a value that was thrown is an error of the file system. */
export const isFileSystemError = (error: unknown): error is Error & { readonly code: string; readonly path?: string } =>
  error instanceof Error && 'syscall' in error && typeof (error as NodeJS.ErrnoException).code === 'string'

/** Turns an error of the file system about a path into a FileError. */
export function fileError(path: string, error: unknown): FileError {
  if (error instanceof FileError) return error
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? ''
  return new FileError(SENTENCES[code] ?? messageOf(error), { file: path, cause: error })
}

/**
 * Makes a folder and those around it that are missing. Where a file system is read-only, Node reports of several missing folders that
 * they do not exist, so the outermost is tried alone.
 */
export async function makeFolders(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    let outermost = resolve(path)
    while (dirname(outermost) !== outermost && !existsSync(dirname(outermost))) outermost = dirname(outermost)
    await mkdir(outermost)
    throw error
  }
}

/**
 * Writes a file atomically, so that a reader sees either all of it or the previous file: under a temporary name in the same
 * folder, flushed, then renamed. Missing folders are made.
 * @param data the content, whole or in pieces
 * @throws FileError naming the path, or the DataError thrown while a piece is made; no partial file is left
 */
export async function writeAtomically(
  path: string,
  data: string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  const pieces = typeof data === 'string' ? [Buffer.from(data)] : data instanceof Uint8Array ? [data] : data
  try {
    await makeFolders(dirname(path))
    const handle = await open(temporary, 'wx')
    try {
      for await (const piece of pieces) await handle.writeFile(piece)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw error instanceof DataError ? error : fileError(path, error)
  }
  await syncFolder(dirname(path))
}

/** Flushes a folder, so that a rename survives a power cut. Skipped on systems that cannot open a folder. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r')
    await handle.sync().finally(() => handle.close())
  } catch {
    // Windows cannot open a folder; the rename itself has happened
  }
}

/** What a path is instead of a file, as a sentence; undefined for a regular file. */
export function notAFile(found: {
  isFile(): boolean
  isDirectory(): boolean
  isFIFO(): boolean
  isSocket(): boolean
}): string | undefined {
  if (found.isFile()) return undefined
  if (found.isDirectory()) return 'is a folder, not a file'
  if (found.isFIFO()) return 'is a pipe, not a file: its end cannot be known'
  return found.isSocket() ? 'is a socket, not a file' : 'is a device, not a file'
}

/** What is used of an open file. Types of Node stay out of the declarations of this package: users need not have them. */
export interface OpenFile {
  read(to: Uint8Array, offset: number, length: number, from: number): Promise<{ readonly bytesRead: number }>
  readFile(): Promise<Uint8Array>
  stat(options: {
    readonly bigint: true
  }): Promise<{ readonly ino: bigint; readonly size: bigint; readonly mtimeNs: bigint }>
  close(): Promise<void>
}

/**
 * Opens a regular file for reading. A pipe would wait for a writer, and a device such as /dev/zero has no end.
 * @returns the open file, which the caller closes, and its size in bytes
 * @throws FileError naming what is there instead of a file
 */
export async function openToRead(path: string): Promise<{ readonly handle: OpenFile; readonly size: number }> {
  let handle: FileHandle | undefined
  try {
    // opening a pipe does not wait for a writer with O_NONBLOCK, which means nothing for files
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    const found = await handle.stat()
    const other = notAFile(found)
    if (other !== undefined) throw new FileError(other, { file: path })
    return { handle, size: found.size }
  } catch (error) {
    await handle?.close()
    throw fileError(path, error)
  }
}

/** The most bytes that Node reads at once, and that a string can be decoded from. */
const LARGEST_WHOLE = 2 ** 31 - 1
const LARGEST_TEXT = 2 ** 29 - 32

/** Options of `readBytes`. */
export interface ReadBytesOptions {
  /** the most bytes that a file may have; default 2 GiB, which is the most that is read at once */
  readonly limit?: number
}
const readBytesOptions = { limit: LARGEST_WHOLE } satisfies Settings<ReadBytesOptions>

/**
 * Reads a whole file.
 * @throws FileError if it cannot be read, is not a regular file, or has more than `limit` bytes
 */
export async function readBytes(path: string, options?: ReadBytesOptions): Promise<Uint8Array> {
  const { limit } = settle('readBytes(path, options)', options, readBytesOptions)
  const { handle, size } = await openToRead(path)
  try {
    if (size > limit)
      throw new FileError(`has ${size.toLocaleString('en')} bytes: at most ${limit.toLocaleString('en')} are read`, {
        file: path,
      })
    return await handle.readFile()
  } catch (error) {
    throw fileError(path, error)
  } finally {
    await handle.close()
  }
}

/**
 * Reads a text file, which must be UTF-8; a byte order mark is dropped.
 * @throws FileError if it cannot be read, with the line if it is not UTF-8
 */
export async function readText(path: string): Promise<string> {
  const bytes = await readBytes(path, { limit: LARGEST_TEXT })
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new FileError('is not UTF-8 text', { file: path, line: lineOfBadText(bytes) })
  }
}

/** The first line, from 1, whose bytes are not UTF-8. A line feed never occurs inside a UTF-8 sequence. */
function lineOfBadText(bytes: Uint8Array): number {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  for (let line = 1, start = 0; ; line++) {
    const end = bytes.indexOf(10, start)
    try {
      decoder.decode(bytes.subarray(start, end < 0 ? bytes.length : end + 1))
    } catch {
      return line
    }
    if (end < 0) return line
    start = end + 1
  }
}

/**
 * Reads a JSON file of settings or of a state.
 * @throws FileError if it cannot be read, is not JSON, nests values too deeply (see {@link parseJson}), or has a field `__proto__`,
 *   `constructor` or `prototype`
 */
export async function readJson(path: string): Promise<unknown> {
  const text = await readText(path)
  try {
    return parseJson(text, { refused: OBJECT_NAMES })
  } catch (error) {
    throw new FileError(messageOf(error), { file: path, cause: error })
  }
}
