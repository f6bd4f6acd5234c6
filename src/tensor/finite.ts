// Values that are no finite numbers: where they are, how a sort treats them, and the error that names them. NaN compares
// false with everything, so code that ranks numbers without a thought of NaN lets it win, or stand in the way of others.

/** Position of the first value that is NaN or infinite, or -1 where all are finite. */
export function indexOfNonFinite(values: ArrayLike<number>): number {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return i
  return -1
}

/** Whether `a` ranks before `b`: it is larger, or `b` is NaN and `a` is not. */
export const isAbove = (a: number, b: number): boolean => a > b || (Number.isNaN(b) && !Number.isNaN(a))

/** Sorts from the largest to the smallest, with NaN behind everything else. */
export const descending = (a: number, b: number): number => Number(isAbove(b, a)) - Number(isAbove(a, b))

/** A result that is no finite number where only a finite one has a meaning. */
export class NonFiniteError extends Error {
  /** what was computed, in words */
  readonly what: string
  /** NaN, ∞ or -∞ */
  readonly value: number

  constructor(what: string, value: number, why: string, options?: { readonly cause?: unknown }) {
    super(`${what} is ${value}: ${why}`, options)
    this.name = new.target.name
    this.what = what
    this.value = value
  }
}
