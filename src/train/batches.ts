// Batches from any iterable, one after the other. An iterable that can be iterated again is restarted at its end; each pass is an
// epoch.

import type { DrawnBatch } from './loop.ts'

/** Any iterable of batches. */
export type Batches<Batch> = Iterable<Batch> | AsyncIterable<Batch>

const iteratorOf = <Batch>(batches: Batches<Batch>): Iterator<Batch> | AsyncIterator<Batch> =>
  Symbol.asyncIterator in batches ? batches[Symbol.asyncIterator]() : batches[Symbol.iterator]()

export class BatchSource<Batch> {
  readonly #batches: Batches<Batch>
  readonly #repeats: boolean
  #iterator: Iterator<Batch> | AsyncIterator<Batch>
  #epoch = 0

  /** @param repeats whether to start another epoch after the first */
  constructor(batches: Batches<Batch>, repeats: boolean) {
    this.#batches = batches
    this.#repeats = repeats
    this.#iterator = iteratorOf(batches)
  }

  /** The next batch; undefined at the end. */
  async next(): Promise<DrawnBatch<Batch> | undefined> {
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

  /** Skips batches that were trained on before. */
  async skip(count: number): Promise<void> {
    for (let i = 0; i < count; i++) if (!(await this.next())) return
  }

  /** Ends the iteration, so that the source can close its files. */
  async close(): Promise<void> {
    await this.#iterator.return?.()
  }
}
