// A training with captured gradients is the training without: losses, parameters, evaluations, dropout and last smaller batches.

import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { CoCa } from '../../src/models/index.ts'
import { Dropout, Linear, Module } from '../../src/nn/index.ts'
import { AdamW } from '../../src/optim/index.ts'
import { device, OptionsError, ones, randint, randn, seed, type Tensor } from '../../src/tensor/index.ts'
import { capturedGradients } from '../../src/train/captured-gradients.ts'
import { CoCaObjective, fit, type MetricsLine } from '../../src/train/index.ts'
import '../support.ts'

before(() => device.use('cpu', { threads: 2 }))

const config = {
  image: { size: 16, patch: 8, width: 32, layers: 2, heads: 2 },
  text: { vocabulary: 32, context: 8, width: 32, heads: 2, unimodalLayers: 1, multimodalLayers: 1 },
  pooler: { queries: 4, heads: 2 },
  embedding: 16,
} as const

/** The numbers that do not depend on time. */
const lossesOf = (metrics: readonly MetricsLine[]) =>
  metrics.flatMap(line => ('losses' in line ? [[line.step, line.losses, line.gradientNorm]] : []))

async function trained(capture: boolean, others: object = {}) {
  seed(0)
  const model = new CoCa(config)
  const batches = Array.from({ length: 5 }, (_, i) => {
    const size = i === 4 ? 3 : 8
    return {
      images: randn([size, 3, 16, 16]).dataSync() as Float32Array,
      imageShape: [size, 3, 16, 16],
      tokens: randint(1, 32, [size, 8]).dataSync() as Int32Array,
      tokenShape: [size, 8],
    }
  })
  let calls = 0
  class Counted extends CoCaObjective {
    override lossOfInputs(inputs: Parameters<CoCaObjective['lossOfInputs']>[0]) {
      calls++
      return super.lossOfInputs(inputs)
    }
  }
  const { metrics } = await fit({
    objective: new Counted(model),
    batches: batches as never,
    optimizer: new AdamW(model, { learningRate: 1e-2 }),
    steps: 30,
    maximumNorm: 1,
    capture,
    ...others,
  })
  const parameters = await Promise.all([...model.namedParameters()].map(async ([, x]) => [...(await x.data())]))
  // checks of the gradient call it too
  if ('guard' in others && others.guard === false) {
    if (capture) assert.ok(calls < 16, `${calls} calls`)
    else assert.equal(calls, 30)
  }
  return { metrics: lossesOf(metrics), parameters }
}

describe('fit with capture', () => {
  it('computes what fit computes', async () => {
    const others = { guard: false }
    assert.deepEqual(await trained(true, others), await trained(false, others))
  })

  it('with checks of the gradient in between', async () => {
    const guard = { every: 3, share: 1 }
    assert.deepEqual(await trained(true, { guard }), await trained(false, { guard }))
  })

  it('gives its memory back', async () => {
    const on = device.get('cpu')
    const model = new Linear(64, 64)
    const optimizer = new AdamW(model)
    const x = ones([32, 64])
    const objective = { model, loss: ({ x }: { x: Tensor }) => model.forward(x).square().mean() }
    const run = () => fit({ objective, batches: [{ x }], optimizer, steps: 8, capture: true, guard: false })
    await run()
    const { bytes } = on.memory()
    await run()
    assert.equal(on.memory().bytes, bytes)
  })

  it('warns if it has no effect', async () => {
    class Model extends Module {
      readonly layer = new Linear(4, 1)
      readonly dropout = new Dropout(0.5)
    }
    const model = new Model()
    const objective = {
      model,
      loss: ({ x }: { x: Tensor }) => model.layer.forward(model.dropout.forward(x)).square().mean(),
    }
    const warnings: string[] = []
    const told = (warning: Error) => warnings.push(warning.message)
    process.on('warning', told)
    try {
      await fit({ objective, batches: [{ x: ones([8, 4]) }], optimizer: new AdamW(model), steps: 6, capture: true })
      await new Promise(resolve => setImmediate(resolve))
    } finally {
      process.off('warning', told)
    }
    assert.deepEqual(
      warnings.filter(text => text.startsWith('capture')),
      ['capture has no effect, because of what the loss does: it draws random numbers'],
    )
  })

  it('refuses options with which the gradient is not that of a whole batch', async () => {
    for (const [option, others] of [
      ['parts', { parts: 2 }],
      ['inBackward', { inBackward: true, guard: false, maximumNorm: undefined }],
    ] as const)
      await assert.rejects(trained(true, others), (error: unknown) => {
        assert.ok(error instanceof OptionsError)
        assert.match(error.message, new RegExp(`fit: ${option} is given together with capture`))
        return true
      })
  })
})

describe('captured gradients', () => {
  const made = () => ({ model: new Linear(3, 1), x: randn([4, 3]) })

  it('of batches with numbers and texts are captured for each of them', () => {
    const { model, x } = made()
    const gradients = capturedGradients<{ x: Tensor; scale: number }>({
      model,
      loss: ({ x, scale }) => model.forward(x).mul(scale).sum(),
    })
    const losses = Array.from({ length: 12 }, (_, i) => {
      const scale = i < 6 ? 1 : 2
      return gradients.of({ x, scale }).loss.total.dataSync()[0]
    })
    assert.deepEqual(losses.slice(6), new Array(6).fill(2 * losses[0]))
    gradients.release()
  })

  it('of batches with other values are computed as they are', () => {
    const { model, x } = made()
    const gradients = capturedGradients<{ x: Tensor; scale: () => number }>({
      model,
      loss: ({ x, scale }) => model.forward(x).mul(scale()).sum(),
    })
    const [first, ...others] = Array.from(
      { length: 12 },
      (_, i) => gradients.of({ x, scale: () => i + 1 }).loss.total.dataSync()[0] / (i + 1),
    )
    for (const loss of others) assert.ok(Math.abs(loss - first) < 1e-5)
    gradients.release()
  })
})
