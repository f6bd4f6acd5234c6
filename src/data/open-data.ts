// Opens the pictures or the clips that a path names, whatever its form: a folder, a list, or shards.

import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DataError } from '../io/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { CAPTION_FILES, CLIP_FILES } from './captions.ts'
import { ClipDataset, type OpenClipsOptions } from './clips.ts'
import { datasetOptions, ImageTextDataset, type OpenDatasetOptions } from './dataset.ts'
import type { ExampleSource, ImageTextSource, MultiImageSource } from './image-text-source.ts'
import { type OpenShardClipsOptions, ShardClipDataset } from './shards/shard-clips.ts'
import { ShardDataset } from './shards/shard-dataset.ts'
import { type OpenShardsOptions, ShardStream, shardsOptions } from './shards/shard-stream.ts'
import { SHARD_FILE } from './shards/unpacked.ts'

const openOptions = { ...datasetOptions, ...shardsOptions } satisfies Settings<OpenDatasetOptions & OpenShardsOptions>
const openClipsOptions = { ...openOptions, frames: is.number } satisfies Settings<
  OpenClipsOptions & OpenShardClipsOptions
>

/**
 * Opens a folder with a caption file, a `.jsonl`, `.csv` or `.tsv` of captions, a folder of tars, or a list of them such
 * as `data/{000..099}.tar`; with `labels` also a folder that has one folder for each class. The classes of shards are known once
 * `readClasses` of the dataset was called, unless they are given.
 * @throws DataError naming what is wrong (see {@link ImageTextDataset.open} and {@link ShardDataset.open})
 */
export async function openData(
  path: string,
  options: OpenDatasetOptions & OpenShardsOptions,
): Promise<ImageTextDataset | ShardDataset> {
  const { cacheBytes, window, classes, ...common } = settle('openData(path, options)', options, openOptions)
  if (await isShards(path)) return ShardDataset.open(path, { ...common, window, classes })
  checkNoClasses(classes, path)
  return ImageTextDataset.open(path, { ...common, cacheBytes })
}

/**
 * Opens clips: whatever `ClipDataset.open` opens, a folder of tars, or a list of them such as `data/{000..099}.tar`. The classes of
 * shards are known once `readClasses` of the dataset was called, unless they are given.
 * @throws DataError naming what is wrong (see {@link ClipDataset.open} and {@link ShardClipDataset.open})
 */
export async function openClips(
  path: string,
  options: OpenClipsOptions & OpenShardClipsOptions,
): Promise<ClipDataset | ShardClipDataset> {
  const { cacheBytes, window, classes, ...common } = settle('openClips(path, options)', options, openClipsOptions)
  if (await isShards(path)) return ShardClipDataset.open(path, { ...common, window, classes })
  checkNoClasses(classes, path)
  return ClipDataset.open(path, { ...common, cacheBytes })
}

function checkNoClasses(classes: readonly string[] | undefined, path: string): void {
  if (classes)
    throw new DataError('is not a list of tars: its classes are those that it names, so leave out classes', {
      file: path,
    })
}

/** A list in braces, a tar, or a folder without a list of captions or clips that holds a tar. */
export async function isShards(path: string): Promise<boolean> {
  if (SHARD_FILE.test(path)) return true
  const exists = (name: string) =>
    stat(name).then(
      () => true,
      () => false,
    )
  if (!(await exists(path))) return /\{.*\}/.test(path)
  const lists = await Promise.all([...CAPTION_FILES, ...CLIP_FILES].map(name => exists(join(path, name))))
  if (lists.includes(true)) return false
  return (await readdir(path).catch(() => [])).some(name => SHARD_FILE.test(name))
}

/** Every caption, in order. @throws DataError for shards without any sample, with the reason of the first */
export async function readAllCaptions(
  data: ExampleSource | ShardStream<ImageTextSource | MultiImageSource>,
): Promise<string[]> {
  if (!(data instanceof ShardStream)) return Array.from({ length: data.length }, (_, i) => data.captions(i)).flat()
  const captions: string[] = []
  for await (const caption of data.captions()) captions.push(caption)
  if (captions.length === 0) await data.explainEmpty()
  return captions
}
