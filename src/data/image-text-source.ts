// The interface of data, for a folder and for shards: samples that are all known in advance, or windows of shards that
// are listed when they are needed. An example has one image, or several: the frames of a clip, or two pictures to compare.

import * as is from '../tensor/kinds.ts'
import type { Settings } from '../tensor/options.ts'
import { imageShape, type Size2d } from '../tensor/sides.ts'
import type { RandomCrop } from './images/random-crop.ts'

/** Examples that are all known, without their images. */
export interface ExampleSource {
  /** number of examples */
  readonly length: number
  /** pixels of every image: the side of a square, or [height, width] */
  readonly imageSize: Size2d
  /** channels of every image; default 3 */
  readonly channels?: number
  /** equal for equal examples in equal order; a resumed run compares it */
  readonly fingerprint: string
  /** the shape of an example if its numbers are not pixels but features: they are not cropped, changed or normalised */
  readonly exampleShape?: readonly number[]
  /** the captions of example `index`, at least one */
  captions(index: number): readonly string[]
  /** names of the classes of example `index`, if labels were read */
  labels?(index: number): readonly string[]
  /** the name of example `index` in an error */
  name(index: number): string
  /** the same in parts, for a sample in a shard */
  place?(index: number): { readonly file: string; readonly key: string }
}

/** A source of batches whose samples are all known: a folder, or any other collection of images and captions. */
export interface ImageTextSource extends ExampleSource {
  /**
   * [channels, height, width] in 0 … 1; the caller may change it
   * @param crop use this part of the picture instead of its centre
   */
  image(index: number, crop?: RandomCrop): Promise<Float32Array>
  /**
   * The same as bytes, which the caller may not change: 255 times `image`. A source that has it is asked for bytes where nothing changes
   * a picture before it is normalised, because that takes less time and memory
   */
  bytes?(index: number, crop?: RandomCrop): Promise<Uint8Array>
}

/** A source of batches whose examples have several images each: the frames of a clip, or the pictures that a text is about. */
export interface MultiImageSource extends ExampleSource {
  /** number of images of every example */
  readonly imagesPerExample: number
  /**
   * [imagesPerExample, channels, height, width] in 0 … 1; the caller may change them
   * @param crop use this part of each image instead of its centre: the same part, if all have the same size
   */
  images(index: number, crop?: RandomCrop): Promise<Float32Array>
}

/** Whether the examples of a source have several images each. */
export const hasSeveralImages = (source: object): source is { readonly imagesPerExample: number } =>
  'imagesPerExample' in source

/** The shape of each image of a source. */
export const imageShapeOf = ({ imageSize, channels }: Pick<ExampleSource, 'imageSize' | 'channels'>) =>
  imageShape(imageSize, channels)

/** The shape of the pixels of an example of a source: that of its image, or [images, …] of several. */
export const exampleShapeOf = (source: ExampleSource): readonly number[] => [
  ...(hasSeveralImages(source) ? [source.imagesPerExample] : []),
  ...imageShapeOf(source),
]

/** The pixels of an example: [channels, height, width], or [imagesPerExample, channels, height, width]. */
export const examplePixels = (
  source: ImageTextSource | MultiImageSource,
  index: number,
  crop?: RandomCrop,
): Promise<Float32Array> => ('images' in source ? source.images(index, crop) : source.image(index, crop))

/**
 * Some examples of a source, in the given order.
 * @param indices their numbers in the source
 * @param fingerprint default that of the source
 */
export function selectExamples<Source extends ImageTextSource | MultiImageSource>(
  source: Source,
  indices: ArrayLike<number>,
  fingerprint?: string,
): Source extends MultiImageSource ? MultiImageSource : ImageTextSource
export function selectExamples(
  source: ImageTextSource | MultiImageSource,
  indices: ArrayLike<number>,
  fingerprint: string = source.fingerprint,
): ImageTextSource | MultiImageSource {
  const { imageSize, channels, labels, place } = source
  const common = {
    length: indices.length,
    imageSize,
    ...(channels !== undefined && { channels }),
    fingerprint,
    captions: (index: number) => source.captions(indices[index]),
    ...(labels && { labels: (index: number) => labels.call(source, indices[index]) }),
    name: (index: number) => source.name(indices[index]),
    ...(place && { place: (index: number) => place.call(source, indices[index]) }),
  }
  if (!('images' in source))
    return {
      ...common,
      image: (index, crop) => source.image(indices[index], crop),
      ...(source.bytes && { bytes: (index, crop) => source.bytes!(indices[index], crop) }),
    }
  const { imagesPerExample } = source
  return { ...common, imagesPerExample, images: (index, crop) => source.images(indices[index], crop) }
}

/** A sample that is left out. */
export interface BadSample {
  /** the file of the image, or the shard */
  readonly file: string
  /** key of the sample in its shard; a damaged shard has none */
  readonly key?: string
  /** why it cannot be used */
  readonly reason: string
}

/** A function that is called with a sample that cannot be used. */
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

/** Options of the windows of an `ImageTextStream`. */
export interface WindowOptions {
  /** seed of the order */
  readonly seed: number
  /** use a different order of the shards in every epoch */
  readonly shuffle: boolean
  /** called for samples that cannot be used; without it they are errors */
  readonly onBadSample?: OnBadSample
}

/**
 * Data of any size. An epoch is a sequence of windows; the samples of one window are listed and shuffled together.
 * @typeParam Source a window: ImageTextSource, or MultiImageSource
 */
export interface ImageTextStream<Source extends ExampleSource = ImageTextSource> {
  /** height and width of the images, in pixels */
  readonly imageSize: Size2d
  /** channels of the images; default 3 */
  readonly channels?: number
  /** equal for equal shards and windows; a resumed run compares it */
  readonly fingerprint: string
  /** number of samples, if they were counted */
  readonly length: number | undefined
  /** number of windows of an epoch */
  readonly windows: number
  /** lists the samples of a window; the same for every call */
  open(epoch: number, window: number, options: WindowOptions): Promise<Source>
  /** starts to list a window that will be needed */
  prepare(epoch: number, window: number, options: WindowOptions): void
}
