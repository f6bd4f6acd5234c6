// The wait for an exchange: a process asks MPI again and again whether it is complete, because a call that blocks has no limit of time.

import { RanksTimeoutError } from './errors.ts'
import type { RollCall } from './roll-call.ts'

/**
 * A process sleeps between two questions for this part of the time that it has waited, divided by the number of processes: while it sleeps
 * it passes nothing on, and a sum takes up to 2 (n - 1) messages one after the other, so it ends later by about this part.
 */
const SLEEP = 1 / 100
/** Milliseconds: the shortest sleep, which takes about as long as its call, and the longest. */
const [SHORTEST, LONGEST] = [0.05, 1]
/** The most milliseconds that count between two questions: a process that was stopped itself, or whose machine was, has not waited. */
const MOST_AT_ONCE = 1000
/** Milliseconds between looks for the questions of others. */
const LISTEN = 100
/** Milliseconds in which the others answer. */
const ANSWER = 5000
/** Milliseconds in which another process that has asked, of a lower rank, ends all. */
const REPORT = 30_000

const never = new Int32Array(new SharedArrayBuffer(4))

/** The wait of a process for one exchange. */
export class Wait {
  readonly #rollCall: RollCall
  readonly #place: string
  #last = performance.now()
  /** milliseconds so far */
  #waited = 0
  #heard = 0
  /** of `#waited`: the limit, and when the others were asked */
  #limit: number
  #asked: number | undefined

  /**
   * @param place the exchange, in words
   * @param seconds the longest wait
   */
  constructor(rollCall: RollCall, place: string, seconds: number) {
    this.#rollCall = rollCall
    this.#place = place
    this.#limit = 1000 * seconds
  }

  /**
   * Called after each question whose answer was that the exchange is not complete: sleeps, after a longer wait.
   * @throws RanksTimeoutError after the longest wait, on one process: of several that have waited so long, the lowest rank
   */
  next(): void {
    const now = performance.now()
    this.#waited += Math.min(now - this.#last, MOST_AT_ONCE)
    this.#last = now
    if (this.#waited - this.#heard >= LISTEN) {
      this.#heard = this.#waited
      this.#look()
    }
    const sleep = Math.min((SLEEP * this.#waited) / this.#rollCall.size, LONGEST)
    if (sleep >= SHORTEST) Atomics.wait(never, 0, 0, sleep)
  }

  #look(): void {
    const asker = this.#rollCall.listen(this.#place)
    if (asker !== undefined && (asker < this.#rollCall.rank || this.#waited < this.#limit)) {
      this.#limit = Math.max(this.#limit, this.#waited + REPORT)
      this.#asked = undefined
    }
    if (this.#waited < this.#limit) return
    if (this.#asked === undefined) {
      this.#asked = this.#waited
      this.#rollCall.ask(this.#place)
    }
    const { missing, answers } = this.#rollCall
    if (missing.length > 0 && this.#waited < this.#asked + ANSWER) return
    throw new RanksTimeoutError(this.#waited / 1000, this.#place, missing, answers)
  }
}
