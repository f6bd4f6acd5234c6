// Keeps the last lines of metrics, in memory that does not grow with the number of steps.

import type { MetricsLine } from './metrics.ts'

/** The last lines of each kind, in the order in which they were added. */
export class History {
  readonly #length: number
  #lines: MetricsLine[] = []
  /** the number of lines added since old ones were last dropped */
  #added = 0

  /** @param length the number of lines of each kind to keep */
  constructor(length: number) {
    this.#length = length
  }

  add(line: MetricsLine): void {
    this.#lines.push(line)
    // once for `length` lines, so that the cost of a line does not grow with `length`
    if (++this.#added > this.#length) this.#drop()
  }

  get lines(): readonly MetricsLine[] {
    this.#drop()
    return this.#lines
  }

  #drop(): void {
    const counts = new Map<MetricsLine['kind'], number>()
    const kept = this.#lines.toReversed().filter(({ kind }) => {
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
      return counts.get(kind)! <= this.#length
    })
    this.#lines = kept.reverse()
    this.#added = 0
  }
}
