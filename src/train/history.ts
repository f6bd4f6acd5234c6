// What was measured last, in memory that does not grow with the number of steps.

import type { MetricsLine } from './metrics.ts'

/** The last lines of each kind, in the order in which they came. */
export class History {
  readonly #length: number
  #lines: MetricsLine[] = []
  /** added since the last time that old ones were dropped */
  #added = 0

  /** @param length how many lines of each kind are kept */
  constructor(length: number) {
    this.#length = length
  }

  add(line: MetricsLine): void {
    this.#lines.push(line)
    // seldom, so that a line costs the same however many are kept
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
