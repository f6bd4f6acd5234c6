// While memory is counted (count.ts), no value is computed, and nothing that was made before may change. So every storage from
// before has one that stands in for it, on a device that only counts.

import type { Memory, Storage } from './storage.ts'

/** A count of memory that is running. */
export interface Counting {
  /** the device that counts, which takes the place of the one of its name */
  readonly device: Memory
  /** The storage that stands in for a storage; those of the device that counts stand for themselves. */
  standIn(storage: Storage): Storage
  /** Makes another storage stand in for a storage. Returns false for a storage of the device that counts. */
  replace(storage: Storage, by: Storage): boolean
  /** Calls `restore` at the end. */
  atEnd(owner: object, restore: () => () => void): void
}

let current: Counting | undefined

/** The count that is running, if any. */
export const currentCount = (): Counting | undefined => current

/** Runs `f` in a count. */
export function during<T>(counting: Counting, f: () => T): T {
  const outer = current
  current = counting
  try {
    return f()
  } finally {
    current = outer
  }
}

/**
 * Call it before an object changes something else than the value of a parameter or a buffer, such as a number of steps: in a count of
 * memory, the object is as before when the count has ended.
 * @param save returns a function that restores what the object has now
 */
export function restoredAfterCount(owner: object, save: () => () => void): void {
  current?.atEnd(owner, save)
}
