// The header of an image file, read before anything is decoded: format, size and orientation. Both decoders use the
// same header, so they accept and refuse the same files, and no memory is allocated for an invalid size.

import { ImageError } from '../../io/index.ts'
import { jpegSegments } from './jpeg.ts'
import { exifOfPng } from './png.ts'

/** The formats that are read, for messages. */
export const IMAGE_FORMATS = 'PNG, JPEG, WebP, GIF, AVIF or TIFF'

/** Formats that only sharp reads; its library reads their headers too. */
export type SharpFormat = 'GIF' | 'AVIF' | 'TIFF'
/** Whether only sharp reads a format. */
export const isSharpFormat = (format: string | undefined): format is SharpFormat =>
  format === 'GIF' || format === 'AVIF' || format === 'TIFF'

export interface ImageHeader {
  readonly format: 'PNG' | 'JPEG' | 'WebP' | SharpFormat
  /** as stored, before the orientation is applied */
  readonly width: number
  readonly height: number
  /** EXIF orientation, 1 (upright) to 8: of a PNG that of its chunk eXIf */
  readonly orientation: number
  /** cyan, magenta, yellow and black, as for print */
  readonly cmyk?: boolean
  /** 16 bits for each sample, or transparency */
  readonly deep?: boolean
}

/** The most pixels that are decoded, which takes less than 1 GiB with every decoder. Larger images are refused by their header. */
export const LARGEST_IMAGE = 64_000_000
/** The same for four colours, transparency and 16 bits, of which a pixel takes twice the memory. */
export const LARGEST_DEEP_IMAGE = 36_000_000

/** The longest side that is decoded: libpng's limit. */
export const LONGEST_SIDE = 1_000_000

/** The largest file of an image that is read, in bytes. */
export const LARGEST_IMAGE_FILE = 2 ** 29

const startsWith = (bytes: Uint8Array, offset: number, ...values: number[]) =>
  values.every((value, i) => bytes[offset + i] === value)

const startsWithText = (bytes: Uint8Array, offset: number, text: string) =>
  startsWith(bytes, offset, ...[...text].map(character => character.charCodeAt(0)))

/**
 * Reads the header of a PNG, JPEG or WebP file.
 * @throws ImageError if the bytes are none of these, end inside the header, or claim an impossible size
 */
export function readImageHeader(bytes: Uint8Array, file?: string): ImageHeader {
  const header = readHeader(bytes, file)
  const { format, width, height } = header
  if (width === 0 || height === 0) throw new ImageError(`${format} of ${width}×${height} pixels is empty`, { file })
  checkSize(header, file)
  return header
}

/**
 * Checks the size that a header claims, before memory is allocated for it.
 * @throws ImageError if there are more than {@link LARGEST_IMAGE} or {@link LARGEST_DEEP_IMAGE} pixels, or a side is longer than {@link LONGEST_SIDE}
 */
export function checkSize(
  { format, width, height, cmyk, deep }: Omit<ImageHeader, 'orientation'>,
  file?: string,
): void {
  const found = `${format} of ${width}×${height} pixels`
  const most = cmyk || deep ? LARGEST_DEEP_IMAGE : LARGEST_IMAGE
  const kind = cmyk ? ' of four colours' : deep ? ' with transparency or 16 bits' : ''
  if (width * height > most) throw new ImageError(`${found}${kind}: at most ${most} are decoded`, { file })
  if (Math.max(width, height) > LONGEST_SIDE)
    throw new ImageError(`${found}: a side of at most ${LONGEST_SIDE} is decoded`, { file })
}

/** A sentence about a file of too many bytes, undefined for others. Of a file on the disk, its bytes are not read. */
export const tooManyBytes = (size: number): string | undefined =>
  size > LARGEST_IMAGE_FILE
    ? `has ${size.toLocaleString('en')} bytes: pictures of at most ${LARGEST_IMAGE_FILE.toLocaleString('en')} are read`
    : undefined

/** So many bytes are enough for {@link checkStart}. */
export const START_BYTES = 64

/**
 * Checks the first bytes of a file before the others are read: what it is, and of a PNG and a WebP its size. Those of other formats
 * are not in the first bytes.
 * @throws ImageError as {@link readImageHeader} does
 */
export function checkStart(start: Uint8Array, file?: string): void {
  const format = foreignFormat(start)
  if (isSharpFormat(format) || startsWith(start, 0, 0xff, 0xd8, 0xff)) return
  readImageHeader(start, file)
}

function readHeader(bytes: Uint8Array, file?: string): ImageHeader {
  if (bytes.length === 0) throw new ImageError('is empty: not an image', { file })
  if (startsWith(bytes, 0, 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return readPngHeader(bytes, file)
  if (startsWith(bytes, 0, 0xff, 0xd8, 0xff)) return readJpegHeader(bytes, file)
  if (startsWithText(bytes, 0, 'RIFF') && startsWithText(bytes, 8, 'WEBP')) return readWebpHeader(bytes, file)
  const format = foreignFormat(bytes)
  throw new ImageError(
    format === undefined ? `is no ${IMAGE_FORMATS}` : `is ${format}: only ${IMAGE_FORMATS} are read`,
    { file },
  )
}

/** The name of a format that is known, but not read here. */
export function foreignFormat(bytes: Uint8Array): string | undefined {
  if (startsWithText(bytes, 0, 'GIF8')) return 'GIF'
  if (startsWithText(bytes, 4, 'ftypavif') || startsWithText(bytes, 4, 'ftypavis')) return 'AVIF'
  if (startsWithText(bytes, 4, 'ftyphei')) return 'HEIC'
  if (startsWithText(bytes, 0, 'BM')) return 'BMP'
  if (startsWith(bytes, 0, 0x49, 0x49, 0x2a, 0) || startsWith(bytes, 0, 0x4d, 0x4d, 0, 0x2a)) return 'TIFF'
  return undefined
}

/** Signature, then the chunk IHDR: length, name, width, height (PNG, third edition, 11.2.1). */
function readPngHeader(bytes: Uint8Array, file?: string): ImageHeader {
  if (bytes.length < 33) throw new ImageError('PNG is cut off inside its header', { file })
  if (!startsWithText(bytes, 12, 'IHDR')) throw new ImageError('PNG does not begin with an IHDR chunk', { file })
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const exif = exifOfPng(bytes)
  const orientation = exif ? orientationOf(exif) : 1
  // bit depth, then colour type: 4 and 6 have alpha
  const deep = bytes[24] === 16 || bytes[25] >= 4
  return { format: 'PNG', width: view.getUint32(16), height: view.getUint32(20), orientation, deep }
}

/** Walks the segments up to the start of the frame (ITU T.81, B.2.2), noting the orientation on the way. */
function readJpegHeader(bytes: Uint8Array, file?: string): ImageHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let orientation: number | undefined
  for (const { marker, start, end } of jpegSegments(bytes)) {
    if (isFrame(marker)) {
      if (end - start < 10) break
      const [precision, height, width] = [bytes[start + 4], view.getUint16(start + 5), view.getUint16(start + 7)]
      if (precision !== 8) throw new ImageError(`JPEG of ${precision} bits per sample: only 8 are read`, { file })
      return { format: 'JPEG', width, height, orientation: orientation ?? 1, cmyk: bytes[start + 9] === 4 }
    }
    if (marker === 0xd9 || marker === 0xda) throw new ImageError('JPEG has no frame before its data', { file })
    // a long block goes on in further segments; its tags are in the first
    if (marker === 0xe1) orientation ??= readOrientation(bytes.subarray(start + 4, end))
  }
  throw new ImageError('JPEG is cut off inside its header', { file })
}

/** SOF0 to SOF15, without DHT, JPG and DAC, which share the range. */
const isFrame = (marker: number) =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc

/** Chunks of a RIFF file (RFC 9649, section 2): the size is in the first, the orientation in one called EXIF. */
function readWebpHeader(bytes: Uint8Array, file?: string): ImageHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const cutOff = () => new ImageError('WebP is cut off inside its header', { file })
  if (bytes.length < 30) throw cutOff()
  // a flag says that there is alpha: of VP8X in the byte after its length, of VP8L after the sizes
  const isExtended = startsWithText(bytes, 12, 'VP8X')
  const deep = isExtended ? (bytes[20] & 0x10) !== 0 : startsWithText(bytes, 12, 'VP8L') && (bytes[24] & 0x10) !== 0
  return { format: 'WebP', ...webpSize(view, bytes, file), orientation: webpOrientation(view, bytes), deep }
}

function webpSize(view: DataView, bytes: Uint8Array, file?: string): { width: number; height: number } {
  const three = (offset: number) => view.getUint16(offset, true) + view.getUint8(offset + 2) * 2 ** 16
  // VP8X: 24 bits each, less one
  if (startsWithText(bytes, 12, 'VP8X')) return { width: three(24) + 1, height: three(27) + 1 }
  // VP8L: 14 bits each, less one
  if (startsWithText(bytes, 12, 'VP8L') && bytes[20] === 0x2f) {
    const bits = view.getUint32(21, true)
    return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 }
  }
  // VP8: 14 bits each
  if (startsWithText(bytes, 12, 'VP8 ') && startsWith(bytes, 23, 0x9d, 0x01, 0x2a))
    return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff }
  throw new ImageError('WebP does not begin with an image', { file })
}

function webpOrientation(view: DataView, bytes: Uint8Array): number {
  for (let offset = 12; offset + 8 <= bytes.length; ) {
    const length = view.getUint32(offset + 4, true)
    if (startsWithText(bytes, offset, 'EXIF')) {
      return orientationOf(bytes.subarray(offset + 8, offset + 8 + length))
    }
    offset += 8 + length + (length % 2)
  }
  return 1
}

/** The orientation in a block of EXIF, with or without the name that it has in a JPEG. */
const orientationOf = (block: Uint8Array): number => readOrientation(block) ?? readTiffOrientation(block)

/** The orientation in a block that starts with `Exif`. */
const readOrientation = (block: Uint8Array): number | undefined =>
  startsWithText(block, 0, 'Exif\0\0') ? readTiffOrientation(block.subarray(6)) : undefined

/** Bytes of a whole number by its type in TIFF: SHORT, LONG, SBYTE, SSHORT and SLONG, but not BYTE, which Pillow reads as text. */
const WHOLE_TYPES: Readonly<Record<number, 1 | 2 | 4>> = { 3: 2, 4: 4, 6: 1, 8: 2, 9: 4 }

/**
 * Tag 0x0112 of the first directory of a TIFF block (Exif 2.3, 4.6.4), as Pillow reads it: SHORT as the standard says, or another type
 * of whole numbers, in the byte order of the block. An invalid block is ignored.
 */
function readTiffOrientation(tiff: Uint8Array): number {
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.length)
  try {
    const little = startsWith(tiff, 0, 0x49, 0x49, 42, 0)
    if (!little && !startsWith(tiff, 0, 0x4d, 0x4d, 0, 42)) return 1
    const directory = view.getUint32(4, little)
    const count = view.getUint16(directory, little)
    for (let i = 0; i < count; i++) {
      const entry = directory + 2 + 12 * i
      if (view.getUint16(entry, little) !== 0x0112) continue
      const bytes = WHOLE_TYPES[view.getUint16(entry + 2, little)]
      const values = view.getUint32(entry + 4, little)
      if (bytes === undefined || values === 0 || values * bytes > 4) return 1
      const value = entry + 8 // a number of fewer than 4 bytes is in the first ones
      const orientation =
        bytes === 1 ? view.getUint8(value) : bytes === 2 ? view.getUint16(value, little) : view.getUint32(value, little)
      return orientation >= 1 && orientation <= 8 ? orientation : 1
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
  }
  return 1
}
