import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { defineOp, gelu } from '../../src/autograd/index.ts'
import { CoCa } from '../../src/models/index.ts'
import { withoutAllocation } from '../../src/nn/index.ts'
import { Generator, seed, type Tensor } from '../../src/tensor/index.ts'
import { LossProbe } from '../../src/train/derivative.ts'
import { directionOf, GradientGuard, readKeptBatch } from '../../src/train/guard.ts'
import {
  checkRunConfig,
  type GuardMetrics,
  listCheckpoints,
  readMetrics,
  resumeTraining,
  type TrainOptions,
  train,
  WrongGradientError,
} from '../../src/train/index.ts'
import type { LossBatch } from '../../src/train/loss.ts'
import { temporaryFolder } from '../data/folder.ts'
import { outcome, pictures, tinyConfig, tinyModel } from './tiny.ts'

const dropping = { ...tinyModel, dropout: 0.2 }
/** checks whatever it costs */
const guard = { every: 2, share: 100 }

/** x, with a gradient that is several times too large where `isWrong`. */
const leaky = (isWrong: (x: Tensor) => boolean, factor = 3) =>
  defineOp<[Tensor]>(
    'leaky',
    (k, x) => k.copy(x),
    (g, _, x) => [() => (isWrong(x) ? g.mul(factor) : g)],
  )

/** Puts an operation behind the activation of the vision transformer's first MLP. */
function plant(model: CoCa, op: (x: Tensor) => Tensor): void {
  const { mlp } = model.encoder.blocks[0]
  mlp.forward = x => mlp.down.forward(op(gelu(mlp.up.forward(x))))
}

const planting = (op: (x: Tensor) => Tensor): TrainOptions => ({ onStart: ({ model }) => plant(model, op) })

const checksOf = async (run: string) =>
  (await readMetrics(run)).filter((line): line is GuardMetrics => line.kind === 'guard')

for (const device of ['reference', 'cpu'])
  test(`on ${device} a run with a guard is to the bit the run without one`, async t => {
    const folder = await temporaryFolder(t)
    const config = tinyConfig(await pictures(folder), { device, model: dropping })
    const plain = await train(join(folder, 'plain'), config)
    // a smaller batch draws fewer random numbers
    const watching = { ...config.guard, ...guard, examples: 2 }
    const watched = await train(join(folder, 'watched'), { ...config, guard: watching })
    assert.deepEqual((await outcome(watched.folder, 12)).checkpoint, (await outcome(plain.folder, 12)).checkpoint)
    const checks = await checksOf(watched.folder)
    assert.deepEqual(
      checks.map(({ step, ok, examples }) => [step, ok, examples]),
      [1, 3, 5, 7, 9, 11].map(step => [step, true, 2]),
    )
    // float32 has 7 digits, and a training step loses one to three of them
    for (const { error } of checks) assert.ok(error > 0 && error < 1e-4, `error ${error}`)
  })

test('the gradient of a batch in parts is checked as it is made, dropout and all', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder), { guard, model: dropping, accumulate: 2, steps: 4 })
  const { folder: run } = await train(join(folder, 'run'), config)
  const checks = await checksOf(run)
  assert.equal(checks.length, 2)
  for (const { error } of checks) assert.ok(error > 0 && error < 1e-4, `error ${error}`)
})

test('a run that is resumed is checked where the whole one is, with the same result', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder), { guard, model: dropping })
  const whole = await train(join(folder, 'whole'), config)
  const stop = new AbortController()
  const parts = join(folder, 'parts')
  await train(parts, config, { signal: stop.signal, onStep: ({ step }) => step === 6 && stop.abort() })
  await resumeTraining(parts)
  assert.deepEqual(await outcome(parts, 12), await outcome(whole.folder, 12))
  assert.equal((await checksOf(parts)).length, 6)
})

test('a wrong rule inside the model stops the run before the update, and keeps what shows it', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder), { guard, model: dropping, device: 'cpu' })
  const run = join(folder, 'run')
  const wrong = leaky(() => true)
  const steps: number[] = []
  const options = { ...planting(wrong), onStep: ({ step }: { step: number }) => steps.push(step), onGuard: () => {} }
  await assert.rejects(train(run, config, options), (error: unknown) => {
    assert.ok(error instanceof WrongGradientError, String(error))
    assert.match(error.message, /^step 1: the gradient is wrong/)
    assert.match(error.message, /too it is .*: look for an operation whose rule is wrong/)
    assert.match(error.message, /cocagrad doctor .*run --batch .*guard\/step-000001\.safetensors/)
    return true
  })
  assert.deepEqual(steps, [])
  const [check] = await checksOf(run)
  assert.ok(check.error > check.bound && check.inFloat64! > check.bound, JSON.stringify(check))
})

test('what was kept gives the same wrong derivative again', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder), { guard, model: dropping, seed: 5, device: 'cpu' })
  const wrong = leaky(() => true)
  let model: CoCa | undefined
  const started: TrainOptions = {
    onStart: start => {
      model = start.model
      plant(model, wrong)
    },
    onGuard: () => {},
  }
  await assert.rejects(train(join(folder, 'run'), config, started))
  const [check] = await checksOf(join(folder, 'run'))
  const kept = await readKeptBatch(join(folder, 'run', check.file!))
  assert.equal(kept.parameters.size, model!.parameters().length)
  const probe = await LossProbe.open({ ...kept, model: model! })
  const again = probe.agreement(probe.direction(directionOf(config.seed, kept.step)))
  assert.deepEqual([again.tape, again.differences], [check.tape, check.differences])
})

test('a device that computes another gradient than its rules say is told from a wrong rule', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder), { guard, device: 'cpu' })
  const options = { ...planting(leaky(x => x.device === 'cpu')), onGuard: () => {} }
  await assert.rejects(
    train(join(folder, 'run'), config, options),
    /the rules are right, a kernel of this device is not/,
  )
  const [check] = await checksOf(join(folder, 'run'))
  assert.ok(check.error > check.bound && check.inFloat64! < 1e-6, JSON.stringify(check))
})

test('a rule that is wrong by little is told from rounding', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder), { guard, device: 'cpu' })
  const options = { ...planting(leaky(() => true, 1.01)), onGuard: () => {} }
  await assert.rejects(train(join(folder, 'run'), config, options), /look for an operation whose rule is wrong/)
  const check = (await checksOf(join(folder, 'run'))).at(-1)!
  assert.ok(check.error < check.bound && check.inFloat64! > 1e-4, JSON.stringify(check))
})

test('a run that shall only be warned goes on, and says it every time', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder), { steps: 4, guard: { ...guard, onError: 'warn' } })
  const warned = once(process, 'warning')
  const { finished, folder: run } = await train(join(folder, 'run'), config, planting(leaky(() => true)))
  assert.equal(finished, true)
  assert.match(String((await warned)[0]), /GradientWarning: step 1: the gradient is wrong/)
  assert.deepEqual(
    (await checksOf(run)).map(({ step, ok, file }) => [step, ok, file]),
    [
      [1, false, 'guard/step-000001.safetensors'],
      [3, false, 'guard/step-000003.safetensors'],
    ],
  )
  assert.deepEqual(await listCheckpoints(run), [3, 4])
})

test('frozen parameters are left out', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder), { guard, steps: 1 })
  // a wrong rule that only the frozen parameters would feel
  const options = {
    onStart: ({ model }: { model: CoCa }) => {
      plant(
        model,
        leaky(() => true),
      )
      model.encoder.freeze()
    },
  }
  const { folder: run } = await train(join(folder, 'run'), config, options)
  assert.deepEqual(
    (await checksOf(run)).map(({ ok }) => ok),
    [true],
  )
})

test('a check that would take more than its share of the time is left out', async () => {
  const config = checkRunConfig({ model: 'base', data: 'x', steps: 10 })
  const model = withoutAllocation(() => new CoCa(config.model))
  const none = { model, batch: {} as LossBatch, positives: true, parts: 1, position: 0 }
  assert.equal(await new GradientGuard('x', config, model).check(1, none), undefined)
  const eager = { ...config, guard: { ...config.guard, share: 1e12 } }
  await assert.rejects(() => new GradientGuard('x', eager, model).check(1, none))
})

test('whichever parameter has a wrong gradient, it is found', async () => {
  seed(3)
  const model = new CoCa(tinyModel)
  const generator = new Generator(1)
  const batch = {
    images: Float32Array.from({ length: 2 * 192 }, () => generator.normal()),
    imageShape: [2, 3, 8, 8],
    tokens: Int32Array.of(1, 4, 5, 2, 0, 0, 1, 6, 2, 0, 0, 0),
    tokenShape: [2, 6],
  } as const satisfies LossBatch
  const probe = await LossProbe.open({ model, batch, positives: true, parts: 1, position: 0 })
  const worst = (isMoved?: (name: string) => boolean) =>
    Math.max(...[1, 2, 3].map(n => probe.agreement(probe.direction(new Generator(n), isMoved)).error))
  assert.ok(worst() < 1e-5, 'the right gradient agrees')
  // a softmax does not feel what is added to all of its logits
  const felt = [...probe.gradients].filter(([name]) => !name.endsWith('key.bias'))
  for (const [name, gradient] of felt) {
    const right = gradient.slice()
    for (const wrong of [1.5, 0, -1]) {
      gradient.forEach((_, i) => {
        gradient[i] = wrong * right[i]
      })
      assert.ok(worst(each => each === name) > 0.05, `${name} times ${wrong}, by itself`)
      assert.ok(worst() > 1e-4, `${name} times ${wrong}, among all`)
    }
    gradient.set(right)
  }
})
