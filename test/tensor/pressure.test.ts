// Loops without a scope: the garbage collector must free their memory while they run, or they must throw early.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import '../../src/autograd/index.ts'
import { Heap } from '../../src/tensor/cpu/heap.ts'
import { device, keep, OutOfMemoryError, ones } from '../../src/tensor/index.ts'
import { Claim, relief, uncollectedBytes } from '../../src/tensor/pressure.ts'
import { peakOf } from './cpu/peak.ts'

const MiB = 2 ** 20

describe('a loop without a scope', () => {
  it('that reads a value in every iteration reuses its memory', async () => {
    await device.use('cpu')
    const x = ones([1024, 1024])
    const peak = await peakOf(async () => {
      for (let i = 0; i < 400; i++) assert.equal(await x.mul(2).mean().item(), 2)
    })
    assert.ok(peak < 800 * MiB, `${peak / MiB} MiB at once, of 1,600 in all`)
  })

  it('that never awaits throws long before the memory is full, and can continue after a pause', async () => {
    await device.use('cpu')
    const x = ones([1024, 1024])
    const limit = device.get().memoryLimit!
    const leave = () => {
      for (let taken = 0; taken < limit; taken += 4 * MiB) x.add(1)
    }
    assert.throws(leave, (error: unknown) => {
      assert.ok(error instanceof OutOfMemoryError)
      assert.ok(error.used < 0.375 * limit, `${error.used / MiB} MiB were in use`)
      assert.match(error.message, /belong to tensors in no scope.*scope\(\(\) => .*optimizer\.minimize.*await a read/)
      return true
    })
    assert.throws(leave, OutOfMemoryError)
    await relief()
    assert.equal(uncollectedBytes(), 0)
    assert.equal(ones([2 ** 23]).size, 2 ** 23)
  })
})

describe('a claim on memory', () => {
  const piece = { memory: { free: () => assert.fail('nobody collects here') }, handle: null }

  it('counts until it is kept or the memory is freed', () => {
    const before = uncollectedBytes()
    const [a, b] = [new Claim(piece, 1000), new Claim(piece, 200)]
    assert.equal(uncollectedBytes() - before, 1200)
    a.keep()
    assert.equal(uncollectedBytes() - before, 200)
    b.cancel()
    a.cancel()
    assert.equal(uncollectedBytes(), before)
  })

  it('on much memory makes reads wait for a task, so that finalizers can run', async () => {
    await relief()
    let hasTaskRun = false
    setImmediate(() => {
      hasTaskRun = true
    })
    const claim = new Claim(piece, 64 * MiB)
    assert.ok(relief(), 'a read waits')
    await relief()
    assert.ok(hasTaskRun, 'other tasks ran')
    assert.equal(uncollectedBytes(), 0)
    assert.equal(relief(), undefined)
    claim.cancel()
  })

  it('of more than a quarter of a memory prevents its growth, unless it is kept', () => {
    const heap = new Heap(new WebAssembly.Memory({ initial: 2, maximum: 1024 }), 1024)
    const claim = new Claim(piece, 20 * MiB)
    assert.throws(() => heap.take(MiB), /cpu: no memory for 1 MiB: 0 bytes are in use of 64 MiB at most, and 20 MiB/)
    claim.keep()
    heap.give(heap.take(MiB))
    claim.cancel()
  })

  it('of more than 1 GiB prevents allocation on the gpu device', async () => {
    await device.open('gpu', { backend: 'cpu' })
    const claim = new Claim(piece, 1025 * MiB)
    assert.throws(
      () => device.with('gpu', () => ones([4])),
      (error: unknown) => {
        assert.ok(error instanceof OutOfMemoryError)
        assert.deepEqual([error.device, error.bytes, error.limit], ['gpu', 16, undefined])
        assert.match(
          error.message,
          /^gpu: no memory for 16 bytes: 0 bytes are in use, and 1,025 MiB of them belong to tensors in no/,
        )
        return true
      },
    )
    claim.keep()
    assert.equal(device.with('gpu', () => ones([4])).size, 4)
    claim.cancel()
  })

  it('is made only for memory outside of the JavaScript heap, until the tensor is kept', async () => {
    await device.use('reference')
    const before = uncollectedBytes()
    const x = ones([1000])
    assert.equal(uncollectedBytes(), before)
    await device.use('cpu')
    const y = ones([1000])
    assert.equal(uncollectedBytes() - before, 4000)
    keep(y)
    assert.equal(uncollectedBytes(), before)
    assert.deepEqual([x.size, y.size], [1000, 1000])
  })
})
