// The memory of the cpu device: the most that was in use at once, and what happens where there is little of it.

import { Heap } from '../../../src/tensor/cpu/heap.ts'
import { device, OutOfMemoryError } from '../../../src/tensor/index.ts'

/** Bytes at the highest point of `f`, beyond those in use before it. */
export async function peakOf(f: () => unknown): Promise<number> {
  const before = device.get('cpu').memory().bytes
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

/** Runs `f` while the cpu device has no more than so many bytes beyond those in use. */
export async function withLittleMemory<T>(bytes: number, f: () => Promise<T>): Promise<T> {
  const limit = device.get('cpu').memory().bytes + bytes
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
  }
}
