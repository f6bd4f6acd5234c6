// A folder of images with captions, as a dataset for training: numbered examples whose pixels are decoded at the first
// access and kept as bytes while the cache has space. Bytes take a quarter of the memory of floats.

import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { DataError } from '../io/index.ts'
import { Generator } from '../tensor/index.ts'

import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import type { Size2d } from '../tensor/sides.ts'

import { type CaptionedImage, readCaptionsOf } from './captions.ts'
import { DecodePool, type DecodeThreads, isThreads, threadsHere } from './decoding/pool.ts'
import type { ImageTextSource } from './image-text-source.ts'
import {
  type ImageDecoder,
  type ImagePixels,
  imagePixels,
  type PictureChannels,
  pictureChannels,
  toUnitRange,
} from './images/image.ts'
import type { RandomCrop } from './images/random-crop.ts'
import { classesOf, isReadLabels, type ReadLabels } from './labels.ts'

/** Options for opening a folder of pictures. */
export interface OpenDatasetOptions {
  /** pixels of the images: the side of a square, or [height, width] */
  readonly imageSize: Size2d
  /** 3, red, green and blue (default), or 1, their luma */
  readonly channels?: PictureChannels
  /** what decodes the files; default TurboJPEG for JPEGs and sharp for others, as far as they are installed, otherwise the decoders of this package */
  readonly decoder?: ImageDecoder
  /** turn pictures as their EXIF orientation says; default true */
  readonly upright?: boolean
  /** how files become pixels; default 'upright' */
  readonly pixels?: ImagePixels
  /** threads that decode images; default 0; `auto` uses some if the first picture is not small */
  readonly threads?: DecodeThreads
  /** bytes of decoded images that are kept in memory; default 256 MiB */
  readonly cacheBytes?: number
  /**
   * read the classes of images, from a field `label` or `labels` of the list of captions or from a folder for each class; an
   * image without a caption then has its classes as captions. With `'optional'` an image may have none. False unless given
   */
  readonly labels?: ReadLabels
}
export const datasetOptions = {
  imageSize: is.size2d,
  channels: pictureChannels,
  decoder: is.choice('auto', 'sharp', 'javascript'),
  upright: true,
  pixels: imagePixels,
  threads: is.byDefault(0, isThreads),
  cacheBytes: 256 * 2 ** 20,
  labels: is.byDefault<ReadLabels>(false, isReadLabels),
} satisfies Settings<OpenDatasetOptions>

/** Options of `split` of a dataset. */
export interface SplitOptions {
  /** the share of images, between 0 and 1, that is used for validation */
  readonly validation: number
  /** equal seeds give equal splits */
  readonly seed?: number
}
export const splitOptions = { validation: is.number, seed: 0 } satisfies Settings<SplitOptions>

/** What every example of a folder has. */
interface Described {
  readonly captions: readonly string[]
  readonly labels?: readonly string[]
}

/** The examples of a folder by their number, without their pixels. */
export abstract class FolderDataset<Example extends Described> {
  readonly folder: string
  readonly examples: readonly Example[]
  /** SHA-256 of the files' names and captions, and of labels if they were read, in order; pixels are not part of it */
  readonly fingerprint: string
  /** names of all classes, including those of the other part of a split; empty if labels were not read */
  readonly classes: readonly string[]
  /** names of the classes of example `index`, at least one unless they are optional; undefined if no labels were read */
  readonly labels?: (index: number) => readonly string[]

  /** @param filesOf the names of an example's files, which its fingerprint depends on */
  protected constructor(
    folder: string,
    examples: readonly Example[],
    classes: readonly string[],
    filesOf: (example: Example) => readonly unknown[],
  ) {
    this.folder = folder
    this.examples = examples
    this.classes = classes
    if (classes.length > 0) this.labels = index => this.example(index).labels ?? []
    const hash = createHash('sha256')
    for (const example of examples) {
      const { captions, labels } = example
      hash.update(`${JSON.stringify([...filesOf(example), captions, ...(labels ? [labels] : [])])}\n`)
    }
    this.fingerprint = hash.digest('hex')
  }

  get length(): number {
    return this.examples.length
  }

  captions(index: number): readonly string[] {
    return this.example(index).captions
  }

  protected example(index: number): Example {
    const example = this.examples[index]
    if (example === undefined)
      throw new DataError(`has no example ${index}: there are ${this.length}`, { file: this.folder })
    return example
  }

  /**
   * The examples of the two parts of a split, in the order of the whole dataset.
   * @param noun what is drawn, in an error
   * @param groupOf equal for examples that must be in the same part; unless given, no two are
   * @throws DataError if a part would be empty
   */
  protected parts(
    options: SplitOptions,
    noun: string,
    groupOf?: (example: Example) => string,
  ): { train: Example[]; validation: Example[] } {
    const { validation, seed } = settle('dataset.split(options)', options, splitOptions)
    const groups = this.examples.map((example, i) => groupOf?.(example) ?? i)
    const all = [...new Set(groups)]
    const count = Math.round(all.length * validation)
    if (!(count >= 1 && count < all.length))
      throw new DataError(`${validation} of ${all.length} ${noun}s for validation leaves one part empty`, {
        file: this.folder,
      })
    const drawn = new Generator(seed).fork('split').permutation(all.length).subarray(0, count)
    const chosen = new Set([...drawn].map(i => all[i]))
    const part = (inValidation: boolean) => this.examples.filter((_, i) => chosen.has(groups[i]) === inValidation)
    return { train: part(false), validation: part(true) }
  }
}

/** How images are decoded and kept. */
type CacheOptions = Required<Omit<OpenDatasetOptions, 'labels'>>

/** A cache of decoded images. Every epoch reads every image once, so images are not evicted when it is full. */
export class ImageCache {
  readonly imageSize: Size2d
  readonly channels: PictureChannels
  readonly #options: CacheOptions
  readonly #kept = new Map<string, Uint8Array>()
  readonly #pool: DecodePool
  #bytesLeft: number

  private constructor(options: CacheOptions, threads: number) {
    this.imageSize = options.imageSize
    this.channels = options.channels
    this.#options = options
    this.#pool = new DecodePool(threads)
    this.#bytesLeft = options.cacheBytes
  }

  /**
   * A cache with as many threads as the options say.
   * @param first the first image, whose size tells whether threads are worth while
   */
  static async for(first: string, options: CacheOptions): Promise<ImageCache> {
    const { threads } = options
    return new ImageCache(options, threads === 'auto' ? await threadsWorthWhile(first) : threads)
  }

  /** The bytes of an image: [channels, height, width]. An image that is cropped is decoded each time. */
  async get(path: string, crop?: RandomCrop): Promise<Uint8Array> {
    if (crop) return this.#decode(path, crop)
    const kept = this.#kept.get(path)
    if (kept !== undefined) return kept
    const bytes = await this.#decode(path)
    if (bytes.length <= this.#bytesLeft && !this.#kept.has(path)) {
      this.#kept.set(path, bytes)
      this.#bytesLeft -= bytes.length
    }
    return bytes
  }

  /** Several images, one after the other: [paths.length, channels, height, width] in 0 … 1; the caller may change them. */
  async together(paths: readonly string[], crop?: RandomCrop): Promise<Float32Array> {
    const decoded = await Promise.all(paths.map(path => this.get(path, crop)))
    const pixels = new Float32Array(decoded.reduce((sum, bytes) => sum + bytes.length, 0))
    for (const [i, bytes] of decoded.entries()) pixels.set(toUnitRange(bytes), i * bytes.length)
    return pixels
  }

  #decode(file: string, crop?: RandomCrop): Promise<Uint8Array> {
    const { imageSize: size, channels, decoder, upright, pixels } = this.#options
    return this.#pool.run({ kind: 'image', file, options: { size, channels, decoder, upright, pixels, crop } })
  }
}

/** The size of a picture that is decoded faster than it is sent to another thread. */
const SMALL_FILE = 1 << 14

async function threadsWorthWhile(image: string): Promise<number> {
  const size = await stat(image).then(
    ({ size }) => size,
    () => 0,
  )
  return size > SMALL_FILE ? threadsHere() : 0
}

/** Images of a folder with their captions. */
export class ImageTextDataset extends FolderDataset<CaptionedImage> implements ImageTextSource {
  readonly imageSize: Size2d
  readonly channels: PictureChannels
  readonly #cache: ImageCache

  private constructor(
    folder: string,
    examples: readonly CaptionedImage[],
    cache: ImageCache,
    classes: readonly string[],
  ) {
    super(folder, examples, classes, ({ file }) => [file])
    this.imageSize = cache.imageSize
    this.channels = cache.channels
    this.#cache = cache
  }

  /**
   * Reads a folder's captions, or a file of captions; images are decoded at the first access.
   * @throws DataError naming file and line of the first mistake (see {@link readCaptions})
   */
  static async open(path: string, options: OpenDatasetOptions): Promise<ImageTextDataset> {
    const settled = settle('ImageTextDataset.open(path, options)', options, datasetOptions)
    const { folder, images } = await readCaptionsOf(path, settled.labels)
    const cache = await ImageCache.for(join(folder, images[0].file), settled)
    return new ImageTextDataset(folder, images, cache, classesOf(images))
  }

  name(index: number): string {
    return resolve(this.folder, this.example(index).file)
  }

  /** @throws ImageError naming the file if it cannot be decoded */
  async image(index: number, crop?: RandomCrop): Promise<Float32Array> {
    return toUnitRange(await this.bytes(index, crop))
  }

  /** @throws ImageError naming the file if it cannot be decoded */
  bytes(index: number, crop?: RandomCrop): Promise<Uint8Array> {
    return this.#cache.get(this.name(index), crop)
  }

  /**
   * Splits the images, each with all of its captions, at random into two datasets that share one cache. Both keep the
   * order of the whole dataset.
   * @throws DataError if a part would be empty
   */
  split(options: SplitOptions): { train: ImageTextDataset; validation: ImageTextDataset } {
    const { train, validation } = this.parts(options, 'image')
    const part = (examples: readonly CaptionedImage[]) =>
      new ImageTextDataset(this.folder, examples, this.#cache, this.classes)
    return { train: part(train), validation: part(validation) }
  }
}
