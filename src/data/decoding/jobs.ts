// Jobs that may run on another thread: the message contains all of a job's input, and the reply all of its result.

import { open } from 'node:fs/promises'
import { fileError, ImageError } from '../../io/index.ts'

import { type DecodeImageOptions, decodeImageBytes } from '../images/image.ts'
import { type IndexOptions, indexShard, type ShardIndex } from '../shards/shard-index.ts'

/** An image: a file, or a part of one. */
export interface ImageJob {
  readonly kind: 'image'
  readonly file: string
  /** where the parts of `file` are read, if it is compressed; default `file` */
  readonly tar?: string
  readonly part?: { readonly offset: number; readonly size: number; readonly name: string }
  readonly options: Omit<DecodeImageOptions, 'name'>
}

/** The listing of a shard. */
export interface ShardJob {
  readonly kind: 'shard'
  readonly file: string
  readonly options: IndexOptions
}

export type Job = ImageJob | ShardJob

export type ResultOf<J extends Job> = J extends ImageJob ? Uint8Array : ShardIndex

/** Runs a job on this thread. */
export async function perform<J extends Job>(job: J): Promise<ResultOf<J>>
export async function perform(job: Job): Promise<Uint8Array | ShardIndex> {
  if (job.kind === 'shard') return indexShard(job.file, job.options)
  const { file, tar = file, part, options } = job
  if (!part) return decodeImageBytes(file, options)
  return decodeImageBytes(await readPart(tar, part), { ...options, name: `${file}: ${part.name}` })
}

async function readPart(file: string, { offset, size, name }: Required<ImageJob>['part']): Promise<Uint8Array> {
  const bytes = new Uint8Array(size)
  try {
    const handle = await open(file, 'r')
    try {
      const { bytesRead } = await handle.read(bytes, 0, size, offset)
      if (bytesRead === size) return bytes
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw fileError(file, error)
  }
  throw new ImageError('the shard has become shorter since it was listed', { file: `${file}: ${name}` })
}
