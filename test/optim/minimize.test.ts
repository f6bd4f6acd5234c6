// A training step in one call, and loops of it without a scope.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { init, Linear, lossAndGradients, parameter } from '../../src/nn/index.ts'
import { AdamW, clipGradients, type Optimizer, SGD } from '../../src/optim/index.ts'
import { device, randn, seed, type Tensor, tensor } from '../../src/tensor/index.ts'
import { algorithms, snapshot } from './plain.ts'
import '../reference.ts'

const model = () => {
  seed(2)
  return new Linear(3, 2)
}

const x = () =>
  tensor([
    [1, 2, 3],
    [0.5, -1, 2],
  ])
const lossOf = (module: Linear) => () => module.forward(x()).square().mean()

describe('minimize', () => {
  for (const [name, make] of Object.entries(algorithms))
    it(`computes the loss and its gradients, clips them and makes a step of ${name}`, () => {
      const [apart, together] = [model(), model()]
      const [a, b] = [make(apart), make(together)]
      for (const learningRate of [0.1, 0.05]) {
        const { loss, gradients } = lossAndGradients(apart, lossOf(apart))
        clipGradients(gradients, 0.7)
        a.step(gradients, learningRate)
        const found = b.minimize(lossOf(together), { learningRate, maximumNorm: 0.7 })
        assert.deepEqual([...found.dataSync()], [...loss.dataSync()])
      }
      assert.deepEqual(snapshot(together), snapshot(apart))
    })

  it('uses the learning rate of the optimizer and no clipping by default', () => {
    const module = model()
    const optimizer = new SGD(module, { learningRate: 0.5 })
    const before = snapshot(module)
    const { gradients } = lossAndGradients(module, lossOf(module))
    optimizer.minimize(lossOf(module))
    const [weight] = Object.values(snapshot(module))
    const slope = gradients.get('weight')!.dataSync()
    const expected = before.weight.map((w, i) => Math.fround(w - Math.fround(0.5 * slope[i])))
    assert.deepEqual(weight, expected)
  })

  it('returns the result of the function, from before the step', () => {
    const module = model()
    const optimizer = new AdamW(module, { learningRate: 0.1 })
    const before = lossOf(module)().dataSync()[0]
    const { total, parts } = optimizer.minimize(() => {
      const y = module.forward(x())
      return { total: y.square().mean(), parts: [y.sum()] }
    })
    assert.equal(total.dataSync()[0], before)
    assert.equal(parts[0].size, 1)
    assert.ok(lossOf(module)().dataSync()[0] < before, 'the step went down')
  })

  it('takes parameters with names instead of a module', () => {
    const w = parameter([2], init.constant(1))
    const optimizer = new SGD(new Map([['w', w]]).entries(), { learningRate: 0.25 })
    for (let step = 0; step < 2; step++) optimizer.minimize(() => w.square().sum())
    assert.deepEqual([...w.dataSync()], [0.25, 0.25])
  })

  it('changes no parameter if the loss throws or depends on none', () => {
    const module = model()
    const optimizer = new AdamW(module)
    const before = snapshot(module)
    const outside = lossOf(module)()
    assert.throws(() => optimizer.minimize(() => outside), /the loss depends on no trainable parameter of Linear/)
    assert.throws(
      () =>
        optimizer.minimize(() => {
          throw new Error('on the way')
        }),
      /on the way/,
    )
    assert.throws(() => optimizer.minimize((async () => outside) as unknown as () => Tensor), /synchronous/)
    assert.deepEqual(snapshot(module), before)
    assert.equal(optimizer.stateDict().tensors.size, 0)
  })
})

for (const on of ['reference', 'cpu'] as const)
  for (const [name, make] of Object.entries(algorithms))
    it(`two thousand steps of ${name} with minimize do not leak memory without a scope on ${on}`, async () => {
      await device.use(on)
      const module = new Linear(2, 1)
      const optimizer: Optimizer = make(module)
      const data = randn([2, 2])
      const train = (steps: number) => {
        for (let step = 0; step < steps; step++) {
          const loss = optimizer.minimize(() => module.forward(data).square().sum(), { maximumNorm: 1 })
          // all that a step leaves
          loss.storage.free('the test')
        }
      }
      train(2)
      const before = device.get().memory()
      train(2000)
      assert.deepEqual(device.get().memory(), before)
    })
