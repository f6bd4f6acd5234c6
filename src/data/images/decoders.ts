// The two decoders of image files: sharp, which is fast but is a native package and not available on every machine, and
// decoders in WebAssembly and JavaScript, which run everywhere. Both give the pixels of Pillow's `convert('RGB')`,
// without transparency and colour profiles. Only JPEGs of four colours may differ between them, by 1 of 255.

import { type DecodedPng, decode as decodePng } from 'fast-png'
import jpeg from 'jpeg-js'
import { type ImageHeader, LARGEST_IMAGE } from './header.ts'
import type { RgbImage } from './resize.ts'
import { decodeJpeg, decodeWebp } from './wasm.ts'

/** Decodes a file as it is stored; throws the library's error if the file is broken. */
export type PixelDecoder = (bytes: Uint8Array, header: ImageHeader) => Promise<RgbImage>

type Sharp = typeof import('sharp').default

/** Decoding with sharp. It is faster with many small images at once than with many threads for one. */
export function sharpDecoder(sharp: Sharp): PixelDecoder {
  sharp.concurrency(1)
  sharp.cache(false)
  return async (bytes, { cmyk }) => {
    const image = sharp(bytes, { ignoreIcc: true, limitInputPixels: LARGEST_IMAGE })
    const raw = cmyk
      ? image.pipelineColourspace('cmyk').toColourspace('cmyk')
      : image.removeAlpha().toColourspace('srgb')
    const { data, info } = await raw.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true }).catch(inPlainWords)
    const pixels = new Uint8Array(data.buffer, data.byteOffset, data.length)
    return { width: info.width, height: info.height, data: cmyk ? cmykToRgb(pixels) : pixels }
  }
}

/** If many files are decoded at once, sharp may lose the message of libjpeg and report its own settings instead. */
function inPlainWords(error: Error): never {
  throw error.message.includes('failOn') ? new Error('its data is cut off or damaged', { cause: error }) : error
}

/** Decoding without native packages. */
export const javascriptDecoder: PixelDecoder = async (bytes, { format, cmyk }) => {
  if (format === 'PNG') return pngToRgb(bytes)
  if (format === 'WebP') return decodeWebp(bytes)
  return cmyk ? cmykJpegToRgb(bytes) : decodeJpeg(bytes)
}

function cmykJpegToRgb(bytes: Uint8Array): RgbImage {
  return jpeg.decode(bytes, {
    useTArray: true,
    formatAsRGBA: false,
    maxResolutionInMP: LARGEST_IMAGE / 1e6,
    maxMemoryUsageInMB: 1024,
  })
}

/** White paper less ink, (255 - colour) (255 - black) / 255, rounded as Pillow rounds it. */
function cmykToRgb(pixels: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((pixels.length / 4) * 3)
  for (let from = 0, to = 0; from < pixels.length; from += 4) {
    const paper = 255 - pixels[from + 3]
    for (let c = 0; c < 3; c++) {
      const product = pixels[from + c] * paper + 128
      rgb[to++] = Math.max(0, paper - (((product >> 8) + product) >> 8))
    }
  }
  return rgb
}

function pngToRgb(bytes: Uint8Array): RgbImage {
  const png = decodePng(bytes, { checkCrc: true })
  if (png.depth < 8 && bytes[28] !== 0)
    throw new Error(
      `interlaced PNG of ${png.depth} bits per sample: install sharp to read it, or save it without interlacing`,
    )
  const { width, height, channels, depth } = png
  const samples = unpackSamples(png)
  const data = new Uint8Array(width * height * 3)
  if (png.palette) return { width, height, data: paletteToRgb(samples, png.palette, data) }
  // samples of fewer bits are scaled to 8 bits; of 16 bits the upper 8 are used
  const scale = depth < 8 ? 255 / (2 ** depth - 1) : 1
  const shift = depth === 16 ? 8 : 0
  const colours = channels < 3 ? 1 : 3
  for (let i = 0, to = 0; i < width * height; i++)
    for (let c = 0; c < 3; c++) data[to++] = (samples[i * channels + (c % colours)] * scale) >> shift
  return { width, height, data }
}

function paletteToRgb(
  samples: ArrayLike<number>,
  palette: readonly (readonly number[])[],
  data: Uint8Array,
): Uint8Array {
  for (let i = 0; i < data.length / 3; i++) {
    const colour = palette[samples[i]]
    if (colour === undefined) throw new Error(`pixel ${i} has colour ${samples[i]} of a palette of ${palette.length}`)
    for (let c = 0; c < 3; c++) data[i * 3 + c] = colour[c]
  }
  return data
}

/** Reads single samples: PNG packs 1, 2 and 4 bit samples into bytes, and starts every row on a new byte. */
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
