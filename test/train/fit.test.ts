// Training of any module with a loss.

import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, mock } from 'node:test'
import { defineOp, tanh } from '../../src/autograd/index.ts'
import { CoCa } from '../../src/models/index.ts'
import { Linear, lossAndGradients, Module } from '../../src/nn/index.ts'
import { AdamW, constant, SGD } from '../../src/optim/index.ts'
import { device, seed, type Tensor, tensor } from '../../src/tensor/index.ts'
import { fit as fitInBrowser } from '../../src/train/fit.ts'
import { History } from '../../src/train/history.ts'
import {
  CoCaObjective,
  fit,
  type MetricsLine,
  type Objective,
  RunError,
  readMetrics,
  type StepMetrics,
  TrainingError,
  WrongGradientError,
} from '../../src/train/index.ts'
import { bundle } from '../browser/chromium.ts'
import { temporaryFolder } from '../data/folder.ts'
import { assertCloseNumbers } from '../support.ts'
import { tinyModel } from './tiny.ts'

interface Pairs {
  readonly x: Tensor
  readonly y: Tensor
}

/** Two layers, which learn whether two numbers have the same sign. */
class Perceptron extends Module {
  readonly hidden = new Linear(2, 8)
  readonly out = new Linear(8, 1)

  forward(x: Tensor): Tensor {
    return this.out.forward(tanh(this.hidden.forward(x)))
  }
}

const xor = (): Pairs[] => [
  { x: tensor([[1, 1], [1, -1], [-1, 1], [-1, -1]]), y: tensor([[1], [-1], [-1], [1]]) }, // biome-ignore format: a table
]

const squares = (model: Perceptron): Objective<Pairs> => ({
  model,
  loss: ({ x, y }) => model.forward(x).sub(y).square().mean(),
})

function perceptron(): Perceptron {
  seed(1)
  return new Perceptron()
}

const stepsOf = (metrics: readonly MetricsLine[]) => metrics.filter((line): line is StepMetrics => line.kind === 'step')

const weightsOf = async (model: Module) =>
  Promise.all([...model.namedParameters()].map(async ([name, parameter]) => [name, ...(await parameter.data())]))

describe('fit', () => {
  it('trains a two-layer perceptron on xor', async () => {
    const model = perceptron()
    const optimizer = new AdamW(model, { learningRate: 0.05 })
    const { step, finished, metrics } = await fit({ objective: squares(model), batches: xor(), optimizer, steps: 150 })
    assert.deepEqual([step, finished], [150, true])
    const steps = stepsOf(metrics)
    assert.ok(steps[0].losses.total > 0.3 && steps[149].losses.total < 0.01, `${steps[149].losses.total}`)
    // one batch is an epoch
    assert.deepEqual([steps[0].epoch, steps[149].epoch], [0, 149])
  })

  it('returns the last metrics, in memory that does not grow with the steps', async () => {
    const model = perceptron()
    const objective = { ...squares(model), evaluate: async () => ({ one: 1 }) }
    const options = {
      objective,
      batches: xor(),
      optimizer: new SGD(model),
      examples: 1,
      steps: 12,
      guard: { every: 1 },
    }
    const told: number[] = []
    const onStep = ({ step }: StepMetrics) => told.push(step)
    const linesOf = async (history: number) => {
      const { metrics } = await fit({ ...options, evaluateEvery: 4, history, onStep })
      return metrics.map(({ kind, step }) => `${kind} ${step}`)
    }
    const all = await linesOf(Number.POSITIVE_INFINITY)
    assert.equal(all.length, 12 + 12 + 3)
    assert.deepEqual(await linesOf(2), ['evaluation 8', 'guard 11', 'step 11', 'guard 12', 'step 12', 'evaluation 12'])
    assert.deepEqual(await linesOf(12), all)
    assert.deepEqual(await linesOf(0), [])
    assert.equal(told.length, 4 * 12)
    await assert.rejects(
      async () => fit({ ...options, history: -1 }),
      /history must be a whole number, 0 or more, or Inf/,
    )

    const kept = new History(100)
    for (let step = 1; step <= 100_000; step++) kept.add({ kind: 'evaluation', step, seconds: 1, values: {} })
    assert.deepEqual(
      kept.lines.map(({ step }) => step),
      Array.from({ length: 100 }, (_, i) => 99_901 + i),
    )
  })

  it('makes the same steps as a loop by hand', async () => {
    const byHand = perceptron()
    const sgd = new SGD(byHand)
    const losses: number[] = []
    for (let step = 0; step < 5; step++) {
      const { loss, gradients } = lossAndGradients(byHand, () => squares(byHand).loss(xor()[0]) as Tensor)
      losses.push(loss.dataSync()[0])
      sgd.step(gradients, 0.1 / (step + 1))
    }
    const model = perceptron()
    const schedule = (step: number) => 0.1 / (step + 1)
    const options = { batches: xor(), optimizer: new SGD(model), schedule, steps: 5 }
    const { metrics } = await fit({ objective: squares(model), ...options })
    const steps = stepsOf(metrics)
    assert.deepEqual(
      steps.map(({ losses }) => losses.total),
      losses,
    )
    assert.deepEqual(
      steps.map(({ learningRate }) => learningRate),
      [0, 1, 2, 3, 4].map(schedule),
    )
    assert.deepEqual(await weightsOf(model), await weightsOf(byHand))
  })

  it('takes arrays, generators and asynchronous iterables, each once unless steps is given', async () => {
    function* generator() {
      yield* [...xor(), ...xor(), ...xor()]
    }
    async function* stream() {
      yield* generator()
    }
    for (const [batches, steps, expected] of [
      [[...generator()], undefined, 3],
      [[...generator()], 7, 7],
      [generator(), 2, 2],
      [generator(), 7, 3],
      [stream(), undefined, 3],
      [stream(), 2, 2],
      [[], 2, 0],
    ] as const) {
      const model = perceptron()
      const { step } = await fit({ objective: squares(model), batches, optimizer: new SGD(model), steps, guard: false })
      assert.equal(step, expected)
    }
  })

  it('closes a source that it no longer needs', async () => {
    let isClosed = false
    function* endless() {
      try {
        for (;;) yield* xor()
      } finally {
        isClosed = true
      }
    }
    const model = perceptron()
    await fit({ objective: squares(model), batches: endless(), optimizer: new SGD(model), steps: 2 })
    assert.ok(isClosed)
  })

  it('stops at a signal, after the current step', async () => {
    const model = perceptron()
    const stop = new AbortController()
    const { step, finished } = await fit({
      objective: squares(model),
      batches: xor(),
      optimizer: new SGD(model),
      steps: 100,
      signal: stop.signal,
      onStep: ({ step }) => step === 3 && stop.abort(),
    })
    assert.deepEqual([step, finished], [3, false])
  })

  it('records every loss by name, and the other measures of the objective', async () => {
    const model = perceptron()
    const after = mock.fn()
    const objective: Objective<Pairs, string> = {
      model,
      loss: ({ x, y }) => {
        const error = model.forward(x).sub(y)
        const [fit, penalty] = [error.square().mean(), model.out.weight.square().sum()]
        return { total: fit.add(penalty.mul(0.1)), fit, penalty }
      },
      measures: () => ({ bias: model.out.bias!.sum() }),
      evaluate: async examples => ({ length: examples.length }),
      afterUpdate: after,
    }
    const evaluated: object[] = []
    const options = { batches: xor(), optimizer: new SGD(model), steps: 4, examples: 'four', evaluateEvery: 2 }
    const onEvaluation = (line: object) => evaluated.push(line)
    const { metrics } = await fit({ objective, ...options, onEvaluation })
    for (const { losses, measures, examplesPerSecond, seconds } of stepsOf(metrics)) {
      assertCloseNumbers([losses.total], [losses.fit + 0.1 * losses.penalty], 1e-6)
      assert.deepEqual(Object.keys(measures), ['bias'])
      assertCloseNumbers([examplesPerSecond! * seconds], [4], 1e-9)
    }
    assert.deepEqual(
      evaluated.map(line => ({ ...line, seconds: 0 })),
      [2, 4].map(step => ({ kind: 'evaluation', step, seconds: 0, values: { length: 4 } })),
    )
    assert.equal(after.mock.callCount(), 4)
    // where the batches say when it ends
    await fit({ objective, ...options, steps: undefined, evaluateEvery: 0, onEvaluation })
    assert.equal(evaluated.length, 3)
  })

  for (const name of ['reference', 'cpu'] as const)
    it(`has the same gradient in parts as in a whole batch, on ${name}`, () =>
      device.with(name, async () => {
        const trained = async (parts: number) => {
          const model = perceptron()
          const optimizer = new SGD(model, { learningRate: 0.1 })
          const { metrics } = await fit({ objective: squares(model), batches: xor(), optimizer, steps: 3, parts })
          return [...stepsOf(metrics).map(({ losses }) => losses.total), ...(await weightsOf(model)).flat()]
        }
        const [whole, parts] = [await trained(1), await trained(3)].map(all => all.filter(x => typeof x === 'number'))
        assertCloseNumbers(parts as number[], whole as number[], 1e-5)
      }))

  it('weights parts by the number of items that their loss is a mean over', async () => {
    const model = perceptron()
    // a mean over rows that are not 0, of which the first part has fewer
    const rows = ({ x }: Pairs) => [...x.dataSync()].filter((_, i) => i % 2 === 0 && x.dataSync()[i] !== 0).length
    const objective: Objective<Pairs> = {
      model,
      loss: ({ x, y }) =>
        model
          .forward(x)
          .sub(y)
          .square()
          .mul(x.slice([{}, { stop: 1 }]).square())
          .sum()
          .div(rows({ x, y })),
      weight: rows,
    }
    const batch = { x: tensor([[0, 1], [1, 2], [1, 3], [1, 4]]), y: tensor([[1], [2], [3], [4]]) } // biome-ignore format: a table
    const losses: number[] = []
    for (const parts of [1, 2]) {
      const optimizer = new SGD(model, { learningRate: 1e-9 })
      const { metrics } = await fit({ objective, batches: [batch], optimizer, parts, guard: false })
      losses.push(stepsOf(metrics)[0].losses.total)
    }
    assertCloseNumbers([losses[1]], [losses[0]], 1e-6)
  })

  describe('has a guard', () => {
    const wrong = defineOp<[Tensor]>(
      'leaky',
      (k, x) => k.copy(x),
      g => [() => g.mul(3)],
    )
    const leaky = (model: Perceptron): Objective<Pairs> => ({
      model,
      loss: ({ x, y }) => wrong(model.forward(x)).sub(y).square().mean(),
    })

    it('that passes a right gradient, on the training device', () =>
      device.with('cpu', async () => {
        const model = perceptron()
        const guard = { every: 1, share: 100 }
        const options = { objective: squares(model), batches: xor(), optimizer: new SGD(model), steps: 3, guard }
        const { metrics } = await fit(options)
        const checks = metrics.flatMap(line => (line.kind === 'guard' ? [line] : []))
        assert.deepEqual(
          checks.map(({ step, ok, examples }) => [step, ok, examples]),
          [1, 2, 3].map(step => [step, true, 4]),
        )
        for (const { error } of checks) assert.ok(error > 0 && error < 1e-4, `${error}`)
      }))

    it('that stops training with a wrong rule before its first update', async () => {
      const model = perceptron()
      const before = await weightsOf(model)
      const options = { objective: leaky(model), batches: xor(), optimizer: new SGD(model), onGuard: () => {} }
      await assert.rejects(fit(options), WrongGradientError)
      assert.deepEqual(await weightsOf(model), before)
      const { step } = await fit({ ...options, guard: false })
      assert.equal(step, 1)
    })

    it('whose error says what a loss may depend on', () =>
      device.with('cpu', async () => {
        const model = perceptron()
        const scale = tensor(2)
        const objective: Objective<Pairs> = {
          model,
          loss: ({ x, y }) => model.forward(x).sub(y).mul(scale).square().mean(),
        }
        const options = { objective, batches: xor(), optimizer: new SGD(model) }
        await assert.rejects(fit(options), /Pass every tensor that the loss needs in the batch, or set guard: false$/)
        assert.equal((await fit({ ...options, guard: false })).step, 1)
      }))
  })

  it('stops at a value that is not finite, with its name, before the parameters change', async () => {
    const model = perceptron()
    const before = await weightsOf(model)
    const objective: Objective<Pairs> = { model, loss: ({ x }) => model.forward(x).mul(0).log().mean() }
    await assert.rejects(fit({ objective, batches: xor(), optimizer: new SGD(model) }), (error: unknown) => {
      assert.ok(error instanceof TrainingError)
      assert.match(error.message, /first in the activation log at out\.weight/)
      return true
    })
    assert.deepEqual(await weightsOf(model), before)
  })

  it('throws for invalid options', async () => {
    const model = perceptron()
    const options = { objective: squares(model), batches: xor(), optimizer: new SGD(model) }
    const broken = { ...options, objective: { model, loss: ({ x }: Pairs) => model.forward(x) } }
    for (const [given, message] of [
      [{ ...options, step: 3 }, /step/],
      [{ ...options, batches: 3 }, /batches .*must be an iterable of batches/],
      [{ ...options, optimizer: undefined }, /optimizer .*must be an optimizer of the parameters/],
      [{ ...options, guard: { evry: 3 } }, /there is no option guard\.evry.*every/],
      [{ ...broken, guard: false }, /total is \[4, 1\]: each loss must be a scalar/],
    ] as const)
      await assert.rejects(async () => fit(given as unknown as typeof options), message)
  })

  it('trains CoCa', async () => {
    seed(2)
    const model = new CoCa(tinyModel)
    const batch = {
      images: Float32Array.from({ length: 3 * 192 }, (_, i) => Math.sin(i)),
      imageShape: [3, 3, 8, 8] as [number, 3, number, number],
      tokens: Int32Array.of(1, 4, 5, 2, 0, 0, 1, 6, 2, 0, 0, 0, 1, 7, 8, 9, 2, 0),
      tokenShape: [3, 6] as [number, number],
    }
    const optimizer = new AdamW(model, { learningRate: 1e-2 })
    const objective = new CoCaObjective(model, { positives: true })
    const { metrics } = await fit({ objective, batches: [batch], optimizer, steps: 8, parts: 2 })
    const steps = stepsOf(metrics)
    assert.deepEqual(Object.keys(steps[0].losses), ['total', 'contrastive', 'captioning'])
    assert.ok(steps[7].losses.total < steps[0].losses.total)
  })
})

describe('fit in a folder', () => {
  const batches = (): Pairs[] => {
    const [{ x, y }] = xor()
    return [1, 2, 3].map(n => ({ x: x.mul(n), y }))
  }
  const options = (model: Perceptron, folder: string) => ({
    objective: squares(model),
    batches: batches(),
    optimizer: new AdamW(model),
    schedule: constant(0.01),
    steps: 8,
    folder,
    checkpointEvery: 2,
    keepLast: 2,
  })

  it('saves checkpoints and metrics, and computes the same weights when it is resumed', async t => {
    const folder = await temporaryFolder(t)
    const whole = perceptron()
    const written: number[] = []
    await fit({ ...options(whole, join(folder, 'whole')), onCheckpoint: ({ step }) => written.push(step) })
    assert.deepEqual(written, [2, 4, 6, 8])
    assert.deepEqual(await readdir(join(folder, 'whole', 'checkpoints')), ['step-000006', 'step-000008'])

    const parts = join(folder, 'parts')
    const stop = new AbortController()
    const ended = { signal: stop.signal, onStep: ({ step }: { step: number }) => step === 5 && stop.abort() }
    assert.equal((await fit({ ...options(perceptron(), parts), ...ended })).step, 5)
    seed(77)
    const model = new Perceptron()
    const { step, metrics } = await fit(options(model, parts))
    assert.deepEqual([step, stepsOf(metrics).map(({ step }) => step)], [8, [6, 7, 8]])
    assert.deepEqual(await weightsOf(model), await weightsOf(whole))
    const lossesIn = async (run: string) => stepsOf(await readMetrics(run)).map(({ losses }) => losses.total)
    assert.deepEqual(await lossesIn(parts), await lossesIn(join(folder, 'whole')))
    // what is finished stays as it is
    assert.deepEqual(await fit(options(perceptron(), parts)), { step: 8, finished: true, metrics: [] })
  })

  it('does not change other folders', async t => {
    const folder = await temporaryFolder(t)
    await writeFile(join(folder, 'letter.txt'), 'to whom it may concern')
    await assert.rejects(fit(options(perceptron(), folder)), (error: unknown) => {
      assert.ok(error instanceof RunError)
      assert.match(error.message, /is not empty: it contains letter\.txt/)
      return true
    })
  })

  it('saves the batch of a wrong gradient', async t => {
    const folder = await temporaryFolder(t)
    const wrong = defineOp<[Tensor]>(
      'leaky',
      (k, x) => k.copy(x),
      g => [() => g.mul(3)],
    )
    const model = perceptron()
    const objective: Objective<Pairs> = { model, loss: ({ x, y }) => wrong(model.forward(x)).sub(y).square().mean() }
    const run = join(folder, 'run')
    await assert.rejects(
      fit({ ...options(model, run), objective, onGuard: () => {} }),
      /run\/guard\/step-000001\.safetensors/,
    )
    assert.deepEqual(await readdir(join(run, 'guard')), ['step-000001.safetensors'])
  })
})

describe('fit in a browser', () => {
  it('is bundled without any Node module', async () => {
    const { metafile } = await bundle(`export * from './src/entries/fit.ts'`)
    const imports = Object.values(metafile.inputs).flatMap(input => input.imports.map(({ path }) => path))
    assert.deepEqual(
      imports.filter(path => path.startsWith('node:')),
      [],
    )
  })

  it('has no folders', async () => {
    const model = perceptron()
    const options = { objective: squares(model), batches: xor(), optimizer: new SGD(model) }
    assert.equal((await fitInBrowser(options)).step, 1)
    await assert.rejects(fitInBrowser({ ...options, folder: 'run' }), /import \{ fit \} from 'cocagrad\/train'/)
  })
})
