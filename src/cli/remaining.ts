// An estimate of the remaining time. The first steps compile kernels and fill caches, and a checkpoint sometimes makes
// a step long. The estimate is therefore a median over the last steps, and there is none until it is reliable.

/** Steps at the beginning that say nothing about the others. */
const SKIPPED = 2

/** Steps that together take less than this are measured as one: their own times are mostly noise. */
const SHORTEST = 0.5

/** The estimate is made of so many measurements at most, the last ones. */
const RECENT = 20

/** It takes at least so many, and so many seconds of them: where steps are short, the slow ones at the beginning are many. */
const ENOUGH = { measurements: 5, seconds: 3 }

/** Measurements of which the middle half differ by more than this are not trusted before there are as many as there can be. */
const ALIKE = 1.5

export class RemainingTime {
  readonly #total: number
  readonly #now: () => number
  /** seconds for each step, measured over some steps */
  readonly #recent: number[] = []
  #skipped = 0
  #measured = 0
  #isKnown = false
  /** where the measurement in hand began */
  #from: { readonly done: number; readonly time: number }

  /**
   * @param total how much there is to do
   * @param done how much of it is done already
   * @param now the time in seconds
   */
  constructor(total: number, done = 0, now: () => number = () => performance.now() / 1000) {
    this.#total = total
    this.#now = now
    this.#from = { done, time: now() }
  }

  /** Seconds from now to the end, told after each step how much is done; undefined as long as that is anybody's guess. */
  after(done: number): number | undefined {
    const time = this.#now()
    const [steps, seconds] = [done - this.#from.done, time - this.#from.time]
    const isSkipped = this.#skipped < SKIPPED
    if (steps > 0 && (isSkipped || seconds >= SHORTEST)) {
      this.#from = { done, time }
      if (isSkipped) this.#skipped++
      else this.#measure(steps, seconds)
    }
    const each = this.#secondsEach()
    return each === undefined ? undefined : each * (this.#total - done)
  }

  #measure(steps: number, seconds: number): void {
    this.#measured += seconds
    this.#recent.push(seconds / steps)
    if (this.#recent.length > RECENT) this.#recent.shift()
  }

  #secondsEach(): number | undefined {
    const { length } = this.#recent
    if (length < ENOUGH.measurements || this.#measured < ENOUGH.seconds) return undefined
    const sorted = [...this.#recent].sort((a, b) => a - b)
    const quantile = (share: number) => sorted[Math.floor(share * (length - 1))]
    this.#isKnown ||= length === RECENT || quantile(0.75) <= ALIKE * quantile(0.25)
    return this.#isKnown ? quantile(0.5) : undefined
  }
}
