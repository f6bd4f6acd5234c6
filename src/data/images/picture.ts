// Pictures that are decoded already, such as those of a page, in the form that models take. The pixels are those that `decodeImage` of
// cocagrad/data gives of a file with the same pixels, bit for bit, in a browser and in Node.

import { ImageError, messageOf } from '../../io/browser.ts'
import { checkArguments } from '../../tensor/arguments.ts'
import * as is from '../../tensor/kinds.ts'
import { optionalGroup, type Settings, settle } from '../../tensor/options.ts'
import { type Size2d, sidesOf } from '../../tensor/sides.ts'
import {
  type DecodedImage,
  type ImagePixels,
  imagePixels,
  type PictureChannels,
  pictureChannels,
  toChannelsFirst,
  toUnitRange,
} from './pixels.ts'
import { chooseCrop, cropOptions, type RandomCrop } from './random-crop.ts'
import { type Box, type RgbImage, resizeTo } from './resize.ts'
import { resizeStored } from './stored.ts'

/** The pixels of a picture, row by row, such as an ImageData: [height, width, channels] of grey, RGB, or RGB and transparency, 0 … 255. */
export interface RawPicture {
  /** in pixels */
  readonly width: number
  /** in pixels */
  readonly height: number
  /** bytes of the pixels, row by row, with the channels of a pixel beside each other */
  readonly data: Uint8Array | Uint8ClampedArray
}

/** A picture that a page can draw: an ImageBitmap, a canvas, or an img or video element that is loaded. */
export interface DrawablePicture {
  /** in pixels */
  readonly width: number
  /** in pixels */
  readonly height: number
}

/** A picture that is decoded. */
export type PictureSource = RawPicture | DrawablePicture

/** Options of `resizeImage`. */
export interface ResizeImageOptions {
  /** pixels of the result: the side of a square, or [height, width] */
  readonly size: Size2d
  /** 3, red, green and blue (default), or 1, their luma */
  readonly channels?: PictureChannels
  /** crop the picture at random, instead of at its centre */
  readonly crop?: RandomCrop
  /** default 'upright'; a picture that is decoded is not turned, whichever they are */
  readonly pixels?: ImagePixels
  /** name of the picture in an error */
  readonly name?: string
}
const resizeOptions = {
  size: is.size2d,
  channels: pictureChannels,
  crop: optionalGroup({ ...cropOptions, seed: is.number }),
  pixels: imagePixels,
  name: is.optional(is.text),
} satisfies Settings<ResizeImageOptions>

const isPicture = new is.Kind<PictureSource>(
  'a picture such as an ImageData, an ImageBitmap, or { width, height, data }',
  x => typeof x === 'object' && x !== null && 'width' in x && 'height' in x,
)

/**
 * Scales and crops a decoded picture as `decodeImage` does: until it covers `size` (bicubic, anti-aliased, as Pillow), and the centre is
 * kept; of a random crop, the crop is scaled to `size`. Transparency is left out. In a page:
 *
 *     const bitmap = await createImageBitmap(file, { premultiplyAlpha: 'none', colorSpaceConversion: 'none' })
 *     const { pixels } = resizeImage(bitmap, { size: 224 })
 *     const image = normalize(pixels, CLIP_NORMALIZE.mean, CLIP_NORMALIZE.std)
 *
 * Browsers turn a picture as its EXIF orientation says, and their decoders of JPEG may differ from `decodeImage` in the last bits.
 * A canvas keeps the colours of transparent pixels only roughly; those of an ImageData are exact.
 * @param picture an ImageData, an ImageBitmap, a canvas, an img or video element, or `{ width, height, data }` with bytes
 * @returns [channels, height, width] in 0 … 1
 * @throws ImageError if the number of bytes does not fit the size, or the page may not read the picture
 */
export function resizeImage(picture: PictureSource, options: ResizeImageOptions): DecodedImage {
  const [height, width] = sidesOf(options.size)
  return { width, height, pixels: toUnitRange(resizeImageBytes(picture, options)) }
}

/** As {@link resizeImage}, as bytes: [channels, height, width], 0 … 255. */
export function resizeImageBytes(picture: PictureSource, options: ResizeImageOptions): Uint8Array {
  const call = 'resizeImage(picture, options)'
  checkArguments(call, [isPicture], [picture])
  const { size, channels, crop, pixels, name } = settle(call, options, resizeOptions)
  const raw = 'data' in picture ? picture : drawn(picture, name)
  const each = channelsOf(raw, name)
  const part = partOf(raw, pixels, crop)
  const { width, height } = raw
  const data = new Uint8Array(raw.data.buffer, raw.data.byteOffset, raw.data.length)
  // the others scale the colours without their transparency
  const scaled =
    each === 4 && pixels.startsWith('openclip')
      ? resizeStored({ width, height, data, mode: 'RGBA' }, size, part)
      : resizeTo({ width, height, data: toRgb(data, each) }, size, part)
  return toChannelsFirst(scaled, channels)
}

/** The part of a picture that is scaled to the size; undefined for its centre. */
export function partOf(
  { width, height }: Pick<RgbImage, 'width' | 'height'>,
  pixels: ImagePixels,
  crop: RandomCrop | undefined,
): Box | undefined {
  if (crop) return chooseCrop({ width, height }, crop)
  return pixels.endsWith('squash') ? { left: 0, top: 0, width, height } : undefined
}

function channelsOf({ width, height, data }: RawPicture, file: string | undefined): number {
  const isSide = (side: unknown) => Number.isSafeInteger(side) && (side as number) > 0
  if (!isSide(width) || !isSide(height)) throw new ImageError(`has ${width}×${height} pixels`, { file })
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray))
    throw new ImageError('its data must be a Uint8Array or a Uint8ClampedArray, with values from 0 to 255', { file })
  const channels = data.length / (width * height)
  if (channels === 1 || channels === 3 || channels === 4) return channels
  throw new ImageError(`has ${data.length} bytes, which are not 1, 3 or 4 channels of ${width}×${height} pixels`, {
    file,
  })
}

/** [pixels, channels] to [pixels, 3]. */
function toRgb(data: Uint8Array, channels: number): Uint8Array {
  if (channels === 3) return data
  const count = data.length / channels
  const rgb = new Uint8Array(count * 3)
  const [green, blue] = channels === 1 ? [0, 0] : [1, 2]
  for (let i = 0, from = 0, to = 0; i < count; i++, from += channels, to += 3) {
    rgb[to] = data[from]
    rgb[to + 1] = data[from + green]
    rgb[to + 2] = data[from + blue]
  }
  return rgb
}

/** The pixels of a picture that a page can draw, with its own number of pixels, whatever its size in the layout. */
function drawn(picture: DrawablePicture, file: string | undefined): RawPicture {
  if (typeof OffscreenCanvas === 'undefined')
    throw new ImageError('has no data, and there is no browser to draw it: give { width, height, data }', { file })
  const own = picture as { naturalWidth?: number; naturalHeight?: number; videoWidth?: number; videoHeight?: number }
  const width = own.naturalWidth ?? own.videoWidth ?? picture.width
  const height = own.naturalHeight ?? own.videoHeight ?? picture.height
  if (!(width > 0 && height > 0)) throw new ImageError(`has ${width}×${height} pixels: is it loaded?`, { file })
  try {
    const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!
    context.drawImage(picture as ImageBitmap, 0, 0, width, height)
    return context.getImageData(0, 0, width, height)
  } catch (error) {
    throw new ImageError(`cannot be drawn and read: ${messageOf(error)}`, { file, cause: error })
  }
}
