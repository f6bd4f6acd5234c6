// Finds out how many items fit into a device's memory at once. Where weights are a large part of the memory, this is counted before
// anything is computed and before a weight is read; otherwise, and where a count was too low, by trying fewer at a time.

import { noGrad } from '../autograd/index.ts'
import type { Module } from '../nn/index.ts'
import { demand, describeNeed, fits, isLargePart, largerMemory } from '../tensor/demand.ts'
import { bytesPerElement } from '../tensor/dtype.ts'
import { countMemory, OutOfMemoryError, scope } from '../tensor/index.ts'
import { warn } from '../tensor/warn.ts'

/** Adds advice to the error of an operation that ran out of memory; other errors are returned unchanged. */
export function advised(error: unknown, advice: string): unknown {
  if (!(error instanceof OutOfMemoryError)) return error
  const { device, bytes, used, limit } = error
  return new OutOfMemoryError({ device, bytes, used, limit, advice })
}

/** The kind of work: the number of items that fit differs between kinds. */
export type Work = 'images' | 'texts' | 'captions' | 'losses'

/** The number of items of a kind that a model processes at once. */
const possible = new WeakMap<object, Map<Work, number>>()

const listeners = new WeakMap<object, (need: string) => void>()

/**
 * What work with a model needs is told before it begins, where weights are a large part of the memory, as
 * `captions, 16 at a time: needs 9.8 GiB: weights 8.4, activations 1.4; cpu has 16.0 GiB`
 */
export function tellMemory(model: Module, tell: (need: string) => void): void {
  listeners.set(model, tell)
}

const NOT_EVEN_ONE = 'Even one at a time does not fit: use a smaller model'

const fewer = (count: number): number => Math.ceil(count / 2)

/** The number of items that a model processes at once, of items that it has not processed before. */
function foreseen(
  model: Module,
  count: number,
  work: Work,
  compute: (start: number, stop: number) => unknown,
  whole?: (size: number) => string,
): number {
  const tensors = [...model.stateDict().values()]
  const on = tensors[0]?.device
  if (
    !on ||
    !isLargePart(
      tensors.reduce((sum, { size, dtype }) => sum + size * bytesPerElement(dtype), 0),
      on,
    )
  )
    return count
  const pass = (size: number) => noGrad(() => void scope(() => compute(0, size)))
  const needOf = (size: number) => {
    // the first pass takes less than the next, when all weights are there; one item may be all that there is to do
    const passes = () => {
      pass(size)
      if (size > 1) pass(size)
    }
    return { size, ...countMemory(passes, { device: on }) }
  }
  const words = ({ size, peak, after }: typeof need): [string, string] => [
    size === 1 && !whole ? `one of the ${work}` : `${work}, ${size} at a time`,
    // the weights that it uses stay
    describeNeed(peak, { weights: after, activations: peak - after }, on),
  ]
  let need: ReturnType<typeof needOf>
  try {
    need = needOf(count)
  } catch {
    // a model whose computation needs values: doing it says what is wrong
    return count
  }
  const all = need
  while (!fits(need, on) && need.size > 1) need = needOf(fewer(need.size))
  const isWhole = whole !== undefined && fits(need, on)
  demand(isWhole ? all : need, on, words(isWhole ? all : need), () =>
    isWhole ? whole(need.size) : `${NOT_EVEN_ONE}${largerMemory(on)}`,
  )
  listeners.get(model)?.(words(need).join(': '))
  return need.size
}

/**
 * Checks that items that a model has to process together fit, as {@link inParts} does.
 * @param advice what to do if only so many fit
 * @throws OutOfMemoryError
 */
export function checkWhole(
  model: Module,
  count: number,
  work: Work,
  compute: (start: number, stop: number) => unknown,
  advice: (size: number) => string,
): void {
  const known = knownOf(model)
  if (!known.has(work)) known.set(work, foreseen(model, count, work, compute, advice))
}

function knownOf(model: Module): Map<Work, number> {
  const known = possible.get(model) ?? new Map<Work, number>()
  possible.set(model, known)
  return known
}

/**
 * Processes items 0 … count - 1 in order: all at once, or in parts if memory is short. The size that fits is remembered for the model,
 * and a process warning reports it.
 * @param f processes items start … stop - 1, and may be called again for fewer of them after it failed
 * @param compute computes of these items what needs most memory, synchronously and without reading it, to count this memory
 * @throws OutOfMemoryError if memory is too small for one item
 */
export async function inParts<T>(
  model: Module,
  count: number,
  work: Work,
  f: (start: number, stop: number) => Promise<T>,
  compute: (start: number, stop: number) => unknown,
): Promise<T[]> {
  const known = knownOf(model)
  const lessen = (size: number) => {
    known.set(work, size)
    warn(`memory is short: ${work} are processed ${size} at a time from now on`, 'MemoryWarning')
  }
  if (!known.has(work) && count > 0) {
    const size = foreseen(model, count, work, compute)
    if (size < count) lessen(size)
    else known.set(work, Number.POSITIVE_INFINITY)
  }
  const results: T[] = []
  for (let start = 0; start < count; ) {
    const stop = Math.min(count, start + known.get(work)!)
    try {
      results.push(await f(start, stop))
      start = stop
    } catch (error) {
      if (!(error instanceof OutOfMemoryError) || stop - start === 1) throw advised(error, NOT_EVEN_ONE)
      lessen(fewer(stop - start))
    }
  }
  return results
}
