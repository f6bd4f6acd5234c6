// What can go wrong between processes.

/** MPI cannot be used here: it, or the package that calls it, is not installed or does not fit. */
export class MpiUnavailableError extends Error {
  override readonly name = 'MpiUnavailableError'
  /** what was tried, one sentence each */
  readonly reasons: readonly string[]

  constructor(message: string, reasons: readonly string[] = []) {
    super([message, ...reasons].join('\n  '))
    this.reasons = reasons
  }
}

/** A function of MPI that failed. */
export class MpiError extends Error {
  override readonly name = 'MpiError'
  /** such as MPI_Allreduce */
  readonly functionName: string
  /** what the function returned */
  readonly code: number
  /** MPI's text for the code */
  readonly reason: string

  constructor(functionName: string, code: number, reason: string) {
    super(`${functionName}: ${reason} (error ${code})`)
    this.functionName = functionName
    this.code = code
    this.reason = reason
  }
}

/** Processes that were started together, but do not compute the same thing. */
export class RanksDifferError extends Error {
  override readonly name = 'RanksDifferError'
  /** what differs, such as `data` */
  readonly what: string
  /** the ranks where it is not what it is on rank 0 */
  readonly ranks: readonly number[]

  constructor(what: string, ranks: readonly number[], advice: string) {
    super(`${what}: not the same on ${named(ranks)} as on rank 0; ${advice}`)
    this.what = what
    this.ranks = ranks
  }
}

/** An exchange that some process did not take part in for too long. */
export class RanksTimeoutError extends Error {
  override readonly name = 'RanksTimeoutError'
  /** how long this process has waited */
  readonly seconds: number
  /** the exchange in which it waited, such as `MPI_Iallreduce (exchange 1234, step 41)` */
  readonly place: string
  /** the ranks that do not answer: they compute, hang, are stopped, or cannot be reached */
  readonly ranks: readonly number[]
  /** where the others wait, by rank */
  readonly answers: ReadonlyMap<number, string>

  constructor(seconds: number, place: string, ranks: readonly number[], answers: ReadonlyMap<number, string>) {
    const others = [...new Set(answers.values())].map(where => {
      const there = [...answers.keys()].filter(rank => answers.get(rank) === where)
      return `${named(there)} ${there.length === 1 ? 'waits' : 'wait'} ${where === place ? 'there too' : `in ${where}`}`
    })
    const reason =
      ranks.length > 0
        ? `${named(ranks)} ${ranks.length === 1 ? 'does' : 'do'} not answer: still computing, reading or in an endless loop, stopped, or on a machine that does not respond`
        : 'all ranks answer, so they have not made the same calls in the same order, or their network passes nothing on'
    super(
      `waited ${Math.round(seconds)} s in ${place}: ${[reason, ...others].join('; ')}. The limit is timeout of openMpi, or COCAGRAD_MPI_TIMEOUT, in seconds`,
    )
    this.seconds = seconds
    this.place = place
    this.ranks = ranks
    this.answers = answers
  }
}

/** `rank 1`, `ranks 1, 3` */
const named = (ranks: readonly number[]): string =>
  ranks.length === 1 ? `rank ${ranks[0]}` : `ranks ${ranks.join(', ')}`
