// The heap against a simple model: a list of blocks that must not overlap.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Block, Heap } from '../../../src/tensor/cpu/heap.ts'
import { OutOfMemoryError } from '../../../src/tensor/out-of-memory.ts'
import { fc, runs } from '../../support.ts'

const fresh = (limit = 64) => new Heap(new WebAssembly.Memory({ initial: 2, maximum: limit }), limit)

/** Sizes of tensors: scalars, rows, and a few that are large for the memory. */
const sizes = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.integer({ min: 0, max: 5000 }),
  fc.integer({ min: 0, max: 90000 }),
)

/** What a program does: take so many bytes, or give back one of those it has. */
const steps = fc.array(
  fc.oneof(
    sizes.map(bytes => ({ bytes })),
    fc.nat().map(give => ({ give })),
  ),
  { maxLength: 200 },
)

describe('the heap', () => {
  test('blocks do not overlap, are aligned, are within the memory and keep their contents', () => {
    fc.assert(
      fc.property(steps, program => {
        const heap = fresh(1024)
        const live: { block: Block; mark: number }[] = []
        let mark = 0
        for (const step of program) {
          if ('bytes' in step) {
            const block = heap.take(step.bytes)
            mark = (mark + 1) % 251
            heap.u8.fill(mark, block.pointer, block.pointer + block.bytes)
            live.push({ block, mark })
          } else if (live.length > 0) heap.give(live.splice(step.give % live.length, 1)[0].block)
          const order = live.map(({ block }) => block).sort((a, b) => a.pointer - b.pointer)
          order.forEach(({ pointer, bytes }, i) => {
            assert.equal(pointer % 64, 0)
            assert.ok(pointer >= 65536 && pointer + bytes <= (order[i + 1]?.pointer ?? heap.memory.buffer.byteLength))
          })
          assert.equal(heap.buffers, live.length)
          assert.equal(
            heap.bytes,
            live.reduce((sum, { block }) => sum + block.bytes, 0),
          )
        }
        for (const { block, mark } of live)
          assert.ok(heap.u8.subarray(block.pointer, block.pointer + block.bytes).every(byte => byte === mark))
      }),
      runs(100),
    )
  })

  test('after all blocks are freed, in any order, the memory is one block', () => {
    fc.assert(
      fc.property(
        fc
          .array(sizes, { minLength: 1, maxLength: 60 })
          .chain(list =>
            fc.tuple(fc.constant(list), fc.shuffledSubarray([...list.keys()], { minLength: list.length })),
          ),
        ([list, order]) => {
          const heap = fresh(1024)
          const blocks = list.map(bytes => heap.take(bytes))
          for (const i of order) heap.give(blocks[i])
          const whole = heap.memory.buffer.byteLength - 65536 - 64
          const { pointer } = heap.take(whole)
          assert.equal(pointer, 65536)
          assert.equal(heap.memory.buffer.byteLength, whole + 65536 + 64)
        },
      ),
      runs(100),
    )
  })

  test('a program that repeats its allocations does not grow the heap after the first round', () => {
    fc.assert(
      fc.property(
        fc.array(sizes, { minLength: 1, maxLength: 40 }),
        fc.array(fc.nat(), { minLength: 40 }),
        (list, picks) => {
          const heap = fresh(1024)
          const round = () => {
            const blocks: Block[] = []
            list.forEach((bytes, i) => {
              blocks.push(heap.take(bytes))
              if (picks[i] % 3 === 0) heap.give(blocks.splice(picks[i] % blocks.length, 1)[0])
            })
            for (const block of blocks) heap.give(block)
          }
          round()
          const size = heap.memory.buffer.byteLength
          for (let i = 0; i < 20; i++) round()
          assert.equal(heap.memory.buffer.byteLength, size)
        },
      ),
      runs(100),
    )
  })

  test('ten thousand steps of changing sizes use at most twice their live memory', () => {
    const heap = fresh(4096)
    const live: Block[] = []
    let most = 0
    let state = 1
    const random = (n: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      return Math.floor((state / 2 ** 32) * n)
    }
    for (let i = 0; i < 10000; i++) {
      if (live.length > 200 || (live.length > 0 && random(3) === 0)) heap.give(live.splice(random(live.length), 1)[0])
      else live.push(heap.take(random(4) === 0 ? random(200000) : random(3000)))
      most = Math.max(most, heap.bytes)
    }
    const size = heap.memory.buffer.byteLength
    assert.ok(size <= 3 * most, `${size} bytes of memory for at most ${most}`)
  })

  test('the error for an allocation that does not fit states the request, the use and the limit', () => {
    const heap = fresh(16)
    const block = heap.take(2 ** 19)
    assert.throws(
      () => heap.take(2 ** 20),
      (error: unknown) => {
        assert.ok(error instanceof OutOfMemoryError)
        assert.deepEqual([error.bytes, error.used, error.limit], [2 ** 20, 2 ** 19, 2 ** 20])
        assert.match(error.message, /no memory for 1 MiB: 512 KiB are in use of 1 MiB at most\. Smaller batches/)
        return true
      },
    )
    heap.give(block)
    heap.give(heap.take(2 ** 19))
    assert.equal(heap.bytes, 0)
  })

  test('freeing a block twice throws', () => {
    const heap = fresh()
    const block = heap.take(100)
    heap.give(block)
    assert.throws(() => heap.give(block), /freed twice/)
  })
})
