// What a captured function depends on beside its arguments: those who know it say so while the function runs.

/** The capture that runs. */
interface Capturing {
  /** Notes that the kernels must not run again without the function. */
  refuse(reason: string): void
  /** Notes a condition under which they may. */
  require(holds: () => boolean): void
  /** Runs `f` as if nothing were captured: what it makes stays. */
  apart<T>(f: () => T): T
}

let current: Capturing | undefined
let changes = 0

/** Says that something has changed, other than values of tensors, that functions may depend on: the mode of a module, a hook. */
export function announceChange(): void {
  changes++
}

/** The number of such changes. */
export const changesSoFar = (): number => changes

/** What is being captured, if something is. */
export const capturing = (): Capturing | undefined => current

/** Runs `f`, which makes what is used again in later calls, such as the value of a parameter that is read when it is needed. */
export const apart = <T>(f: () => T): T => (current ? current.apart(f) : f())

/** Runs `f` as a part of a capture, or of none. */
export function inCapture<T>(capture: Capturing | undefined, f: () => T): T {
  const outer = current
  current = capture
  try {
    return f()
  } finally {
    current = outer
  }
}
