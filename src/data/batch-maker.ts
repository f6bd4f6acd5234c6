// Batches of one collection of samples: it tokenizes the captions once, plans the order and loads the images. A batch
// is a function of the collection, a label and a number, so the same batch can be made again.

import { BatchError, DataError, sha256, TokenizerError } from '../io/browser.ts'
import { Generator } from '../tensor/index.ts'

import * as is from '../tensor/kinds.ts'
import { optionalGroup, type Settings } from '../tensor/options.ts'

import { type CaptionTable, type Choice, type EpochOptions, planEpoch } from './epochs.ts'
import {
  type BadSample,
  type ExampleSource,
  examplePixels,
  exampleShapeOf,
  type ImageTextSource,
  imageShapeOf,
  type MultiImageSource,
  type OnBadSample,
  onBadSample,
} from './image-text-source.ts'
import { checkNormalize, normalize, normalizeBytes } from './images/pixels.ts'
import { cropOptions, type RandomCrop } from './images/random-crop.ts'
import { type BatchRanks, batchRanks, checkShares, shareOf } from './ranks.ts'
import type { Tokenizer } from './tokenizers/tokenizer.ts'

/** The position of a batch. */
export interface BatchPlace {
  readonly epoch: number
  /** window of the epoch, from 0: a part of the data that is shuffled separately; a folder is one window */
  readonly window: number
  /** its index in the window, from 0 */
  readonly batch: number
}

/** The shape of a batch of examples with one image each. */
export type ImageShape = [batch: number, channels: number, height: number, width: number]

/** The shape of a batch of examples with several images each. */
export type MultiImageShape = [batch: number, images: number, channels: number, height: number, width: number]

/**
 * Images and their texts, to be converted to tensors.
 * @typeParam Shape ImageShape, or MultiImageShape for examples of several images
 */
export interface Batch<Shape extends ImageShape | MultiImageShape = ImageShape> extends BatchPlace {
  /** [batch, channels, height, width] or [batch, images, channels, height, width], row by row */
  readonly images: Float32Array
  /** shape of `images` */
  readonly imageShape: Shape
  /** [batch, contextLength], row by row */
  readonly tokens: Int32Array
  /** shape of `tokens` */
  readonly tokenShape: [batch: number, contextLength: number]
  /** indices of the examples */
  readonly indices: Int32Array
  /** one text of every image: the one that was tokenized */
  readonly captions: readonly string[]
  /** names of the classes of every image, if the data has labels */
  readonly labels?: readonly (readonly string[])[]
  /** of a part of a batch, with `ranks`: int32 numbers that are equal for texts with equal ids, in all parts */
  readonly groups?: Int32Array
}

/**
 * Changes an image before it is put into a batch. The images of one example all get the same random numbers.
 * @param image [channels, height, width] in 0 … 1, which may be changed in place
 * @param generator random numbers that depend only on the seed, the epoch and the example
 * @param size height and width of the image
 * @returns an image of the same shape
 */
export type Augmentation = (
  image: Float32Array,
  generator: Generator,
  size: readonly [height: number, width: number],
) => Float32Array

/** Options of a `BatchIterator`. */
export interface BatchOptions {
  /** number of examples in a batch */
  readonly batchSize: number
  /** ids per text, including start and end; 0 without a tokenizer, which is the default */
  readonly contextLength?: number
  /** equal seeds give equal batches; default 0 */
  readonly seed?: number
  /** a new order every epoch; default true */
  readonly shuffle?: boolean
  /** leave out batches that are not full; default true */
  readonly dropLast?: boolean
  /** no two texts of a batch have equal ids: the second one is put into a later batch; default false */
  readonly distinctCaptions?: boolean
  /** truncate captions that are too long, instead of throwing; default false */
  readonly truncate?: boolean
  /** crops pictures at random; default the centre */
  readonly crop?: Omit<RandomCrop, 'seed'>
  /** changes each image before it is normalised; default none */
  readonly augment?: Augmentation
  /** applied last, per channel */
  readonly normalize?: { readonly mean: readonly number[]; readonly std: readonly number[] }
  /** called for samples that cannot be read, which are then replaced by others; without it they are errors */
  readonly onBadSample?: OnBadSample
  /** number of batches that are loaded in advance; default 1 */
  readonly ahead?: number
  /**
   * processes that make the same batches, from `openMpi()`: each gets its part of the examples of every batch and reads only their
   * pictures. All of them call `next` equally often. Default: this process gets whole batches
   */
  readonly ranks?: BatchRanks
}
const normalizeOptions = {
  mean: is.list as is.Kind<readonly number[]>,
  std: is.list as is.Kind<readonly number[]>,
} satisfies Settings<NonNullable<BatchOptions['normalize']>>
export const batchOptions = {
  batchSize: is.number,
  contextLength: 0,
  seed: 0,
  shuffle: true,
  dropLast: true,
  distinctCaptions: false,
  truncate: false,
  crop: optionalGroup(cropOptions),
  augment: is.optional(is.callback as is.Kind<Augmentation>),
  normalize: optionalGroup(normalizeOptions),
  onBadSample,
  ahead: 1,
  ranks: batchRanks,
} satisfies Settings<BatchOptions>

/** The maximum number of attempts to replace a sample that cannot be read. */
const TRIES = 100

/** An example of a batch, by its place there, and why it cannot be read. */
interface Failure {
  readonly i: number
  readonly error: DataError
}

/** The images of an example as they are put into a batch, or as bytes that are normalised there. */
type Pixels = Float32Array | Uint8Array

/** The images of the examples that a process reads. */
interface Loaded {
  readonly images: Float32Array
  readonly failed: readonly Failure[]
}

/** The samples of a collection that can be used. */
interface TokenizedSamples {
  readonly table: CaptionTable
  /** index in the source of every sample of the table */
  readonly indices: Int32Array
  /** distinct texts as rows of ids, one after the other */
  readonly rows: Int32Array
}

/** The options of batches, with their defaults. */
export type BatchSettings = BatchOptions & EpochOptions & { readonly contextLength: number }

/** Where the examples of batches come from. */
type Source = ImageTextSource | MultiImageSource

export class BatchMaker {
  readonly #source: Source
  readonly #options: BatchSettings
  readonly #samples: TokenizedSamples

  /**
   * @param tokenizer undefined: batches have no ids
   * @param skip called for samples whose captions are too long, which are then left out
   * @throws TokenizerError naming such a sample, without `skip`
   */
  constructor(
    source: Source,
    tokenizer: Tokenizer | undefined,
    options: BatchSettings,
    skip?: (bad: BadSample) => void,
  ) {
    this.#source = source
    this.#options = options
    if (options.normalize && !source.exampleShape) checkNormalize(options.normalize, imageShapeOf(source)[0])
    this.#samples = tokenizeCaptions(source, tokenizer, options, skip)
  }

  /** SHA-256 of all ids. */
  get texts(): string {
    return sha256(new Uint8Array(this.#samples.rows.buffer))
  }

  plan(label: string): Choice[][] {
    return planEpoch(this.#samples.table, label, this.#options)
  }

  /**
   * Starts to load the images of some choices, with ranks those of its own part. The result completes the batch: an image that cannot
   * be read is replaced by another one, unless that is an error. With ranks they all complete the same batches in the same order.
   */
  begin(
    place: BatchPlace,
    label: string,
    planned: readonly Choice[],
  ): () => Promise<Batch<ImageShape | MultiImageShape>> {
    const loading = this.#load(label, planned)
    loading.catch(() => {}) // the error is thrown when the batch is completed
    return async () => this.#complete(place, label, planned, await loading)
  }

  /** The images of the own examples, and why some of them cannot be read. */
  async #load(label: string, choices: readonly Choice[]): Promise<Loaded> {
    const { ranks } = this.#options
    if (ranks) checkShares(choices.length, ranks)
    const { start, stop } = shareOf(choices.length, ranks)
    const size = this.#exampleShape.reduce((a, b) => a * b)
    const images = new Float32Array((stop - start) * size)
    const failed: Failure[] = []
    await inParallel(stop - start, async i => {
      const image = await this.#read(choices[start + i], label)
      if (image instanceof DataError) failed.push({ i: start + i, error: image })
      else this.#put(image, images.subarray(i * size, (i + 1) * size))
    })
    return { images, failed: failed.sort((a, b) => a.i - b.i) }
  }

  async #complete(
    place: BatchPlace,
    label: string,
    planned: readonly Choice[],
    { images, failed }: Loaded,
  ): Promise<Batch<ImageShape | MultiImageShape>> {
    const { contextLength, onBadSample, ranks } = this.#options
    const { start, stop } = shareOf(planned.length, ranks)
    const shape = this.#exampleShape
    const size = shape.reduce((a, b) => a * b)
    const all = [...planned]
    for (const { i, error } of await this.#agree(failed)) {
      if (!onBadSample) throw error
      this.#report(all[i], error)
      const isOwn = i >= start && i < stop
      const { choice, image } = await this.#another(all, i, label, isOwn)
      all[i] = choice
      if (image) this.#put(image, images.subarray((i - start) * size, (i - start + 1) * size))
    }
    const { table, rows, indices } = this.#samples
    const keys = all.map(({ index, caption }) => table.key(index, caption))
    const choices = all.slice(start, stop)
    const tokens = new Int32Array(choices.length * contextLength)
    for (const [i, row] of keys.slice(start, stop).entries())
      tokens.set(rows.subarray(row * contextLength, (row + 1) * contextLength), i * contextLength)
    const { labels } = this.#source
    return {
      ...place,
      images,
      imageShape: [choices.length, ...shape] as ImageShape | MultiImageShape,
      tokens,
      tokenShape: [choices.length, contextLength],
      indices: Int32Array.from(choices, choice => indices[choice.index]),
      captions: choices.map(choice => this.#source.captions(indices[choice.index])[choice.caption]),
      ...(labels && { labels: choices.map(choice => labels.call(this.#source, indices[choice.index])) }),
      ...(ranks && { groups: firstEqual(keys).slice(start, stop) }),
    }
  }

  /** A sample, chosen by the seed, that is not in the batch; with `distinctCaptions`, with a caption that is not in it. */
  async #another(
    choices: readonly Choice[],
    i: number,
    label: string,
    isOwn: boolean,
  ): Promise<{ choice: Choice; image: Pixels | undefined }> {
    const { seed, distinctCaptions } = this.#options
    const { table } = this.#samples
    const generator = new Generator(seed).fork(`instead of ${choices[i].index} in ${label}`)
    const keys = new Set(choices.map(({ index, caption }) => table.key(index, caption)))
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const index = generator.integer(table.length)
      const choice = { index, caption: generator.integer(table.count(index)) }
      if (choices.some(other => other.index === index)) continue
      if (distinctCaptions && keys.has(table.key(index, choice.caption))) continue
      const image = isOwn ? await this.#read(choice, label) : undefined
      const [failure] = await this.#agree(image instanceof DataError ? [{ i, error: image }] : [])
      if (!failure) return { choice, image: image as Pixels | undefined }
      this.#report(choice, failure.error)
    }
    throw new BatchError(`cannot be read, and no replacement was found in ${TRIES} attempts`, {
      file: this.#source.name(this.#samples.indices[choices[i].index]),
    })
  }

  /** What could not be read in all processes, in the order of the examples; every process has to know it to make the same batch. */
  async #agree(own: readonly Failure[]): Promise<readonly Failure[]> {
    const { ranks } = this.#options
    if (!ranks) return own
    const sent = own.map(({ i, error: { reason, file, line } }) => ({ i, reason, file, line }))
    const texts = await ranks.allGatherText(sent.length === 0 ? '' : JSON.stringify(sent))
    return texts.flatMap((text, rank) =>
      rank === ranks.rank
        ? own
        : text === ''
          ? []
          : (JSON.parse(text) as typeof sent).map(({ i, reason, ...at }) => ({ i, error: new DataError(reason, at) })),
    )
  }

  /** The images of an example, or why they cannot be read. */
  async #read(choice: Choice, label: string): Promise<Pixels | DataError> {
    try {
      return await this.#images(choice, label)
    } catch (error) {
      if (error instanceof DataError) return error
      throw error
    }
  }

  #report({ index }: Choice, { reason }: DataError): void {
    this.#options.onBadSample?.({ ...placeOf(this.#source, this.#samples.indices[index]), reason })
  }

  /** The shape of the pixels of an example, or of its features. */
  get #exampleShape(): readonly number[] {
    return this.#source.exampleShape ?? exampleShapeOf(this.#source)
  }

  /** Writes the images of an example to their place in a batch. */
  #put(images: Pixels, place: Float32Array): void {
    const { normalize: scale } = this.#options
    if (images instanceof Uint8Array) normalizeBytes(images, scale!.mean, scale!.std, place)
    else place.set(images)
  }

  /** The images of an example, which are cropped and changed alike. */
  async #images({ index: sample }: Choice, label: string): Promise<Pixels> {
    const { augment, crop, normalize: scale, seed } = this.#options
    const index = this.#samples.indices[sample]
    const shape = this.#exampleShape
    const random = (purpose: string) => new Generator(seed).fork(`${purpose} ${label} ${index}`)
    const source = this.#source
    const own = crop && { ...crop, seed: random('crop').seed }
    const asBytes = scale && !augment && 'bytes' in source ? source.bytes : undefined
    const images = await (asBytes ? asBytes.call(source, index, own) : examplePixels(source, index, own))
    const expected = shape.reduce((a, b) => a * b)
    if (images.length !== expected)
      throw new BatchError(`has ${images.length} values, but [${shape.join(', ')}] has ${expected}`, {
        file: this.#source.name(index),
      })
    if (this.#source.exampleShape || images instanceof Uint8Array) return images
    const [, height, width] = imageShapeOf(this.#source)
    return eachImage(images, this.#source, image => {
      const changed = augment ? augment(image, random('augment'), [height, width]) : image
      return scale ? normalize(changed, scale.mean, scale.std) : changed
    })
  }
}

/** Changes each of the images of an example. */
function eachImage(
  images: Float32Array,
  source: ExampleSource,
  change: (image: Float32Array) => Float32Array,
): Float32Array {
  const size = imageShapeOf(source).reduce((a, b) => a * b)
  if (images.length === size) return change(images)
  for (let at = 0; at < images.length; at += size) images.set(change(images.subarray(at, at + size)), at)
  return images
}

/** The pixels of an example, each of its images normalised: (x - mean) / std for each channel. */
export const normalizeExample = (
  source: ExampleSource,
  images: Float32Array,
  { mean, std }: NonNullable<BatchOptions['normalize']>,
): Float32Array => eachImage(images, source, image => normalize(image, mean, std))

/** The position of a sample, as its source describes it. */
export const placeOf = (source: ExampleSource, index: number): { file: string; key?: string } =>
  source.place?.(index) ?? { file: source.name(index) }

/** For every number the place of the first one that is equal. */
function firstEqual(numbers: readonly number[]): Int32Array {
  const first = new Map<number, number>()
  return Int32Array.from(numbers, (number, i) => {
    if (!first.has(number)) first.set(number, i)
    return first.get(number)!
  })
}

/** Makes every distinct row of ids once, and for every caption the index of its row. */
function tokenizeCaptions(
  source: ExampleSource,
  tokenizer: Tokenizer | undefined,
  { contextLength, truncate }: BatchSettings,
  skip?: (bad: BadSample) => void,
): TokenizedSamples {
  const rowOfText = new Map<string, number>()
  const rowOfIds = new Map<string, number>()
  const rows: Int32Array[] = []
  const indices: number[] = []
  const first = [0]
  const keys: number[] = []
  for (let index = 0; index < source.length; index++) {
    const captions = source.captions(index)
    if (captions.length === 0) throw new BatchError('has no caption', { file: source.name(index) })
    try {
      const own = captions.map(rowOf)
      keys.push(...own)
      indices.push(index)
      first.push(keys.length)
    } catch (error) {
      if (!(error instanceof TokenizerError)) throw error
      const reason = `caption ${error.reason}`
      if (!skip) throw new TokenizerError(reason, { file: source.name(index), cause: error })
      skip({ ...placeOf(source, index), reason })
    }
  }

  function rowOf(text: string): number {
    const known = rowOfText.get(text)
    if (known !== undefined) return known
    const ids = tokenizer?.tokenize([text], contextLength, { truncate }) ?? new Int32Array()
    const row = rowOfIds.get(ids.join()) ?? rows.push(ids) - 1
    rowOfIds.set(ids.join(), row)
    rowOfText.set(text, row)
    return row
  }

  const joined = new Int32Array(rows.length * contextLength)
  rows.forEach((row, i) => {
    joined.set(row, i * contextLength)
  })
  const table: CaptionTable = {
    length: indices.length,
    count: sample => first[sample + 1] - first[sample],
    key: (sample, caption) => keys[first[sample] + caption],
  }
  return {
    table,
    indices: Int32Array.from(indices),
    rows: joined,
  }
}

/** The number of images requested at once. Threads get all the work of a batch before the main thread is busy again. */
const AT_ONCE = 256

async function inParallel(count: number, task: (i: number) => Promise<void>): Promise<void> {
  let next = 0
  const work = async () => {
    while (next < count) await task(next++)
  }
  await Promise.all(Array.from({ length: Math.min(count, AT_ONCE) }, work))
}
