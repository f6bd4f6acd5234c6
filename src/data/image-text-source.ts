// The interface of data, for a folder and for shards: samples that are all known in advance, or windows of shards that
// are listed when they are needed.

import * as is from '../tensor/kinds.ts'
import type { Settings } from '../tensor/options.ts'
import type { RandomCrop } from './images/random-crop.ts'

/** A source of batches whose samples are all known: a folder, or any other collection of images and captions. */
export interface ImageTextSource {
  /** number of examples */
  readonly length: number
  /** side of every image in pixels */
  readonly imageSize: number
  /** equal for equal examples in equal order; a resumed run compares it */
  readonly fingerprint: string
  /** the captions of example `index`, at least one */
  captions(index: number): readonly string[]
  /** names of the classes of example `index`, if labels were read */
  labels?(index: number): readonly string[]
  /** the name of example `index` in an error */
  name(index: number): string
  /** the same in parts, for a sample in a shard */
  place?(index: number): { readonly file: string; readonly key: string }
  /**
   * [3, imageSize, imageSize] in 0 … 1; the caller may change it
   * @param crop use this part of the picture instead of its centre
   */
  image(index: number, crop?: RandomCrop): Promise<Float32Array>
}

/** A sample that is left out. */
export interface BadSample {
  /** the file of the image, or the shard */
  readonly file: string
  /** key of the sample in its shard; a damaged shard has none */
  readonly key?: string
  readonly reason: string
}

export type OnBadSample = (bad: BadSample) => void
export const onBadSample = is.optional(is.callback as is.Kind<OnBadSample>)

/** Options for reading samples one after the other. */
export interface SamplesOptions {
  /** number of samples to skip, to continue after an interruption; default 0 */
  readonly from?: number
  /** called for samples that cannot be used; without it they are errors */
  readonly onBadSample?: OnBadSample
}
export const samplesOptions = { from: 0, onBadSample } satisfies Settings<SamplesOptions>

export interface WindowOptions {
  readonly seed: number
  /** use a different order of the shards in every epoch */
  readonly shuffle: boolean
  /** called for samples that cannot be used; without it they are errors */
  readonly onBadSample?: OnBadSample
}

/** Data of any size. An epoch is a sequence of windows; the samples of one window are listed and shuffled together. */
export interface ImageTextStream {
  readonly imageSize: number
  /** equal for equal shards and windows; a resumed run compares it */
  readonly fingerprint: string
  /** number of samples, if they were counted */
  readonly length: number | undefined
  /** number of windows of an epoch */
  readonly windows: number
  /** lists the samples of a window; the same for every call */
  open(epoch: number, window: number, options: WindowOptions): Promise<ImageTextSource>
  /** starts to list a window that will be needed */
  prepare(epoch: number, window: number, options: WindowOptions): void
}
