// A training in a store of files: what it resumes, and that a folder with its files is one that Node reads.

import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { MemoryStore, TrainingStore } from '../../src/entries/fit.ts'
import { Dropout, Linear, Module } from '../../src/nn/index.ts'
import { AdamW, ExponentialMovingAverage } from '../../src/optim/index.ts'
import { device, seed, type Tensor, tensor } from '../../src/tensor/index.ts'
import { CheckpointError, fit, type MetricsLine, type StepMetrics } from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'

class Net extends Module {
  readonly hidden = new Linear(2, 8)
  readonly out = new Linear(8, 1)
  readonly dropout = new Dropout(0.2)
  forward(x: Tensor): Tensor {
    return this.out.forward(this.dropout.forward(this.hidden.forward(x).tanh()))
  }
}

function training({ average = false } = {}) {
  seed(5)
  const model = new Net()
  return {
    objective: {
      model,
      loss: ({ x, y }: { x: Tensor; y: Tensor }) => model.forward(x).sub(y).square().mean(),
    },
    batches: [0, 1, 2].map(i => ({ x: tensor([[i, 1], [1, -i]]), y: tensor([[i], [1]]) })), // biome-ignore format: a table
    optimizer: new AdamW(model, { learningRate: 0.01 }),
    ...(average && { average: new ExponentialMovingAverage(model, { decay: 0.9 }) }),
    guard: false,
    checkpointEvery: 2,
  } as const
}
const losses = (lines: readonly MetricsLine[]) =>
  lines.filter((line): line is StepMetrics => line.kind === 'step').map(({ step, losses }) => [step, losses.total])

for (const average of [false, true])
  test(`fit resumes from a store as if it had not been stopped${average ? ', with an average of the weights' : ''}`, async () => {
    await device.use('cpu')
    const whole = await fit({ ...training({ average }), steps: 9 })
    const store = new MemoryStore()
    const signal = { aborted: false }
    const onStep = ({ step }: StepMetrics) => {
      signal.aborted = step === 5
    }
    await fit({ ...training({ average }), steps: 9, store, signal, onStep })
    seed(77)
    const rest = await fit({ ...training({ average }), steps: 9, store })
    assert.deepEqual(losses(rest.metrics), losses(whole.metrics).slice(5))
    const kept = new TrainingStore(store)
    assert.deepEqual(losses(await kept.metrics()), losses(whole.metrics))
    assert.deepEqual(await kept.steps(), [6, 8, 9], 'the last three')
  })

test('what is in a store is a folder that Node resumes, to the bit', async t => {
  await device.use('cpu')
  const whole = await fit({ ...training(), steps: 8 })
  const store = new MemoryStore()
  await fit({ ...training(), steps: 4, store })
  const folder = await temporaryFolder(t)
  for (const name of (await store.list()).keys()) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), await store.read(name))
  }
  const rest = await fit({ ...training(), steps: 8, folder })
  assert.deepEqual(losses(rest.metrics), losses(whole.metrics).slice(4))
})

test('a checkpoint before others removes them, and its metrics are those until then', async () => {
  await device.use('cpu')
  const store = new MemoryStore()
  const parts = training()
  await fit({ ...parts, steps: 6, store, keepLast: 5 })
  const kept = new TrainingStore(store)
  assert.deepEqual(await kept.steps(), [2, 4, 6])
  const { optimizer, objective } = parts
  await kept.load(2, { model: objective.model, optimizer })
  await kept.save({ model: objective.model, optimizer, state: { step: 3, batches: { taken: 3 } } })
  assert.deepEqual(await kept.steps(), [2, 3])
  assert.deepEqual(
    (await kept.metrics()).map(({ step }) => step),
    [1, 2, 3],
  )
})

test('a checkpoint of another model changes nothing, and the error names what does not fit', async () => {
  await device.use('cpu')
  const store = new MemoryStore('browser')
  await fit({ ...training(), steps: 2, store })
  const other = new Linear(2, 3)
  const optimizer = new AdamW(other)
  const before = await other.weight.array()
  await assert.rejects(new TrainingStore(store).load(2, { model: other, optimizer }), CheckpointError)
  assert.deepEqual(await other.weight.array(), before)

  const name = 'checkpoints/step-000002/state.json'
  const state = JSON.parse(new TextDecoder().decode(await store.read(name)))
  const { objective, optimizer: own } = training()
  for (const [damaged, message] of [
    [{ ...state, version: 2 }, /browser\/checkpoints\/step-000002\/state\.json: version: must be 1/],
    [{ ...state, generator: { seed: 'x', position: 0 } }, /generator\.seed: must be a whole number/],
    [{ ...state, optimizer: { algorithm: 'adamw', steps: { a: 1.5 } } }, /optimizer\.steps\.a/],
    [{ ...state, batches: 3 }, /batches: must be an object/],
  ] as const) {
    await store.write(new Map([[name, new TextEncoder().encode(JSON.stringify(damaged))]]))
    await assert.rejects(new TrainingStore(store).load(2, { model: objective.model, optimizer: own }), message)
  }
})

test('fit takes a folder or a store, not both', async t => {
  const folder = await temporaryFolder(t)
  await assert.rejects(fit({ ...training(), steps: 1, folder, store: new MemoryStore() }), /give one of them/)
})
