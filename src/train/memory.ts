// What fits into a device's memory: said before the work starts where it can be known, and found out by doing less at a time where it
// cannot.

import { CoCa, type CoCaConfig } from '../models/index.ts'
import { withoutAllocation } from '../nn/index.ts'
import type { Optimizer } from '../optim/index.ts'
import { device, OutOfMemoryError } from '../tensor/index.ts'
import { warn } from '../tensor/warn.ts'

const BYTES = 4

/**
 * A model whose parameters have shapes and no values yet.
 * @throws OutOfMemoryError if the current device cannot hold their values
 */
export function unloaded(config: CoCaConfig): CoCa {
  const model = withoutAllocation(() => new CoCa(config))
  const count = model.parameterCount()
  demand(BYTES * count, `the ${count.toLocaleString('en')} weights of this model`, 'A smaller model needs less')
  return model
}

/**
 * For an optimizer whose parameters are there, and nothing else that training needs.
 * @throws OutOfMemoryError if the current device cannot hold it
 */
export function checkTrainingFits(optimizer: Optimizer): void {
  demand(
    optimizer.bytesToCome(),
    `gradients and the state of ${optimizer.algorithm}`,
    'Adafactor or SGD remember less than AdamW, frozen parts need neither gradients nor state, and a smaller model needs less of all',
  )
}

/** An error of an operation that found no memory, with what to do about it here; other errors as they are. */
export function advised(error: unknown, advice: string): unknown {
  if (!(error instanceof OutOfMemoryError)) return error
  const { device, bytes, used, limit } = error
  return new OutOfMemoryError({ device, bytes, used, limit, advice })
}

function demand(bytes: number, purpose: string, advice: string): void {
  const { name, memory, memoryLimit: limit } = device.get()
  const { bytes: used } = memory()
  if (limit !== undefined && used + bytes > limit)
    throw new OutOfMemoryError({ device: name, bytes, used, limit, purpose, advice })
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
