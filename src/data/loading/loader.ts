// Batches of any data: lists, arrays, tensors, datasets and iterables. The order is a function of the seed and the epoch, so that a
// position is two numbers, and a run that was killed continues with the batch that it would have got. Runs in a browser.

import { BatchError } from '../../io/errors.ts'
import { type DType, device, Generator } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { type Collated, collate, isDTypes, readTensors } from './collate.ts'
import { contextOf } from './example.ts'
import { type DatasetReference, referenceOf } from './module.ts'
import {
  type ExampleContext,
  type ExampleOf,
  type LoaderData,
  type ReadExample,
  type Source,
  sourceOf,
} from './source.ts'
import { ExampleWorkers, withoutWorkers } from './workers.ts'

/** Options of a `DataLoader`. */
export interface DataLoaderOptions<Example, Item = Example, Batch = Collated<Item>> {
  /** number of examples in a batch */
  readonly batchSize: number
  /** a new order in every epoch; default false, the order of the data. An iterable has only one order */
  readonly shuffle?: boolean
  /** equal seeds give equal orders, and equal random numbers in `map`; default 0 */
  readonly seed?: number
  /** leave out the last batch of an epoch if it is not full; default false */
  readonly dropLast?: boolean
  /**
   * prepares an example: reads, changes or augments it. It may be asynchronous; then examples are prepared at the same time. It
   * returns numbers and typed arrays rather than tensors, because it runs while the current batch is used
   */
  readonly map?: (example: Example, context: ExampleContext) => Item | Promise<Item>
  /** makes a batch of prepared examples; default `collate`. It runs when the batch is asked for */
  readonly collate?: (items: readonly Item[]) => Batch | Promise<Batch>
  /** dtypes of fields for the default `collate`, such as `{ label: 'int32' }` */
  readonly dtypes?: Readonly<Record<string, DType>>
  /** number of batches that are prepared while the current one is used; default 1 */
  readonly prefetch?: number
  /**
   * number of threads that prepare examples, for a dataset of `defineDataset`; default 0, the thread of the program. The batches are
   * the same for any number. In Node
   */
  readonly workers?: number
}

type AnyOptions = DataLoaderOptions<never, unknown, unknown>

const loaderOptions = {
  batchSize: is.count,
  shuffle: false,
  seed: is.byDefault(0, is.size),
  dropLast: false,
  map: is.optional(is.callback as is.Kind<NonNullable<AnyOptions['map']>>),
  collate: is.optional(is.callback as is.Kind<NonNullable<AnyOptions['collate']>>),
  dtypes: isDTypes,
  prefetch: is.byDefault(1, is.size),
  workers: is.byDefault(0, is.size),
} satisfies Settings<AnyOptions>

/** The position of a DataLoader, and the options that its order depends on. JSON-safe. */
export interface DataLoaderState {
  /** counted from 0 */
  readonly epoch: number
  /** the next batch of the epoch, from 0 */
  readonly batch: number
  /** seed of the order */
  readonly seed: number
  /** number of examples in a batch */
  readonly batchSize: number
  /** whether every epoch has an order of its own */
  readonly shuffle: boolean
  /** whether a last batch that is not full is left out */
  readonly dropLast: boolean
  /** number of examples; null for an iterable */
  readonly length: number | null
}

interface Drawn {
  readonly index: number
  /** the example, which may be a promise */
  readonly read: ReadExample
}

/** The examples of a batch, in its order. */
interface Prepared {
  readonly items: readonly unknown[]
  readonly indices: readonly number[]
}

/** Draws the examples of the next batch; undefined at the end. */
interface Reader {
  next(): Promise<Drawn[] | undefined>
  close(): Promise<void>
}

/**
 * Batches of any data, for `fit` or a loop of one's own.
 *
 *     const loader = new DataLoader({ x, y }, { batchSize: 32, shuffle: true, seed: 1 })
 *     for await (const { x, y } of loader) … // one epoch; the next loop is the next epoch
 *
 * Data is a list of examples, a tensor or typed array, an object of them with equal first axes, an object with `length` and
 * `get(index)`, or an iterable, also an asynchronous one. An element of a tensor or an array is `{ data, shape }`; a batch of them
 * is a tensor again. Tensors are read once.
 *
 * An iteration continues at the loader's position: after `break`, the next one yields the rest of the epoch. `state()` gives
 * the position and `load(state)` sets it, in another process too. `workers` prepare examples in threads, of a dataset that a module
 * exports by `defineDataset`; they end when an epoch is left early.
 */
export class DataLoader<Data extends LoaderData, Item = ExampleOf<Data>, Batch = Collated<Item>>
  implements AsyncIterable<Batch>
{
  readonly #source: Source
  readonly #reference: DatasetReference | undefined
  readonly #options: ReturnType<typeof settled>
  #elements: Promise<ReadExample> | undefined
  /** the threads of the last epoch, for the next one */
  #resting: ExampleWorkers | undefined
  #place: { readonly epoch: number; readonly batch: number } = { epoch: 0, batch: 0 }

  /**
   * @throws OptionsError for a wrong option; BatchError if the data is of another form, has columns of different lengths, does
   *   not fill a batch, or is an iterable that is to be shuffled, and for `workers` with data of another origin or with `map`
   */
  constructor(data: Data, options: DataLoaderOptions<ExampleOf<Data>, Item, Batch>) {
    this.#options = settled(options as AnyOptions)
    const { batchSize, shuffle, dropLast, collate, dtypes } = this.#options
    if (collate && dtypes)
      throw new BatchError('dtypes is for the default collate: leave it out, or call collate(items, { dtypes })')
    this.#source = sourceOf(data)
    if (this.#options.workers > 0) checkWorkers(data, this.#options)
    this.#reference = referenceOf(data)
    if (this.#source.kind === 'stream') {
      if (shuffle)
        throw new BatchError(
          'shuffle needs examples that can be read in any order: collect the iterable in an array, or give an object with length and get(index)',
        )
    } else {
      const { length } = this.#source
      if (length === 0) throw new BatchError('the data has no example')
      if (dropLast && length < batchSize)
        throw new BatchError(
          `${length} examples do not fill a batch of ${batchSize}: batchSize must be at most ${length}, or dropLast false`,
        )
    }
  }

  /** The number of batches of an epoch; undefined for an iterable. */
  get batchesPerEpoch(): number | undefined {
    if (this.#source.kind === 'stream') return undefined
    const { batchSize, dropLast } = this.#options
    const batches = this.#source.length / batchSize
    return dropLast ? Math.floor(batches) : Math.ceil(batches)
  }

  /** The position of the next batch. Batches that were prepared in advance do not count. */
  state(): DataLoaderState {
    const { batchSize, seed, shuffle, dropLast } = this.#options
    const length = this.#source.kind === 'stream' ? null : this.#source.length
    return { ...this.#place, seed, batchSize, shuffle, dropLast, length }
  }

  /**
   * Continues from a saved state, at the next iteration. Of an iterable, the examples before are read and left out.
   * @throws BatchError naming what differs, if the state is of other options or another number of examples
   */
  load(state: DataLoaderState): void {
    const { epoch: _, batch: __, ...here } = this.state()
    for (const name of Object.keys(here) as (keyof typeof here)[])
      if (state[name] !== here[name])
        throw new BatchError(
          `the saved state has ${name} ${JSON.stringify(state[name])}, but this loader has ${JSON.stringify(here[name])}: use the data and options of the saved one`,
        )
    const { epoch, batch } = state
    const batches = this.batchesPerEpoch ?? Number.POSITIVE_INFINITY
    if (![epoch, batch].every(each => Number.isSafeInteger(each) && each >= 0) || batch >= batches)
      throw new BatchError(`the saved state is at batch ${batch} of epoch ${epoch}, which does not exist`)
    this.#place = { epoch, batch }
  }

  /**
   * The rest of the current epoch, or the next one if it is at its end.
   * @throws BatchError for an example that does not fit the others, and any error of the data or of `map`, in workers an ExampleError
   *   with this as its cause; the position is that of the batch that could not be made
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Batch, void, undefined> {
    const from = this.#place
    let count = yield* this.#pass(from)
    if (count === 0 && from.batch > 0) {
      // a state that was saved at the end of an iterable
      this.#place = { epoch: from.epoch + 1, batch: 0 }
      count = yield* this.#pass(this.#place)
    }
    if (count > 0) this.#place = { epoch: this.#place.epoch + (this.#place.batch > 0 ? 1 : 0), batch: 0 }
  }

  /** Yields batches to the end of an epoch, and returns their number. */
  async *#pass({ epoch, batch: first }: { epoch: number; batch: number }): AsyncGenerator<Batch, number, undefined> {
    const { prefetch } = this.#options
    const reader = await this.#reader(epoch, first)
    const workers = this.#workers()
    const ahead: Promise<Prepared | undefined>[] = []
    let turn: Promise<unknown> = Promise.resolve()
    const prepare = () => {
      const drawn = turn.then(() => reader.next())
      turn = drawn.catch(() => {})
      const prepared = drawn.then(examples => examples && this.#prepare(examples, epoch, workers))
      // an error is thrown when its batch is asked for
      prepared.catch(() => {})
      return prepared
    }
    let isComplete = false
    try {
      for (let batch = first; ; batch++) {
        while (ahead.length <= prefetch) ahead.push(prepare())
        const prepared = await ahead.shift()!
        if (!prepared) {
          isComplete = true
          return batch - first
        }
        const made = await this.#collate(prepared.items, prepared.indices)
        this.#place = batch + 1 === this.batchesPerEpoch ? { epoch: epoch + 1, batch: 0 } : { epoch, batch: batch + 1 }
        yield made
      }
    } finally {
      await reader.close()
      if (isComplete && workers && !this.#resting) {
        this.#resting = workers
        workers.rest()
      } else await workers?.close()
    }
  }

  /** The threads of the last epoch, or new ones; undefined without workers. */
  #workers(): ExampleWorkers | undefined {
    const resting = this.#resting
    this.#resting = undefined
    if (resting?.wake()) return resting
    const { workers, seed, collate } = this.#options
    if (workers === 0 || !this.#reference || this.#source.kind === 'stream') return undefined
    return new ExampleWorkers(workers, {
      loads: 'examples',
      dataset: this.#reference,
      length: this.#source.length,
      seed,
      readsTensors: !collate,
      device: device.current,
    })
  }

  async #prepare(drawn: readonly Drawn[], epoch: number, workers: ExampleWorkers | undefined): Promise<Prepared> {
    const { seed, map, collate: own } = this.#options
    const indices = drawn.map(({ index }) => index)
    if (workers) return { items: await workers.prepare(indices, epoch), indices }
    const items = await Promise.all(
      drawn.map(async ({ index, read }) => {
        const context = contextOf(seed, epoch, index)
        const example = await read(index, context)
        const item = map ? await map(example as never, context) : example
        return own ? item : readTensors(item)
      }),
    )
    return { items, indices }
  }

  async #collate(items: readonly unknown[], indices: readonly number[]): Promise<Batch> {
    const { collate: own, dtypes } = this.#options
    return (await (own ? own(items) : collate(items, { dtypes, indices }))) as Batch
  }

  async #reader(epoch: number, batch: number): Promise<Reader> {
    const { batchSize, dropLast, shuffle, seed } = this.#options
    const source = this.#source
    if (source.kind === 'stream') {
      const reader = new StreamReader(source.data, batchSize, dropLast)
      await reader.skip(batch * batchSize)
      return reader
    }
    const { length } = source
    this.#elements ??= source.prepare()
    const read = await this.#elements
    const order = shuffle ? new Generator(seed).fork(`epoch ${epoch}`).permutation(length) : undefined
    const end = dropLast ? length - (length % batchSize) : length
    let at = batch * batchSize
    return {
      async next() {
        const size = Math.min(batchSize, end - at)
        if (size <= 0) return undefined
        const indices = Array.from({ length: size }, (_, i) => order?.[at + i] ?? at + i)
        at += size
        return indices.map(index => ({ index, read }))
      },
      async close() {},
    }
  }
}

const settled = (options: AnyOptions) => settle('new DataLoader(data, options)', options, loaderOptions)

/** @throws BatchError unless workers can prepare the examples */
function checkWorkers(data: LoaderData, { workers, map }: ReturnType<typeof settled>): void {
  const missing = withoutWorkers()
  if (missing !== undefined) throw new BatchError(`workers = ${workers}: ${missing}`)
  if (!referenceOf(data))
    throw new BatchError(
      `workers = ${workers}: functions and data cannot be sent to a thread, so that it needs a dataset of a module: export default defineDataset(import.meta.url, () => ({ length, get })), and give the loader what it opens`,
    )
  if (map)
    throw new BatchError(
      `workers = ${workers}: map is a function of this thread, and cannot be sent to another: call it in get(index, { random }) of the dataset`,
    )
}

/** Reads an iterable one example after the other. */
class StreamReader implements Reader {
  readonly #iterator: Iterator<unknown> | AsyncIterator<unknown>
  readonly #batchSize: number
  readonly #dropLast: boolean
  #index = 0
  #ended = false

  constructor(data: Iterable<unknown> | AsyncIterable<unknown>, batchSize: number, dropLast: boolean) {
    this.#iterator = Symbol.asyncIterator in data ? data[Symbol.asyncIterator]() : data[Symbol.iterator]()
    this.#batchSize = batchSize
    this.#dropLast = dropLast
  }

  async skip(count: number): Promise<void> {
    while (this.#index < count && (await this.#draw()));
  }

  async next(): Promise<Drawn[] | undefined> {
    const drawn: Drawn[] = []
    while (drawn.length < this.#batchSize) {
      const next = await this.#draw()
      if (!next) break
      drawn.push(next)
    }
    const isPart = drawn.length < this.#batchSize
    return drawn.length === 0 || (isPart && this.#dropLast) ? undefined : drawn
  }

  /** Ends the iteration, so that the data can close its files. */
  async close(): Promise<void> {
    if (!this.#ended) await this.#iterator.return?.()
  }

  async #draw(): Promise<Drawn | undefined> {
    if (this.#ended) return undefined
    try {
      const { value, done } = await this.#iterator.next()
      if (!done) return { index: this.#index++, read: () => value }
      this.#ended = true
      return undefined
    } catch (error) {
      this.#ended = true
      throw error
    }
  }
}
