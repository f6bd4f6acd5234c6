// What a captured function depends on beside its arguments: those who know it say so while the function runs.

/** The capture that runs. */
interface Capturing {
  /** Notes that the kernels must not run again without the function. */
  refuse(reason: string): void
  /** Notes a condition under which they may. */
  require(holds: () => boolean): void
}

let current: Capturing | undefined

/** What is being captured, if something is. */
export const capturing = (): Capturing | undefined => current

/** Runs `f` as a part of a capture. */
export function inCapture<T>(capture: Capturing, f: () => T): T {
  current = capture
  try {
    return f()
  } finally {
    current = undefined
  }
}
