// Training that updates each parameter during the backward pass.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Linear, Module } from '../../src/nn/index.ts'
import { AdamW } from '../../src/optim/index.ts'
import { device, seed, type Tensor, tensor } from '../../src/tensor/index.ts'
import {
  checkRunConfig,
  fit,
  listCheckpoints,
  type Objective,
  RunConfigError,
  readMetrics,
  resumeTraining,
  type StepMetrics,
  TrainingError,
  train,
} from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { outcome, pictures, tinyConfig, tinyJson, tinyModel } from './tiny.ts'
import '../reference.ts'

const settings = (inBackward: boolean) => ({
  clipNorm: null,
  optimizer: { name: 'adamw', inBackward, rates: { encoder: 0.5 } },
  ema: 0.9,
  model: { ...tinyModel, dropout: 0.2 },
})

describe('a run that updates during the backward pass', () => {
  for (const device of ['reference', 'cpu'])
    it(`computes the same checkpoints and metrics as the usual one on ${device}, also when it is resumed`, async t => {
      const folder = await temporaryFolder(t)
      const data = await pictures(folder)
      const [usual, inBackward] = [join(folder, 'usual'), join(folder, 'in-backward')]
      await train(usual, tinyConfig(data, { ...settings(false), device }))
      const stop = new AbortController()
      const onStep = ({ step }: StepMetrics) => step === 7 && stop.abort()
      await train(inBackward, tinyConfig(data, { ...settings(true), device }), { signal: stop.signal, onStep })
      await resumeTraining(inBackward)
      const [expected, found] = [await outcome(usual, 12), await outcome(inBackward, 12)]
      assert.deepEqual(found.checkpoint, expected.checkpoint)
      const norms = (lines: readonly unknown[]) =>
        (lines as StepMetrics[]).flatMap(({ kind, gradientNorm }) => (kind === 'step' ? [gradientNorm] : []))
      for (const [i, norm] of norms(found.metrics).entries())
        assert.ok(Math.abs(norm / norms(expected.metrics)[i] - 1) < 1e-6, 'the norm is a sum in another order')
      const withoutNorm = (lines: readonly unknown[]) => lines.map(line => ({ ...(line as object), gradientNorm: 0 }))
      assert.deepEqual(withoutNorm(found.metrics), withoutNorm(expected.metrics))
    })

  it('refuses what needs all gradients, by name', () => {
    assert.throws(
      () => checkRunConfig(tinyJson('x', { optimizer: { inBackward: true }, accumulate: 2, guard: { every: 5 } })),
      (error: unknown) => {
        assert.ok(error instanceof RunConfigError)
        const fields = error.problems.map(({ field, reason }) => `${field} ${reason.slice(0, 50)}`)
        assert.deepEqual(fields, [
          'clipNorm must be null with optimizer.inBackward, which free',
          'accumulate must be 1 with optimizer.inBackward, which frees e',
          'guard.every must be 0 with optimizer.inBackward, which frees e',
        ])
        return true
      },
    )
  })
})

interface Pairs {
  readonly x: Tensor
  readonly y: Tensor
  /** what goes wrong with the batch */
  readonly fault?: 'loss' | 'gradient' | 'error'
}

class Perceptron extends Module {
  readonly hidden = new Linear(2, 8)
  readonly out = new Linear(8, 1)

  forward(x: Tensor): Tensor {
    return this.out.forward(this.hidden.forward(x).tanh())
  }
}

const faults = {
  loss: (model: Perceptron) => model.out.bias!.mul(0).log().sum(),
  // 0, with the gradient 0 / 0, of the parameter that is updated last
  gradient: (model: Perceptron) => model.hidden.weight.mul(0).sqrt().sum(),
  error: (): Tensor => {
    throw new Error('on the way')
  },
}

const squares = (model: Perceptron): Objective<Pairs> => ({
  model,
  loss({ x, y, fault }) {
    const loss = model.forward(x).sub(y).square().mean()
    return fault ? loss.add(faults[fault](model)) : loss
  },
})

/** Batches of which one may have a fault. */
const batches = (fault?: Pairs['fault'], at?: number): Pairs[] =>
  Array.from({ length: 8 }, (_, i) => ({
    x: tensor([[1 + i, 1], [1, -1 - i], [i, 0.5]]), // biome-ignore format: a table
    y: tensor([[1], [-1], [0.5]]),
    ...(i === at && { fault }),
  }))

const weightsOf = (module: Module) => module.parameters().map(parameter => [...parameter.dataSync()])

function perceptron() {
  seed(1)
  const model = new Perceptron()
  const optimizer = new AdamW(model, { learningRate: 0.05 })
  return { model, optimizer, objective: squares(model), inBackward: true, guard: false, steps: 8, checkpointEvery: 3 }
}

describe('a step that fails during the backward pass', () => {
  for (const [fault, at, back] of [
    ['loss', 4, 3],
    ['gradient', 4, 3],
    ['gradient', 0, 0],
    ['error', 7, 6],
  ] as const)
    it(`goes back to the last checkpoint: ${fault} of step ${at + 1}, and can be resumed from there`, async t => {
      const folder = join(await temporaryFolder(t), 'run')
      const { model, ...options } = perceptron()
      const start = weightsOf(model)
      let atCheckpoint = start
      const onCheckpoint = () => {
        atCheckpoint = weightsOf(model)
      }
      await assert.rejects(fit({ ...options, folder, batches: batches(fault, at), onCheckpoint }), (error: Error) => {
        if (fault === 'error') assert.match(error.message, /on the way/)
        else {
          assert.ok(error instanceof TrainingError)
          assert.equal(error.step, at + 1)
          assert.match(error.message, new RegExp(`those of the checkpoint of step ${back} again`))
          const name = fault === 'gradient' ? 'gradient hidden.weight' : 'activation log at out.bias'
          assert.match(error.message, new RegExp(`first in the ${name}`))
        }
        return true
      })
      assert.deepEqual(weightsOf(model), atCheckpoint)
      if (back === 0) assert.deepEqual(atCheckpoint, start)
      assert.equal((await listCheckpoints(folder)).at(-1), back)
      const last = (await readMetrics(folder)).at(-1)
      assert.ok(last?.kind === 'restoration')
      assert.deepEqual([last.step, last.failed], [back, at + 1])

      const again = perceptron()
      await fit({ ...again, folder, batches: batches() })
      const whole = perceptron()
      await fit({ ...whole, batches: batches() })
      assert.deepEqual(weightsOf(again.model), weightsOf(whole.model))
      const kinds = (await readMetrics(folder)).map(({ kind, step }) => `${kind} ${step}`)
      assert.ok(kinds.includes(`restoration ${back}`), 'the journal keeps the return')
      assert.equal(kinds.filter(kind => kind === `step ${at + 1}`).length, 1)
    })

  it('says that there is nothing to go back to without a folder', async () => {
    const { model, ...options } = perceptron()
    await assert.rejects(fit({ ...options, batches: batches('gradient', 2) }), /has no checkpoint to go back to/)
    assert.ok(weightsOf(model).flat().every(Number.isFinite), 'a gradient that is not finite is not used')
  })
})

describe('fit with inBackward', () => {
  for (const [option, value, advice] of [
    ['maximumNorm', 1, 'leave maximumNorm out'],
    ['parts', 2, 'leave parts out'],
    ['guard', true, 'set guard: false'],
  ] as const)
    it(`refuses ${option}`, async () => {
      const { model: _, ...options } = perceptron()
      await assert.rejects(fit({ ...options, batches: batches(), [option]: value }), new RegExp(`fit: ${option} needs all gradients of a step.*${advice}`))
    })

  it('trains to the weights of the usual update on gpu kernels', async () => {
    await device.use('gpu', { backend: 'cpu' })
    const found = []
    for (const inBackward of [false, true]) {
      const { model, ...options } = perceptron()
      await fit({ ...options, inBackward, batches: batches() })
      found.push(await Promise.all(model.parameters().map(async parameter => [...(await parameter.data())])))
    }
    await device.use('reference')
    assert.deepEqual(found[1], found[0])
  })

  it('finds on gpu, after the step, that a gradient is not finite', async () => {
    await device.use('gpu', { backend: 'cpu' })
    const { model: _, ...options } = perceptron()
    await assert.rejects(fit({ ...options, batches: batches('gradient', 2) }), /first in the parameter hidden\.weight/)
    await device.use('reference')
  })
})
