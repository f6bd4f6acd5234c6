// Opens the data that a path names, whatever its form: a folder, a file of captions, or shards.

import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DataError } from '../io/index.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { CAPTION_FILES } from './captions.ts'
import { datasetOptions, ImageTextDataset, type OpenDatasetOptions } from './dataset.ts'
import type { ExampleSource, ImageTextSource, MultiImageSource } from './image-text-source.ts'
import { ShardDataset } from './shards/shard-dataset.ts'
import { type OpenShardsOptions, ShardStream, shardsOptions } from './shards/shard-stream.ts'

const openOptions = { ...datasetOptions, ...shardsOptions } satisfies Settings<OpenDatasetOptions & OpenShardsOptions>

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
  if (classes)
    throw new DataError('is not a list of tars: its classes are those that it names, so leave out classes', {
      file: path,
    })
  return ImageTextDataset.open(path, { ...common, cacheBytes })
}

/** A list in braces, a tar, or a folder without a caption file that holds a tar. */
export async function isShards(path: string): Promise<boolean> {
  if (/\.tar$/.test(path)) return true
  const exists = (name: string) =>
    stat(name).then(
      () => true,
      () => false,
    )
  if (!(await exists(path))) return /\{.*\}/.test(path)
  const lists = await Promise.all(CAPTION_FILES.map(name => exists(join(path, name))))
  if (lists.includes(true)) return false
  return (await readdir(path).catch(() => [])).some(name => name.endsWith('.tar'))
}

/** Every caption, in order. */
export async function readAllCaptions(
  data: ExampleSource | ShardStream<ImageTextSource | MultiImageSource>,
): Promise<string[]> {
  if (!(data instanceof ShardStream)) return Array.from({ length: data.length }, (_, i) => data.captions(i)).flat()
  const captions: string[] = []
  for await (const caption of data.captions()) captions.push(caption)
  return captions
}
