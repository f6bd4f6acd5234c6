// The pool of buffers, with buffers that only count.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { BufferPool } from '../../../src/tensor/gpu/pool.ts'

const LARGEST = 2 ** 20

function counted(largest = LARGEST) {
  const alive = new Set<object>()
  const destroyed: object[] = []
  const pool = new BufferPool(largest, {
    create(size) {
      const buffer = { size, destroy: () => void alive.delete(buffer) }
      alive.add(buffer)
      return buffer
    },
    returned: () => undefined,
    destroy: (buffer, destroy) => {
      destroy()
      assert.ok(!alive.has(buffer))
      destroyed.push(buffer)
    },
  })
  return { pool, alive, destroyed }
}

describe('a pool', () => {
  test('gives no buffer to two at a time, and none that is too small or was destroyed', () => {
    const actions = fc.array(
      fc.oneof(
        fc.record({ take: fc.integer({ min: 4, max: LARGEST }), purpose: fc.option(fc.nat(3)) }),
        fc.record({ giveBack: fc.nat() }),
      ),
      { maxLength: 200 },
    )
    const purposes = [{}, {}, {}, {}]
    fc.assert(
      fc.property(actions, list => {
        const { pool, alive } = counted()
        const held: { size: number; destroy(): void }[] = []
        let peak = 0
        for (const action of list) {
          if ('take' in action) {
            const { take, purpose } = action
            const buffer = pool.take(take, purpose === null ? undefined : purposes[purpose])
            assert.ok(buffer.size >= take && alive.has(buffer) && !held.includes(buffer))
            held.push(buffer)
          } else if (held.length > 0) held.splice(action.giveBack % held.length, 1)[0].destroy()
          const live = held.reduce((sum, { size }) => sum + size, 0)
          peak = Math.max(peak, live)
          const all = [...alive].reduce((sum: number, buffer) => sum + (buffer as { size: number }).size, 0)
          assert.ok(all <= 2 * peak, `${all} bytes, of which ${peak} were in use at the same time`)
        }
      }),
      { numRuns: 300, seed: 20220504 },
    )
  })

  test('gives repeated work the same buffers, in whatever order they were returned', () => {
    const { pool } = counted()
    const purposes = Array.from({ length: 5 }, () => ({}))
    const work = () => purposes.flatMap(purpose => [pool.take(300, purpose), pool.take(300, purpose), pool.take(300)])
    const first = work()
    for (const step of [2, 7, 11]) {
      for (const i of first.keys()) first[(i * step) % first.length].destroy()
      assert.deepEqual(
        work().map(buffer => first.indexOf(buffer)),
        [...first.keys()],
      )
    }
  })

  test('keeps what repeated work of several sizes needs, though it is more than was in use at once', () => {
    const { pool, destroyed } = counted()
    for (let step = 0; step < 3; step++)
      for (const size of [1000, 9000]) {
        const buffers = Array.from({ length: 9000 / size }, () => pool.take(size))
        for (const buffer of buffers) buffer.destroy()
      }
    assert.equal(destroyed.length, 0)
  })

  test('destroys what repeated work does not use again, before what it needs next', () => {
    const { pool, alive } = counted()
    const purpose = {}
    const use = (size: number) => pool.take(size, size === 8192 ? purpose : undefined).destroy()
    // two at once, and one from then on: it is used all the time, and the other never
    for (const buffer of [pool.take(8192, purpose), pool.take(8192)]) buffer.destroy()
    let known = new Set<object>()
    for (let step = 0; step < 5; step++) {
      for (const size of [8192, 10240, 8192, 12288, 8192]) use(size)
      if (step > 0) assert.deepEqual(new Set(alive), known, 'a buffer was made and another one destroyed')
      known = new Set(alive)
    }
  })

  test('destroys what is free when it is cleared', () => {
    const { pool, alive, destroyed } = counted()
    const [kept, returned] = [pool.take(100), pool.take(100)]
    returned.destroy()
    pool.clear()
    assert.deepEqual([...alive], [kept])
    assert.deepEqual(destroyed, [returned])
  })
})
