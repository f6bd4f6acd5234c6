// The memory that a training needs, counted without computing it, is what it then takes.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CoCa, type CoCaConfig, presets } from '../../src/models/index.ts'
import type { Communicator } from '../../src/mpi/index.ts'
import { checkpointBlocks, Linear, withoutAllocation } from '../../src/nn/index.ts'
import { Adafactor, AdamW, ExponentialMovingAverage, SGD } from '../../src/optim/index.ts'
import { countMemory, device, OutOfMemoryError, randint, randn, seed, type Tensor } from '../../src/tensor/index.ts'
import { checkRunConfig, countTraining, describeMemory, fit } from '../../src/train/index.ts'
import { checkRunFits } from '../../src/train/run-memory.ts'
import { fc, runs } from '../support.ts'
import { peakOf, withLittleMemory } from '../tensor/cpu/peak.ts'
import { tinyModel } from './tiny.ts'

await device.use('cpu')

const optimizers = { AdamW, Adafactor, SGD }

const trainings = fc.record({
  optimizer: fc.constantFrom('AdamW' as const, 'Adafactor' as const, 'SGD' as const),
  size: fc.constantFrom(1, 2, 5),
  parts: fc.constantFrom(1, 2),
  isCheckpointed: fc.boolean(),
  inBackward: fc.boolean(),
  frozen: fc.constantFrom('', 'encoder', 'multimodal'),
  dropout: fc.constantFrom(0, 0.1),
  averages: fc.boolean(),
})

const config = (dropout: number): CoCaConfig => ({
  image: { size: 16, patch: 4, width: 16, layers: 2, heads: 2 },
  text: { ...tinyModel.text, width: 16, unimodalLayers: 2, multimodalLayers: 2 },
  pooler: { queries: 3, heads: 2 },
  embedding: 8,
  dropout,
})

interface Pairs {
  readonly images: Tensor
  readonly ids: Tensor
}

describe('countTraining', () => {
  test('counts what the following steps take, to the percent, and changes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(trainings, async given => {
        const { size, isCheckpointed, frozen, dropout, averages } = given
        const inBackward = given.inBackward
        const parts = inBackward ? 1 : Math.min(given.parts, size)
        seed(1)
        const model = new CoCa(config(dropout))
        if (isCheckpointed) checkpointBlocks(model)
        if (frozen !== '') model[frozen as 'encoder'].freeze()
        const optimizer = new optimizers[given.optimizer](model)
        const average = averages ? new ExponentialMovingAverage(model) : undefined
        const batch = { images: randn([size, 3, 16, 16]), ids: randint(1, 20, [size, 6]) }
        const loss = ({ images, ids }: Pairs) => model.loss(images, ids).total
        const objective = { model, loss }
        const before = [...model.stateDict()].map(([name, x]) => [name, [...x.dataSync()]])
        const memory = countTraining({ objective, optimizer, average, batch, parts, inBackward })
        assert.deepEqual(
          [...model.stateDict()].map(([name, x]) => [name, [...x.dataSync()]]),
          before,
        )
        assert.equal(optimizer.stateDict().tensors.size, 0)
        assert.equal(average?.updates ?? 0, 0)
        const { weights, gradients, average: averaged, activations, peak } = memory
        assert.equal(memory.optimizer + weights + gradients + averaged + activations, peak)
        const batches = Array.from({ length: 3 }, () => batch)
        const options = { objective, optimizer, average, batches, parts, inBackward, guard: false } as const
        const found = await peakOf(() => fit(options))
        // in use before: the weights, their average and the batch
        const inUse = weights + averaged + 4 * (batch.images.size + batch.ids.size)
        assert.ok(Math.abs(peak - inUse - found) <= 0.01 * peak, `${peak - inUse} counted, ${found} taken`)
        const state = [...optimizer.stateDict().tensors.values()].reduce((sum, x) => sum + 4 * x.size, 0)
        assert.equal(memory.optimizer, state)
        for (const { storage } of Object.values(batch)) storage.free('the test')
      }),
      runs(4),
    )
  })

  test('counts what a check of the gradient takes, which is in float64', async () => {
    seed(1)
    const model = new CoCa(config(0))
    const optimizer = new SGD(model)
    const batch = { images: randn([4, 3, 16, 16]), ids: randint(1, 20, [4, 6]) }
    const objective = { model, loss: ({ images, ids }: Pairs) => model.loss(images, ids).total }
    for (const examples of [1, 4]) {
      const memory = countTraining({ objective, optimizer, batch, guardExamples: examples })
      const plain = countTraining({ objective, optimizer, batch })
      assert.ok(memory.peak > plain.peak, `${memory.peak} with a guard, ${plain.peak} without`)
      const guard = { examples, every: 1, share: 1000 }
      const options = { objective, optimizer, batches: [batch, batch], guard } as const
      const found = await peakOf(() => fit(options))
      const inUse = memory.weights + 4 * (batch.images.size + batch.ids.size)
      assert.ok(
        Math.abs(memory.peak - inUse - found) <= 0.01 * memory.peak,
        `${memory.peak - inUse} counted, ${found} taken`,
      )
    }
  })

  test('counts a model of any size without allocating it', () => {
    const { bytes } = device.get().memory()
    const model = withoutAllocation(() => new CoCa(presets.base))
    const loss = () => model.loss(randn([2, 3, 288, 288]), randint(1, 100, [2, 64])).total
    const memory = countTraining({ objective: { model, loss }, optimizer: new AdamW(model), batch: {} })
    const weights = 4 * model.parameterCount()
    assert.deepEqual([memory.weights, memory.gradients, memory.optimizer], [weights, weights, 2 * weights])
    assert.ok(memory.activations > 0)
    assert.equal(device.get().memory().bytes, bytes)
    assert.match(
      describeMemory(memory, 'AdamW', 'cpu'),
      /^needs 5\.\d GiB: weights 1\.4, gradients 1\.4, AdamW 2\.9, activations [\d.]+; cpu has [\d.]+ GiB$/,
    )
  })
})

test('a run that cannot fit is refused before anything is allocated, with the settings that would fit and what they need', () => {
  const { memoryLimit = Number.POSITIVE_INFINITY } = device.get()
  const run = (batchSize: number) =>
    checkRunConfig({ data: 'x', steps: 1, model: { preset: 'small' }, batchSize, device: 'cpu', guard: { every: 0 } })
  const tokenizer = undefined
  const { bytes } = device.get().memory()
  const few = checkRunFits(run(2) as never, { tokenizer })!
  assert.ok(few.peak < memoryLimit)
  const fits = (batchSize: number) => {
    try {
      return checkRunFits(run(batchSize) as never, { tokenizer })
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error
      return undefined
    }
  }
  // the activations of the contrastive loss grow with the square of the batch
  let many = Math.ceil((1.2 * memoryLimit) / (few.activations / 2))
  while (many > 4 && !fits(Math.ceil(many / 2))) many = Math.ceil(many / 2)
  assert.throws(
    () => checkRunFits(run(many) as never, { tokenizer }),
    (error: unknown) => {
      assert.ok(error instanceof OutOfMemoryError)
      assert.match(error.message, /^cpu: no memory for [\d,.]+ MiB for this training, which needs [\d.]+ GiB: weights /)
      assert.match(error.message, /What would fit: .*\([\d,.]+ MiB\)/)
      return true
    },
  )
  assert.equal(device.get().memory().bytes, bytes)
})

test('a run that fits without the guard is told so', async () => {
  const config = checkRunConfig({
    data: 'x',
    steps: 1,
    model: { preset: 'small' },
    batchSize: 1,
    device: 'cpu',
  }) as never
  const tokenizer = undefined
  const counted = checkRunFits(config, { tokenizer })!
  const refused = withLittleMemory(0.99 * counted.peak, async () => checkRunFits(config, { tokenizer }), true)
  await assert.rejects(refused, { name: 'OutOfMemoryError', message: /What would fit: guard\.every 0 \([\d,.]+ MiB\)/ })
})

test('several processes are told to divide the state of the optimizer, and not to update during the backward pass', async () => {
  const config = checkRunConfig({
    data: 'x',
    steps: 1,
    model: { preset: 'small' },
    batchSize: 4,
    device: 'cpu',
    guard: { every: 0 },
  }) as never
  const ranks = { rank: 1, size: 2 } as Communicator
  const naming = { tokenizer: undefined }
  const { peak } = checkRunFits(config, naming, { ranks })!
  const adviceOf = async (limit: number, shardOptimizer: boolean) => {
    const check = async () => checkRunFits(config, naming, { ranks, shardOptimizer })
    return String(await withLittleMemory(limit, check, true).catch(error => error))
  }
  const advice = await adviceOf(0.99 * peak, false)
  assert.match(advice, /What would fit: .*shardOptimizer \([\d,.]+ MiB\)/)
  assert.doesNotMatch(advice, /inBackward/)
  assert.match(
    await adviceOf(0.1 * peak, false),
    /Even batchSize 2, gradientCheckpointing, shardOptimizer and adafactor/,
  )
  const { peak: less } = checkRunFits(config, naming, { ranks, shardOptimizer: true })!
  assert.ok(less < peak)
  assert.doesNotMatch(await adviceOf(0.99 * less, true), /shardOptimizer/)
})

describe('countMemory', () => {
  test('leaves optimizers, averages and parameters as they were, also after several steps', async () => {
    seed(2)
    const [model, other] = [new Linear(3, 2), new Linear(3, 2)]
    other.loadStateDict(model.stateDict())
    const [one, two] = [new AdamW(model), new AdamW(other)]
    const x = randn([4, 3])
    const step = (layer: Linear, optimizer: AdamW) => optimizer.minimize(() => layer.forward(x).square().mean())
    step(model, one)
    step(other, two)
    const { before, peak, after } = countMemory(() => {
      for (let i = 0; i < 3; i++) step(model, one)
    })
    assert.ok(before === 4 * (3 * 8 + 12) && peak > before && after >= before)
    step(model, one)
    step(other, two)
    assert.deepEqual([...model.weight.dataSync()], [...other.weight.dataSync()])
    assert.deepEqual(one.stateDict().values, two.stateDict().values)
  })

  test('reads no weight of a file, and leaves those that were not read as they were', () => {
    seed(3)
    const layer = new Linear(3, 2)
    let reads = 0
    const values = randn([2, 3])
    layer.weight.assignLater(() => {
      reads++
      return values.add(0)
    })
    const x = randn([4, 3])
    const optimizer = new SGD(layer)
    const count = countMemory(() => {
      optimizer.minimize(() => layer.forward(x).square().mean())
      return layer.weight.dataSync().length
    })
    assert.deepEqual([count.result, count.before, reads, layer.weight.isAbsent], [6, 4 * (12 + 2), 0, true])
    assert.ok(count.peak >= count.before + 2 * 4 * 6)
    assert.deepEqual([...layer.weight.load().dataSync()], [...values.dataSync()])
    assert.equal(reads, 1)
  })

  test('is refused for an asynchronous function', () => {
    assert.throws(() => countMemory(async () => 1), /countMemory: f must not be async/)
  })
})
