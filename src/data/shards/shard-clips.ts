// Clips in shards: each sample has numbered frames, which are decoded when they are needed, and its captions or labels.

import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import type { SplitOptions } from '../dataset.ts'
import type { MultiImageSource } from '../image-text-source.ts'
import { toUnitRange } from '../images/pixels.ts'
import { type OpenShardsOptions, openShards, type ShardExamples, ShardStream, shardsOptions } from './shard-stream.ts'

/** Options for opening shards of clips. */
export interface OpenShardClipsOptions extends OpenShardsOptions {
  /** number of frames to use of each clip: of a clip with more, so many at even distances from the first to the last */
  readonly frames: number
}
const shardClipsOptions = { ...shardsOptions, frames: is.number } satisfies Settings<OpenShardClipsOptions>

/** Clips with captions, labels or both in tar files (WebDataset). */
export class ShardClipDataset extends ShardStream<MultiImageSource> {
  /** number of frames of every clip */
  get imagesPerExample(): number {
    return this.shared.frames!
  }

  /**
   * Finds the shards; their clips are listed later. The files of a clip are neighbours in the tar: `jump.000.png`,
   * `jump.001.png` and so on, also `jump.frame-000.png`, with a `jump.txt`, `jump.json` or `jump.cls`. A clip that has fewer
   * than `frames` frames, lacks one between its first and last, or has two of one number cannot be used; so it is if its
   * `.json` says how many `frames` there are, and there are not so many.
   * @param list `data/{000..099}.tar`, a tar, or a folder of tars
   * @throws FileError naming a shard that does not exist, DataError for shards of pictures
   */
  static async open(list: string, options: OpenShardClipsOptions): Promise<ShardClipDataset> {
    const { frames, ...settled } = settle('ShardClipDataset.open(list, options)', options, shardClipsOptions)
    const { shards, shared } = await openShards(list, settled, frames)
    return new ShardClipDataset(shards, shared)
  }

  /** Splits the shards at random into two datasets. */
  split(options: SplitOptions): { train: ShardClipDataset; validation: ShardClipDataset } {
    const { train, validation } = this.parts(options)
    return {
      train: new ShardClipDataset(train, this.shared),
      validation: new ShardClipDataset(validation, this.shared),
    }
  }

  protected sourceOf({ source, images, decode }: ShardExamples): MultiImageSource {
    return {
      ...source,
      imagesPerExample: this.imagesPerExample,
      images: async (index, crop) => {
        const decoded = await Promise.all(images(index).map(image => decode(index, image, crop)))
        const pixels = new Float32Array(decoded.length * decoded[0].length)
        for (const [i, frame] of decoded.entries()) pixels.set(toUnitRange(frame), i * frame.length)
        return pixels
      },
    }
  }
}
