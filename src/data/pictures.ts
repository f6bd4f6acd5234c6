// Pictures that a program reads once and in order: one file, a folder with or without captions, or shards. A position
// in them is enough to continue later.

import { createHash } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DataError, fileError } from '../io/index.ts'

import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import type { Size2d } from '../tensor/sides.ts'
import { CAPTION_FILES } from './captions.ts'
import { ImageTextDataset } from './dataset.ts'
import { DecodePool, threadsHere } from './decoding/pool.ts'
import { type SamplesOptions, samplesOptions } from './image-text-source.ts'
import { IMAGE_FORMATS } from './images/header.ts'
import {
  IMAGE_FILE,
  type ImagePixels,
  imagePixels,
  type PictureChannels,
  pictureChannels,
  toUnitRange,
} from './images/image.ts'
import { isShards } from './open-data.ts'
import { ShardDataset, type StreamedSample } from './shards/shard-dataset.ts'

/** A sequence of pictures. */
export interface Pictures {
  /** equal for equal names, and equal captions if there are any; it does not include pixels */
  readonly fingerprint: string
  /** The number of pictures. For shards, every shard has to be listed. */
  count(): Promise<number>
  /** The pictures, one after the other. */
  samples(options?: SamplesOptions): AsyncGenerator<StreamedSample, void, undefined>
}

/** Options of `openPictures`. */
export interface OpenPicturesOptions {
  /** pixels of the images: the side of a square, or [height, width] */
  readonly imageSize: Size2d
  /** 3, red, green and blue (default), or 1, their luma */
  readonly channels?: PictureChannels
  /** use every image of a folder, without captions, even if the folder has some */
  readonly withoutCaptions?: boolean
  /** how files become pixels; default 'upright' */
  readonly pixels?: ImagePixels
}
const picturesOptions = {
  imageSize: is.size2d,
  channels: pictureChannels,
  withoutCaptions: false,
  pixels: imagePixels,
} satisfies Settings<OpenPicturesOptions>

/**
 * Opens an image, a folder of images, or anything that `openData` opens.
 * @throws FileError if there is no such path, DataError if there is no picture in it or a line of its captions is wrong
 */
export async function openPictures(path: string, options: OpenPicturesOptions): Promise<Pictures> {
  const { withoutCaptions, ...form } = settle('openPictures(path, options)', options, picturesOptions)
  const reading = { ...form, threads: 'auto' } as const
  if (await isShards(path)) return ShardDataset.open(path, reading)
  const isFolder = await stat(path).then(
    found => found.isDirectory(),
    error => {
      throw fileError(path, error)
    },
  )
  if (!isFolder) return /\.(jsonl|csv|tsv)$/i.test(path) ? captioned(path) : imagesAt([path])
  const names = withoutCaptions ? [] : await readdir(path)
  return CAPTION_FILES.some(name => names.includes(name)) ? captioned(path) : imagesAt(await listImages(path), path)

  async function captioned(list: string): Promise<Pictures> {
    const data = await ImageTextDataset.open(list, { ...reading, cacheBytes: 0 })
    const name = (index: number) => join(data.folder, data.examples[index].file)
    return picturesOf(data.fingerprint, data.length, index => ({
      name: name(index),
      captions: data.captions(index),
      image: crop => data.image(index, crop),
    }))
  }

  function imagesAt(files: readonly string[], folder = ''): Pictures {
    const pool = new DecodePool(files.length > 1 ? threadsHere() : 0)
    const { imageSize: size, ...others } = form
    const hash = createHash('sha256')
    for (const file of files) hash.update(`${JSON.stringify(file.slice(folder.length))}\n`)
    return picturesOf(hash.digest('hex'), files.length, index => ({
      name: files[index],
      captions: [],
      image: async crop =>
        toUnitRange(await pool.run({ kind: 'image', file: files[index], options: { size, ...others, crop } })),
    }))
  }
}

const picturesOf = (fingerprint: string, length: number, sample: (index: number) => StreamedSample): Pictures => ({
  fingerprint,
  count: async () => length,
  async *samples(options) {
    const { from } = settle('pictures.samples(options)', options, samplesOptions)
    for (let index = from; index < length; index++) yield sample(index)
  },
})

/**
 * Every image in a folder and the folders in it, in order.
 * @throws DataError if there are none, FileError if there is no such folder
 */
export async function listImages(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true }).catch(error => {
    throw fileError(folder, error)
  })
  const files = entries.filter(name => IMAGE_FILE.test(name)).sort()
  if (files.length === 0) throw new DataError(`holds no file of ${IMAGE_FORMATS}`, { file: folder })
  return files.map(name => join(folder, name))
}
