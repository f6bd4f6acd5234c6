// The error of a captured function.

/**
 * A captured function does not compute what was repeated in its place, because something has changed that is neither an argument nor
 * the value of a parameter: a number that it reads from a variable, or the mode of a module.
 */
export class CaptureError extends Error {
  override readonly name = 'CaptureError'
  /** what is different */
  readonly difference: string
  /** number of calls since the function ran last: their results may be wrong */
  readonly calls: number

  constructor(difference: string, calls: number) {
    super(
      `capture: ${difference}, so the results of the last ${calls} call${calls === 1 ? '' : 's'} may be wrong. A captured function must depend on its arguments and on the values of parameters alone: make what changes an argument, or call release() after the change`,
    )
    this.difference = difference
    this.calls = calls
  }
}
