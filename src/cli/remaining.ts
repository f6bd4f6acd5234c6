// An estimate of the remaining time. The first steps compile kernels and fill caches, and a checkpoint sometimes makes
// a step long. The estimate is therefore a median over the last steps, and there is none until it is reliable.

/** Steps at the beginning that are not used. */
const SKIPPED = 2

/** Steps that together take less than this are measured as one, because the times of single steps are mostly noise. */
const SHORTEST = 0.5

/** The maximum number of measurements for an estimate, the last ones. */
const RECENT = 20

/** The minimum number of measurements, and of seconds: if steps are short, many at the beginning are slow. */
const ENOUGH = { measurements: 5, seconds: 3 }

/** If the middle half of the measurements differs by more than this, there is no estimate before the maximum number is reached. */
const ALIKE = 1.5

export class RemainingTime {
  readonly #total: number
  readonly #now: () => number
  /** seconds for each step, measured over some steps */
  readonly #recent: number[] = []
  #skipped = 0
  #measured = 0
  #isKnown = false
  /** start of the current measurement */
  #from: { readonly done: number; readonly time: number }

  /**
   * @param total number of steps
   * @param done number of completed steps
   * @param now the time in seconds
   */
  constructor(total: number, done = 0, now: () => number = () => performance.now() / 1000) {
    this.#total = total
    this.#now = now
    this.#from = { done, time: now() }
  }

  /** Call after each step with the number of completed steps. Returns the remaining seconds, or undefined while there is no estimate. */
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
