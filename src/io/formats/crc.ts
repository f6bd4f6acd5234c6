// The checksum of zip archives and of PNG, CRC-32 (APPNOTE.TXT 6.3, section 4.4.7; PNG, annex D): that of node:zlib, or of a
// table where Node is older than 20.15 and has none.

import * as zlib from 'node:zlib'

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  return crc
})

/** As {@link crc32}, by a table. */
export function crc32ByTable(data: Uint8Array, before = 0): number {
  let crc = ~before
  for (let i = 0; i < data.length; i++) crc = TABLE[(crc ^ data[i]) & 0xff] ^ (crc >>> 8)
  return ~crc >>> 0
}

/**
 * The checksum of some bytes.
 * @param before the checksum of the bytes before them
 */
export const crc32: (data: Uint8Array, before?: number) => number =
  typeof zlib.crc32 === 'function' ? (data, before = 0) => zlib.crc32(data, before) : crc32ByTable
