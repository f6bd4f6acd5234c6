import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AdamW, clipGradients } from '../../src/optim/index.ts'
import { device, scope, type Tensor, tensor } from '../../src/tensor/index.ts'
import { assertCloseNumbers, fc, runs } from '../support.ts'
import { gradientsAt, Loose, numbers, snapshot } from './plain.ts'

const all = (gradients: ReadonlyMap<string, Tensor>) => [...gradients.values()].flatMap(numbers)
const length = (xs: readonly number[]) => Math.hypot(...xs)

test('gradients longer than the maximum together get its length and keep their direction', () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.double({ min: 0.01, max: 1, noNaN: true }), (step, maximum) => {
      const before = gradientsAt(new Loose(), step)
      const { gradients, norm } = clipGradients(before, maximum)
      const expected = length(all(before))
      assertCloseNumbers(numbers(norm), [expected])
      assert.deepEqual([...gradients.keys()], [...before.keys()])
      assertCloseNumbers(
        all(gradients),
        all(before).map(g => (g * maximum) / (expected + 1e-6)),
      )
    }),
    runs(20),
  )
})

test('gradients short enough stay what they are', () => {
  const before = gradientsAt(new Loose(), 3)
  const { gradients } = clipGradients(before, 1000)
  assert.deepEqual(all(gradients), all(before))
})

test('gradients of zero stay zero', () => {
  const { gradients, norm } = clipGradients(new Map([['w', tensor([0, 0])]]), 1)
  assert.deepEqual([...all(gradients), ...numbers(norm)], [0, 0, 0])
})

test('one number that is not finite makes every gradient zero, and the norm tells', () => {
  for (const bad of [Number.NaN, Infinity, -Infinity]) {
    const before = new Map([
      ['v', tensor([1, 2])],
      ['w', tensor([[3, bad]])],
    ])
    const { gradients, norm } = clipGradients(before, 1)
    assert.deepEqual(all(gradients), [0, 0, 0, 0])
    assert.ok(!Number.isFinite(numbers(norm)[0]))
  }
})

test('a step with a gradient that is not finite leaves parameters and moments finite', () => {
  const module = new Loose()
  const optimizer = new AdamW(module)
  const poisoned = gradientsAt(module, 0).set('vector', tensor([1, Number.NaN, 1, 1, 1], { dtype: 'float64' }))
  optimizer.step(clipGradients(poisoned, 1).gradients)
  optimizer.step(clipGradients(gradientsAt(module, 1), 1).gradients)
  assert.ok(Object.values(snapshot(module)).flat().every(Number.isFinite))
  assert.ok(all(optimizer.stateDict().tensors).every(Number.isFinite))
})

test('clipping leaves nothing behind but what it returns', () => {
  const before = gradientsAt(new Loose(), 0)
  const use = device.get('reference').memory().buffers
  const kept = scope(() => clipGradients(before, 1))
  assert.equal(device.get('reference').memory().buffers, use + before.size + 1)
  assert.ok(numbers(kept.norm)[0] > 0)
  scope(() => {
    clipGradients(before, 1)
  })
  assert.equal(device.get('reference').memory().buffers, use + before.size + 1)
})

test('nothing to clip and a negative maximum are errors', () => {
  assert.throws(() => clipGradients(new Map(), 1), /no gradients/)
  assert.throws(() => clipGradients(gradientsAt(new Loose(), 0), -1), /maximumNorm = -1/)
})
