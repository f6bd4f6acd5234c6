// The most memory that the cpu device had in use at once.

import { Heap } from '../../../src/tensor/cpu/heap.ts'
import { device } from '../../../src/tensor/index.ts'

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
