// Batches from any iterable, one after the other. An iterable that can be iterated again is restarted at its end; each pass is an
// epoch.

import type { DrawnBatch } from './loop.ts'

/** Any iterable of batches. */
export type Batches<Batch> = Iterable<Batch> | AsyncIterable<Batch>

/** A position among batches: that of the next one. JSON-safe, with whatever else the source needs to continue there. */
interface BatchPosition {
  readonly epoch: number
  /** in its epoch, from 0; at the end of an epoch the number of its batches, or 0 of the next epoch */
  readonly batch: number
}

/** An iterable that continues at a position, such as a DataLoader. */
interface PositionedBatches {
  state(): BatchPosition
  /** sets the position of the next iteration */
  load(position: BatchPosition): void
}

/** What a resumed training needs of its source. JSON-safe. */
export interface SavedBatches {
  /** number of batches that were trained on */
  readonly taken: number
  /** the epoch of the last batch; undefined for a source without positions */
  readonly epoch?: number
  readonly position?: BatchPosition
}

const isPosition = (value: unknown): value is BatchPosition =>
  typeof value === 'object' &&
  value !== null &&
  'epoch' in value &&
  Number.isSafeInteger(value.epoch) &&
  'batch' in value &&
  Number.isSafeInteger(value.batch)

function positioned(batches: object): PositionedBatches | undefined {
  const source = batches as Partial<PositionedBatches>
  const hasBoth = typeof source.state === 'function' && typeof source.load === 'function'
  return hasBoth && isPosition(source.state!()) ? (source as PositionedBatches) : undefined
}

/** The epoch of the batch before a position. */
const epochBefore = ({ epoch, batch }: BatchPosition): number => (batch > 0 ? epoch : epoch - 1)

const iteratorOf = <Batch>(batches: Batches<Batch>): Iterator<Batch> | AsyncIterator<Batch> =>
  Symbol.asyncIterator in batches ? batches[Symbol.asyncIterator]() : batches[Symbol.iterator]()

export class BatchSource<Batch> {
  readonly #batches: Batches<Batch>
  readonly #repeats: boolean
  readonly #positioned: PositionedBatches | undefined
  #iterator: Iterator<Batch> | AsyncIterator<Batch> | undefined
  #epoch = 0
  /** the epoch of the source in which the training began */
  #first: number | undefined

  /** @param repeats whether to start another epoch after the first */
  constructor(batches: Batches<Batch>, repeats: boolean) {
    this.#batches = batches
    this.#repeats = repeats
    this.#positioned = positioned(batches)
  }

  /** The next batch; undefined at the end. */
  async next(): Promise<DrawnBatch<Batch> | undefined> {
    const before = this.#positioned?.state()
    const drawn = await this.#draw()
    if (!drawn || !this.#positioned) return drawn
    // an iteration that begins at the end of an epoch goes on with the next one
    const epoch = epochBefore(this.#positioned.state())
    this.#first ??= epoch
    this.#epoch = epoch - this.#first
    if (this.#epoch === 0 || this.#repeats) return { batch: drawn.batch, epoch: this.#epoch }
    this.#positioned.load(before!)
    return undefined
  }

  async #draw(): Promise<DrawnBatch<Batch> | undefined> {
    this.#iterator ??= iteratorOf(this.#batches)
    const { value, done } = await this.#iterator.next()
    if (!done) return { batch: value, epoch: this.#epoch }
    if (!this.#repeats) return undefined
    const again = iteratorOf(this.#batches)
    // a generator is its own iterator, and it is exhausted
    const first = again === this.#iterator ? { done: true as const, value: undefined } : await again.next()
    if (first.done) return undefined
    this.#iterator = again
    this.#epoch++
    return { batch: first.value, epoch: this.#epoch }
  }

  /** The position after so many batches, for a checkpoint. */
  saved(taken: number): SavedBatches {
    return { taken, ...(this.#positioned && { epoch: this.#epoch, position: this.#positioned.state() }) }
  }

  /**
   * Continues at a saved position, before the first batch; a source without positions prepares the batches that were trained on again.
   * @throws whatever the source throws for a position of other data or options
   */
  async resume({ taken, epoch, position }: SavedBatches): Promise<void> {
    if (this.#positioned && epoch !== undefined && isPosition(position)) {
      this.#positioned.load(position)
      this.#first = epochBefore(position) - epoch
    } else for (let i = 0; i < taken; i++) if (!(await this.next())) return
  }

  /** Ends the iteration, so that the source can close its files. */
  async close(): Promise<void> {
    await this.#iterator?.return?.()
  }
}
