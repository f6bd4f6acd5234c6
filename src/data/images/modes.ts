// The mode in which Pillow opens a file, from the bytes of its header: whether a picture has a palette, transparency or 16 bits of
// grey decides how it is scaled in its own form.

import type { StoredImage } from './stored.ts'

/** By bit depth and colour type (PNG, third edition, 11.2.1). Transparency of a palette, or of one colour, is not in the pixels. */
export function modeOfPng(bytes: Uint8Array): StoredImage['mode'] {
  const [depth, colourType] = [bytes[24], bytes[25]]
  if (colourType === 3 || (colourType === 0 && depth === 1)) return 'P'
  if (colourType === 0 && depth === 16) return 'I;16'
  return colourType >= 4 ? 'RGBA' : 'RGB'
}

/** By the flag of the extended format, or that of a lossless image (RFC 9649, 2.7 and 3.4). */
export function modeOfWebp(bytes: Uint8Array): StoredImage['mode'] {
  const kind = String.fromCharCode(...bytes.subarray(12, 16))
  const hasAlpha = kind === 'VP8X' ? (bytes[20] & 0x10) !== 0 : kind === 'VP8L' && (bytes[24] & 0x10) !== 0
  return hasAlpha ? 'RGBA' : 'RGB'
}

/** A palette, or grey if the colours of the palette are 0, 1, 2 … (GIF89a, 18 and 19). */
export function modeOfGif(bytes: Uint8Array): StoredImage['mode'] {
  const colours = 2 << (bytes[10] & 7)
  const hasPalette = (bytes[10] & 0x80) !== 0
  const isGrey = Array.from({ length: colours * 3 }, (_, i) => bytes[13 + i] === Math.floor(i / 3)).every(Boolean)
  return hasPalette && isGrey ? 'RGB' : 'P'
}

/** By the tags PhotometricInterpretation and BitsPerSample of the first directory (TIFF 6.0, section 2); RGB where they cannot be read. */
export function modeOfTiff(bytes: Uint8Array): 'P' | 'RGB' {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const isLittle = bytes[0] === 0x49
  try {
    const directory = view.getUint32(4, isLittle)
    const tags = new Map<number, number>()
    for (let i = 0; i < view.getUint16(directory, isLittle); i++) {
      const entry = directory + 2 + 12 * i
      tags.set(view.getUint16(entry, isLittle), view.getUint16(entry + 8, isLittle))
    }
    const [photometric, bits = 1] = [tags.get(262), tags.get(258)]
    return photometric === 3 || ((photometric === 0 || photometric === 1) && bits === 1) ? 'P' : 'RGB'
  } catch (error) {
    if (error instanceof RangeError) return 'RGB'
    throw error
  }
}
