// Memory of the cpu device that shows errors of kernels. Importing this changes every heap: memory is filled with NaN when it is
// allocated, which shows elements that are never written, and when it is freed, which shows reads after that. Blocks are a little
// larger than requested, and the bytes after the requested size must not change.

import assert from 'node:assert/strict'
import { type Block, Heap } from '../../../src/tensor/cpu/heap.ts'

const ZONE = 64
/** With these bytes a float32 is NaN, an int32 is -1, and a boolean is invalid. */
const MARK = 0xff
const live = new Map<Heap, Map<number, number>>()

function check(heap: Heap, pointer: number, bytes: number): void {
  const end = pointer + bytes
  const zone = heap.u8.subarray(end, end + ZONE)
  const at = zone.findIndex(byte => byte !== MARK)
  if (at < 0) return
  zone.fill(MARK)
  assert.fail(`byte ${at} after a block of ${bytes} bytes was written to`)
}

const { take, give } = Heap.prototype
Heap.prototype.take = function (this: Heap, bytes: number): Block {
  const { pointer } = take.call(this, bytes + ZONE)
  this.u8.fill(MARK, pointer, pointer + bytes + ZONE)
  live.set(this, (live.get(this) ?? new Map()).set(pointer, bytes))
  return { pointer, bytes }
}
Heap.prototype.give = function (this: Heap, { pointer, bytes }: Block): void {
  live.get(this)?.delete(pointer)
  give.call(this, { pointer, bytes: bytes + ZONE })
  check(this, pointer, bytes)
  this.u8.fill(MARK, pointer, pointer + bytes)
}

/** All heaps that memory was taken of. */
export const heaps = (): Heap[] => [...live.keys()]

/** Fails where something was written beyond the end of a block that is still held. */
export function checkBounds(): void {
  for (const [heap, blocks] of live) for (const [pointer, bytes] of blocks) check(heap, pointer, bytes)
}
