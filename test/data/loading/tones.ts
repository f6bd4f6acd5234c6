// A dataset that workers open: every kind of value that a field can have, and what can go wrong in a worker.

import { isMainThread, threadId } from 'node:worker_threads'
import { defineDataset } from '../../../src/data/loading/module.ts'
import '../../../src/autograd/index.ts'
import { randn, tensor } from '../../../src/tensor/index.ts'

export interface TonesOptions {
  readonly length?: number
  /** what happens to an example */
  readonly faults?: Readonly<Record<number, keyof typeof faults>>
}

const faults = {
  throws(): unknown {
    throw new RangeError('the tone is too high')
  },
  rejects: () => new Promise((_, reject) => setTimeout(reject, 5, new TypeError('the tone is late'))),
  ends: () => process.exit(3),
  'returns a function': () => ({ tone: { play: () => {} } }),
  'returns a set of functions': () => new Set([() => {}]),
  'returns an instance': () => ({ url: new URL('file:///tone') }),
  'draws from the default generator': () => randn([2]),
  crashes: () =>
    new Promise(() => {
      setTimeout(() => {
        throw new Error('crashed in a timer')
      })
    }),
}

const shared = Float32Array.from({ length: 4096 }, (_, i) => Math.sin(i))

export default defineDataset(import.meta.url, ({ length = 10, faults: found = {} }: TonesOptions) => ({
  length,
  async get(index, { random, epoch }) {
    const fault = found[index]
    if (fault) return faults[fault]() as never
    if (index % 3 === 0) await new Promise(resolve => setTimeout(resolve, 2))
    const from = random.integer(4000)
    return {
      part: shared.subarray(from, from + 5),
      whole: Float64Array.of(random.uniform(), -0, Number.NaN),
      bytes: new Uint8Array([index, epoch, random.integer(256)]),
      shaped: { data: new Int32Array([index, random.integer(9)]), shape: [1, 2] },
      tensor: tensor([random.normal(), index]).mul(3),
      pair: [random.uniform(), index % 2 === 0] as const,
      text: `tone ${index}`,
      more: [undefined, null, 7n, new Date(index)],
    }
  },
}))

export const byName = defineDataset(import.meta.url, () => ({ length: 4, get: (i: number) => i }), { name: 'byName' })
export const misnamed = defineDataset(import.meta.url, () => ({ length: 4, get: (i: number) => i }), { name: 'other' })
export const growing = defineDataset(import.meta.url, () => ({ length: isMainThread ? 4 : 5, get: (i: number) => i }), {
  name: 'growing',
})

/** The thread that prepares each example. Each counts in `beats`, as long as it runs. */
export const threads = defineDataset(
  import.meta.url,
  (beats: Int32Array) => {
    if (!isMainThread) setInterval(() => Atomics.add(beats, threadId % beats.length, 1), 1)
    return { length: 8, get: () => threadId }
  },
  { name: 'threads' },
)
