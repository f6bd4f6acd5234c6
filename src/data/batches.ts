// Batches for training: shuffled, tokenized, the next one decoded while the current one is trained on. A run that is
// stopped and resumed sees exactly the batches it would have seen.

import { createHash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { Generator } from '../tensor/random.ts'
import type { ImageTextSource } from './dataset.ts'
import { type CaptionTable, type Choice, type EpochOptions, planEpoch } from './epochs.ts'
import { BatchError, TokenizerError } from './errors.ts'
import { normalize } from './image.ts'
import type { Tokenizer } from './tokenizer.ts'

/** Images and their texts, ready to become tensors. */
export interface Batch {
  readonly epoch: number
  /** its place in the epoch, from 0 */
  readonly batch: number
  /** [batch, 3, side, side], row by row */
  readonly images: Float32Array
  readonly imageShape: [batch: number, channels: 3, height: number, width: number]
  /** [batch, contextLength], row by row */
  readonly tokens: Int32Array
  readonly tokenShape: [batch: number, contextLength: number]
  /** which examples these are */
  readonly indices: Int32Array
  /** the texts that were tokenized */
  readonly captions: readonly string[]
}

/**
 * Changes an image before it enters a batch.
 * @param image [3, side, side] in 0 … 1, which may be changed in place
 * @param generator random numbers that depend on the seed, the epoch and the example alone
 * @returns an image of the same shape
 */
export type Augmentation = (image: Float32Array, generator: Generator, side: number) => Float32Array

export interface BatchOptions {
  readonly batchSize: number
  /** ids per text, start and end included */
  readonly contextLength: number
  /** equal seeds give equal batches; 0 unless given */
  readonly seed?: number
  /** a new order every epoch; true unless given */
  readonly shuffle?: boolean
  /** leave out batches that are not full; true unless given */
  readonly dropLast?: boolean
  /** no two texts of a batch are equal as ids: a later one waits for a later batch; false unless given */
  readonly distinctCaptions?: boolean
  /** cut captions that are too long, instead of throwing; false unless given */
  readonly truncate?: boolean
  readonly augment?: Augmentation
  /** applied last, channel by channel */
  readonly normalize?: { readonly mean: readonly number[]; readonly std: readonly number[] }
}

/** Where an iterator is, and what its batches depend on. JSON-safe. */
export interface BatchState {
  readonly epoch: number
  /** the batch that comes next, from 0 */
  readonly batch: number
  readonly seed: number
  readonly batchSize: number
  readonly contextLength: number
  readonly shuffle: boolean
  readonly dropLast: boolean
  readonly distinctCaptions: boolean
  readonly imageSize: number
  /** of the data */
  readonly fingerprint: string
  /** SHA-256 of every caption's ids: what the tokenizer made of the data */
  readonly texts: string
}

interface Place {
  readonly epoch: number
  readonly batch: number
}

/** An endless stream of batches, epoch after epoch. */
export class BatchIterator {
  readonly #source: ImageTextSource
  readonly #options: BatchOptions & EpochOptions
  readonly #table: CaptionTable
  /** the distinct texts as rows of ids, end to end */
  readonly #rows: Int32Array
  readonly #texts: string
  #place: Place = { epoch: 0, batch: 0 }
  #plan: { epoch: number; batches: Choice[][] } | undefined
  #ahead: { place: Place; batch: Promise<Batch> } | undefined
  #turn: Promise<unknown> = Promise.resolve()

  /**
   * Tokenizes every caption, so that one that does not fit is found now and not hours later.
   * @throws TokenizerError naming the image and its caption that is too long
   * @throws BatchError if an option makes no sense, or no batch can be filled
   */
  constructor(source: ImageTextSource, tokenizer: Tokenizer, options: BatchOptions) {
    const { batchSize, contextLength, seed = 0, shuffle = true, dropLast = true, distinctCaptions = false } = options
    for (const [name, value] of Object.entries({ batchSize, contextLength }))
      if (!Number.isSafeInteger(value) || value < 1) throw new BatchError(`${name} is a positive integer, not ${value}`)
    if (!Number.isSafeInteger(seed) || seed < 0) throw new BatchError(`seed is a non-negative integer, not ${seed}`)
    this.#source = source
    this.#options = { ...options, seed, shuffle, dropLast, distinctCaptions }
    const { rows, table } = tokenizeCaptions(source, tokenizer, options)
    this.#rows = rows
    this.#table = table
    this.#texts = createHash('sha256').update(new Uint8Array(rows.buffer)).digest('hex')
    if (this.batchesPerEpoch === 0) {
      const remedy = distinctCaptions ? ' with distinct captions' : `: batchSize is at most ${source.length} here`
      throw new BatchError(`${source.length} examples fill no batch of ${batchSize}${remedy}`)
    }
  }

  /** How many batches the current epoch has. With `distinctCaptions` another epoch may have a few more or less. */
  get batchesPerEpoch(): number {
    return this.#planOf(this.#place.epoch).length
  }

  /** Where the next batch will come from. What was decoded ahead does not count. */
  get state(): BatchState {
    const { seed, batchSize, contextLength, shuffle, dropLast, distinctCaptions } = this.#options
    const { imageSize, fingerprint } = this.#source
    const fixed = { seed, batchSize, contextLength, shuffle, dropLast, distinctCaptions, imageSize, fingerprint }
    return { ...this.#place, ...fixed, texts: this.#texts }
  }

  /**
   * Goes on from a saved state.
   * @throws BatchError naming what differs, if the state belongs to other data or other options
   */
  restore(state: BatchState): void {
    const { epoch, batch, ...here } = this.state
    for (const name of Object.keys(here) as (keyof typeof here)[])
      if (state[name] !== here[name]) throw new BatchError(difference(name, state[name], here[name]))
    const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0
    if (!isCount(state.epoch) || !isCount(state.batch) || state.batch >= this.#planOf(state.epoch).length)
      throw new BatchError(`the saved state is at batch ${state.batch} of epoch ${state.epoch}, which does not exist`)
    this.#place = { epoch: state.epoch, batch: state.batch }
  }

  /**
   * The next batch; the one after it begins to be decoded. Calls that overlap are answered in order.
   * @throws ImageError naming the file if an image cannot be decoded; the state stays where it was
   */
  next(): Promise<Batch> {
    const turn = this.#turn.then(() => this.#advance())
    this.#turn = turn.catch(() => {})
    return turn
  }

  /** All batches of one epoch, wherever the stream is; for evaluation. */
  async *epoch(epoch = 0): AsyncGenerator<Batch, void, undefined> {
    const { length } = this.#planOf(epoch)
    for (let batch = 0; batch < length; batch++) yield this.#make({ epoch, batch })
  }

  async #advance(): Promise<Batch> {
    const place = this.#place
    const ahead = this.#ahead
    this.#ahead = undefined
    const made = ahead && ahead.place.epoch === place.epoch && ahead.place.batch === place.batch
    const batch = await (made ? ahead.batch : this.#make(place))
    this.#place = this.#firstFrom({ epoch: place.epoch, batch: place.batch + 1 })
    const following = { place: this.#place, batch: this.#make(this.#place) }
    following.batch.catch(() => {}) // whoever asks for it will hear
    this.#ahead = following
    return batch
  }

  /** This place, or the beginning of the next epoch that has a batch. */
  #firstFrom({ epoch, batch }: Place): Place {
    if (batch < this.#planOf(epoch).length) return { epoch, batch }
    for (let later = epoch + 1; later < epoch + 1000; later++)
      if (this.#planOf(later).length > 0) return { epoch: later, batch: 0 }
    throw new BatchError(`no epoch after ${epoch} fills a batch of ${this.#options.batchSize} with distinct captions`)
  }

  #planOf(epoch: number): Choice[][] {
    if (this.#plan?.epoch !== epoch) this.#plan = { epoch, batches: planEpoch(this.#table, epoch, this.#options) }
    return this.#plan.batches
  }

  async #make(place: Place): Promise<Batch> {
    const choices = this.#planOf(place.epoch)[place.batch]
    const { contextLength } = this.#options
    const side = this.#source.imageSize
    const images = new Float32Array(choices.length * 3 * side * side)
    const tokens = new Int32Array(choices.length * contextLength)
    await inParallel(choices.length, async i => {
      images.set(await this.#image(choices[i].index, place.epoch), i * 3 * side * side)
    })
    choices.forEach(({ index, caption }, i) => {
      const row = this.#table.key(index, caption)
      tokens.set(this.#rows.subarray(row * contextLength, (row + 1) * contextLength), i * contextLength)
    })
    return {
      ...place,
      images,
      imageShape: [choices.length, 3, side, side],
      tokens,
      tokenShape: [choices.length, contextLength],
      indices: Int32Array.from(choices, choice => choice.index),
      captions: choices.map(({ index, caption }) => this.#source.captions(index)[caption]),
    }
  }

  async #image(index: number, epoch: number): Promise<Float32Array> {
    const { augment, normalize: scale, seed } = this.#options
    const side = this.#source.imageSize
    let image = await this.#source.image(index)
    if (augment) image = augment(image, new Generator(seed).fork(`augment ${epoch} ${index}`), side)
    if (scale) image = normalize(image, scale.mean, scale.std)
    if (image.length !== 3 * side * side)
      throw new BatchError(`has ${image.length} values, and [3, ${side}, ${side}] has ${3 * side * side}`, {
        file: this.#source.name(index),
      })
    return image
  }
}

function difference(name: keyof BatchState, saved: unknown, here: unknown): string {
  if (name === 'fingerprint') return 'the saved state belongs to other data: file names or captions have changed'
  if (name === 'texts') return 'the saved state belongs to another tokenizer: the captions have other ids'
  return `the saved state has ${name} ${saved}, these batches have ${here}`
}

/** Every distinct row of ids once, and for every caption which row it is. */
function tokenizeCaptions(
  source: ImageTextSource,
  tokenizer: Tokenizer,
  { contextLength, truncate }: BatchOptions,
): { rows: Int32Array; table: CaptionTable } {
  const rowOfText = new Map<string, number>()
  const rowOfIds = new Map<string, number>()
  const rows: Int32Array[] = []
  const first = new Int32Array(source.length + 1)
  const keys: number[] = []
  for (let index = 0; index < source.length; index++) {
    first[index] = keys.length
    for (const text of source.captions(index)) {
      let row = rowOfText.get(text)
      if (row === undefined) {
        const ids = tokenizeOne(text, source.name(index))
        const known = rowOfIds.get(ids.join())
        row = known ?? rows.push(ids) - 1
        rowOfIds.set(ids.join(), row)
        rowOfText.set(text, row)
      }
      keys.push(row)
    }
    if (first[index] === keys.length) throw new BatchError('has no caption', { file: source.name(index) })
  }
  first[source.length] = keys.length

  function tokenizeOne(text: string, file: string): Int32Array {
    try {
      return tokenizer.tokenize([text], contextLength, { truncate })
    } catch (error) {
      throw error instanceof TokenizerError
        ? new TokenizerError(`caption ${error.reason}`, { file, cause: error })
        : error
    }
  }

  const joined = new Int32Array(rows.length * contextLength)
  rows.forEach((row, i) => {
    joined.set(row, i * contextLength)
  })
  const table: CaptionTable = {
    length: source.length,
    count: index => first[index + 1] - first[index],
    key: (index, caption) => keys[first[index] + caption],
  }
  return { rows: joined, table }
}

/** Runs a task for 0 … count - 1, a few more at once than there are processors, so that none waits for the disk. */
async function inParallel(count: number, task: (i: number) => Promise<void>): Promise<void> {
  let next = 0
  const work = async () => {
    while (next < count) await task(next++)
  }
  await Promise.all(Array.from({ length: Math.min(count, availableParallelism() + 2) }, work))
}
