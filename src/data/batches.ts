// Batches for training: shuffled and tokenized; the next ones are decoded during the current training step. A run that
// is stopped and resumed gets exactly the batches it would have got without the interruption.

import { BatchError, sha256, shownJson } from '../io/browser.ts'

import { settle } from '../tensor/options.ts'
import type { Size2d } from '../tensor/sides.ts'
import {
  type Batch,
  BatchMaker,
  type BatchOptions,
  type BatchPlace,
  type BatchSettings,
  batchOptions,
  type ImageShape,
  type MultiImageShape,
} from './batch-maker.ts'
import type { Choice } from './epochs.ts'
import {
  hasSeveralImages,
  type ImageTextSource,
  type ImageTextStream,
  type MultiImageSource,
} from './image-text-source.ts'
import type { Tokenizer } from './tokenizers/tokenizer.ts'

export type { Augmentation, Batch, BatchOptions, ImageShape, MultiImageShape } from './batch-maker.ts'
export { normalizeExample, placeOf } from './batch-maker.ts'
export type { BatchRanks } from './ranks.ts'

/** The position of an iterator, and everything that its batches depend on. JSON-safe. */
export interface BatchState {
  /** counted from 0 */
  readonly epoch: number
  /** window of the epoch, from 0; a folder has one */
  readonly window: number
  /** the next batch, from 0 */
  readonly batch: number
  /** seed of the order and the augmentation */
  readonly seed: number
  /** number of examples in a batch */
  readonly batchSize: number
  /** ids per text */
  readonly contextLength: number
  /** whether every epoch has an order of its own */
  readonly shuffle: boolean
  /** whether batches that are not full are left out */
  readonly dropLast: boolean
  /** whether no two texts of a batch have equal ids */
  readonly distinctCaptions: boolean
  /** height and width of the images, in pixels */
  readonly imageSize: Size2d
  /** channels of the images; 3 if it is not there */
  readonly channels?: number
  /** only of examples with several images */
  readonly imagesPerExample?: number
  /** fingerprint of the data */
  readonly fingerprint: string
  /** SHA-256 of every caption's ids, or, if they are not known in advance, of the tokenizer */
  readonly texts: string
}

/** The maximum number of consecutive windows without a batch. */
const EMPTY_WINDOWS = 1000

interface Window {
  readonly maker: BatchMaker
  readonly label: string
  readonly batches: readonly (readonly Choice[])[]
}

/** Data for batches: examples with one image each or with several, all known, or in windows of shards. */
export type BatchData =
  | ImageTextSource
  | ImageTextStream
  | MultiImageSource
  | (ImageTextStream<MultiImageSource> & Pick<MultiImageSource, 'imagesPerExample'>)

/** The batches of some data: [batch, images, channels, height, width] if its examples have several images. */
export type BatchOf<Data extends BatchData> = Data extends { readonly imagesPerExample: number }
  ? Batch<MultiImageShape>
  : Batch<ImageShape>

/** An endless stream of batches, epoch after epoch. */
export class BatchIterator<Data extends BatchData = ImageTextSource | ImageTextStream> {
  readonly #data: Data
  readonly #tokenizer: Tokenizer | undefined
  readonly #options: BatchSettings
  readonly #texts: string
  /** only for a folder, whose batches are all known */
  readonly #whole: BatchMaker | undefined
  readonly #windows = new Map<string, Promise<Window>>()
  #plan: { epoch: number; batches: Choice[][] } | undefined
  #place: BatchPlace = { epoch: 0, window: 0, batch: 0 }
  #ahead: { readonly place: BatchPlace; readonly batch: () => Promise<BatchOf<Data>> }[] = []
  #turn: Promise<unknown> = Promise.resolve()

  /**
   * Tokenizes every caption of a folder, so that captions that are too long are found before training; captions of shards are
   * tokenized when they are read.
   * @param tokenizer undefined for batches without texts, as a classifier takes them: their `tokens` are [batch, 0]
   * @throws TokenizerError naming the image and its caption that is too long
   * @throws BatchError if an option is invalid, or no batch can be filled
   */
  constructor(data: Data, tokenizer: Tokenizer | undefined, options: BatchOptions) {
    const settled = settle('new BatchIterator(data, tokenizer, options)', options, batchOptions)
    const { batchSize, contextLength, ahead, seed, distinctCaptions } = settled
    if (!tokenizer && (contextLength !== 0 || distinctCaptions))
      throw new BatchError(
        `without a tokenizer there are no texts: leave out ${contextLength !== 0 ? 'contextLength' : 'distinctCaptions'}`,
      )
    for (const [name, value] of Object.entries({ batchSize, ahead, ...(tokenizer && { contextLength }) }))
      if (!Number.isSafeInteger(value) || value < 1)
        throw new BatchError(`${name} must be a positive integer, not ${value}`)
    if (!Number.isSafeInteger(seed) || seed < 0)
      throw new BatchError(`seed must be a non-negative integer, not ${seed}`)
    this.#data = data
    this.#tokenizer = tokenizer
    this.#options = settled
    this.#whole = isStream(data) ? undefined : new BatchMaker(data, tokenizer, this.#options)
    this.#texts = this.#whole?.texts ?? sha256(JSON.stringify(tokenizer ?? null))
    if (!isStream(data) && this.batchesPerEpoch === 0) {
      const remedy = distinctCaptions ? ' with distinct captions' : `: batchSize must be at most ${data.length}`
      throw new BatchError(`${data.length} examples do not fill a batch of ${batchSize}${remedy}`)
    }
  }

  /**
   * The number of batches of the current epoch; unknown for shards that were not counted. With `distinctCaptions` another
   * epoch may have a few more or less, and a few samples of every window of shards may be left out.
   */
  get batchesPerEpoch(): number | undefined {
    if (this.#whole) return this.#planOf(this.#whole, this.#place.epoch).length
    const { length } = this.#data
    return length === undefined ? undefined : Math.floor(length / this.#options.batchSize)
  }

  /** The position of the next batch. Batches that were decoded in advance do not count. */
  get state(): BatchState {
    const { seed, batchSize, contextLength, shuffle, dropLast, distinctCaptions } = this.#options
    const { imageSize, channels = 3, fingerprint } = this.#data
    const several = hasSeveralImages(this.#data) ? { imagesPerExample: this.#data.imagesPerExample } : {}
    const options = { seed, batchSize, contextLength, shuffle, dropLast, distinctCaptions }
    const fixed = { ...options, imageSize, channels, ...several, fingerprint }
    return { ...this.#place, ...fixed, texts: this.#texts }
  }

  /**
   * Continues from a saved state.
   * @throws BatchError naming what differs, if the state belongs to other data or other options
   */
  restore({ window = 0, ...saved }: Omit<BatchState, 'window'> & { readonly window?: number }): void {
    const state = { channels: 3, ...saved }
    const { epoch, window: _, batch, ...here } = this.state
    for (const name of Object.keys(here) as (keyof typeof here)[])
      if (JSON.stringify(state[name]) !== JSON.stringify(here[name]))
        throw new BatchError(difference(name, state[name], here[name]))
    const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0
    const isThere = () => !this.#whole || state.batch < this.#planOf(this.#whole, state.epoch).length
    if (![state.epoch, window, state.batch].every(isCount) || !isThere())
      throw new BatchError(
        `the saved state is at batch ${shownJson(state.batch)} of epoch ${shownJson(state.epoch)}, which does not exist`,
      )
    this.#place = { epoch: state.epoch, window, batch: state.batch }
  }

  /**
   * The next batch; starts decoding the batches after it. Overlapping calls resolve in order.
   * @throws ImageError naming the file if an image cannot be decoded; the state is not changed
   */
  next(): Promise<BatchOf<Data>> {
    const turn = this.#turn.then(() => this.#advance())
    this.#turn = turn.catch(() => {})
    return turn
  }

  /** All batches of one epoch, independent of the current position; for evaluation. */
  async *epoch(epoch = 0): AsyncGenerator<BatchOf<Data>, void, undefined> {
    const windows = isStream(this.#data) ? this.#data.windows : 1
    for (let window = 0; window < windows; window++) {
      const { batches } = await this.#window(epoch, window)
      for (let batch = 0; batch < batches.length; batch++) yield this.#begin({ epoch, window, batch })()
    }
  }

  async #advance(): Promise<BatchOf<Data>> {
    const place = await this.#firstFrom(this.#place)
    const ready = this.#ahead.shift()
    if (!(ready && isSame(ready.place, place))) this.#ahead = []
    const batch = await (ready && isSame(ready.place, place) ? ready.batch : this.#begin(place))()
    this.#place = await this.#firstFrom({ ...place, batch: place.batch + 1 })
    await this.#lookAhead()
    return batch
  }

  /** Starts to load the next batches. */
  async #lookAhead(): Promise<void> {
    let place = this.#place
    for (let i = 0; i < this.#options.ahead!; i++) {
      if (i > 0) place = await this.#firstFrom({ ...place, batch: place.batch + 1 })
      if (this.#ahead.length > i) continue
      this.#ahead.push({ place, batch: this.#begin(place) })
    }
  }

  /** This position, or the start of the next window that has a batch. */
  async #firstFrom(place: BatchPlace): Promise<BatchPlace> {
    const windows = isStream(this.#data) ? this.#data.windows : 1
    let { epoch, window, batch } = place
    for (let passed = 0; passed < EMPTY_WINDOWS; passed++) {
      const { batches } = await this.#window(epoch, window)
      if (batch < batches.length) return { epoch, window, batch }
      window = (window + 1) % windows
      epoch += window === 0 ? 1 : 0
      batch = 0
    }
    const { batchSize, distinctCaptions } = this.#options
    const how = distinctCaptions ? ' with distinct captions' : ''
    throw new BatchError(`the epochs from ${place.epoch} on do not fill a batch of ${batchSize}${how}`)
  }

  /**
   * Starts to load a batch; the result completes it. Processes complete a batch when it is requested, because all of them have to do so
   * in the same order; one process does it in advance.
   */
  #begin(place: BatchPlace): () => Promise<BatchOf<Data>> {
    const begun = this.#window(place.epoch, place.window).then(({ maker, label, batches }) =>
      maker.begin(place, label, batches[place.batch]),
    )
    const complete = () => begun.then(finish => finish()) as Promise<BatchOf<Data>>
    if (this.#options.ranks) {
      begun.catch(() => {}) // the error is thrown when the batch is requested
      return complete
    }
    const batch = complete()
    batch.catch(() => {})
    return () => batch
  }

  /** The samples of a window, in the order of an epoch; starts to list the next window. */
  #window(epoch: number, window: number): Promise<Window> {
    const data: BatchData = this.#data
    if (!isStream(data)) {
      const batches = this.#planOf(this.#whole!, epoch)
      return Promise.resolve({ maker: this.#whole!, label: `${epoch}`, batches })
    }
    const key = `${epoch} ${window}`
    const known = this.#windows.get(key)
    if (known) return known
    const opened = this.#open(data, epoch, window, key)
    opened.catch(() => this.#windows.delete(key)) // so that it can be opened again
    this.#windows.set(key, opened)
    for (const old of [...this.#windows.keys()].slice(0, -3)) this.#windows.delete(old)
    return opened
  }

  async #open(data: BatchStream, epoch: number, window: number, label: string): Promise<Window> {
    const { seed, shuffle, onBadSample } = this.#options
    const source = await data.open(epoch, window, { seed, shuffle, onBadSample })
    const maker = new BatchMaker(source, this.#tokenizer, this.#options, onBadSample)
    const next = window + 1 < data.windows ? { epoch, window: window + 1 } : { epoch: epoch + 1, window: 0 }
    data.prepare(next.epoch, next.window, { seed, shuffle })
    return { maker, label, batches: maker.plan(label) }
  }

  #planOf(maker: BatchMaker, epoch: number): Choice[][] {
    if (this.#plan?.epoch !== epoch) this.#plan = { epoch, batches: maker.plan(`${epoch}`) }
    return this.#plan.batches
  }
}

type BatchStream = Extract<BatchData, { readonly windows: number }>

const isStream = (data: BatchData): data is BatchStream => 'windows' in data

const isSame = (a: BatchPlace, b: BatchPlace) => a.epoch === b.epoch && a.window === b.window && a.batch === b.batch

function difference(name: keyof BatchState, saved: unknown, here: unknown): string {
  if (name === 'fingerprint') return 'the saved state belongs to other data: file names or captions have changed'
  if (name === 'texts') return 'the saved state belongs to another tokenizer: the captions have other ids'
  return `the saved state has ${name} ${shownJson(saved)}, but these batches have ${shownJson(here)}`
}
