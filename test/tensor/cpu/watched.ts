// Memory of the cpu device that shows what kernels do wrong with it. Importing this changes every heap: memory is full of NaN when
// it is taken, so that an element that nobody writes is seen, and when it is given back, so that one who still reads it is; and it
// is followed by bytes that have to stay as they are, because blocks are a little larger than what was asked for.

import assert from 'node:assert/strict'
import { type Block, Heap } from '../../../src/tensor/cpu/heap.ts'

const ZONE = 64
/** A float32 of these bytes is NaN, an int32 is -1, and a truth is none. */
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
