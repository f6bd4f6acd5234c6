// The positions of the members of a tar file. Only the headers are read, so a shard of a gigabyte is listed with a few
// thousand small reads, and any of its pictures can be read later without the bytes before it. (Libraries read a tar
// from its first byte to its last.) Small files are packed into a tar in memory. Runs in a browser.

import { DataError } from '../errors.ts'
import { quoted } from '../plain.ts'

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
const RECORD = 20 * BLOCK
/** Names and attributes are short; macOS also puts what it knows of a file into them. A longer one means that the file is damaged. */
const LARGEST_EXTENSION = 1 << 24

/** The bytes of a tar. */
export interface TarSource {
  readonly size: number
  /** Bytes that stay valid until the next read; fewer at the end of the file. */
  read(offset: number, length: number): Promise<Uint8Array>
}

/**
 * The files of a tar (POSIX.1-2001 pax and ustar, and GNU's long names), in order.
 * @throws TarError naming the byte where the tar is truncated or damaged; the files before it are yielded
 */
export async function* tarMembers(tar: TarSource, file: string): AsyncGenerator<TarMember, void, undefined> {
  let longName: string | undefined
  let attributes: Record<string, string> = {}
  for (let offset = 0; offset < tar.size; ) {
    const header = await tar.read(offset, BLOCK)
    if (header.length < BLOCK) throw new TarError(`is cut off at byte ${offset}, inside a header`, { file })
    if (header.every(byte => byte === 0)) return
    if (!hasRightSum(header)) {
      const isGzip = offset === 0 && header[0] === 0x1f && header[1] === 0x8b
      const advice = isGzip ? ': it is compressed with gzip, so call it .tar.gz' : ''
      throw new TarError(`has no header at byte ${offset}${advice}`, { file })
    }
    const type = String.fromCharCode(header[156])
    const name = attributes.path ?? longName ?? nameOf(header)
    const size = attributes.size === undefined ? numberAt(header, 124, 12) : decimal(attributes.size)
    const content = offset + BLOCK
    if (!Number.isSafeInteger(size) || size < 0) throw new TarError(`has a broken header at byte ${offset}`, { file })
    if (content + size > tar.size) throw new TarError(`is cut off in ${quoted(name)}`, { file })
    offset = content + Math.ceil(size / BLOCK) * BLOCK
    if (type === 'L' || type === 'x') {
      if (size > LARGEST_EXTENSION) throw new TarError(`has a broken header before byte ${content}`, { file })
      const extension = await tar.read(content, size)
      if (type === 'L') longName = textAt(extension, 0, size)
      else attributes = paxAttributes(extension)
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

const encoder = new TextEncoder()

/** The header of a file of ustar (POSIX.1-1988). @throws TarError for a name that does not fit */
function headerOf(name: string, size: number, seconds: number): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(BLOCK)
  const put = (text: string, at: number, length: number) => {
    const bytes = encoder.encode(text)
    if (bytes.length > length) throw new TarError(`the name ${quoted(name)} is too long for a tar`)
    header.set(bytes, at)
  }
  const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, '0')}\0`
  // a name of more than 100 bytes is split at a slash
  const cut = encoder.encode(name).length > 100 ? name.indexOf('/', Math.max(0, name.length - 101)) : -1
  put(cut < 0 ? name : name.slice(cut + 1), 0, 100)
  put(cut < 0 ? '' : name.slice(0, cut), 345, 155)
  put(octal(0o644, 8), 100, 8)
  for (const at of [108, 116]) put(octal(0, 8), at, 8)
  put(octal(size, 12), 124, 12)
  put(octal(seconds, 12), 136, 12)
  put('0', 156, 1)
  put('ustar\x0000', 257, 8)
  put(`${sumOf(header).toString(8).padStart(6, '0')}\0 `, 148, 8)
  return header
}

/**
 * A tar of files, in pieces to be written one after the other, or in a page to become one file: `new Blob(pieces)`.
 * @param files their bytes by name, such as `run/config.json`
 * @param time of all files; default now
 * @throws TarError for a name that does not fit into a header
 */
export function packTar(files: ReadonlyMap<string, Uint8Array>, time = new Date()): Uint8Array<ArrayBuffer>[] {
  const seconds = Math.floor(time.getTime() / 1000)
  const pieces = [...files].flatMap(([name, bytes]) => [
    headerOf(name, bytes.length, seconds),
    new Uint8Array(bytes),
    new Uint8Array((BLOCK - (bytes.length % BLOCK)) % BLOCK),
  ])
  // the end, and a whole number of records of 20 blocks, as tar itself writes them
  const length = pieces.reduce((sum, piece) => sum + piece.length, 2 * BLOCK)
  return [...pieces, new Uint8Array(2 * BLOCK + ((RECORD - (length % RECORD)) % RECORD))]
}

/**
 * The files of a tar in memory, by name; folders and links are left out.
 * @param file its name in an error
 * @throws TarError naming the byte where the tar is truncated or damaged
 */
export async function unpackTar(bytes: Uint8Array, file = 'the tar'): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const source = {
    size: bytes.length,
    read: async (offset: number, length: number) => bytes.subarray(offset, offset + length),
  }
  const files = new Map<string, Uint8Array<ArrayBuffer>>()
  for await (const { name, offset, size } of tarMembers(source, file))
    files.set(name.replace(/^\.\//, ''), new Uint8Array(bytes.subarray(offset, offset + size)))
  return files
}

/** Octal digits; or, if the first bit is set, a binary number. */
function numberAt(header: Uint8Array, start: number, length: number): number {
  if (header[start] < 0x80) return Number.parseInt(textAt(header, start, length).trim() || '0', 8)
  let value = header[start] & 0x7f
  for (let i = start + 1; i < start + length; i++) value = value * 256 + header[i]
  return value
}

/** The sum of all bytes, with those of the sum itself counted as spaces. */
function sumOf(header: Uint8Array): number {
  let sum = 8 * 0x20
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += header[i]
  return sum
}

const hasRightSum = (header: Uint8Array): boolean => sumOf(header) === numberAt(header, 148, 8)

/** Decimal digits; NaN for anything else. */
const decimal = (text: string): number => (/^\d+$/.test(text) ? Number(text) : Number.NaN)

const [SPACE, EQUALS] = [0x20, 0x3d]

/**
 * Records `<length> <key>=<value>\n`; the length is in bytes and includes itself. A value need not be text: macOS stores the
 * extended attributes of a file as bytes, so only the records that are used are decoded.
 */
function paxAttributes(bytes: Uint8Array): Record<string, string> {
  const attributes: Record<string, string> = Object.create(null)
  for (let start = 0; start < bytes.length; ) {
    const space = bytes.indexOf(SPACE, start)
    const length = space < 0 ? Number.NaN : decimal(textOf(bytes, start, Math.min(space - start, 20)))
    if (!(length > space - start + 1)) break
    const equals = bytes.indexOf(EQUALS, space)
    const end = Math.min(start + length - 1, bytes.length)
    const key = equals < 0 || equals >= end ? undefined : textOf(bytes, space + 1, equals - space - 1)
    if (key === 'path' || key === 'size') attributes[key] = textOf(bytes, equals + 1, end - equals - 1)
    start += length
  }
  return attributes
}
