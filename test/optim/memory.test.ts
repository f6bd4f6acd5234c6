import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Linear, lossAndGradients } from '../../src/nn/index.ts'
import { clipGradients } from '../../src/optim/index.ts'
import { device, randn, scope } from '../../src/tensor/index.ts'
import { algorithms, gradientsAt, Loose } from './plain.ts'

const memory = () => device.get().memory()

for (const [name, make] of Object.entries(algorithms)) {
  for (const on of ['reference', 'cpu'] as const)
    test(`two thousand steps of ${name} do not leak memory on ${on}`, async () => {
      await device.use(on)
      const module = new Linear(2, 1)
      const optimizer = make(module)
      const x = randn([2, 2])
      const train = (steps: number) => {
        for (let step = 0; step < steps; step++)
          scope(() => {
            const { gradients } = lossAndGradients(module, () => module.forward(x).square().sum())
            optimizer.step(clipGradients(gradients, 1).gradients)
          })
      }
      train(2)
      const before = memory()
      train(2000)
      assert.deepEqual(memory(), before)
    })

  test(`${name} frees its tensors without a scope of the caller`, async () => {
    await device.use('reference')
    const module = new Loose()
    const optimizer = make(module)
    const gradients = gradientsAt(module, 0)
    optimizer.step(gradients)
    const before = memory()
    for (let step = 0; step < 50; step++) optimizer.step(gradients)
    assert.deepEqual(memory(), before)
  })
}
