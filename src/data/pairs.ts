// Images and captions in memory, as data for batches: of a page, of drawn pictures, or of any other program.

import { DataError, sha256 } from '../io/browser.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import type { Size2d } from '../tensor/sides.ts'
import type { ImageTextSource } from './image-text-source.ts'
import { type PictureSource, resizeImageBytes } from './images/picture.ts'
import { type ImagePixels, imagePixels, type PictureChannels, pictureChannels, toUnitRange } from './images/pixels.ts'
import type { RandomCrop } from './images/random-crop.ts'
import { classesOf } from './labels.ts'

/** A picture in memory and its captions. */
export interface ImageTextPair {
  /** an ImageData, an ImageBitmap, a canvas, or `{ width, height, data }` with bytes */
  readonly image: PictureSource
  /** one or several, none of them empty */
  readonly caption: string | readonly string[]
  /** names of its classes: of all pairs, or of none */
  readonly labels?: readonly string[]
  /** in an error; default `pair 0`, `pair 1` … */
  readonly name?: string
}

/** Options of `ImageTextPairs`. */
export interface ImageTextPairsOptions {
  /** pixels of the images: the side of a square, or [height, width] */
  readonly imageSize: Size2d
  /** 3, red, green and blue (default), or 1, their luma */
  readonly channels?: PictureChannels
  /** how pictures become pixels; default 'upright' */
  readonly pixels?: ImagePixels
}
const pairsOptions = {
  imageSize: is.size2d,
  channels: pictureChannels,
  pixels: imagePixels,
} satisfies Settings<ImageTextPairsOptions>

/**
 * Pictures with captions in memory, for a `BatchIterator`. They are scaled at the first access and kept as bytes.
 *
 *     const pairs = Array.from({ length: 100 }, (_, i) => {
 *       const { pixels, caption } = shapesExample(i)
 *       return { image: { width: PICTURE_SIDE, height: PICTURE_SIDE, data: pixels }, caption }
 *     })
 *     const data = new ImageTextPairs(pairs, { imageSize: 32 })
 *     const batches = new BatchIterator(data, tokenizer, { batchSize: 10, contextLength: 16 })
 */
export class ImageTextPairs implements ImageTextSource {
  readonly length: number
  readonly imageSize: Size2d
  readonly channels: PictureChannels
  /** SHA-256 of names, captions and labels, in order; pixels are not part of it */
  readonly fingerprint: string
  /** names of all classes; empty without labels */
  readonly classes: readonly string[]
  /** names of the classes of example `index`; undefined if there are no labels */
  readonly labels?: (index: number) => readonly string[]
  readonly #pairs: readonly ImageTextPair[]
  readonly #captions: readonly (readonly string[])[]
  readonly #pixels: ImagePixels
  readonly #kept: (Uint8Array | undefined)[] = []

  /** @throws DataError naming a pair without a caption, or with an empty one, or with labels where others have none */
  constructor(pairs: readonly ImageTextPair[], options: ImageTextPairsOptions) {
    const { imageSize, channels, pixels } = settle('new ImageTextPairs(pairs, options)', options, pairsOptions)
    if (pairs.length === 0) throw new DataError('there are no pairs: give at least one, { image, caption }')
    this.#pairs = pairs
    this.#captions = pairs.map(({ caption }, i) => captionsOf(caption, this.name(i)))
    this.#pixels = pixels
    this.length = pairs.length
    this.imageSize = imageSize
    this.channels = channels
    this.classes = classesOf(pairs)
    if (this.classes.length > 0) {
      const without = pairs.findIndex(({ labels = [] }) => labels.length === 0)
      if (without >= 0) throw new DataError('has no labels, but other pairs have some', { file: this.name(without) })
      this.labels = index => this.#pair(index).labels!
    }
    this.fingerprint = sha256(
      JSON.stringify(pairs.map(({ labels }, i) => [this.name(i), this.#captions[i], ...(labels ? [labels] : [])])),
    )
  }

  captions(index: number): readonly string[] {
    this.#pair(index)
    return this.#captions[index]
  }

  name(index: number): string {
    return this.#pairs[index]?.name ?? `pair ${index}`
  }

  /** @throws ImageError naming the pair, if its image has no pixels or its bytes do not fit its size */
  async image(index: number, crop?: RandomCrop): Promise<Float32Array> {
    if (crop) return toUnitRange(this.#bytes(index, crop))
    this.#kept[index] ??= this.#bytes(index)
    return toUnitRange(this.#kept[index])
  }

  #bytes(index: number, crop?: RandomCrop): Uint8Array {
    const { imageSize: size, channels } = this
    const { image } = this.#pair(index)
    return resizeImageBytes(image, { size, channels, crop, pixels: this.#pixels, name: this.name(index) })
  }

  #pair(index: number): ImageTextPair {
    const pair = this.#pairs[index]
    if (pair === undefined) throw new DataError(`there is no pair ${index}: there are ${this.length}`)
    return pair
  }
}

function captionsOf(caption: string | readonly string[], file: string): readonly string[] {
  const captions = typeof caption === 'string' ? [caption] : caption
  if (!Array.isArray(captions) || captions.length === 0) throw new DataError('has no caption', { file })
  return captions.map(text => {
    if (typeof text !== 'string' || text.trim() === '')
      throw new DataError(`its caption is ${JSON.stringify(text)}, not a text`, { file })
    return text.trim()
  })
}
