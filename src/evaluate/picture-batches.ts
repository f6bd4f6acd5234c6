// Batches of pictures at fixed positions, some of which may be unreadable: a continued run computes the same batches as
// a run without the interruption, leaving out the pictures that cannot be read.

import { type BadSample, normalize, type Pictures, type StreamedSample } from '../data/index.ts'
import { DataError } from '../io/index.ts'
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
}
export const pictureOptions = {
  batchSize: is.byDefault(64, is.count),
  from: 0,
  strict: false,
  without: undefined,
  signal: undefined,
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

/** Decodes and normalises pictures, one batch ahead of the consumer. */
export async function* pictureBatches(
  trained: Normalized & { readonly model: ImageModel },
  pictures: Pictures,
  options?: PictureOptions,
): AsyncGenerator<PictureBatch, void, undefined> {
  const call = 'pictureBatches(trained, pictures, options)'
  const { batchSize, from, strict, without, signal } = settle(call, options, pictureOptions)
  const { shape, mean, std } = imagesFor(trained)
  const size = shape.reduce((a, b) => a * b)
  const bad: BadSample[] = []
  const samples = pictures.samples({ from, onBadSample: strict ? undefined : sample => bad.push(sample) })
  let start = from

  async function read(): Promise<PictureBatch | undefined> {
    const read: Promise<{ sample: StreamedSample; pixels: Float32Array } | undefined>[] = []
    const first = start
    while (start - first < batchSize) {
      const { value: sample, done } = await samples.next()
      if (done) break
      start++
      if (without?.has(sample.name)) continue
      const decoding = decode(sample)
      decoding.catch(() => {}) // handled below
      read.push(decoding)
    }
    const good = (await Promise.all(read)).filter(each => each !== undefined)
    const skipped = bad.splice(0)
    if (start === first && skipped.length === 0) return undefined
    const pixels = new Float32Array(good.length * size)
    for (const [i, each] of good.entries()) pixels.set(normalize(each.pixels, mean, std), i * size)
    return {
      start: first,
      stop: start,
      count: good.length,
      pixels,
      shape: [good.length, ...shape],
      samples: good.map(({ sample }) => sample),
      skipped,
    }
  }

  async function decode(sample: StreamedSample) {
    try {
      return { sample, pixels: await sample.image() }
    } catch (error) {
      if (strict || !(error instanceof DataError)) throw error
      bad.push({ file: sample.name, reason: error.reason })
      return undefined
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
