// Batches of pictures at fixed positions, some of which may be unreadable: a continued run computes the same batches as
// a run without the interruption, leaving out the pictures that cannot be read.

import { type BadSample, normalize, type Pictures, type StreamedSample } from '../data/index.ts'
import { DataError } from '../io/index.ts'
import type { Communicator } from '../mpi/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import type { ImageBatch } from './embeddings.ts'
import { type ImageModel, imagesFor, type Normalized } from './trained-model.ts'

/** Options for reading pictures in batches. */
export interface PictureOptions {
  /** default 64 */
  readonly batchSize?: number
  /** number of samples to skip; a multiple of the batch size gives the same batches as without skipping */
  readonly from?: number
  /** stop at the first picture that cannot be read; default false */
  readonly strict?: boolean
  /** names of pictures to leave out without reading them */
  readonly without?: ReadonlySet<string>
  /** aborting stops between batches and throws the signal's reason */
  readonly signal?: AbortSignal
  /**
   * processes that divide the batches among them, in turn: in each round every process gets one batch, which is empty if there are not
   * enough. Default: this process gets all
   */
  readonly ranks?: Pick<Communicator, 'rank' | 'size'>
}
export const pictureOptions = {
  batchSize: is.byDefault(64, is.count),
  from: 0,
  strict: false,
  without: undefined,
  signal: undefined,
  ranks: undefined,
} satisfies Settings<PictureOptions>

/** The pictures of some samples that could be read; there may be none. */
export interface PictureBatch extends ImageBatch {
  /** index of the sample after the last one, including unreadable ones */
  readonly stop: number
  /** the pictures, in the order of `pixels` */
  readonly samples: readonly StreamedSample[]
  /** samples that cannot be read */
  readonly skipped: readonly BadSample[]
}

interface ReadPicture {
  readonly sample: StreamedSample
  readonly pixels: Float32Array
}

/** Decodes and normalises pictures, one batch ahead of the consumer. */
export async function* pictureBatches(
  trained: Normalized & { readonly model: ImageModel },
  pictures: Pictures,
  options?: PictureOptions,
): AsyncGenerator<PictureBatch, void, undefined> {
  const call = 'pictureBatches(trained, pictures, options)'
  const { batchSize, from, strict, without, signal, ranks } = settle(call, options, pictureOptions)
  const { rank, size: count } = ranks ?? { rank: 0, size: 1 }
  const { shape, mean, std } = imagesFor(trained)
  const size = shape.reduce((a, b) => a * b)
  /** samples of shards that cannot be used, since the last batch */
  const listed: BadSample[] = []
  const samples = pictures.samples({ from, onBadSample: strict ? undefined : sample => listed.push(sample) })
  let start = from

  /** The samples of the next batch, of any process. */
  async function list() {
    const first = start
    const found: StreamedSample[] = []
    while (start - first < batchSize) {
      const { value: sample, done } = await samples.next()
      if (done) break
      start++
      if (!without?.has(sample.name)) found.push(sample)
    }
    return { start: first, stop: start, found, bad: listed.splice(0) }
  }

  /** The own batch of the next round; undefined if no process has one. */
  async function read(): Promise<PictureBatch | undefined> {
    const round: Awaited<ReturnType<typeof list>>[] = []
    let own: Promise<PictureBatch> | undefined
    while (round.length < count) {
      const batch = await list()
      if (round.push(batch) === rank + 1) {
        own = load(batch)
        own.catch(() => {}) // handled below
      }
    }
    const isOver = round.every(({ start, stop, bad }) => start === stop && bad.length === 0)
    return isOver ? undefined : own
  }

  async function load({ start, stop, found, bad }: Awaited<ReturnType<typeof list>>): Promise<PictureBatch> {
    const read = await Promise.all(found.map(decode))
    const good = read.flatMap(({ picture }) => picture ?? [])
    const pixels = new Float32Array(good.length * size)
    for (const [i, each] of good.entries()) pixels.set(normalize(each.pixels, mean, std), i * size)
    return {
      start,
      stop,
      count: good.length,
      pixels,
      shape: [good.length, ...shape],
      samples: good.map(({ sample }) => sample),
      skipped: [...bad, ...read.flatMap(({ failed }) => failed ?? [])],
    }
  }

  async function decode(sample: StreamedSample): Promise<{ picture?: ReadPicture; failed?: BadSample }> {
    try {
      return { picture: { sample, pixels: await sample.image() } }
    } catch (error) {
      if (strict || !(error instanceof DataError)) throw error
      return { failed: { file: sample.name, reason: error.reason } }
    }
  }

  let next = read()
  for (let batch = await next; batch !== undefined; batch = await next) {
    signal?.throwIfAborted()
    next = read()
    next.catch(() => {}) // handled when it is awaited
    yield batch
  }
}
