// Shards as a dataset for training: an epoch goes through all of them in its own order, some at a time. Samples are
// identified by their position in the file, so a large number of them can be shuffled together, and a resumed run needs
// only the list of its window.

import { createHash } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expand } from 'brace-expansion'
import { DataError, fileError } from '../../io/index.ts'
import { Generator } from '../../tensor/index.ts'

import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'

import { type SplitOptions, splitOptions } from '../dataset.ts'
import { DecodePool, type DecodeThreads, isThreads, threadsHere } from '../decoding/pool.ts'
import {
  type BadSample,
  type ImageTextSource,
  type ImageTextStream,
  type OnBadSample,
  type SamplesOptions,
  samplesOptions,
  type WindowOptions,
} from '../image-text-source.ts'
import { type ImageDecoder, toUnitRange } from '../images/image.ts'
import type { RandomCrop } from '../images/random-crop.ts'
import type { ShardIndex, ShardSample } from './shard-index.ts'

export interface OpenShardsOptions {
  /** side of the square images in pixels */
  readonly imageSize: number
  /** number of shards that are shuffled together; default 16 */
  readonly window?: number
  readonly decoder?: ImageDecoder
  /** turn pictures as their EXIF orientation says; default true */
  readonly upright?: boolean
  /** threads that decode images and list shards; default 0 */
  readonly threads?: DecodeThreads
}

export const shardsOptions = {
  imageSize: is.number,
  window: 16,
  decoder: is.choice('auto', 'sharp', 'javascript'),
  upright: true,
  threads: is.byDefault(0, isThreads),
} satisfies Settings<OpenShardsOptions>

interface Shard {
  readonly file: string
  readonly bytes: number
}

/**
 * The tar files that a list names: `data/{000..099}.tar`, one tar, or a folder of them, in order.
 * @throws FileError naming one that does not exist, DataError if a folder has none
 */
async function findShards(list: string): Promise<Shard[]> {
  const shards: Shard[] = []
  for (const path of expand(list)) {
    const file = await look(path)
    if (!file.isDirectory) {
      shards.push({ file: path, bytes: file.size })
      continue
    }
    const names = (await readdir(path)).filter(name => name.endsWith('.tar')).sort()
    if (names.length === 0) throw new DataError('has no .tar file', { file: path })
    for (const name of names) shards.push({ file: join(path, name), bytes: (await look(join(path, name))).size })
  }
  return shards
}

async function look(path: string): Promise<{ isDirectory: boolean; size: number }> {
  try {
    const found = await stat(path)
    return { isDirectory: found.isDirectory(), size: found.size }
  } catch (error) {
    throw fileError(path, error)
  }
}

/** Images with captions in tar files (WebDataset). */
export class ShardDataset implements ImageTextStream {
  readonly shards: readonly string[]
  readonly imageSize: number
  readonly fingerprint: string
  readonly windows: number
  readonly #sizes: readonly Shard[]
  readonly #options: Required<OpenShardsOptions>
  readonly #pool: DecodePool
  readonly #window: number
  /** recently used lists of shards */
  readonly #lists = new Map<string, Promise<ShardIndex>>()
  #length: number | undefined

  private constructor(shards: readonly Shard[], options: Required<OpenShardsOptions>, pool: DecodePool) {
    const { imageSize, window } = options
    this.#sizes = shards
    this.#options = options
    this.#pool = pool
    this.#window = Math.min(window, shards.length)
    this.shards = shards.map(shard => shard.file)
    this.imageSize = imageSize
    this.windows = Math.ceil(shards.length / this.#window)
    const parts = shards.map(({ file, bytes }) => [file.replace(/^.*[/\\]/, ''), bytes])
    this.fingerprint = createHash('sha256')
      .update(JSON.stringify([this.#window, parts]))
      .digest('hex')
  }

  /**
   * Finds the shards; their samples are listed later.
   * @param list `data/{000..099}.tar`, a tar, or a folder of tars
   * @throws FileError naming a shard that does not exist
   */
  static async open(list: string, options: OpenShardsOptions): Promise<ShardDataset> {
    const settled = settle('ShardDataset.open(list, options)', options, shardsOptions)
    const { imageSize, window, threads } = settled
    for (const [name, value] of Object.entries({ imageSize, window }))
      if (!Number.isSafeInteger(value) || value < 1)
        throw new DataError(`${name} must be a positive integer, not ${value}`, { file: list })
    const pool = new DecodePool(threads === 'auto' ? threadsHere() : threads)
    return new ShardDataset(await findShards(list), settled, pool)
  }

  get length(): number | undefined {
    return this.#length
  }

  /** Lists every shard once, to count the samples. */
  async count(): Promise<number> {
    let length = 0
    for await (const { samples } of this.#listAll()) length += samples.length
    this.#length = length
    return length
  }

  /** Every caption of every shard, in order. */
  async *captions(): AsyncGenerator<string, void, undefined> {
    for await (const { samples } of this.#listAll()) for (const sample of samples) yield* sample.captions
  }

  /**
   * Every sample of every shard, in the order of the files, for programs that read all of them once.
   * @param options.from number of samples to skip, to continue after an interruption
   */
  async *samples(options?: SamplesOptions): AsyncGenerator<StreamedSample, void, undefined> {
    const { from, onBadSample } = settle('dataset.samples(options)', options, samplesOptions)
    let passed = 0
    for (const [i, shard] of this.shards.entries()) {
      if (this.shards[i + 1]) this.#list(this.shards[i + 1]).catch(() => {})
      const { samples, bad } = await this.#list(shard)
      tellAll(bad, onBadSample)
      const source = this.#sourceOf([{ shard, samples }])
      for (let index = Math.max(0, from - passed); index < samples.length; index++)
        yield {
          name: source.name(index),
          captions: source.captions(index),
          image: crop => source.image(index, crop),
        }
      passed += samples.length
    }
  }

  /** Splits the shards at random into two datasets. */
  split(options: SplitOptions): { train: ShardDataset; validation: ShardDataset } {
    const { validation, seed } = settle('dataset.split(options)', options, splitOptions)
    const count = Math.max(1, Math.round(this.shards.length * validation))
    if (!(validation > 0 && count < this.shards.length))
      throw new DataError(`${validation} of ${this.shards.length} shards for validation leaves one part empty`, {
        file: this.shards[0],
      })
    const chosen = new Set(new Generator(seed).fork('split').permutation(this.shards.length).subarray(0, count))
    const part = (inValidation: boolean) =>
      new ShardDataset(
        this.#sizes.filter((_, i) => chosen.has(i) === inValidation),
        this.#options,
        this.#pool,
      )
    return { train: part(false), validation: part(true) }
  }

  /** All samples as one source, for small datasets such as validation sets. */
  async all(onBadSample?: OnBadSample): Promise<ImageTextSource> {
    return this.#open(this.shards, onBadSample)
  }

  open(epoch: number, window: number, options: WindowOptions): Promise<ImageTextSource> {
    return this.#open(this.#shardsOf(epoch, window, options), options.onBadSample)
  }

  prepare(epoch: number, window: number, options: WindowOptions): void {
    // an error is thrown again when the window is opened
    for (const shard of this.#shardsOf(epoch, window, options)) this.#list(shard).catch(() => {})
  }

  /** The shards of a window of an epoch. */
  #shardsOf(epoch: number, window: number, { seed, shuffle }: WindowOptions): string[] {
    const { length } = this.shards
    const order = shuffle ? new Generator(seed).fork(`shards ${epoch}`).permutation(length) : [...this.shards.keys()]
    return [...order.slice(window * this.#window, (window + 1) * this.#window)].map(i => this.shards[i])
  }

  async #open(shards: readonly string[], onBadSample?: OnBadSample): Promise<ImageTextSource> {
    const lists = await Promise.all(shards.map(shard => this.#list(shard)))
    for (const { bad } of lists) tellAll(bad, onBadSample)
    return this.#sourceOf(shards.map((shard, i) => ({ shard, samples: lists[i].samples })))
  }

  #list(shard: string): Promise<ShardIndex> {
    const known = this.#lists.get(shard)
    if (known) return known
    const list = this.#pool.run({ kind: 'shard', file: shard })
    list.catch(() => this.#lists.delete(shard)) // so that it can be listed again
    this.#lists.set(shard, list)
    for (const old of [...this.#lists.keys()].slice(0, -2 * this.#window)) this.#lists.delete(old)
    return list
  }

  async *#listAll(): AsyncGenerator<ShardIndex, void, undefined> {
    const ahead = Math.max(1, this.#pool.threads) + 1
    for (const [i, shard] of this.shards.entries()) {
      for (const next of this.shards.slice(i + 1, i + ahead)) this.#list(next).catch(() => {})
      yield await this.#list(shard)
    }
  }

  #sourceOf(parts: readonly { readonly shard: string; readonly samples: readonly ShardSample[] }[]): ImageTextSource {
    const all = parts.flatMap(({ shard, samples }) => samples.map(sample => ({ shard, sample })))
    const { imageSize: size, decoder, upright } = this.#options
    const name = (index: number) => `${all[index].shard}: ${all[index].sample.key}`
    return {
      length: all.length,
      imageSize: size,
      fingerprint: `${this.fingerprint} ${parts.map(part => part.shard).join(' ')}`,
      captions: index => all[index].sample.captions,
      name,
      place: index => ({ file: all[index].shard, key: all[index].sample.key }),
      image: async (index, crop) => {
        const { shard, sample } = all[index]
        const part = { offset: sample.offset, size: sample.size, name: sample.key }
        const options = { size, decoder, upright, crop }
        return toUnitRange(await this.#pool.run({ kind: 'image', file: shard, part, options }))
      },
    }
  }
}

/** A sample with its image and captions. */
export interface StreamedSample {
  readonly name: string
  readonly captions: readonly string[]
  /** [3, imageSize, imageSize] in 0 … 1 */
  image(crop?: RandomCrop): Promise<Float32Array>
}

function tellAll(bad: readonly BadSample[], onBadSample: OnBadSample | undefined): void {
  for (const sample of bad) {
    const { file, key, reason } = sample
    if (!onBadSample) throw new DataError(reason, { file: key === undefined ? file : `${file}: ${key}` })
    onBadSample(sample)
  }
}
