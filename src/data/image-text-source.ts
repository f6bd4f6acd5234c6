// What the rest of the program knows of data, wherever it lies: samples that are all known, or shards that are listed as
// one comes to them.

import * as is from '../tensor/kinds.ts'
import type { Settings } from '../tensor/options.ts'
import type { RandomCrop } from './images/random-crop.ts'

/** What batches are made of: samples that are all known: a folder, or anything else that has images and captions. */
export interface ImageTextSource {
  /** how many examples */
  readonly length: number
  /** side of every image in pixels */
  readonly imageSize: number
  /** equal for equal examples in equal order; a resumed run goes by it */
  readonly fingerprint: string
  /** the captions of example `index`, at least one */
  captions(index: number): readonly string[]
  /** names of the classes of example `index`, where they were read */
  labels?(index: number): readonly string[]
  /** what to call example `index` in an error */
  name(index: number): string
  /** the same in parts, where it lies in a shard */
  place?(index: number): { readonly file: string; readonly key: string }
  /**
   * [3, imageSize, imageSize] in 0 … 1, the caller's to change
   * @param crop take this part of the picture, instead of its middle
   */
  image(index: number, crop?: RandomCrop): Promise<Float32Array>
}

/** A sample that is left out. */
export interface BadSample {
  /** the file of the image, or the shard */
  readonly file: string
  /** of the sample in its shard; a shard that is damaged has none */
  readonly key?: string
  readonly reason: string
}

export type OnBadSample = (bad: BadSample) => void
export const onBadSample = is.optional(is.callback as is.Kind<OnBadSample>)

/** Samples one after the other. */
export interface SamplesOptions {
  /** how many to pass over, to go on where one was stopped; default 0 */
  readonly from?: number
  /** is told of samples that cannot be used; without it they are errors */
  readonly onBadSample?: OnBadSample
}
export const samplesOptions = { from: 0, onBadSample } satisfies Settings<SamplesOptions>

export interface WindowOptions {
  readonly seed: number
  /** take the shards in an order of its own in every epoch */
  readonly shuffle: boolean
  /** is told of samples that cannot be used; without it they are errors */
  readonly onBadSample?: OnBadSample
}

/** Data of any size. An epoch of it is a row of windows; what lies in one window is known and shuffled together. */
export interface ImageTextStream {
  readonly imageSize: number
  /** equal for equal shards and windows; a resumed run goes by it */
  readonly fingerprint: string
  /** how many samples, if they were counted */
  readonly length: number | undefined
  /** how many windows an epoch has */
  readonly windows: number
  /** lists the samples of a window: the same ones whenever it is asked */
  open(epoch: number, window: number, options: WindowOptions): Promise<ImageTextSource>
  /** begins to list a window that will be asked for */
  prepare(epoch: number, window: number, options: WindowOptions): void
}
