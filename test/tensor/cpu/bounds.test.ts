// Nothing is written beyond the end of a result. Blocks are a little larger than what was asked for, and a byte too many
// would mostly hurt nobody: here every block is followed by bytes that have to stay as they are.

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { type Block, Heap } from '../../../src/tensor/cpu/heap.ts'
import { device, scope, zeros } from '../../../src/tensor/index.ts'
import { agreements } from '../../autograd/agreement.ts'
import '../../support.ts'
import { checks } from '../gpu/suite.ts'

const ZONE = 64
const MARK = 0xa5
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
  this.u8.fill(MARK, pointer + bytes, pointer + bytes + ZONE)
  live.set(this, (live.get(this) ?? new Map()).set(pointer, bytes))
  return { pointer, bytes }
}
Heap.prototype.give = function (this: Heap, { pointer, bytes }: Block): void {
  live.get(this)?.delete(pointer)
  give.call(this, { pointer, bytes: bytes + ZONE })
  check(this, pointer, bytes)
}

function checkAll(): void {
  for (const [heap, blocks] of live) for (const [pointer, bytes] of blocks) check(heap, pointer, bytes)
}

describe('nothing is written beyond its block', () => {
  before(() => device.open('cpu', { threads: 2, blas: 'off' }))

  for (const { name, run } of [...checks, ...agreements])
    test(name, async () => {
      await scope(() => run(device.get('cpu'), 6))
      checkAll()
    })

  test('and if it were, it would be noticed', () => {
    const { kernels } = device.get('cpu')
    const x = kernels.unary('neg', kernels.copy(device.with('cpu', () => zeros([3]))))
    const { pointer, bytes } = x.storage.handle as Block
    const [heap] = live.keys()
    heap.u8[pointer + bytes] = 0
    assert.throws(checkAll, /byte 0 after a block of 12 bytes was written to/)
    checkAll()
  })
})
