// How much longer something takes. The first steps compile kernels and fill caches, and a checkpoint now and then makes one
// step long: so the estimate is a median over the last steps, and there is none until it can be trusted.

/** Steps at the beginning that say nothing about the others. */
const SKIPPED = 2

/** The estimate is made of so many steps at most, the last ones. */
const RECENT = 30

/** It takes at least so many, and so many seconds of them: where steps are short, the slow ones at the beginning are many. */
const ENOUGH = { steps: 5, seconds: 3 }

/** Steps of which the middle half differ by more than this are not trusted before there are as many as there can be. */
const ALIKE = 1.5

export class RemainingTime {
  readonly #total: number
  readonly #now: () => number
  readonly #recent: number[] = []
  #skipped = 0
  #measured = 0
  #isKnown = false
  #last: { readonly done: number; readonly time: number }

  /**
   * @param total how much there is to do
   * @param done how much of it is done already
   * @param now the time in seconds
   */
  constructor(total: number, done = 0, now: () => number = () => performance.now() / 1000) {
    this.#total = total
    this.#now = now
    this.#last = { done, time: now() }
  }

  /** Seconds from now to the end, told after each step how much is done; undefined as long as that is anybody's guess. */
  after(done: number): number | undefined {
    const time = this.#now()
    const [steps, seconds] = [done - this.#last.done, time - this.#last.time]
    if (steps > 0) {
      this.#last = { done, time }
      if (this.#skipped < SKIPPED) this.#skipped++
      else {
        this.#measured += seconds
        this.#recent.push(seconds / steps)
        if (this.#recent.length > RECENT) this.#recent.shift()
      }
    }
    const each = this.#secondsEach()
    return each === undefined ? undefined : each * (this.#total - done)
  }

  #secondsEach(): number | undefined {
    const { length } = this.#recent
    if (length < ENOUGH.steps || this.#measured < ENOUGH.seconds) return undefined
    const sorted = [...this.#recent].sort((a, b) => a - b)
    const quantile = (share: number) => sorted[Math.floor(share * (length - 1))]
    this.#isKnown ||= length === RECENT || quantile(0.75) <= ALIKE * quantile(0.25)
    return this.#isKnown ? quantile(0.5) : undefined
  }
}
