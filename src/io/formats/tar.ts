// The positions of the members of a tar file. Only the headers are read, so a shard of a gigabyte is listed with a few
// thousand small reads, and any of its pictures can be read later without the bytes before it. (Libraries read a tar
// from its first byte to its last.)

import { type FileHandle, open } from 'node:fs/promises'
import { DataError } from '../errors.ts'
import { fileError } from '../files.ts'

/** A tar file that is damaged. */
export class TarError extends DataError {}

/** A file in a tar. */
export interface TarMember {
  readonly name: string
  /** position of its content in the tar, in bytes */
  readonly offset: number
  readonly size: number
}

const BLOCK = 512
/** Bytes that are read at once: headers of small members are close together. */
const WINDOW = 1 << 16
/** Names and attributes are short; a longer one means that the file is damaged. */
const LARGEST_EXTENSION = 1 << 20

/** A file and its most recently read part. */
export class WindowedFile {
  readonly size: number
  readonly #handle: FileHandle
  readonly #window = new Uint8Array(WINDOW)
  #start = 0
  #length = 0

  private constructor(handle: FileHandle, size: number) {
    this.#handle = handle
    this.size = size
  }

  static async open(path: string): Promise<WindowedFile> {
    try {
      const handle = await open(path, 'r')
      return new WindowedFile(handle, (await handle.stat()).size)
    } catch (error) {
      throw fileError(path, error)
    }
  }

  /** Bytes that stay valid until the next read; fewer at the end of the file. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    if (length > WINDOW) return this.#fill(new Uint8Array(length), offset)
    if (offset < this.#start || offset + length > this.#start + this.#length) {
      this.#start = offset
      this.#length = (await this.#fill(this.#window, offset)).length
    }
    return this.#window.subarray(offset - this.#start, Math.min(offset - this.#start + length, this.#length))
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }

  async #fill(buffer: Uint8Array, offset: number): Promise<Uint8Array> {
    let filled = 0
    while (filled < buffer.length) {
      const { bytesRead } = await this.#handle.read(buffer, filled, buffer.length - filled, offset + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return buffer.subarray(0, filled)
  }
}

/**
 * The files of a tar (POSIX.1-2001 pax and ustar, and GNU's long names), in order.
 * @throws TarError naming the byte where the tar is truncated or damaged; the files before it are yielded
 */
export async function* tarMembers(tar: WindowedFile, file: string): AsyncGenerator<TarMember, void, undefined> {
  let longName: string | undefined
  let attributes: Record<string, string> = {}
  for (let offset = 0; offset < tar.size; ) {
    const header = await tar.read(offset, BLOCK)
    if (header.length < BLOCK) throw new TarError(`is cut off at byte ${offset}, inside a header`, { file })
    if (header.every(byte => byte === 0)) return
    if (!hasRightSum(header)) throw new TarError(`has no header at byte ${offset}`, { file })
    const type = String.fromCharCode(header[156])
    const name = attributes.path ?? longName ?? nameOf(header)
    const size = attributes.size === undefined ? numberAt(header, 124, 12) : Number(attributes.size)
    const content = offset + BLOCK
    if (!Number.isSafeInteger(size) || size < 0) throw new TarError(`has a broken header at byte ${offset}`, { file })
    if (content + size > tar.size) throw new TarError(`is cut off in '${name}'`, { file })
    offset = content + Math.ceil(size / BLOCK) * BLOCK
    if (type === 'L' || type === 'x') {
      if (size > LARGEST_EXTENSION) throw new TarError(`has a broken header before byte ${content}`, { file })
      const text = textOf(await tar.read(content, size))
      if (type === 'L') longName = text.replace(/\0.*$/s, '')
      else attributes = paxAttributes(text)
      continue
    }
    if (type === '0' || type === '\0' || type === '7') yield { name, offset: content, size }
    if (type !== 'K' && type !== 'g') {
      longName = undefined
      attributes = {}
    }
  }
  throw new TarError('is cut off: it has no mark at its end', { file })
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const textOf = (bytes: Uint8Array, start = 0, length = bytes.length) =>
  decoder.decode(bytes.subarray(start, start + length))

/** Text up to its first zero. */
const textAt = (header: Uint8Array, start: number, length: number) =>
  textOf(header, start, length).replace(/\0.*$/s, '')

/** The name, with the prefix that ustar stores separately. */
function nameOf(header: Uint8Array): string {
  const name = textAt(header, 0, 100)
  const prefix = textOf(header, 257, 6) === 'ustar\0' ? textAt(header, 345, 155) : ''
  return prefix === '' ? name : `${prefix}/${name}`
}

/** Octal digits; or, if the first bit is set, a binary number. */
function numberAt(header: Uint8Array, start: number, length: number): number {
  if (header[start] < 0x80) return Number.parseInt(textAt(header, start, length).trim() || '0', 8)
  let value = header[start] & 0x7f
  for (let i = start + 1; i < start + length; i++) value = value * 256 + header[i]
  return value
}

/** The sum of all bytes, with those of the sum itself counted as spaces. */
function hasRightSum(header: Uint8Array): boolean {
  let sum = 8 * 0x20
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += header[i]
  return sum === numberAt(header, 148, 8)
}

/** Records `<length> <key>=<value>\n`; the length is in bytes and includes itself. */
function paxAttributes(text: string): Record<string, string> {
  const attributes: Record<string, string> = {}
  const bytes = new TextEncoder().encode(text)
  for (let start = 0; start < bytes.length; ) {
    const length = Number.parseInt(textOf(bytes, start, 20), 10)
    if (!(length > 0)) break
    const record = textOf(bytes, start, length - 1)
    const [, key, value] = /^\d+ ([^=]+)=(.*)$/s.exec(record) ?? []
    if (key !== undefined) attributes[key] = value
    start += length
  }
  return attributes
}
