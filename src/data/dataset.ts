// A folder of images with captions, as training sees it: numbered examples whose pixels are decoded when first asked
// for and kept as bytes while there is room. Bytes, because four times as many fit as would floats.

import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { Generator } from '../tensor/random.ts'
import { type CaptionedImage, readCaptions } from './captions.ts'
import { DataError } from './errors.ts'
import { decodeImageBytes, type ImageDecoder, toUnitRange } from './image.ts'

/** What batches are made of: a folder, or anything else that has images and captions. */
export interface ImageTextSource {
  /** how many examples */
  readonly length: number
  /** side of every image in pixels */
  readonly imageSize: number
  /** equal for equal examples in equal order; a resumed run goes by it */
  readonly fingerprint: string
  /** the captions of example `index`, at least one */
  captions(index: number): readonly string[]
  /** what to call example `index` in an error */
  name(index: number): string
  /** [3, imageSize, imageSize] in 0 … 1, the caller's to change */
  image(index: number): Promise<Float32Array>
}

export interface OpenDatasetOptions {
  /** side of the square that every image becomes, in pixels */
  readonly imageSize: number
  readonly decoder?: ImageDecoder
  /** how many bytes of decoded images are kept in memory; 256 MiB unless given */
  readonly cacheBytes?: number
}

export interface SplitOptions {
  /** the share of images, above 0 and below 1, that goes to validation */
  readonly validation: number
  /** equal seeds give equal parts */
  readonly seed?: number
}

/** Decoded images, kept until the room is used up. Every epoch asks for every image once, so none is worth evicting. */
class ImageCache {
  readonly #options: OpenDatasetOptions
  readonly #kept = new Map<string, Uint8Array>()
  #room: number

  constructor(options: OpenDatasetOptions) {
    this.#options = options
    this.#room = options.cacheBytes ?? 256 * 2 ** 20
  }

  async get(path: string): Promise<Uint8Array> {
    const kept = this.#kept.get(path)
    if (kept !== undefined) return kept
    const { imageSize: size, decoder } = this.#options
    const bytes = await decodeImageBytes(path, { size, decoder })
    if (bytes.length <= this.#room && !this.#kept.has(path)) {
      this.#kept.set(path, bytes)
      this.#room -= bytes.length
    }
    return bytes
  }
}

/** Images of a folder with their captions. */
export class ImageTextDataset implements ImageTextSource {
  readonly folder: string
  readonly examples: readonly CaptionedImage[]
  readonly imageSize: number
  /** SHA-256 of the files' names and captions, in order; pixels are not part of it */
  readonly fingerprint: string
  readonly #cache: ImageCache

  private constructor(folder: string, examples: readonly CaptionedImage[], imageSize: number, cache: ImageCache) {
    this.folder = folder
    this.examples = examples
    this.imageSize = imageSize
    this.#cache = cache
    const hash = createHash('sha256')
    for (const { file, captions } of examples) hash.update(`${JSON.stringify([file, captions])}\n`)
    this.fingerprint = hash.digest('hex')
  }

  /**
   * Reads a folder's captions; images are decoded later, when asked for.
   * @throws DataError naming file and line of the first mistake (see {@link readCaptions})
   */
  static async open(folder: string, options: OpenDatasetOptions): Promise<ImageTextDataset> {
    const { imageSize } = options
    if (!Number.isSafeInteger(imageSize) || imageSize < 1)
      throw new DataError(`imageSize is a positive integer, not ${imageSize}`, { file: folder })
    return new ImageTextDataset(folder, await readCaptions(folder), imageSize, new ImageCache(options))
  }

  get length(): number {
    return this.examples.length
  }

  captions(index: number): readonly string[] {
    return this.#example(index).captions
  }

  name(index: number): string {
    return resolve(this.folder, this.#example(index).file)
  }

  /** @throws ImageError naming the file if it cannot be decoded */
  async image(index: number): Promise<Float32Array> {
    return toUnitRange(await this.#cache.get(this.name(index)))
  }

  /**
   * Divides the images at random, each with all of its captions, into two datasets that share one cache. Both keep the
   * order of the whole.
   * @throws DataError if a part would be empty
   */
  split({ validation, seed = 0 }: SplitOptions): { train: ImageTextDataset; validation: ImageTextDataset } {
    const count = Math.round(this.length * validation)
    if (!(count >= 1 && count < this.length))
      throw new DataError(`${validation} of ${this.length} images for validation leaves one part empty`, {
        file: this.folder,
      })
    const chosen = new Set(new Generator(seed).fork('split').permutation(this.length).subarray(0, count))
    const part = (inValidation: boolean) => {
      const examples = this.examples.filter((_, i) => chosen.has(i) === inValidation)
      return new ImageTextDataset(this.folder, examples, this.imageSize, this.#cache)
    }
    return { train: part(false), validation: part(true) }
  }

  #example(index: number): CaptionedImage {
    const example = this.examples[index]
    if (example === undefined)
      throw new DataError(`has no example ${index}: there are ${this.length}`, { file: this.folder })
    return example
  }
}
