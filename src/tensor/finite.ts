// Handles NaN and infinity: finds them, sorts them last, and reports them by an error. Every comparison with NaN is false, so
// code that ranks numbers must treat it explicitly.

/** Position of the first value that is NaN or infinite, or -1 if all are finite. */
export function indexOfNonFinite(values: ArrayLike<number>): number {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return i
  return -1
}

/** Whether `a` ranks before `b`: it is larger, or `b` is NaN and `a` is not. */
export const isAbove = (a: number, b: number): boolean => a > b || (Number.isNaN(b) && !Number.isNaN(a))

/** Sorts from the largest to the smallest, with NaN last. */
export const descending = (a: number, b: number): number => Number(isAbove(b, a)) - Number(isAbove(a, b))

/** A result that is not finite although only a finite number is meaningful. */
export class NonFiniteError extends Error {
  /** description of the result */
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
