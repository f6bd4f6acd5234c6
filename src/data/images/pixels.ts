// The values of images in the form that models take: three channels or one, from 0 to 1, channels first. Runs in a browser.

import { ImageError } from '../../io/browser.ts'
import * as is from '../../tensor/kinds.ts'
import type { Size2d } from '../../tensor/sides.ts'
import type { RgbImage } from './resize.ts'

/**
 * How a file becomes pixels. `upright` turns a picture as its EXIF orientation says, takes the upper 8 of 16 bits, and converts it to RGB
 * before it is scaled. `openclip` gives the pixels of OpenCLIP's `preprocess(Image.open(file))`, with which results of released models
 * are published: it does not turn pictures, and scales a picture in the form in which it is stored and converts it to RGB afterwards:
 *
 * - of a palette, or of black and white, the nearest pixel is taken, without smoothing;
 * - colours with transparency are weighted by it, and then it is dropped;
 * - 16 bits of grey are clipped to 255, so that all but the darkest are white;
 * - four colours are scaled as they are (without sharp after the conversion).
 *
 * `squash` and `openclip-squash` are the same, but scale the whole picture to the size, whatever its sides, where the others crop it: so
 * OpenCLIP prepares pictures for SigLIP (`resize_mode: 'squash'`).
 */
export type ImagePixels = (typeof IMAGE_PIXELS)[number]

/** The values of {@link ImagePixels}. */
export const IMAGE_PIXELS = ['upright', 'openclip', 'squash', 'openclip-squash'] as const

/**
 * The pixels for a model that was trained with some, where another rule is asked for: a model that has seen whole pictures is shown
 * whole pictures.
 */
export function pixelsFor(asked: ImagePixels | undefined, trained: ImagePixels | undefined): ImagePixels | undefined {
  if (asked === undefined || !trained?.endsWith('squash')) return asked ?? trained
  return asked === 'openclip' || asked === 'openclip-squash' ? 'openclip-squash' : 'squash'
}

/** The kind of the option `pixels`. */
export const imagePixels = is.choice<ImagePixels>(...IMAGE_PIXELS)

/** The channels that a file of a picture gives: 3, red, green and blue, or 1, their luma. */
export type PictureChannels = 1 | 3

/** The kind of the option `channels`. */
export const pictureChannels = is.byDefault<PictureChannels>(
  3,
  new is.Kind('3, for red, green and blue, or 1, for their luma', x => x === 1 || x === 3),
)

/**
 * The options with which files of pictures become the images of an encoder.
 * @param image the settings of a model's encoder, such as `model.config.image`
 * @throws ImageError if its images have channels that files do not give
 */
export function picturesFor(image: { readonly size: Size2d; readonly channels?: number }): {
  readonly imageSize: Size2d
  readonly channels: PictureChannels
} {
  const problem = channelsProblem(image.channels)
  if (problem !== undefined) throw new ImageError(`image.channels ${problem}`)
  return { imageSize: image.size, channels: (image.channels ?? 3) as PictureChannels }
}

/** Why files of pictures do not give so many channels; undefined if they do. */
export const channelsProblem = (channels: number | undefined): string | undefined =>
  channels === undefined || pictureChannels.fits(channels)
    ? undefined
    : `is ${channels}, but files of pictures give 3 channels, red, green and blue, or 1, their luma: fit(…) trains a model on tensors with others`

/** A decoded image: `pixels` is [channels, height, width] in 0 … 1. */
export interface DecodedImage {
  /** in pixels */
  readonly width: number
  /** in pixels */
  readonly height: number
  /** [channels, height, width] in 0 … 1, row by row */
  readonly pixels: Float32Array
}

/** The normalisation of pixels in CLIP and its descendants, per channel: (x - mean) / std. */
export const CLIP_NORMALIZE = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
} as const

/** Bytes 0 … 255 as float32 in 0 … 1. */
export function toUnitRange(bytes: Uint8Array): Float32Array {
  const values = new Float32Array(bytes.length)
  for (let i = 0; i < bytes.length; i++) values[i] = bytes[i] / 255
  return values
}

/** [pixels, 3] to [channels, pixels]. */
export function toChannelsFirst({ width, height, data }: RgbImage, channels: PictureChannels): Uint8Array {
  const pixels = width * height
  const planes = new Uint8Array(channels * pixels)
  if (channels === 1)
    for (let i = 0, from = 0; i < pixels; i++, from += 3) planes[i] = luma(data[from], data[from + 1], data[from + 2])
  else
    for (let i = 0, from = 0; i < pixels; i++, from += 3) {
      planes[i] = data[from]
      planes[i + pixels] = data[from + 1]
      planes[i + 2 * pixels] = data[from + 2]
    }
  return planes
}

/** 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601), rounded as Pillow's `convert('L')`. */
const luma = (red: number, green: number, blue: number): number =>
  (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16

/**
 * Checks that a normalisation has one mean and one standard deviation for every channel.
 * @throws ImageError if it has another number of them
 */
export function checkNormalize(
  { mean, std }: { readonly mean: readonly number[]; readonly std: readonly number[] },
  channels: number,
): void {
  for (const [name, values] of Object.entries({ mean, std }))
    if (values.length !== channels)
      throw new ImageError(
        `normalize.${name} is [${values}]: it must have ${channels === 1 ? 'one number, because' : `${channels} numbers, one for each channel:`} the images have ${channels === 1 ? 'one channel' : `${channels} channels`}`,
      )
}

/**
 * (pixel - mean[c]) / std[c] for every channel c, as a new array.
 * @param pixels [channels, height, width]
 * @param mean one value per channel
 * @param std one value per channel, above 0
 * @throws ImageError if the lengths do not agree
 */
export function normalize(pixels: Float32Array, mean: readonly number[], std: readonly number[]): Float32Array {
  const channels = mean.length
  const plane = planeOf(pixels.length, mean, std)
  const scaled = new Float32Array(pixels.length)
  for (let c = 0; c < channels; c++) {
    const [centre, spread] = [mean[c], std[c]]
    for (let i = c * plane; i < (c + 1) * plane; i++) scaled[i] = (pixels[i] - centre) / spread
  }
  return scaled
}

/**
 * `normalize(toUnitRange(bytes), mean, std)`, bit for bit, in a memory that is there already. Each of the 256 values of a channel is computed
 * once.
 * @param bytes [channels, height, width], 0 … 255
 * @param into memory for as many numbers
 * @throws ImageError if the lengths do not agree
 */
export function normalizeBytes(
  bytes: Uint8Array,
  mean: readonly number[],
  std: readonly number[],
  into: Float32Array,
): void {
  const plane = planeOf(bytes.length, mean, std)
  const all = Uint8Array.from({ length: 256 }, (_, value) => value)
  for (let c = 0; c < mean.length; c++) {
    const values = normalize(toUnitRange(all), [mean[c]], [std[c]])
    for (let i = c * plane; i < (c + 1) * plane; i++) into[i] = values[bytes[i]]
  }
}

/** The pixels of a channel. */
function planeOf(pixels: number, mean: readonly number[], std: readonly number[]): number {
  const channels = mean.length
  if (std.length !== channels || channels === 0 || pixels % channels !== 0)
    throw new ImageError(`normalize: ${pixels} pixels, ${channels} means, ${std.length} standard deviations`)
  if (!std.every(value => value > 0))
    throw new ImageError(`normalize: standard deviations [${std}] are not all above 0`)
  return pixels / channels
}
