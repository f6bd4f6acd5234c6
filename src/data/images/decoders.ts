// The two decoders of image files: sharp, which is fast but is a native package and not available on every machine, and
// decoders in WebAssembly and JavaScript, which run everywhere. Both give the pixels of Pillow's `convert('RGB')`,
// without transparency and colour profiles. Only JPEGs of four colours may differ between them, by 2 of 255. Both are given only the
// parts of a file that the pixels need, so that they accept and refuse the same files. TurboJPEG may decode most JPEGs before either.

import { ImageError, messageOf } from '../../io/index.ts'
import { type ImageHeader, LARGEST_IMAGE, type SharpFormat } from './header.ts'
import { isComplete, neededSegments } from './jpeg.ts'
import { modeOfGif, modeOfPng, modeOfTiff, modeOfWebp } from './modes.ts'
import { decodePng, neededChunks, type PngSamples } from './png.ts'
import type { RgbImage } from './resize.ts'
import { cmykToRgb, type StoredImage } from './stored.ts'
import type { Lent, TurboJpeg } from './turbojpeg.ts'
import { decodeJpeg, decodeWebp } from './wasm.ts'

/** Decodes files as they are stored; throws the library's error if a file is broken. */
export interface PixelDecoder {
  /** without transparency, in 8 bits */
  rgb(bytes: Uint8Array, header: ImageHeader): Promise<RgbImage & Lent>
  /** in the mode in which Pillow opens the file */
  stored(bytes: Uint8Array, header: ImageHeader): Promise<StoredImage & Lent>
  /** the header of a format that only sharp reads; absent without sharp */
  header?(bytes: Uint8Array, format: SharpFormat, file?: string): Promise<ImageHeader>
}

type Sharp = typeof import('sharp').default

/** Decoding with sharp. It is faster with many small images at once than with many threads for one. */
export function sharpDecoder(sharp: Sharp): PixelDecoder {
  sharp.concurrency(1)
  sharp.cache(false)
  const open = (bytes: Uint8Array) => sharp(bytes, { ignoreIcc: true, limitInputPixels: LARGEST_IMAGE })
  const rgb: PixelDecoder['rgb'] = async (bytes, { cmyk }) => {
    if (cmyk) return convert(await fourColours(open(bytes)))
    return raw(open(bytes).removeAlpha().toColourspace('srgb'), 3)
  }
  return {
    rgb: async (bytes, header) => rgb(needed(bytes, header), header),
    async header(bytes, format, file) {
      try {
        const {
          width,
          height,
          orientation = 1,
          space,
          depth,
          hasAlpha,
        } = await sharp(bytes, { limitInputPixels: false }).metadata()
        return { format, width, height, orientation, cmyk: space === 'cmyk', deep: hasAlpha || depth === 'ushort' }
      } catch (error) {
        throw new ImageError(`${format} cannot be decoded: ${messageOf(error).split('\n')[0]}`, { file, cause: error })
      }
    },
    async stored(file, header) {
      const bytes = needed(file, header)
      switch (await modeOf(bytes, header)) {
        case 'P':
          return { ...(await rgb(bytes, header)), mode: 'P' }
        case 'RGBA':
          return { ...(await raw(open(bytes).toColourspace('srgb').ensureAlpha(), 4)), mode: 'RGBA' }
        case 'CMYK':
          return { ...(await fourColours(open(bytes))), mode: 'CMYK' }
        case 'I;16': {
          const grey = open(bytes).removeAlpha().toColourspace('grey16').raw({ depth: 'ushort' })
          const { data, info } = await grey.toBuffer({ resolveWithObject: true }).catch(inPlainWords)
          const values = new Uint16Array(data.buffer, data.byteOffset, data.length / 2)
          return { width: info.width, height: info.height, data: values, mode: 'I;16' }
        }
        case 'RGB':
          return { ...(await rgb(bytes, header)), mode: 'RGB' }
      }
    },
  }

  /** The mode of a file: from its header, or for formats that only sharp reads, from sharp. */
  async function modeOf(bytes: Uint8Array, { format, cmyk }: ImageHeader): Promise<StoredImage['mode']> {
    if (format === 'JPEG') return cmyk ? 'CMYK' : 'RGB'
    if (format === 'PNG') return modeOfPng(bytes)
    if (format === 'WebP') return modeOfWebp(bytes)
    if (format === 'GIF') return modeOfGif(bytes)
    const { space, depth, hasAlpha } = await open(bytes).metadata()
    if (cmyk) return 'CMYK'
    if (hasAlpha) return 'RGBA'
    if (space === 'grey16' || (space === 'b-w' && depth === 'ushort')) return 'I;16'
    return format === 'TIFF' ? modeOfTiff(bytes) : 'RGB'
  }
}

type Pipeline = ReturnType<Sharp>

async function raw(image: Pipeline, channels: 3 | 4): Promise<RgbImage> {
  const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true }).catch(inPlainWords)
  if (info.channels !== channels) throw new Error(`has ${info.channels} channels in place of ${channels}`)
  return { width: info.width, height: info.height, data: new Uint8Array(data.buffer, data.byteOffset, data.length) }
}

const fourColours = (image: Pipeline): Promise<RgbImage> =>
  raw(image.pipelineColourspace('cmyk').toColourspace('cmyk'), 4)

const convert = ({ data, ...size }: RgbImage): RgbImage => ({ ...size, data: cmykToRgb(data) })

/** If many files are decoded at once, sharp may lose the message of libjpeg and report its own settings instead. */
function inPlainWords(error: Error): never {
  throw error.message.includes('failOn') ? new Error('its data is cut off or damaged', { cause: error }) : error
}

/** The parts of a file that its pixels need, so that nothing else decides whether a decoder accepts it. */
const needed = (bytes: Uint8Array, { format }: ImageHeader): Uint8Array =>
  format === 'PNG' ? neededChunks(bytes) : format === 'JPEG' ? neededSegments(bytes) : bytes

const rgbByJavascript: PixelDecoder['rgb'] = async (bytes, header) => {
  if (header.format === 'PNG') return pngToRgb(await decodePng(bytes))
  if (header.format === 'WebP') return withoutAlpha(await decodeWebp(bytes))
  const jpeg = needed(bytes, header)
  return header.cmyk ? cmykJpegToRgb(jpeg, header) : withoutAlpha(await decodeJpeg(jpeg))
}

/** Decoding without native packages. A JPEG of four colours is given as RGB, not in its own mode. */
export const javascriptDecoder: PixelDecoder = {
  rgb: rgbByJavascript,
  async stored(bytes, header) {
    const mode = header.format === 'PNG' ? modeOfPng(bytes) : header.format === 'WebP' ? modeOfWebp(bytes) : 'RGB'
    if (mode === 'RGB' || mode === 'P' || mode === 'CMYK')
      return { ...(await rgbByJavascript(bytes, header)), mode: mode === 'P' ? 'P' : 'RGB' }
    if (header.format === 'WebP') return { ...(await decodeWebp(bytes)), mode: 'RGBA' }
    const png = await decodePng(bytes)
    const { width, height } = png
    if (mode === 'I;16') return { width, height, data: Uint16Array.from(png.data), mode }
    return { width, height, data: withAlpha(png), mode }
  },
}

/**
 * Decoding of JPEGs of grey and three colours with TurboJPEG. Every other file is for `others`, and so is a JPEG that TurboJPEG refuses
 * or warns of, so that the same files are accepted, and the others are refused with the same words.
 * @param open loads TurboJPEG at the first JPEG; a string if there is none
 */
export function turboJpegDecoder(open: () => Promise<TurboJpeg | string>, others: PixelDecoder): PixelDecoder {
  const isJpeg = ({ format, cmyk }: ImageHeader) => format === 'JPEG' && !cmyk
  const rgb: PixelDecoder['rgb'] = async (bytes, header) => {
    const turbo = isJpeg(header) ? await open() : ''
    if (typeof turbo === 'string') return others.rgb(bytes, header)
    const jpeg = needed(bytes, header)
    const decoded = isComplete(jpeg) ? await turbo.decode(jpeg, header) : undefined
    return decoded ?? others.rgb(bytes, header)
  }
  return {
    ...others,
    rgb,
    stored: async (bytes, header) =>
      isJpeg(header) ? { ...(await rgb(bytes, header)), mode: 'RGB' } : others.stored(bytes, header),
  }
}

/** Red, green, blue and alpha of a PNG that stores it. */
function withAlpha(png: PngSamples): Uint8Array {
  const { data: colours } = pngToRgb(png)
  const { data, channels, depth } = png
  const rgba = new Uint8Array((colours.length / 3) * 4)
  for (let i = 0; i < rgba.length / 4; i++) {
    rgba.set(colours.subarray(i * 3, i * 3 + 3), i * 4)
    rgba[i * 4 + 3] = data[(i + 1) * channels - 1] >> (depth === 16 ? 8 : 0)
  }
  return rgba
}

/** The most pixels of four colours that JavaScript decodes, with 48 bytes for each. */
const LARGEST_CMYK = 18_000_000

async function cmykJpegToRgb(bytes: Uint8Array, { width, height }: ImageHeader): Promise<RgbImage> {
  if (width * height > LARGEST_CMYK)
    throw new Error(
      `it has ${width}×${height} pixels of four colours: more than ${LARGEST_CMYK} need sharp, run npm install sharp`,
    )
  const { default: library } = await import('jpeg-js')
  return library.decode(bytes, {
    useTArray: true,
    formatAsRGBA: false,
    maxResolutionInMP: LARGEST_CMYK / 1e6,
    maxMemoryUsageInMB: 1024,
  })
}

function pngToRgb({ width, height, channels, depth, palette, data: samples }: PngSamples): RgbImage {
  const data = new Uint8Array(width * height * 3)
  if (palette) {
    // libpng and Pillow give a pixel black whose colour is not in the palette
    const colours = new Uint8Array(768)
    colours.set(palette)
    for (let i = 0, to = 0; i < samples.length; i++)
      for (let c = 0; c < 3; c++) data[to++] = colours[samples[i] * 3 + c]
    return { width, height, data }
  }
  // samples of fewer bits are scaled to 8 bits; of 16 bits the upper 8 are used
  const scale = depth < 8 ? 255 / (2 ** depth - 1) : 1
  const shift = depth === 16 ? 8 : 0
  const colours = channels < 3 ? 1 : 3
  for (let i = 0, to = 0; i < width * height; i++)
    for (let c = 0; c < 3; c++) data[to++] = (samples[i * channels + (c % colours)] * scale) >> shift
  return { width, height, data }
}

function withoutAlpha({ data, ...size }: RgbImage): RgbImage {
  const rgb = new Uint8Array((data.length / 4) * 3)
  for (let from = 0, to = 0; from < data.length; from += 4) {
    rgb[to++] = data[from]
    rgb[to++] = data[from + 1]
    rgb[to++] = data[from + 2]
  }
  return { ...size, data: rgb }
}
