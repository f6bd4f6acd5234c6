// A whole model on cpu: a tiny CoCa has the loss and the gradients of the reference, and a hundred training steps do not leak
// memory.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CoCa, presets } from '../../../src/models/index.ts'
import { lossAndGradients } from '../../../src/nn/index.ts'
import { AdamW } from '../../../src/optim/index.ts'
import { device, Generator, randint, randn, scope, seed } from '../../../src/tensor/index.ts'
import { small } from '../../models/small.ts'

await device.use('cpu')

/** Loss and gradients of one batch, from the same weights and inputs on every device. */
function results(on: 'cpu' | 'reference') {
  return device.with(on, () => {
    seed(3)
    const model = new CoCa(presets.tiny)
    const generator = new Generator(4)
    const { size } = presets.tiny.image
    const images = randn([4, 3, size, size], { generator })
    const texts = randint(1, presets.tiny.text.vocabulary, [4, presets.tiny.text.context], { generator })
    return scope(() => {
      const { loss, gradients } = lossAndGradients(model, () => model.loss(images, texts))
      return {
        loss: loss.total.dataSync()[0],
        gradients: new Map([...gradients].map(([name, g]) => [name, g.dataSync()])),
      }
    })
  })
}

test('a tiny CoCa has the loss and the gradients of the reference', t => {
  const [actual, expected] = [results('cpu'), results('reference')]
  t.diagnostic(`loss ${actual.loss} on cpu, ${expected.loss} on the reference`)
  assert.ok(Math.abs(actual.loss - expected.loss) <= 2e-6 * expected.loss)
  assert.deepEqual([...actual.gradients.keys()], [...expected.gradients.keys()])
  const all = [...expected.gradients.values()].flatMap(g => [...g]).reduce((a, b) => Math.max(a, Math.abs(b)), 0)
  for (const [name, right] of expected.gradients) {
    const values = actual.gradients.get(name)!
    const scale = [...right].reduce((a, b) => Math.max(a, Math.abs(b)), 1e-3 * all)
    right.forEach((g, i) => {
      assert.ok(Math.abs(values[i] - g) <= 2e-4 * scale, `${name}[${i}] is ${values[i]} instead of ${g}`)
    })
  }
})

test('memory does not grow over a hundred training steps', () => {
  seed(1)
  const model = new CoCa(small)
  const optimizer = new AdamW(model, { learningRate: 1e-3 })
  const images = randn([2, 3, 8, 8])
  const texts = randint(1, 7, [2, 6])
  const step = () =>
    scope(() => {
      const { gradients } = lossAndGradients(model, () => model.loss(images, texts))
      optimizer.step(gradients)
    })
  for (let i = 0; i < 3; i++) step()
  const before = device.get('cpu').memory()
  for (let i = 0; i < 100; i++) step()
  assert.deepEqual(device.get('cpu').memory(), before)
})
