// PNG (third edition) as libpng reads it, for both decoders: which chunks are read, what is refused, and the pixels as they are
// stored. A chunk that a picture needs (IHDR, PLTE, IDAT) must be whole and have its checksum; any other chunk is left out if it
// does not, and so is what follows the pixels. sharp is given a file of the needed chunks alone, so that it cannot decide otherwise.

import * as zlib from 'node:zlib'
import { crc32 } from '../../io/index.ts'

/** The chunks that a picture needs, checked. */
export interface PngChunks {
  readonly width: number
  readonly height: number
  /** bits per sample: 1, 2, 4, 8 or 16 */
  readonly depth: number
  readonly channels: number
  readonly isInterlaced: boolean
  /** red, green and blue of up to 256 colours, one after the other, if the pixels are positions in it */
  readonly palette?: Uint8Array
  /** the compressed pixels */
  readonly data: readonly Uint8Array[]
  /** whole chunks: IHDR, PLTE if there is a palette, every IDAT */
  readonly chunks: readonly Uint8Array[]
}

/** Samples as they are stored, one in each element: [height, width, channels]. */
export interface PngSamples extends Pick<PngChunks, 'width' | 'height' | 'depth' | 'channels' | 'palette'> {
  readonly data: Uint8Array | Uint16Array
}

interface Chunk {
  readonly name: string
  readonly content: Uint8Array
  /** with its length and checksum */
  readonly whole: Uint8Array
  hasChecksum(): boolean
}

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)

/** The chunks in order, up to IEND or to the end of the last whole one: length, name, content, checksum (5.3). */
function* chunksOf(bytes: Uint8Array): Generator<Chunk, void, undefined> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let start = SIGNATURE.length; start + 12 <= bytes.length; ) {
    const end = start + 12 + view.getUint32(start)
    if (end > bytes.length) return
    const name = String.fromCharCode(...bytes.subarray(start + 4, start + 8))
    if (name === 'IEND') return
    const [from, sum] = [start + 4, view.getUint32(end - 4)]
    yield {
      name,
      content: bytes.subarray(start + 8, end - 4),
      whole: bytes.subarray(start, end),
      hasChecksum: () => crc32(bytes.subarray(from, end - 4)) === sum,
    }
    start = end
  }
}

/** The block of EXIF, which may stand before or after the pixels (11.3.4.5), if its checksum is right. */
export function exifOfPng(bytes: Uint8Array): Uint8Array | undefined {
  for (const chunk of chunksOf(bytes)) if (chunk.name === 'eXIf' && chunk.hasChecksum()) return chunk.content
  return undefined
}

const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }
const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
}

/**
 * Reads the chunks that a picture needs. Chunks that it does not need are not read, whatever is in them.
 * @throws Error with a sentence if one of them is missing, damaged, in the wrong place or unknown
 */
export function readPng(bytes: Uint8Array): PngChunks {
  const chunks: Uint8Array[] = []
  const data: Uint8Array[] = []
  let header: Uint8Array | undefined
  let palette: Uint8Array | undefined
  for (const chunk of chunksOf(bytes)) {
    const { name, content, whole } = chunk
    if (data.length > 0 && name !== 'IDAT') break
    if (!/^[A-Za-z]{4}$/.test(name)) throw new Error(`it has bytes between its chunks, where a name was expected`)
    if (/^[a-z]/.test(name)) continue // not needed to read the pixels
    if (!chunk.hasChecksum()) throw new Error(`its chunk ${name} has a wrong checksum: the file is damaged`)
    if ((header === undefined) !== (name === 'IHDR')) throw new Error('it does not begin with one chunk IHDR')
    if (name === 'IHDR') header = content
    else if (name === 'PLTE') {
      if (header![9] !== 3) continue // a suggestion for displays of few colours
      if (palette) throw new Error('it has two palettes')
      if (content.length === 0 || content.length > 768 || content.length % 3 !== 0)
        throw new Error(`its palette has ${content.length} bytes, which are not 1 to 256 colours of 3`)
      palette = content
    } else if (name === 'IDAT') data.push(content)
    else throw new Error(`it has a chunk ${name}, which is unknown and declared necessary to read it`)
    chunks.push(whole)
  }
  if (!header) throw new Error('its chunk IHDR is cut off')
  const described = readIhdr(header)
  if (data.length === 0) throw new Error('it has no pixels: its chunk IDAT is missing or cut off')
  if (header[9] === 3 && !palette) throw new Error('it has no palette before its pixels')
  return { ...described, ...(palette && { palette }), data, chunks }
}

function readIhdr(header: Uint8Array): Omit<PngChunks, 'palette' | 'data' | 'chunks'> {
  if (header.length !== 13) throw new Error(`its chunk IHDR has ${header.length} bytes in place of 13`)
  const view = new DataView(header.buffer, header.byteOffset, header.length)
  const [depth, colourType, compression, filter, interlace] = header.subarray(8)
  if (!DEPTHS[colourType]?.includes(depth))
    throw new Error(`${depth} bits per sample of colour type ${colourType} are no kind of PNG`)
  if (compression !== 0 || filter !== 0 || interlace > 1)
    throw new Error(`compression ${compression}, filter ${filter} and interlacing ${interlace} are no kind of PNG`)
  const [width, height] = [view.getUint32(0), view.getUint32(4)]
  return { width, height, depth, channels: CHANNELS[colourType], isInterlaced: interlace === 1 }
}

const IEND = Uint8Array.of(0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82)

/** The file with nothing but what {@link readPng} reads. */
export const neededChunks = (bytes: Uint8Array): Uint8Array =>
  Buffer.concat([SIGNATURE, ...readPng(bytes).chunks, IEND])

/** Where the pixels of a pass are: every `across`-th from column `x`, every `down`-th from row `y` (8.1). */
interface Pass {
  readonly x: number
  readonly y: number
  readonly across: number
  readonly down: number
}

const WHOLE: readonly Pass[] = [{ x: 0, y: 0, across: 1, down: 1 }]
const ADAM7: readonly Pass[] = [
  { x: 0, y: 0, across: 8, down: 8 },
  { x: 4, y: 0, across: 8, down: 8 },
  { x: 0, y: 4, across: 4, down: 8 },
  { x: 2, y: 0, across: 4, down: 4 },
  { x: 0, y: 2, across: 2, down: 4 },
  { x: 1, y: 0, across: 2, down: 2 },
  { x: 0, y: 1, across: 1, down: 2 },
]

/**
 * Decodes a PNG of any kind. Compressed data far behind the last pixel is not decompressed, so no more memory is used than the size says.
 * @throws Error with a sentence if the file is damaged or has fewer pixels than it says
 */
export async function decodePng(bytes: Uint8Array): Promise<PngSamples> {
  const { isInterlaced, data: compressed, chunks: _, ...png } = readPng(bytes)
  const { width, height, depth, channels } = png
  const passes = (isInterlaced ? ADAM7 : WHOLE).flatMap(pass => {
    const columns = Math.ceil((width - pass.x) / pass.across)
    const rows = Math.ceil((height - pass.y) / pass.down)
    // a row begins with the number of its filter
    return columns > 0 && rows > 0
      ? [{ ...pass, columns, rows, bytes: Math.ceil((columns * channels * depth) / 8) }]
      : []
  })
  const length = passes.reduce((sum, { rows, bytes }) => sum + rows * (1 + bytes), 0)
  const lines = await inflate(compressed, length)
  const data = new (depth === 16 ? Uint16Array : Uint8Array)(width * height * channels)
  const pixelBytes = Math.max(1, (channels * depth) >> 3)
  let at = 0
  for (const { x, y, across, down, columns, rows, bytes } of passes) {
    let above: Uint8Array = new Uint8Array(bytes)
    for (let row = 0; row < rows; row++) {
      const line = lines.subarray(at + 1, at + 1 + bytes)
      unfilter(lines[at], line, above, pixelBytes)
      place(line, depth, channels, columns, data, ((y + row * down) * width + x) * channels, across * channels)
      above = line
      at += 1 + bytes
    }
  }
  return { ...png, data }
}

/** As libpng, so many bytes after the last pixel are decompressed, to find the checksum of the pixels behind them. */
const LOOKED_AT = 1024

/** The first `length` bytes of a zlib stream. */
async function inflate(compressed: readonly Uint8Array[], length: number): Promise<Uint8Array> {
  const stream = zlib.createInflate({ chunkSize: Math.min(1 << 18, length + LOOKED_AT) })
  for (const piece of compressed) stream.write(piece)
  stream.end()
  const lines = new Uint8Array(length)
  let at = 0
  for await (const piece of stream as AsyncIterable<Uint8Array>) {
    if (at < length) lines.set(piece.subarray(0, length - at), at)
    at += piece.length
    if (at >= length + LOOKED_AT) break
  }
  if (at < length) throw new Error(`its pixels have ${at} bytes in place of ${length}`)
  return lines
}

/** Undoes the filter of a row in place (9.2). */
function unfilter(filter: number, line: Uint8Array, above: Uint8Array, step: number): void {
  const { length } = line
  switch (filter) {
    case 0:
      return
    case 1:
      for (let i = step; i < length; i++) line[i] += line[i - step]
      return
    case 2:
      for (let i = 0; i < length; i++) line[i] += above[i]
      return
    case 3:
      for (let i = 0; i < length; i++) line[i] += ((i < step ? 0 : line[i - step]) + above[i]) >> 1
      return
    case 4:
      for (let i = 0; i < length; i++)
        line[i] += i < step ? above[i] : nearestOf(line[i - step], above[i], above[i - step])
      return
    default:
      throw new Error(`a row has the filter ${filter}, which is unknown`)
  }
}

/** Paeth's predictor: which of the left, upper and upper left sample is nearest to left + upper - upper left (9.4). */
function nearestOf(left: number, upper: number, upperLeft: number): number {
  const toLeft = Math.abs(upper - upperLeft)
  const toUpper = Math.abs(left - upperLeft)
  const toUpperLeft = Math.abs(left + upper - 2 * upperLeft)
  if (toLeft <= toUpper && toLeft <= toUpperLeft) return left
  return toUpper <= toUpperLeft ? upper : upperLeft
}

/** Puts the samples of a row where they belong: the first pixel at `to`, the next `step` elements further. */
function place(
  line: Uint8Array,
  depth: number,
  channels: number,
  columns: number,
  data: Uint8Array | Uint16Array,
  to: number,
  step: number,
): void {
  if (depth === 8 && step === channels) {
    data.set(line, to)
    return
  }
  const mask = 2 ** depth - 1
  for (let column = 0, sample = 0; column < columns; column++, to += step)
    for (let c = 0; c < channels; c++, sample++) {
      if (depth === 8) data[to + c] = line[sample]
      else if (depth === 16) data[to + c] = line[2 * sample] * 256 + line[2 * sample + 1]
      else {
        const bit = sample * depth // the first sample is in the highest bits of a byte
        data[to + c] = (line[bit >> 3] >> (8 - depth - (bit & 7))) & mask
      }
    }
}
