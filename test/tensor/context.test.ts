// Asynchronous scopes on a platform without AsyncLocalStorage, such as a browser. This file hides AsyncLocalStorage before
// anything is loaded.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

const { getBuiltinModule } = process
process.getBuiltinModule = ((name: string) =>
  name === 'node:async_hooks' ? undefined : getBuiltinModule(name)) as typeof getBuiltinModule
await import('../reference.ts')
const { scope, ScopeOverlapError, zeros } = await import('../../src/tensor/index.ts')

const pause = () => new Promise(resolve => setTimeout(resolve))

describe('asynchronous scopes in a browser', () => {
  it('own tensors that are made after an await, and nest', async () => {
    const made: { readonly storage: { readonly isFreed: boolean } }[] = []
    const kept = await scope(async () => {
      made.push(zeros([1]))
      await pause()
      made.push(zeros([1]))
      const inner = await scope(async () => {
        await pause()
        made.push(zeros([1]))
        return zeros([2])
      })
      assert.ok(made[2].storage.isFreed, 'the inner one has ended')
      assert.ok(!made[1].storage.isFreed, 'the outer one has not')
      await pause()
      made.push(zeros([1]))
      return inner
    })
    assert.ok(made.every(({ storage }) => storage.isFreed))
    assert.deepEqual([...kept.shape], [2])
    assert.equal(kept.storage.owner, null)
    assert.equal(zeros([1]).storage.owner, null)
  })

  it('nest if the inner one begins before the first await of the outer one', async () => {
    const made: { readonly storage: { readonly isFreed: boolean } }[] = []
    const inner = async () => {
      await pause()
      made.push(zeros([1]))
      await pause()
    }
    const open = scope(async () => {
      await scope(() => scope(inner))
      assert.ok(made[0].storage.isFreed, 'the inner ones have ended')
      made.push(zeros([1]))
      await pause()
      made.push(zeros([1]))
      assert.ok(!made[1].storage.isFreed, 'the outer one has not')
    })
    const outside = zeros([1])
    await open
    assert.deepEqual(
      [...made, outside].map(({ storage }) => storage.isFreed),
      [true, true, true, false],
    )
  })

  it('do not own tensors that the caller makes before they continue', async () => {
    const open = scope(async () => {
      await Promise.resolve()
      await pause()
    })
    const outside = zeros([1])
    await open
    assert.ok(!outside.storage.isFreed)
  })

  it('that begin concurrently throw when the second begins', async () => {
    const first = scope(pause, 'the first')
    assert.throws(
      () => scope(pause, 'the second'),
      (error: unknown) => {
        assert.ok(error instanceof ScopeOverlapError)
        assert.deepEqual(error.scopes, ['the first', 'the second'])
        assert.match(error.message, /the first and the second.*await the first before the second begins/)
        return true
      },
    )
    await first
    assert.equal(await scope(async () => 7), 7)
  })

  it('that begin synchronously in a continuation are nested', async () => {
    const result = await scope(async () => {
      await undefined
      return scope(async () => {
        await undefined
        return scope(async () => 3)
      })
    })
    assert.equal(result, 3)
  })

  it('that overlap but did not begin concurrently throw when the first ends', async () => {
    const first = scope(async () => {
      await pause()
      await pause()
    }, 'the first')
    await Promise.resolve()
    await Promise.resolve()
    const second = scope(async () => {
      await pause()
      await pause()
      await pause()
    }, 'the second')
    const results = await Promise.allSettled([first, second])
    assert.ok(
      results.some(({ status }) => status === 'rejected'),
      'at least one of them throws',
    )
    for (const result of results)
      if (result.status === 'rejected') assert.ok(result.reason instanceof ScopeOverlapError, `${result.reason}`)
    // and the next ones work
    assert.equal(await scope(async () => 5), 5)
    assert.equal(zeros([1]).storage.owner, null)
  })
})
