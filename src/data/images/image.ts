// Images in the form that models take: upright, of one size, three channels or one, values from 0 to 1, channels first.

import { encode } from 'fast-png'
import { fileError, ImageError, messageOf, openToRead } from '../../io/index.ts'

import { environment } from '../../tensor/host.ts'
import * as is from '../../tensor/kinds.ts'
import { optionalGroup, type Settings, settle } from '../../tensor/options.ts'
import { type Size2d, sidesOf } from '../../tensor/sides.ts'
import { javascriptDecoder, type PixelDecoder, sharpDecoder, turboJpegDecoder } from './decoders.ts'
import {
  checkSize,
  checkStart,
  foreignFormat,
  isSharpFormat,
  readImageHeader,
  START_BYTES,
  tooManyBytes,
} from './header.ts'
import { partOf } from './picture.ts'
import {
  type DecodedImage,
  type ImagePixels,
  imagePixels,
  type PictureChannels,
  pictureChannels,
  toChannelsFirst,
  toUnitRange,
} from './pixels.ts'
import { cropOptions, type RandomCrop } from './random-crop.ts'
import { orient, resizeTo } from './resize.ts'
import { resizeStored } from './stored.ts'
import { openTurboJpeg, type TurboJpeg } from './turbojpeg.ts'

export * from './pixels.ts'

/** Names of files that are taken for images. What a file is, its bytes say, whatever its name. */
export const IMAGE_FILE = /\.(png|jpe?g|webp|gif|avif|tiff?)$/i

/** `auto` decodes JPEGs with TurboJPEG if the library and koffi are installed, and everything else with sharp if it is. */
export type ImageDecoder = 'auto' | 'sharp' | 'javascript'

/** Options of `decodeImage`. */
export interface DecodeImageOptions {
  /** pixels of the result: the side of a square, or [height, width] */
  readonly size: Size2d
  /** 3, red, green and blue (default), or 1, their luma */
  readonly channels?: PictureChannels
  /** what decodes the file; default TurboJPEG for a JPEG and sharp for others, as far as they are installed, otherwise the decoders of this package */
  readonly decoder?: ImageDecoder
  /** crop the picture at random, instead of at its centre */
  readonly crop?: RandomCrop
  /** turn the picture as its EXIF orientation says; default true; `pixels: 'openclip'` never turns it */
  readonly upright?: boolean
  /** default 'upright' */
  readonly pixels?: ImagePixels
  /** name of the bytes in an error */
  readonly name?: string
}
const decodeOptions = {
  size: is.size2d,
  channels: pictureChannels,
  decoder: is.choice('auto', 'sharp', 'javascript'),
  crop: optionalGroup({ ...cropOptions, seed: is.number }),
  upright: true,
  pixels: imagePixels,
  name: is.optional(is.text),
} satisfies Settings<DecodeImageOptions>

/** The image decoder of this machine. */
export interface ImageDecoderReport {
  /** name of the decoder, as the option `decoder` takes it */
  readonly name: 'sharp' | 'javascript'
  /** the library of TurboJPEG, which decodes JPEGs in its place; absent without it */
  readonly turboJpeg?: string
  /** what is missing for a faster decoder, and what that costs, if anything is */
  readonly note?: string
}

let sharpHere: Promise<PixelDecoder | Error> | undefined

/** Sharp if it can be loaded, otherwise the reason. Determined once. */
function loadSharp(): Promise<PixelDecoder | Error> {
  sharpHere ??= import('sharp').then(
    module => sharpDecoder(module.default),
    error => new Error(messageOf(error).split('\n')[0], { cause: error }),
  )
  return sharpHere
}

let turboHere: Promise<TurboJpeg | string> | undefined

/** TurboJPEG, or the reason why there is none. Determined once. */
function loadTurboJpeg(): Promise<TurboJpeg | string> {
  turboHere ??= openTurboJpeg(environment('COCAGRAD_TURBOJPEG'))
  return turboHere
}

/** The decoders that `auto` selects on this machine. */
export async function imageDecoder(): Promise<ImageDecoderReport> {
  const [sharp, turbo] = [await loadSharp(), await loadTurboJpeg().catch(messageOf)]
  const notes: string[] = []
  if (sharp instanceof Error)
    notes.push(
      `sharp cannot be loaded (${sharp.message}): images are decoded in WebAssembly and JavaScript, which takes about twice as long`,
    )
  if (typeof turbo === 'string') notes.push(turbo)
  return {
    name: sharp instanceof Error ? 'javascript' : 'sharp',
    ...(typeof turbo !== 'string' && { turboJpeg: turbo.library }),
    ...(notes.length > 0 && { note: notes.join('; ') }),
  }
}

async function chooseDecoder(decoder: ImageDecoder, foreign?: string, file?: string): Promise<PixelDecoder> {
  if (decoder === 'javascript') {
    if (foreign === undefined) return javascriptDecoder
    throw new ImageError(`is ${foreign}, which only sharp reads: write decoder: 'sharp', or save it as PNG`, { file })
  }
  const sharp = await loadSharp()
  if (!(sharp instanceof Error)) return decoder === 'auto' ? turboJpegDecoder(loadTurboJpeg, sharp) : sharp
  if (foreign !== undefined)
    throw new ImageError(
      `is ${foreign}, which only sharp reads, but sharp cannot be loaded (${sharp.message}): npm install sharp, or save it as PNG`,
      { file, cause: sharp },
    )
  if (decoder === 'auto') return turboJpegDecoder(loadTurboJpeg, javascriptDecoder)
  throw new ImageError(`decoder is 'sharp', but sharp cannot be loaded (${sharp.message}): npm install sharp`, {
    cause: sharp,
  })
}

/**
 * Decodes an image into bytes: EXIF orientation is applied (of a PNG that of its chunk eXIf), transparency and colour profiles are left out. The picture
 * is scaled until it covers `size` (bicubic, anti-aliased), of a square the shorter side to that of the square, and the centre is kept; of a random
 * crop, the crop is scaled to `size`. The pixels are those of Pillow's `convert('RGB')`, `resize` and `crop`, and for one channel of `convert('L')`
 * after them; with `pixels: 'openclip'` those of OpenCLIP, see {@link ImagePixels}. PNG, JPEG and WebP are
 * read on every machine; of GIF (its first picture), AVIF and TIFF (its first page) sharp gives the pixels, so they need sharp.
 *
 * Every decoder accepts the same files. A PNG may be damaged where its pixels do not need it: in chunks such as tEXt and eXIf, which are
 * then left out, and after its pixels, as in libpng. Between the segments of a JPEG other bytes are left out, as in Pillow. Files of
 * more than 512 MiB are not read; pictures of more than 64 million pixels (36 million with transparency, four colours or 16 bits), or with a side of more than a million, are not decoded.
 * @param source a path, or the file's bytes
 * @returns [channels, height, width], 0 … 255
 * @throws ImageError naming the file if it is empty, truncated, too large (with its size and the limit) or not an image, or needs sharp, which cannot be loaded;
 *   FileError if it cannot be read
 */
export async function decodeImageBytes(source: string | Uint8Array, options: DecodeImageOptions): Promise<Uint8Array> {
  const settled = settle('decodeImage(source, options)', options, decodeOptions)
  const { size, channels, crop, name, decoder, pixels, upright } = settled
  const file = typeof source === 'string' ? source : name
  const bytes = typeof source === 'string' ? await readPicture(source) : source
  const tooMany = tooManyBytes(bytes.length)
  if (tooMany !== undefined) throw new ImageError(tooMany, { file })
  const foreign = foreignFormat(bytes)
  const decode = await chooseDecoder(decoder, isSharpFormat(foreign) ? foreign : undefined, file)
  const header = isSharpFormat(foreign) ? await decode.header!(bytes, foreign, file) : readImageHeader(bytes, file)
  checkSize(header, file)
  try {
    if (pixels === 'upright' || pixels === 'squash') {
      const decoded = await decode.rgb(bytes, header)
      const picture = orient(decoded, upright ? header.orientation : 1)
      const planes = toChannelsFirst(resizeTo(picture, size, partOf(picture, pixels, crop)), channels)
      decoded.release?.()
      return planes
    }
    const stored = await decode.stored(bytes, header)
    // of TIFF, Pillow turns every picture when it opens it
    const picture = header.format === 'TIFF' ? orient(stored, header.orientation) : stored
    const planes = toChannelsFirst(resizeStored(picture, size, partOf(picture, pixels, crop)), channels)
    stored.release?.()
    return planes
  } catch (error) {
    throw new ImageError(`${header.format} cannot be decoded: ${messageOf(error)}`, { file, cause: error })
  }
}

/** The bytes of a picture's file, which are not read if there are too many, or if the first ones are of no picture or of one too large. */
async function readPicture(file: string): Promise<Uint8Array> {
  const { handle, size } = await openToRead(file)
  try {
    const tooMany = tooManyBytes(size)
    if (tooMany !== undefined) throw new ImageError(tooMany, { file })
    const bytes = new Uint8Array(size)
    for (let at = 0; at < size; ) {
      const { bytesRead } = await handle.read(bytes, at, at === 0 ? Math.min(size, START_BYTES) : size - at, at)
      if (bytesRead === 0) return bytes.subarray(0, at) // it has become shorter
      at += bytesRead
      if (at <= START_BYTES) checkStart(bytes.subarray(0, at), file)
    }
    return bytes
  } catch (error) {
    throw error instanceof ImageError ? error : fileError(file, error)
  } finally {
    await handle.close()
  }
}

/** As {@link decodeImageBytes}, as float32 in 0 … 1: a byte divided by 255. */
export async function decodeImage(source: string | Uint8Array, options: DecodeImageOptions): Promise<DecodedImage> {
  const bytes = await decodeImageBytes(source, options)
  const [height, width] = sidesOf(options.size)
  return { width, height, pixels: toUnitRange(bytes) }
}

/**
 * The bytes of a PNG file.
 * @param pixels [height, width, channels], 0 … 255: grey, grey and alpha, RGB or RGBA
 * @throws ImageError if the number of pixels does not fit
 */
export function encodePng(pixels: Uint8Array, width: number, height: number): Uint8Array {
  const channels = pixels.length / (width * height)
  if (![1, 2, 3, 4].includes(channels))
    throw new ImageError(`encodePng: ${pixels.length} bytes are not 1 to 4 channels of ${width}×${height} pixels`)
  return encode({ width, height, channels, data: pixels })
}
