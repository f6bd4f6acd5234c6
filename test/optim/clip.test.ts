import assert from 'node:assert/strict'
import { test } from 'node:test'
import { grad } from '../../src/autograd/index.ts'
import { AdamW, clipGradients } from '../../src/optim/index.ts'
import { device, scope, type Tensor, tensor, zeros } from '../../src/tensor/index.ts'
import { assertCloseNumbers, fc, runs } from '../support.ts'
import { gradientsAt, Loose, numbers, snapshot } from './plain.ts'

const all = (gradients: ReadonlyMap<string, Tensor>) => [...gradients.values()].flatMap(numbers)
const length = (xs: readonly number[]) => Math.hypot(...xs)

test('gradients with a joint norm above the maximum are scaled to it and keep their direction', () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.double({ min: 0.01, max: 1, noNaN: true }), (step, maximum) => {
      const before = gradientsAt(new Loose(), step)
      const [values, names] = [all(before), [...before.keys()]]
      const { gradients, norm } = clipGradients(before, maximum)
      const expected = length(values)
      assertCloseNumbers(numbers(norm), [expected])
      assert.deepEqual([...gradients.keys()], names)
      assertCloseNumbers(
        all(gradients),
        values.map(g => (g * maximum) / (expected + 1e-6)),
      )
    }),
    runs(20),
  )
})

test('gradients below the maximum do not change', () => {
  const before = gradientsAt(new Loose(), 3)
  const values = all(before)
  const { gradients } = clipGradients(before, 1000)
  assert.deepEqual(all(gradients), values)
})

test('gradients of zero stay zero', () => {
  const { gradients, norm } = clipGradients(new Map([['w', tensor([0, 0])]]), 1)
  assert.deepEqual([...all(gradients), ...numbers(norm)], [0, 0, 0])
})

test('one value that is not finite makes every gradient zero, and the norm not finite', () => {
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

for (const on of ['reference', 'cpu'] as const) {
  /** Three gradients, the second a view of the first, and what they are. */
  const made = (bad = 3) =>
    device.with(on, () => {
      const v = tensor(
        [
          [1, 2],
          [bad, 4],
        ],
        { dtype: 'float32' },
      )
      return new Map([
        ['w', tensor([5, 6, 7])],
        ['v', v],
        ['u', v.transpose()],
        ['empty', zeros([0, 2])],
      ])
    })
  const use = () => device.get(on).memory()

  test(`the given map contains the clipped gradients, in the memory of the old ones, on ${on}`, async () => {
    await device.open(on)
    for (const [bad, factor] of [
      [3, 1 / 2],
      [Number.NaN, 0],
    ] as const) {
      const given = made(bad)
      const [w, v] = [given.get('w')!, given.get('v')!]
      const maximum = factor * length([5, 6, 7, 1, 2, 3, 4, 1, 3, 2, 4])
      const before = use()
      const { gradients, norm } = scope(() => clipGradients(given, maximum || 1))
      assert.equal(gradients, given)
      const expected = [5, 6, 7, 1, 2, 3, 4, 1, 3, 2, 4].map(x => x * factor)
      assertCloseNumbers(all(given), expected, 1e-6)
      // what shares its memory gets memory of its own, and is left alone
      assert.deepEqual(numbers(v), [1, 2, bad, 4])
      assert.throws(() => w.dataSync(), { name: 'FreedError', by: 'the clipping of its gradients' })
      assert.ok(use().bytes - before.bytes <= 2 * 4 * 4 + 4, 'w has no memory beside that of before')
      assert.equal(norm.size, 1)
    }
  })

  test(`clipping allocates only the norm if every gradient has its own memory, on ${on}`, async () => {
    await device.open(on)
    const given = made()
    for (const name of ['v', 'u']) given.delete(name)
    const [before, pointer] = [use(), given.get('w')!.storage.handle]
    scope(() => {
      clipGradients(given, 1)
      const shortened = [5, 6, 7].map(x => x / length([5, 6, 7]))
      assertCloseNumbers(numbers(given.get('w')!), shortened, 1e-6)
    })
    // less where the garbage collector was at work meanwhile
    assert.ok(use().bytes <= before.bytes, `${use().bytes} bytes, and ${before.bytes} before`)
    if (on === 'cpu') assert.equal(given.get('w')!.storage.handle, pointer)
  })

  test(`gradients that fill a memory together are clipped in it, and others are not, on ${on}`, async () => {
    await device.open(on)
    for (const stop of [6, 5]) {
      const whole = device.with(on, () => tensor([1, 2, 3, 4, 5, 6]))
      const given = new Map([
        ['last', whole.view([stop - 2], [1], 2)],
        ['first', whole.view([2, 1], [1, 1])],
      ])
      const pointer = whole.storage.handle
      const maximum = length([1, 2, 3, 4, 5, 6].slice(0, stop)) / 2
      const { gradients } = clipGradients(given, maximum)
      assertCloseNumbers(all(gradients), [1.5, 2, 2.5, 3].slice(0, stop - 2).concat([0.5, 1]), 1e-6)
      const storages = new Set([...gradients.values()].map(({ storage }) => storage))
      if (stop === 6) assert.throws(() => whole.dataSync(), { name: 'FreedError', by: 'the clipping of its gradients' })
      else assert.deepEqual(numbers(whole), [1, 2, 3, 4, 5, 6])
      if (on === 'cpu') assert.deepEqual(stop === 6, storages.size === 1 && [...storages][0].handle === pointer)
    }
  })

  test(`inside of a tape clipping does not change the gradients, on ${on}`, async () => {
    await device.open(on)
    const x = device.with(on, () => tensor([3, 4]))
    // the gradient of ‖clip(x)‖² by x, with ‖x‖ = 5 and a maximum of 1
    const slope = grad(y => {
      const clipped = clipGradients(new Map([['y', y.mul(1)]]), 1).gradients.get('y')!
      return clipped.add(y).sum()
    })(x)
    assert.deepEqual(numbers(slope), [1, 1])
    assert.deepEqual(numbers(x), [3, 4])
  })
}

test('no gradients and a negative maximum throw', () => {
  assert.throws(() => clipGradients(new Map(), 1), /the map must have at least one gradient/)
  assert.throws(() => clipGradients(gradientsAt(new Loose(), 0), -1), /maximumNorm = -1/)
})
