// Finds out how many items fit into a device's memory at once, by trying fewer at a time if they do not fit.

import { OutOfMemoryError } from '../tensor/index.ts'
import { warn } from '../tensor/warn.ts'

/** Adds advice to the error of an operation that ran out of memory; other errors are returned unchanged. */
export function advised(error: unknown, advice: string): unknown {
  if (!(error instanceof OutOfMemoryError)) return error
  const { device, bytes, used, limit } = error
  return new OutOfMemoryError({ device, bytes, used, limit, advice })
}

/** The number of items of a kind that a model could process at once, if memory was short. */
const possible = new WeakMap<object, Map<Work, number>>()

/** The kind of work: the number of items that fit differs between kinds. */
export type Work = 'images' | 'texts' | 'captions'

/**
 * Processes items 0 … count - 1 in order: all at once, or in parts if memory is short. The size that fits is remembered for the model,
 * and a process warning reports it.
 * @param f processes items start … stop - 1, and may be called again for fewer of them after it failed
 * @throws OutOfMemoryError if memory is too small for one item
 */
export async function inParts<T>(
  model: object,
  count: number,
  work: Work,
  f: (start: number, stop: number) => Promise<T>,
): Promise<T[]> {
  const known = possible.get(model) ?? new Map<Work, number>()
  possible.set(model, known)
  const results: T[] = []
  for (let start = 0; start < count; ) {
    const stop = Math.min(count, start + (known.get(work) ?? count))
    try {
      results.push(await f(start, stop))
      start = stop
    } catch (error) {
      if (!(error instanceof OutOfMemoryError) || stop - start === 1)
        throw advised(error, 'Even one at a time does not fit: use a smaller model')
      const fewer = Math.ceil((stop - start) / 2)
      known.set(work, fewer)
      warn(`memory is short: ${work} are processed ${fewer} at a time from now on`, 'MemoryWarning')
    }
  }
  return results
}
