// The two ways to turn a PNG or JPEG file into an upright square of pixels: sharp, which is fast but is a native
// package that not every machine has, and fast-png with jpeg-js, which run everywhere. At its own size a PNG comes out
// the same from both, to the bit.

import { type DecodedPng, decode as decodePng } from 'fast-png'
import jpeg from 'jpeg-js'
import { type ImageHeader, LARGEST_IMAGE } from './image-header.ts'
import { orient, type RgbImage, resizeToSquare } from './resize.ts'

/** @returns [size, size, 3]; throws whatever the library throws if the file is broken */
export type SquareDecoder = (bytes: Uint8Array, header: ImageHeader, size: number) => Promise<Uint8Array>

type Sharp = typeof import('sharp').default

/** Decoding through sharp. Many small images at once suit it better than many threads on one. */
export function sharpDecoder(sharp: Sharp): SquareDecoder {
  sharp.concurrency(1)
  sharp.cache(false)
  return async (bytes, { orientation }, size) => {
    const image = sharp(bytes, { ignoreIcc: true, limitInputPixels: LARGEST_IMAGE })
    const upright = orientation === 1 ? image : image.autoOrient()
    const pixels = await upright
      .flatten({ background: '#ffffff' })
      .resize(size, size, { fit: 'cover', kernel: 'cubic' })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer()
      .catch(inPlainWords)
    return new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.length)
  }
}

/** Where many files are decoded at once, sharp may lose what libjpeg said, and speaks of its own settings instead. */
function inPlainWords(error: Error): never {
  throw error.message.includes('failOn') ? new Error('its data is cut off or damaged', { cause: error }) : error
}

/** Decoding in JavaScript alone. */
export const javascriptDecoder: SquareDecoder = async (bytes, { format, orientation }, size) => {
  const image = format === 'PNG' ? pngToRgb(bytes) : jpegToRgb(bytes)
  return resizeToSquare(orient(image, orientation), size).data
}

function jpegToRgb(bytes: Uint8Array): RgbImage {
  return jpeg.decode(bytes, {
    useTArray: true,
    formatAsRGBA: false,
    maxResolutionInMP: LARGEST_IMAGE / 1e6,
    maxMemoryUsageInMB: 1024,
  })
}

function pngToRgb(bytes: Uint8Array): RgbImage {
  const png = decodePng(bytes, { checkCrc: true })
  if (png.depth < 8 && bytes[28] !== 0)
    throw new Error(
      `interlaced PNG of ${png.depth} bits a sample: install sharp to read it, or save it without interlace`,
    )
  const { width, height } = png
  const samples = unpackSamples(png)
  const data = new Uint8Array(width * height * 3)
  const readPixel = png.palette ? paletteReader(png.palette) : colourReader(png)
  const highest = png.depth === 16 ? 65535 : 255
  const white = png.depth === 16 ? 0xff00 : 0xff
  const pixel = new Uint16Array(4)
  for (let i = 0; i < width * height; i++) {
    readPixel(samples, i, pixel)
    const alpha = pixel[3]
    for (let c = 0; c < 3; c++) {
      const blended = Math.floor((pixel[c] * alpha + white * (highest - alpha)) / highest)
      data[i * 3 + c] = png.depth === 16 ? blended >> 8 : blended
    }
  }
  return { width, height, data }
}

/** Sample by sample: PNG packs 1, 2 and 4 bit samples into bytes, and begins every row on a new byte. */
function unpackSamples({ data, depth, width, height, channels }: DecodedPng): ArrayLike<number> {
  if (depth >= 8) return data
  const perByte = 8 / depth
  const rowBytes = Math.ceil((width * channels) / perByte)
  const mask = 2 ** depth - 1
  const samples = new Uint8Array(width * height * channels)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width * channels; x++) {
      const shift = 8 - depth * ((x % perByte) + 1)
      samples[y * width * channels + x] = (data[y * rowBytes + Math.floor(x / perByte)] >> shift) & mask
    }
  return samples
}

/** Writes red, green, blue and alpha of pixel `i` into `pixel`. */
type PixelReader = (samples: ArrayLike<number>, i: number, pixel: Uint16Array) => void

function paletteReader(palette: readonly (readonly number[])[]): PixelReader {
  return (samples, i, pixel) => {
    const colour = palette[samples[i]]
    if (colour === undefined) throw new Error(`pixel ${i} has colour ${samples[i]} of a palette of ${palette.length}`)
    pixel.set(colour)
    if (colour.length < 4) pixel[3] = 255
  }
}

/** Grey or colour, with alpha, with one transparent colour (tRNS), or opaque; samples below 8 bits grow to 8. */
function colourReader({ channels, depth, transparency }: DecodedPng): PixelReader {
  const scale = depth < 8 ? 255 / (2 ** depth - 1) : 1
  const opaque = depth === 16 ? 65535 : 255
  const colours = channels < 3 ? 1 : 3
  return (samples, i, pixel) => {
    let keyed = transparency !== undefined
    for (let c = 0; c < 3; c++) {
      const sample = samples[i * channels + (c % colours)]
      pixel[c] = sample * scale
      keyed &&= sample === transparency![c % colours]
    }
    pixel[3] = keyed ? 0 : channels % 2 === 0 ? samples[i * channels + channels - 1] : opaque
  }
}
