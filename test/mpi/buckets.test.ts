// The exchange of gradients in buckets, during the backward pass.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { answerOf, runRanks, skip } from './ranks.ts'

interface Answer {
  readonly names: readonly string[]
  readonly isSum: boolean
  readonly started: readonly (readonly number[])[]
  readonly storages: number
  readonly twice: string
  readonly unknown: string
  readonly largest: number
  readonly order: boolean
}

for (const count of [2, 3, 4])
  describe(`buckets of gradients of ${count} processes`, { skip }, async () => {
    const answer = skip ? undefined : answerOf<Answer>(await runRanks(count, 'buckets.program.ts'))

    it('have the sums, whatever the order in which each process has its gradients', () => {
      assert.ok(answer!.isSum)
      assert.ok(answer!.largest <= 1e-6, `${answer!.largest}`)
    })

    it('leave out a gradient that was not given, and keep the order of the model', () => {
      const weights = ['first', 'second', 'third'].flatMap(layer => [`${layer}.weight`, `${layer}.bias`])
      assert.deepEqual(
        answer!.names,
        weights.filter(name => name !== 'second.bias'),
      )
      assert.ok(answer!.order)
    })

    it('are started as soon as they and those before them are full, and share the memory of their gradients', () => {
      // rank 1 begins with the second layer, and rank 0 never fills the bucket of that layer
      assert.deepEqual(answer!.started[1], [0, 0, 0, 2, 2, 3])
      assert.equal(answer!.storages, 3)
    })

    it('refuse a gradient that is given twice, or that no parameter has', () => {
      assert.equal(answer!.twice, 'RangeError: the gradient of third.bias was given twice')
      assert.match(answer!.unknown, /the gradient of fourth.bias is not that of a trainable parameter of the model/)
    })
  })
