// Finds out how many items fit into a device's memory at once, by trying fewer at a time if they do not fit.

import { OutOfMemoryError } from '../tensor/index.ts'
import { warn } from '../tensor/warn.ts'

/** An error of an operation that found no memory, with what to do about it here; other errors as they are. */
export function advised(error: unknown, advice: string): unknown {
  if (!(error instanceof OutOfMemoryError)) return error
  const { device, bytes, used, limit } = error
  return new OutOfMemoryError({ device, bytes, used, limit, advice })
}

/** How many items of a kind a model could do at once, where memory was short. */
const possible = new WeakMap<object, Map<Work, number>>()

/** What is done: how many fit for one kind of work says nothing of another. */
export type Work = 'images' | 'texts' | 'captions'

/**
 * Does 0 … count in order: all at once, or in parts where that takes more memory than there is. What was found out about a model is
 * remembered, and a warning of the process when it is found out.
 * @param f does start … stop - 1, and may be called again for fewer of them after it failed
 * @throws OutOfMemoryError if there is not enough for one
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
        throw advised(error, 'That was one at a time: a smaller model needs less')
      const fewer = Math.ceil((stop - start) / 2)
      known.set(work, fewer)
      warn(`memory is short: ${work} are done ${fewer} at a time from now on`, 'MemoryWarning')
    }
  }
  return results
}
