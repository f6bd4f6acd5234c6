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
    const who = ranks.length === 1 ? `rank ${ranks[0]}` : `ranks ${ranks.join(', ')}`
    super(`${what}: not the same on ${who} as on rank 0; ${advice}`)
    this.what = what
    this.ranks = ranks
  }
}
