// Pictures in shards, as data for training or for programs that read all of them once.

import { settle } from '../../tensor/options.ts'
import type { SplitOptions } from '../dataset.ts'
import { type ImageTextSource, type SamplesOptions, samplesOptions } from '../image-text-source.ts'
import { toUnitRange } from '../images/pixels.ts'
import type { RandomCrop } from '../images/random-crop.ts'
import {
  type OpenShardsOptions,
  openShards,
  type ShardExamples,
  ShardStream,
  shardsOptions,
  tellAll,
} from './shard-stream.ts'

/** Images with captions, labels or both in tar files (WebDataset). */
export class ShardDataset extends ShardStream<ImageTextSource> {
  /**
   * Finds the shards; their samples are listed later.
   * @param list `data/{000..099}.tar`, a tar, or a folder of tars
   * @throws FileError naming a shard that does not exist, DataError for shards of clips
   */
  static async open(list: string, options: OpenShardsOptions): Promise<ShardDataset> {
    const settled = settle('ShardDataset.open(list, options)', options, shardsOptions)
    const { shards, shared } = await openShards(list, settled)
    return new ShardDataset(shards, shared)
  }

  /**
   * Every sample of every shard, in the order of the files, for programs that read all of them once.
   * @param options.from number of samples to skip, to continue after an interruption
   */
  async *samples(options?: SamplesOptions): AsyncGenerator<StreamedSample, void, undefined> {
    const { from, onBadSample } = settle('dataset.samples(options)', options, samplesOptions)
    let passed = 0
    for (const [i, shard] of this.shards.entries()) {
      if (this.shards[i + 1]) this.list(this.shards[i + 1]).catch(() => {})
      const { samples, bad } = await this.list(shard)
      tellAll(bad, onBadSample)
      const source = this.sourceOf(this.examplesOf([{ shard, samples }]))
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
    const { train, validation } = this.parts(options)
    return { train: new ShardDataset(train, this.shared), validation: new ShardDataset(validation, this.shared) }
  }

  protected sourceOf({ source, images, decode }: ShardExamples): ImageTextSource {
    const bytes = (index: number, crop?: RandomCrop) => decode(index, images(index)[0], crop)
    return { ...source, bytes, image: async (index, crop) => toUnitRange(await bytes(index, crop)) }
  }
}

/** A sample with its image and captions. */
export interface StreamedSample {
  /** file name of the picture, or its key in its shard */
  readonly name: string
  /** captions of the picture; there may be none */
  readonly captions: readonly string[]
  /** [channels, height, width] in 0 … 1 */
  image(crop?: RandomCrop): Promise<Float32Array>
}
