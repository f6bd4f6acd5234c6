// The memory of the cpu device: its peak use, and its behaviour if memory is short.

import { Heap } from '../../../src/tensor/cpu/heap.ts'
import { device, OutOfMemoryError } from '../../../src/tensor/index.ts'
import { collectGarbage } from '../../garbage.ts'

/** Bytes in use after garbage collection, which could otherwise happen during a measurement. */
export const bytesInUse = (): Promise<number> => collectGarbage(() => device.get('cpu').memory().bytes)

/** Bytes at the highest point of `f`, beyond those in use before it. */
export async function peakOf(f: () => unknown): Promise<number> {
  const before = await bytesInUse()
  let most = before
  const { take } = Heap.prototype
  Heap.prototype.take = function (this: Heap, bytes) {
    const block = take.call(this, bytes)
    most = Math.max(most, this.bytes)
    return block
  }
  try {
    await f()
  } finally {
    Heap.prototype.take = take
  }
  return most - before
}

/**
 * Runs `f` while the cpu device has no more than so many bytes beyond those in use.
 * @param isKnown whether the device says so, or an allocation finds it out; default false
 */
export async function withLittleMemory<T>(bytes: number, f: () => Promise<T>, isKnown = false): Promise<T> {
  const limit = (await bytesInUse()) + bytes
  const cpu = device.get('cpu') as { memoryLimit?: number }
  const { memoryLimit } = cpu
  if (isKnown) cpu.memoryLimit = limit
  const { take } = Heap.prototype
  Heap.prototype.take = function (this: Heap, wanted) {
    if (this.bytes + wanted > limit)
      throw new OutOfMemoryError({ device: 'cpu', bytes: wanted, used: this.bytes, limit })
    return take.call(this, wanted)
  }
  try {
    return await f()
  } finally {
    Heap.prototype.take = take
    cpu.memoryLimit = memoryLimit
  }
}
