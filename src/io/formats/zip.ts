// The positions of the members of a zip archive. PyTorch stores them uncompressed, so a tensor is a range of bytes of
// the file. Every size is checked against the length of the file. Members that NumPy compressed are read where a caller asks for it.
// Format: APPNOTE.TXT 6.3, sections 4.3 and 4.5.3 (zip64, for files above 4 GB).

import { inflateRawSync } from 'node:zlib'
import { messageOf } from '../errors.ts'
import type { ReadRange } from '../ranges.ts'
import { crc32 } from './crc.ts'

/** A member: bytes `begin` to `end` of the file. */
export interface ZipMember {
  readonly name: string
  readonly begin: number
  readonly end: number
  /** CRC-32 of the bytes; 0 if the writer left it out, as PyTorch does after `set_crc32_options(False)` */
  readonly crc: number
  /** bytes of a compressed member after decompression; undefined for one that is stored */
  readonly inflated?: number
}

/** An archive that is damaged, or uses features that are not supported. */
export class ZipError extends Error {
  override readonly name = 'ZipError'
}

/** Largest directory that is read, in bytes. */
const LARGEST_DIRECTORY = 100_000_000
/** The end record and the longest comment after it. */
const LONGEST_END = 22 + 0xffff

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/**
 * The members of an archive, by name.
 * @param length bytes in the file
 * @param compressed accept members that are compressed (deflate), which `inflateMember` reads; default false
 * @throws ZipError
 */
export async function readZip(read: ReadRange, length: number, compressed = false): Promise<Map<string, ZipMember>> {
  const { start, size, count } = await findDirectory(read, length)
  if (size > LARGEST_DIRECTORY)
    throw new ZipError(`has a directory of ${size} bytes; at most ${LARGEST_DIRECTORY} are read`)
  if (start + size > length)
    throw new ZipError(`has its directory at ${start} to ${start + size}, after its end at ${length}`)
  const directory = await read(start, size)
  const view = viewOf(directory)
  const members = new Map<string, ZipMember>()
  let at = 0
  for (let i = 0; i < count; i++) {
    if (at + 46 > size || view.getUint32(at, true) !== 0x02014b50)
      throw new ZipError(`has no entry ${i} in its directory`)
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map(offset => view.getUint16(at + offset, true))
    const next = at + 46 + nameLength + extraLength + commentLength
    if (next > size) throw new ZipError(`has an entry ${i} that goes beyond its directory`)
    const name = new TextDecoder().decode(directory.subarray(at + 46, at + 46 + nameLength))
    if (members.has(name)) throw new ZipError(`has '${name}' twice`)
    const extra = directory.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength)
    members.set(name, await locate(read, length, name, fieldsOf(view, at, extra, name, compressed)))
    at = next
  }
  return members
}

/** Bytes that are read at once to check a member. */
const PIECE = 2 ** 24

/**
 * Reads a member and checks that its bytes are those that were written.
 * @throws ZipError naming the member
 */
export async function readMember(read: ReadRange, member: ZipMember): Promise<Uint8Array> {
  const bytes = await read(member.begin, member.end - member.begin)
  compareChecksum(member, crc32(bytes))
  return bytes
}

/** The largest ratio of deflate: 258 bytes from 2 bits. */
const LARGEST_RATIO = 1032

/**
 * Reads a member that may be compressed, and checks its bytes.
 * @throws ZipError naming the member, also if it does not become as large as the directory says
 */
export async function inflateMember(read: ReadRange, member: ZipMember): Promise<Uint8Array> {
  const { name, begin, end, inflated } = member
  if (inflated === undefined) return readMember(read, member)
  const refuse = (reason: string) => new ZipError(`has '${name}' ${reason}`)
  if (inflated > LARGEST_RATIO * (end - begin) + 64)
    throw refuse(`of ${inflated} bytes in ${end - begin}, which no compression reaches`)
  let bytes: Uint8Array
  try {
    bytes = inflateRawSync(await read(begin, end - begin), { maxOutputLength: Math.max(1, inflated) })
  } catch (error) {
    if (typeof (error as NodeJS.ErrnoException).code !== 'string') throw error
    throw refuse(`that cannot be decompressed to its ${inflated} bytes: ${messageOf(error)}`)
  }
  if (bytes.length !== inflated) throw refuse(`of ${bytes.length} bytes, but its directory says ${inflated}`)
  compareChecksum(member, crc32(bytes))
  return bytes
}

/** The same check piece by piece, for a member of which only a part is wanted. */
export async function checkMember(read: ReadRange, member: ZipMember): Promise<void> {
  let crc = 0
  for (let at = member.begin; at < member.end; at += PIECE)
    crc = crc32(await read(at, Math.min(PIECE, member.end - at)), crc)
  compareChecksum(member, crc)
}

/** Compares the checksum of a member with that of bytes that were read. @throws ZipError */
export function compareChecksum({ name, crc }: ZipMember, found: number): void {
  if (crc === 0 || crc === found) return
  const [expected, is] = [crc, found].map(sum => sum.toString(16).padStart(8, '0'))
  throw new ZipError(
    `has '${name}' with other bytes than were written (CRC-32 ${is}, not ${expected}): copy the file again`,
  )
}

interface Fields {
  readonly crc: number
  readonly size: number
  readonly header: number
  readonly inflated?: number
}

/** Reads the directory's entry of a member. */
function fieldsOf(view: DataView, at: number, extra: Uint8Array, name: string, compressed: boolean): Fields {
  const [flags, method] = [view.getUint16(at + 8, true), view.getUint16(at + 10, true)]
  if (flags & 1) throw new ZipError(`has '${name}' encrypted`)
  const isDeflated = compressed && method === 8
  if (method !== 0 && !isDeflated)
    throw new ZipError(
      compressed
        ? `has '${name}' compressed by method ${method}; NumPy uses 0 and 8`
        : `has '${name}' compressed; PyTorch stores its members uncompressed`,
    )
  const wide = zip64Numbers(extra, name)
  // the value of a field of all ones is in the zip64 extra, in this order
  const [size, stored, header] = [24, 20, 42].map(offset => {
    const value = view.getUint32(at + offset, true)
    return value === 0xffffffff ? wide() : value
  })
  if (isDeflated) return { crc: view.getUint32(at + 16, true), size: stored, header, inflated: size }
  if (size !== stored) throw new ZipError(`has '${name}' of ${size} bytes in ${stored}, but it is not compressed`)
  return { crc: view.getUint32(at + 16, true), size, header }
}

/** The 64-bit numbers of a zip64 extra, one per call. */
function zip64Numbers(extra: Uint8Array, name: string): () => number {
  const view = viewOf(extra)
  let [at, end] = [0, 0]
  for (let field = 0; field + 4 <= extra.length; ) {
    const fieldEnd = field + 4 + view.getUint16(field + 2, true)
    if (view.getUint16(field, true) === 1 && fieldEnd <= extra.length) [at, end] = [field + 4, fieldEnd]
    field = fieldEnd
  }
  return () => {
    if (at + 8 > end) throw new ZipError(`has '${name}' without the size or place that a zip64 extra should give`)
    at += 8
    return exact(view.getBigUint64(at - 8, true))
  }
}

function exact(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new ZipError(`claims a place or size of ${value} bytes`)
  return Number(value)
}

/** The start of a member's data, behind its own header, whose extra field may differ from the directory's. */
async function locate(
  read: ReadRange,
  length: number,
  name: string,
  { crc, size, header, inflated }: Fields,
): Promise<ZipMember> {
  if (header + 30 > length) throw new ZipError(`has '${name}' at ${header}, after its end at ${length}`)
  const view = viewOf(await read(header, 30))
  if (view.getUint32(0, true) !== 0x04034b50) throw new ZipError(`has no '${name}' at the position in its directory`)
  const begin = header + 30 + view.getUint16(26, true) + view.getUint16(28, true)
  if (begin + size > length)
    throw new ZipError(`has '${name}' at ${begin} to ${begin + size}, but the file ends at ${length}`)
  return { name, begin, end: begin + size, crc, ...(inflated !== undefined && { inflated }) }
}

async function findDirectory(read: ReadRange, length: number): Promise<{ start: number; size: number; count: number }> {
  const tailStart = Math.max(0, length - LONGEST_END)
  const tail = await read(tailStart, length - tailStart)
  const view = viewOf(tail)
  let at = tail.length - 22
  while (at >= 0 && view.getUint32(at, true) !== 0x06054b50) at--
  if (at < 0) throw new ZipError('has no directory at its end: it is not a zip archive, or it is truncated')
  const narrow = {
    count: view.getUint16(at + 10, true),
    size: view.getUint32(at + 12, true),
    start: view.getUint32(at + 16, true),
  }
  if (narrow.count !== 0xffff && narrow.size !== 0xffffffff && narrow.start !== 0xffffffff) return narrow
  // zip64: a record before this one contains the position of the wide end record
  const locator = tailStart + at - 20
  if (locator < 0) throw new ZipError('has a directory without its zip64 end record')
  const pointer = viewOf(await read(locator, 20))
  if (pointer.getUint32(0, true) !== 0x07064b50) return narrow
  const place = exact(pointer.getBigUint64(8, true))
  if (place + 56 > length) throw new ZipError(`has its zip64 end record at ${place}, after its end at ${length}`)
  const wide = viewOf(await read(place, 56))
  if (wide.getUint32(0, true) !== 0x06064b50) throw new ZipError('has no zip64 end record where it should be')
  return {
    count: exact(wide.getBigUint64(32, true)),
    size: exact(wide.getBigUint64(40, true)),
    start: exact(wide.getBigUint64(48, true)),
  }
}
