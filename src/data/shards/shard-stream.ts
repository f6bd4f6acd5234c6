// Shards as data for training, of pictures or of clips: an epoch goes through all of them in its own order, some at a time.
// Samples are identified by their position in the file, so a large number of them can be shuffled together, and a resumed
// run needs only the list of its window.

import { createHash } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DataError, fileError, quoted, TarError } from '../../io/index.ts'
import { Generator } from '../../tensor/index.ts'

import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import type { Size2d } from '../../tensor/sides.ts'

import { type SplitOptions, splitOptions } from '../dataset.ts'
import { DecodePool, type DecodeThreads, isThreads, threadsHere } from '../decoding/pool.ts'
import type {
  BadSample,
  ExampleSource,
  ImageTextSource,
  ImageTextStream,
  MultiImageSource,
  OnBadSample,
  WindowOptions,
} from '../image-text-source.ts'
import {
  type ImageDecoder,
  type ImagePixels,
  imagePixels,
  type PictureChannels,
  pictureChannels,
} from '../images/image.ts'
import type { RandomCrop } from '../images/random-crop.ts'
import { classesOf, isReadLabels, type ReadLabels } from '../labels.ts'
import { type ImagePart, kindOfShard, type ShardIndex, type ShardSample } from './shard-index.ts'
import { release, SHARD_FILE, unpacked } from './unpacked.ts'

/** Options for opening shards. */
export interface OpenShardsOptions {
  /** pixels of the images: the side of a square, or [height, width] */
  readonly imageSize: Size2d
  /** 3, red, green and blue (default), or 1, their luma */
  readonly channels?: PictureChannels
  /** number of shards that are shuffled together; default 16 */
  readonly window?: number
  /** what decodes the files; default TurboJPEG for JPEGs and sharp for others, as far as they are installed, otherwise the decoders of this package */
  readonly decoder?: ImageDecoder
  /** turn pictures as their EXIF orientation says; default true */
  readonly upright?: boolean
  /** how files become pixels; default 'upright' */
  readonly pixels?: ImagePixels
  /** threads that decode images and list shards; default 0 */
  readonly threads?: DecodeThreads
  /**
   * read the classes of samples, from a `.cls` file with one name or number, or a field `label` or `labels` of the `.json`; a
   * sample without a caption then has its classes as captions. With `'optional'` a sample may have none. Default false
   */
  readonly labels?: ReadLabels
  /** names of all classes, if labels are read and known; a sample of another class cannot be used. Default: found by `readClasses` */
  readonly classes?: readonly string[]
}

export const shardsOptions = {
  imageSize: is.size2d,
  channels: pictureChannels,
  window: 16,
  decoder: is.choice('auto', 'sharp', 'javascript'),
  upright: true,
  pixels: imagePixels,
  threads: is.byDefault(0, isThreads),
  labels: is.byDefault<ReadLabels>(false, isReadLabels),
  classes: is.optional(
    new is.Kind<readonly string[]>(
      'a list of names',
      x => Array.isArray(x) && x.length > 0 && x.every(name => typeof name === 'string'),
    ),
  ),
} satisfies Settings<OpenShardsOptions>

/** A tar file. */
export interface Shard {
  readonly file: string
  readonly bytes: number
}

/** What is known of the samples of a shard that was listed. */
interface Summary {
  readonly length: number
  readonly classes: readonly string[]
}

/** What all parts of some shards share. */
export interface SharedByParts {
  readonly options: Pick<OpenShardsOptions, 'classes'> & Required<Omit<OpenShardsOptions, 'classes'>>
  /** number of frames of each clip; undefined for pictures */
  readonly frames?: number
  readonly pool: DecodePool
  /** all shards, including those of the other part of a split */
  readonly all: readonly Shard[]
  /** of the shards that were listed */
  readonly summaries: Map<string, Summary>
}

/** The progress of an operation that lists every shard. */
export type OnShard = (listed: number, shards: number) => void

/** Options of methods that list every shard. */
export interface ListShardsOptions {
  /** called after each shard */
  readonly onShard?: OnShard
}
const listShardsOptions = {
  onShard: is.optional(is.callback as is.Kind<OnShard>),
} satisfies Settings<ListShardsOptions>

/** Samples in tar files (WebDataset): pictures or clips, with captions, labels or both. */
export abstract class ShardStream<Source extends ImageTextSource | MultiImageSource>
  implements ImageTextStream<Source>
{
  /** paths of the shards */
  readonly shards: readonly string[]
  /** height and width of the images, in pixels */
  readonly imageSize: Size2d
  /** channels of the images */
  readonly channels: PictureChannels
  readonly fingerprint: string
  readonly windows: number
  /** what this stream and those of its parts share */
  protected readonly shared: SharedByParts
  readonly #sizes: readonly Shard[]
  readonly #window: number
  /** recently used lists of shards */
  readonly #lists = new Map<string, Promise<ShardIndex>>()
  /** shards that were used before those: batches that are loaded in advance may still need them */
  #passed: string[] = []
  /** shards that a source of all samples needs */
  readonly #needed = new Set<string>()
  #length: number | undefined

  protected constructor(shards: readonly Shard[], shared: SharedByParts) {
    const { imageSize, channels, window, classes } = shared.options
    this.shared = shared
    this.#sizes = shards
    this.#window = Math.min(window, shards.length)
    this.shards = shards.map(shard => shard.file)
    this.imageSize = imageSize
    this.channels = channels
    this.windows = Math.ceil(shards.length / this.#window)
    const parts = shards.map(({ file, bytes }) => [file.replace(/^.*[/\\]/, ''), bytes])
    this.fingerprint = createHash('sha256')
      .update(JSON.stringify([this.#window, parts, ...(classes ? [classes] : [])]))
      .digest('hex')
  }

  /** The samples of a list as a source. */
  protected abstract sourceOf(examples: ShardExamples): Source

  /** The number of samples, once they were counted. */
  get length(): number | undefined {
    return this.#length
  }

  /**
   * Names of all classes, including those of the other part of a split: those given, or those that `readClasses` found; empty
   * before that, and if labels are not read.
   */
  get classes(): readonly string[] {
    const { options, all, summaries } = this.shared
    if (options.classes) return options.classes
    const found = all.map(({ file }) => summaries.get(file))
    if (found.includes(undefined)) return []
    return classesOf(found.map(summary => ({ labels: summary!.classes })))
  }

  /**
   * Lists every shard once, including those of the other part of a split, to find the classes; images are not read. If the
   * classes were given, it lists none.
   * @returns the classes: numbers in ascending order, then names in alphabetical order
   * @throws DataError if no sample has a label, or labels are not read
   */
  async readClasses(options?: ListShardsOptions): Promise<readonly string[]> {
    const { onShard } = settle('dataset.readClasses(options)', options, listShardsOptions)
    const { options: settings, all } = this.shared
    if (!settings.labels) throw new DataError('was opened without labels: write labels: true', { file: this.shards[0] })
    if (settings.classes) return settings.classes
    await this.#summarize(
      all.map(({ file }) => file),
      onShard,
    )
    const { classes } = this
    if (classes.length > 0) return classes
    const others = all.length === 1 ? '' : ' nor in the other shards'
    throw new DataError(`has no labels: no sample in it${others} has a .cls file or a 'label' in its .json file`, {
      file: all[0].file,
    })
  }

  /** Lists every shard that was not listed yet, to count the samples. */
  async count(options?: ListShardsOptions): Promise<number> {
    const { onShard } = settle('dataset.count(options)', options, listShardsOptions)
    await this.#summarize(this.shards, onShard)
    this.#length = this.shards.reduce((sum, shard) => sum + this.shared.summaries.get(shard)!.length, 0)
    return this.#length
  }

  /** Every caption of every shard, in order. */
  async *captions(): AsyncGenerator<string, void, undefined> {
    for await (const { samples } of this.#listAll(this.shards)) for (const sample of samples) yield* sample.captions
  }

  /** Throws an error with the reason why the first shard has no sample that can be used. */
  async explainEmpty(): Promise<never> {
    const [first] = this.shards
    const { bad } = await this.list(first)
    const none =
      this.shards.length === 1 ? 'has no sample' : `and ${this.shards.length - 1} other shards have no sample`
    const because =
      bad.length === 0 ? '' : `: ${bad[0].key === undefined ? '' : `${quoted(bad[0].key)}: `}${bad[0].reason}`
    throw new DataError(`${none} that can be used${because}`, { file: first })
  }

  /** All samples as one source, for small datasets such as validation sets. */
  async all(onBadSample?: OnBadSample): Promise<Source> {
    for (const shard of this.shards) this.#needed.add(shard)
    return this.#open(this.shards, onBadSample)
  }

  open(epoch: number, window: number, options: WindowOptions): Promise<Source> {
    return this.#open(this.#shardsOf(epoch, window, options), options.onBadSample)
  }

  prepare(epoch: number, window: number, options: WindowOptions): void {
    // an error is thrown again when the window is opened
    for (const shard of this.#shardsOf(epoch, window, options)) this.list(shard).catch(() => {})
  }

  /** Splits the shards at random. */
  protected parts(options: SplitOptions): { train: Shard[]; validation: Shard[] } {
    const { validation, seed } = settle('dataset.split(options)', options, splitOptions)
    const count = Math.max(1, Math.round(this.shards.length * validation))
    if (!(validation > 0 && count < this.shards.length))
      throw new DataError(
        `${validation} of ${this.shards.length} shards for validation leaves one part empty: whole shards are held out, so use ${this.shards.length === 1 ? 'several shards' : 'a share between the two'}, or a validation of 0 (--validation 0)`,
        { file: this.shards[0] },
      )
    const chosen = new Set(new Generator(seed).fork('split').permutation(this.shards.length).subarray(0, count))
    const part = (inValidation: boolean) => this.#sizes.filter((_, i) => chosen.has(i) === inValidation)
    return { train: part(false), validation: part(true) }
  }

  /** The samples of a shard. */
  protected list(shard: string): Promise<ShardIndex> {
    const known = this.#lists.get(shard)
    if (known) return known
    const list = this.#index(shard)
    list.catch(() => this.#lists.delete(shard)) // so that it can be listed again
    this.#lists.set(shard, list)
    for (const old of [...this.#lists.keys()].slice(0, -2 * this.#window)) {
      this.#lists.delete(old)
      this.#passed.push(old)
    }
    for (const old of this.#passed.splice(0, this.#passed.length - this.#window))
      if (!this.#lists.has(old) && !this.#needed.has(old)) void release(old)
    return list
  }

  /** Samples by their number in some shards. */
  protected examplesOf(parts: readonly ListedShard[]): ShardExamples {
    const { options, pool } = this.shared
    const { imageSize: size, channels, decoder, upright, pixels, labels } = options
    const all = parts.flatMap(({ shard, samples }) => samples.map(sample => ({ shard, sample })))
    const hasLabels = labels === true || all.some(({ sample }) => sample.labels)
    return {
      source: {
        length: all.length,
        imageSize: size,
        channels,
        fingerprint: `${this.fingerprint} ${parts.map(part => part.shard).join(' ')}`,
        captions: index => all[index].sample.captions,
        ...(hasLabels && { labels: (index: number) => all[index].sample.labels ?? [] }),
        name: index => `${all[index].shard}: ${all[index].sample.key}`,
        place: index => ({ file: all[index].shard, key: all[index].sample.key }),
      },
      images: index => all[index].sample.images,
      decode: async (index, { offset, size: bytes, name }, crop) => {
        const { shard, sample } = all[index]
        // the only image of a sample is named by its key
        const part = { offset, size: bytes, name: sample.images.length === 1 ? sample.key : name }
        const tar = await unpacked(shard)
        const job = {
          kind: 'image',
          file: shard,
          tar,
          part,
          options: { size, channels, decoder, upright, pixels, crop },
        } as const
        return pool.run(job)
      },
    }
  }

  /** The shards of a window of an epoch. */
  #shardsOf(epoch: number, window: number, { seed, shuffle }: WindowOptions): string[] {
    const { length } = this.shards
    const order = shuffle ? new Generator(seed).fork(`shards ${epoch}`).permutation(length) : [...this.shards.keys()]
    return [...order.slice(window * this.#window, (window + 1) * this.#window)].map(i => this.shards[i])
  }

  async #open(shards: readonly string[], onBadSample?: OnBadSample): Promise<Source> {
    const lists = await Promise.all(shards.map(shard => this.list(shard)))
    for (const { bad } of lists) tellAll(bad, onBadSample)
    return this.sourceOf(this.examplesOf(shards.map((shard, i) => ({ shard, samples: lists[i].samples }))))
  }

  async #index(shard: string): Promise<ShardIndex> {
    const { options, frames, pool, summaries } = this.shared
    const { labels, classes } = options
    const found = await unpacked(shard)
      .then(tar => pool.run({ kind: 'shard', file: shard, options: { frames, labels, tar } }))
      .catch(damaged)
    const index = classes ? withinClasses(found, classes, shard) : found
    if (!summaries.has(shard)) summaries.set(shard, { length: index.samples.length, classes: classesOf(index.samples) })
    return index
  }

  async #summarize(shards: readonly string[], onShard?: OnShard): Promise<void> {
    const unknown = shards.filter(shard => !this.shared.summaries.has(shard))
    let listed = shards.length - unknown.length
    for await (const _ of this.#listAll(unknown)) onShard?.(++listed, shards.length)
  }

  async *#listAll(shards: readonly string[]): AsyncGenerator<ShardIndex, void, undefined> {
    const ahead = Math.max(1, this.shared.pool.threads) + 1
    for (const [i, shard] of shards.entries()) {
      for (const next of shards.slice(i + 1, i + ahead)) this.list(next).catch(() => {})
      yield await this.list(shard)
    }
  }
}

/** The list of a shard that cannot be decompressed. */
function damaged(error: unknown): ShardIndex {
  if (!(error instanceof TarError)) throw error
  return { samples: [], bad: [{ file: error.file!, reason: error.reason }] }
}

/** A shard and its samples. */
interface ListedShard {
  readonly shard: string
  readonly samples: readonly ShardSample[]
}

/** The samples of some shards, without their images, and how these are read. */
export interface ShardExamples {
  readonly source: ExampleSource
  images(index: number): readonly ImagePart[]
  /** [channels, height, width] in 0 … 1 */
  decode(index: number, image: ImagePart, crop?: RandomCrop): Promise<Uint8Array>
}

/**
 * Finds the shards that a list names, and looks whether the first one holds what is expected.
 * @param frames number of frames of each clip; undefined for pictures
 */
export async function openShards(
  list: string,
  options: SharedByParts['options'],
  frames?: number,
): Promise<{ readonly shards: readonly Shard[]; readonly shared: SharedByParts }> {
  const { window, threads, labels, classes } = options
  for (const [name, value] of Object.entries({ window, ...(frames !== undefined && { frames }) }))
    if (!Number.isSafeInteger(value) || value < 1)
      throw new DataError(`${name} must be a positive integer, not ${value}`, { file: list })
  if (classes && !labels)
    throw new DataError('classes are given, but labels are not read: write labels: true', { file: list })
  const shards = await findShards(list)
  const kind = await kindOf(shards[0])
  if (kind === 'clips' && frames === undefined)
    throw new DataError('holds clips, not pictures: ShardClipDataset.open(list, { imageSize, frames }) reads it', {
      file: shards[0].file,
    })
  if (kind === 'images' && frames !== undefined)
    throw new DataError('holds pictures, not clips: ShardDataset.open(list, { imageSize }) reads it', {
      file: shards[0].file,
    })
  const pool = new DecodePool(threads === 'auto' ? threadsHere() : threads)
  return { shards, shared: { options, frames, pool, all: shards, summaries: new Map() } }
}

/** Whether shards hold pictures or clips; undefined if that cannot be seen. @throws as {@link findShards} */
export async function kindOfShards(list: string): Promise<'images' | 'clips' | undefined> {
  const [first] = await findShards(list)
  return kindOf(first)
}

const kindOf = ({ file }: Shard): Promise<'images' | 'clips' | undefined> =>
  unpacked(file)
    .then(kindOfShard)
    .catch(error => {
      if (error instanceof TarError) return undefined
      throw error
    })

/**
 * The tar files that a list names: `data/{000..099}.tar`, one tar, or a folder of them, in order; also with `.tar.gz`.
 * @throws FileError naming one that does not exist, DataError if a folder has none
 */
async function findShards(list: string): Promise<Shard[]> {
  const { expand } = await import('brace-expansion')
  const shards: Shard[] = []
  for (const path of expand(list)) {
    const file = await look(path)
    if (!file.isDirectory) {
      shards.push({ file: path, bytes: file.size })
      continue
    }
    const names = (await readdir(path)).filter(name => SHARD_FILE.test(name)).sort()
    if (names.length === 0) throw new DataError('has no .tar or .tar.gz file', { file: path })
    const twice = names.find(name => names.includes(`${name}.gz`))
    if (twice !== undefined)
      throw new DataError(`has ${quoted(twice)} and ${quoted(`${twice}.gz`)}: keep one of them`, { file: path })
    for (const name of names) shards.push({ file: join(path, name), bytes: (await look(join(path, name))).size })
  }
  return shards
}

async function look(path: string): Promise<{ isDirectory: boolean; size: number }> {
  try {
    const found = await stat(path)
    return { isDirectory: found.isDirectory(), size: found.size }
  } catch (error) {
    throw fileError(path, error)
  }
}

/** The samples whose labels are all among the classes. */
function withinClasses({ samples, bad }: ShardIndex, classes: readonly string[], file: string): ShardIndex {
  const known = new Set(classes)
  const strange = ({ labels = [] }: ShardSample) => labels.find(label => !known.has(label))
  return {
    samples: samples.filter(sample => strange(sample) === undefined),
    bad: [
      ...bad,
      ...samples.flatMap(sample => {
        const label = strange(sample)
        const reason = `its label ${quoted(String(label))} is not one of the ${classes.length} classes`
        return label === undefined ? [] : [{ file, key: sample.key, reason }]
      }),
    ],
  }
}

/** Reports samples that cannot be used. @throws DataError naming the first, without `onBadSample` */
export function tellAll(bad: readonly BadSample[], onBadSample: OnBadSample | undefined): void {
  for (const sample of bad) {
    const { file, key, reason } = sample
    if (!onBadSample) throw new DataError(reason, { file: key === undefined ? file : `${file}: ${key}` })
    onBadSample(sample)
  }
}
