// Opens the cpu device with 64-bit addresses, and gives its tensors only addresses above 6 GiB: a kernel that keeps an address in 32
// bits fails. The memory below is reserved and never used, so it takes no room.

import { Heap } from '../../../src/tensor/cpu/heap.ts'
import { device } from '../../../src/tensor/index.ts'

const { take } = Heap.prototype
const raised = new WeakSet<Heap>()
Heap.prototype.take = function (this: Heap, bytes, shape) {
  if (!raised.has(this)) {
    raised.add(this)
    for (let i = 0; i < 3; i++) take.call(this, this.largest)
  }
  return take.call(this, bytes, shape)
}
await device.open('cpu', { memory64: true })
