// Opens the data that a path names without knowing what it is: images or clips, with captions, labels or both. Programs that
// measure a model use it, because what can be measured depends on what the data has.

import { stat } from 'node:fs/promises'
import { DataError, readText } from '../io/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { CAPTION_FILES, CLIP_FILES, hasNoList } from './captions.ts'
import { ClipDataset } from './clips.ts'
import { ImageTextDataset, type OpenDatasetOptions } from './dataset.ts'
import type { ImageTextSource, MultiImageSource, OnBadSample } from './image-text-source.ts'
import { onBadSample as isOnBadSample } from './image-text-source.ts'
import { imagePixels, pictureChannels } from './images/image.ts'
import { isShards } from './open-data.ts'
import { ShardClipDataset } from './shards/shard-clips.ts'
import { ShardDataset } from './shards/shard-dataset.ts'
import { kindOfShards } from './shards/shard-stream.ts'

/** Options of `openAnyData`. */
export interface OpenAnyDataOptions extends Pick<OpenDatasetOptions, 'imageSize' | 'channels' | 'pixels'> {
  /** number of frames to use of each clip; only for clips, which need it */
  readonly frames?: number
  /** called for samples of shards that cannot be used; without it they are errors */
  readonly onBadSample?: OnBadSample
}
const anyDataOptions = {
  imageSize: is.size2d,
  channels: pictureChannels,
  pixels: imagePixels,
  frames: is.optional(is.number),
  onBadSample: isOnBadSample,
} satisfies Settings<OpenAnyDataOptions>

/**
 * Opens images or clips, with the labels that they have: whatever `openData`, `ClipDataset.open` or `ShardClipDataset.open`
 * opens.
 *
 * - A folder with a list of clips, or such a list, is clips, and so is every folder if `frames` is given.
 * - Shards are clips if their first sample has numbered frames, and images otherwise.
 * - A folder with a list of captions, such a list, and a folder with one folder of images for each class are images.
 * @throws DataError naming what is wrong; for clips without `frames`, and for `frames` of images
 */
export async function openAnyData(
  path: string,
  options: OpenAnyDataOptions,
): Promise<ImageTextSource | MultiImageSource> {
  const { frames, onBadSample, ...form } = settle('openAnyData(path, options)', options, anyDataOptions)
  const reading = { ...form, threads: 'auto', labels: 'optional' } as const
  const kind = await kindOf(path)
  const refuse = (reason: string) => new DataError(reason, { file: path })
  if (kind === 'clips' && frames === undefined)
    throw refuse('holds clips: say how many frames of each are used, with frames (--frames 8)')
  if (kind === 'images' && frames !== undefined)
    throw refuse(`holds images and no clips: frames, which is ${frames}, is for clips alone`)
  if (await isShards(path)) {
    const shards = await (frames === undefined
      ? ShardDataset.open(path, reading)
      : ShardClipDataset.open(path, { ...reading, frames }))
    // the fingerprint of all samples has the paths of the shards in it
    return { ...(await shards.all(onBadSample)), fingerprint: shards.fingerprint }
  }
  return frames === undefined ? ImageTextDataset.open(path, reading) : ClipDataset.open(path, { ...reading, frames })
}

/** What a path says that it holds; a folder without a list says nothing, nor do shards without a usable sample. */
async function kindOf(path: string): Promise<'images' | 'clips' | undefined> {
  if (await isShards(path)) return kindOfShards(path)
  const isFolder = await stat(path).then(
    found => found.isDirectory(),
    () => undefined,
  )
  if (isFolder === undefined) return undefined
  if (!isFolder) return namesClips(await readText(path)) ? 'clips' : 'images'
  if (!(await hasNoList(path, CAPTION_FILES))) return 'images'
  return (await hasNoList(path, CLIP_FILES)) ? undefined : 'clips'
}

/** Whether the first line of a list, or its header, has the field `clip`. */
function namesClips(text: string): boolean {
  const first = text.split('\n').find(line => line.trim() !== '') ?? ''
  return /"clip"\s*:/.test(first) || first.split(/[,\t]/).some(name => name.trim().replaceAll('"', '') === 'clip')
}
