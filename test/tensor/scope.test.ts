// Ownership of memory, and when it is freed.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import '../../src/autograd/index.ts'
import { device, FreedError, keep, scope, type Tensor, tensor, zeros } from '../../src/tensor/index.ts'
import { collectGarbage } from '../garbage.ts'
import { values } from '../support.ts'

const buffers = () => device.get().memory().buffers

/** How many buffers are left of what f made. */
const left = (f: () => void): number => {
  const before = buffers()
  f()
  return buffers() - before
}

describe('a scope', () => {
  it('frees everything except its result', () => {
    let lost: Tensor | undefined
    const [y] = scope(() => {
      lost = zeros([2])
      return [lost.add(1)]
    }, 'the forward pass')
    assert.deepEqual(values(y), [1, 1])
    assert.throws(() => lost?.dataSync(), {
      name: 'FreedError',
      by: 'the forward pass',
      message: /this tensor's memory was freed when the forward pass ended; return the tensor from it, or call keep/,
    })
  })

  it('keeps results in objects, maps, sets and views', () => {
    let kept: Tensor[] = []
    scope(() => {
      const [a, b, c, d] = [zeros([1]), zeros([1]), zeros([1]), zeros([2, 3])]
      kept = [a, b, c, d.transpose()]
      return { a, more: new Map([['b', new Set([b])]]), c: [[c]], d: d.transpose() }
    })
    for (const x of kept) assert.ok(!x.storage.isFreed)
  })

  it('does not free tensors that were made outside', () => {
    const x = zeros([2])
    scope(() => {
      x.add(1)
    })
    assert.deepEqual(values(x), [0, 0])
  })

  it('passes its result to the outer scope', () => {
    assert.equal(
      left(() =>
        scope(() => {
          const inner = scope(() => zeros([3]).add(1))
          assert.ok(!inner.storage.isFreed)
          const before = buffers()
          scope(() => scope(() => void zeros([1])))
          assert.equal(buffers(), before)
        }),
      ),
      0,
    )
  })

  it('frees its tensors if it throws', () => {
    assert.equal(
      left(() =>
        assert.throws(() =>
          scope(() => {
            zeros([2])
            throw new Error('on the way')
          }),
        ),
      ),
      0,
    )
    // and the scope around is the innermost again
    const x = zeros([1])
    assert.equal(x.storage.owner, null)
  })

  it('stays open across await', async () => {
    const before = buffers()
    let lost: Tensor | undefined
    const y = await scope(async () => {
      lost = zeros([2])
      await lost.data()
      const more = lost.add(1)
      return scope(async () => more.add(await more.sum().item()), 'an inner scope')
    }, 'an async scope')
    assert.deepEqual(values(y), [3, 3])
    assert.equal(buffers() - before, 1)
    assert.throws(() => lost?.dataSync(), /when an async scope ended/)
    await assert.rejects(lost?.data() ?? Promise.resolve(), FreedError)
  })

  it('frees its tensors after a rejection', async () => {
    const before = buffers()
    await assert.rejects(
      scope(async () => {
        zeros([2])
        await Promise.resolve()
        zeros([3])
        throw new Error('later')
      }),
      /later/,
    )
    assert.equal(buffers(), before)
    assert.equal(zeros([1]).storage.owner, null)
  })
})

describe('asynchronous scopes', () => {
  /** A scope that is open until all `count` of them are, and what it made before and after it waited. */
  const meeting = (count: number) => {
    let arrived = 0
    let open = () => {}
    const all = new Promise<void>(resolve => {
      open = resolve
    })
    return (name: string) =>
      scope(async () => {
        const before = zeros([1])
        if (++arrived === count) open()
        await all
        await Promise.resolve()
        const after = before.add(1)
        const inner = await scope(async () => after.add(await after.item()))
        return { before, after, inner }
      }, name)
  }

  it('can be open concurrently: each frees only its own tensors', async () => {
    const start = buffers()
    const open = meeting(3)
    const results = await Promise.all(['one', 'two', 'three'].map(name => open(name)))
    assert.equal(buffers() - start, 9)
    for (const { before, after, inner } of results)
      assert.deepEqual([before, after, inner].map(values), [[0], [1], [2]])
  })

  it('do not free tensors that are made outside while they are open', async () => {
    const open = scope(async () => {
      await new Promise(resolve => setTimeout(resolve))
    })
    const outside = zeros([1])
    await Promise.resolve()
    const later = outside.add(1)
    await open
    assert.deepEqual(values(later), [1])
    assert.equal(later.storage.owner, null)
  })

  it('that end before their inner scopes pass tensors to the open scope', async () => {
    let inner: Promise<Tensor> | undefined
    const start = buffers()
    await scope(async () => {
      inner = scope(async () => {
        await new Promise(resolve => setTimeout(resolve, 5))
        return zeros([1]).add(1)
      })
    })
    assert.deepEqual(values(await inner!), [1])
    assert.equal(buffers() - start, 1)
  })

  it('belong to the task that opened them, across its awaits', async () => {
    let lost: Tensor | undefined
    await scope(
      () =>
        new Promise<void>(resolve =>
          setTimeout(() => {
            lost = zeros([1])
            resolve()
          }),
        ),
      'the timer',
    )
    assert.throws(() => lost?.dataSync(), /when the timer ended/)
  })
})

describe('keep', () => {
  it('removes a tensor from every scope', () => {
    let kept: Tensor | undefined
    scope(() =>
      scope(() => {
        kept = keep(tensor([1, 2]).mul(2))
      }),
    )
    assert.ok(kept)
    assert.deepEqual(values(kept), [2, 4])
    kept.storage.free('the test')
    assert.throws(() => kept?.dataSync(), /when the test ended/)
  })
})

describe('memory', () => {
  it('is counted in bytes and buffers, once for all views', () => {
    const before = device.get().memory()
    const x = zeros([4], { dtype: 'float64' })
    const y = x.reshape([2, 2]).transpose()
    assert.deepEqual(device.get().memory(), { bytes: before.bytes + 32, buffers: before.buffers + 1 })
    x.storage.free('the test')
    x.storage.free('the test')
    assert.throws(() => y.dataSync(), FreedError)
    assert.deepEqual(device.get().memory(), before)
  })

  it('does not grow over thousands of scopes', () => {
    const w = tensor([[1, 2]])
    const once = () =>
      scope(() => {
        w.linear(w).exp().softmax().sum()
      })
    once()
    assert.equal(
      left(() => {
        for (let i = 0; i < 3000; i++) once()
      }),
      0,
    )
  })

  it('of unreachable tensors is freed by the garbage collector', async () => {
    const before = await collectGarbage(buffers)
    for (let i = 0; i < 50; i++) zeros([1000])
    const after = await collectGarbage(buffers)
    assert.ok(after <= before, `${after} buffers, and ${before} before`)
  })
})
