// Finds the tokens that a text begins with, without a table for every character of every token.

/** Tokens by code units, so that those with a common beginning are neighbours. */
export class Prefixes {
  readonly #sorted: readonly string[]
  readonly #starts: ReadonlySet<number>

  constructor(tokens: Iterable<string>) {
    this.#sorted = [...tokens].filter(token => token !== '').sort()
    this.#starts = new Set(this.#sorted.map(token => token.charCodeAt(0)))
  }

  /** Calls back with every token that begins here and its end, the shortest first. */
  at(text: string, start: number, found: (token: string, end: number) => void): void {
    if (!this.#starts.has(text.charCodeAt(start))) return
    let low = 0
    let high = this.#sorted.length
    for (let at = start; at < text.length && low < high; at++) {
      const depth = at - start
      const unit = text.charCodeAt(at)
      low = this.#first(low, high, depth, unit)
      high = this.#first(low, high, depth, unit + 1)
      if (low === high || this.#sorted[low].length > depth + 1) continue
      found(this.#sorted[low], at + 1)
      low++ // the others are longer
    }
  }

  /** Of tokens that are equal up to `depth`, the first whose code unit there is at least `unit`. */
  #first(low: number, high: number, depth: number, unit: number): number {
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#sorted[middle].charCodeAt(depth) < unit) low = middle + 1
      else high = middle
    }
    return low
  }
}
