import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, it, test } from 'node:test'
import { defineOp, gelu, relu } from '../../src/autograd/index.ts'
import type { LossBatch } from '../../src/evaluate/inputs.ts'
import { CoCa, type CoCaConfig } from '../../src/models/index.ts'
import { withoutAllocation } from '../../src/nn/index.ts'
import { device, fromData, Generator, seed, type Tensor, zeros } from '../../src/tensor/index.ts'
import { isRuleWrong, LossProbe, type LossProblem } from '../../src/train/guard/directional.ts'
import { directionOf, GradientGuard } from '../../src/train/guard/guard.ts'
import { readKeptBatch } from '../../src/train/guard/kept.ts'
import {
  CoCaObjective,
  checkRunConfig,
  describeCheck,
  type GuardMetrics,
  listCheckpoints,
  readMetrics,
  resumeTraining,
  type TrainOptions,
  train,
  WrongGradientError,
} from '../../src/train/index.ts'

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
  const activation = model.config.activation === 'relu' ? relu : gelu
  mlp.forward = x => mlp.down.forward(op(activation(mlp.up.forward(x))))
}

const planting = (op: (x: Tensor) => Tensor): TrainOptions<'coca'> => ({ onStart: ({ model }) => plant(model, op) })

const checksOf = async (run: string) =>
  (await readMetrics(run)).filter((line): line is GuardMetrics => line.kind === 'guard')

for (const device of ['reference', 'cpu'])
  test(`on ${device} a run with a guard computes the same weights as one without`, async t => {
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

test('the guard checks the gradient of a batch in parts, with dropout', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder), { guard, model: dropping, accumulate: 2, steps: 4 })
  const { folder: run } = await train(join(folder, 'run'), config)
  const checks = await checksOf(run)
  assert.equal(checks.length, 2)
  for (const { error } of checks) assert.ok(error > 0 && error < 1e-4, `error ${error}`)
})

test('a resumed run is checked at the same steps as an uninterrupted one, with the same results', async t => {
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

test('a wrong rule inside the model stops the run before the update, and its batch is saved', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder), { guard, model: dropping, device: 'cpu' })
  const run = join(folder, 'run')
  const wrong = leaky(() => true)
  const steps: number[] = []
  const options = { ...planting(wrong), onStep: ({ step }: { step: number }) => steps.push(step), onGuard: () => {} }
  await assert.rejects(train(run, config, options), (error: unknown) => {
    assert.ok(error instanceof WrongGradientError, String(error))
    assert.match(error.message, /^step 1: the gradient is wrong/)
    assert.match(error.message, /, and \S+ in float64 on reference: look for an operation whose rule is wrong/)
    assert.match(error.message, /cocagrad doctor .*run --batch .*guard\/step-000001\.safetensors/)
    return true
  })
  assert.deepEqual(steps, [])
  const [check] = await checksOf(run)
  assert.ok(check.error > check.bound && check.inFloat64! > check.bound, JSON.stringify(check))
})

test('the saved batch gives the same wrong derivative again', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder), { guard, model: dropping, seed: 5, device: 'cpu' })
  const wrong = leaky(() => true)
  let model: CoCa | undefined
  const started: TrainOptions<'coca'> = {
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
  const probe = await LossProbe.open({ ...kept, objective: new CoCaObjective(model!, { positives: true }) })
  const again = probe.judge(probe.direction(directionOf(config.seed, kept.step)), config.guard.bound)
  assert.deepEqual([again.tape, again.differences], [check.tape, check.differences])
})

test('a wrong kernel of a device is distinguished from a wrong rule', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder), { guard, device: 'cpu' })
  const options = { ...planting(leaky(x => x.device === 'cpu')), onGuard: () => {} }
  await assert.rejects(
    train(join(folder, 'run'), config, options),
    /The rules are right in float64 on reference, but a kernel of this device is wrong/,
  )
  const [check] = await checksOf(join(folder, 'run'))
  assert.ok(check.error > check.bound && check.inFloat64! < 1e-6, JSON.stringify(check))
})

test('a slightly wrong rule is distinguished from rounding', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder), { guard, device: 'cpu' })
  const options = { ...planting(leaky(() => true, 1.01)), onGuard: () => {} }
  await assert.rejects(train(join(folder, 'run'), config, options), /look for an operation whose rule is wrong/)
  const check = (await checksOf(join(folder, 'run'))).at(-1)!
  assert.ok(check.error < check.bound && check.inFloat64! > 1e-4, JSON.stringify(check))
})

test('with onError: warn a run continues, and warns every time', async t => {
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

test('frozen parameters are not checked', async t => {
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

test('a check that would take more than its share of the time is skipped', async () => {
  const config = checkRunConfig({ model: 'base', data: 'x', steps: 10 })
  const model = withoutAllocation(() => new CoCa(config.model))
  const objective = new CoCaObjective(model)
  const none = { objective, batch: {} as LossBatch, parts: 1, position: 0 }
  const guardOf = (share: number) => new GradientGuard(objective, { ...config.guard, share, seed: 0 })
  assert.equal(await guardOf(config.guard.share).check(1, none), undefined)
  await assert.rejects(() => guardOf(1e12).check(1, none))
})

type SmallProblem = LossProblem<LossBatch> & { readonly model: CoCa }

/** A new model and two images with their captions. */
function smallProblem(others: Partial<CoCaConfig> = {}): SmallProblem {
  seed(3)
  const generator = new Generator(1)
  const batch = {
    images: Float32Array.from({ length: 2 * 192 }, () => generator.normal()),
    imageShape: [2, 3, 8, 8],
    tokens: Int32Array.of(1, 4, 5, 2, 0, 0, 1, 6, 2, 0, 0, 0),
    tokenShape: [2, 6],
  } as const satisfies LossBatch
  const model = new CoCa({ ...tinyModel, ...others })
  return { model, objective: new CoCaObjective(model, { positives: true }), batch, parts: 1, position: 0 }
}

describe('a model with kinks', () => {
  const preset = { preset: 'tiny', activation: 'relu' }
  // the kinks of so many units lie near the weights of a new model
  const reluConfig = async (folder: string) =>
    tinyConfig(await pictures(folder, 60), { model: preset, batchSize: 16, steps: 2, device: 'cpu', guard })

  it('passes the checks', async t => {
    const folder = await temporaryFolder(t)
    const { folder: run } = await train(join(folder, 'run'), await reluConfig(folder))
    assert.ok((await checksOf(run)).every(({ ok }) => ok))
  })

  it('has its wrong rules detected, even slightly wrong ones', async t => {
    const folder = await temporaryFolder(t)
    const options = { ...planting(leaky(() => true, 1.01)), onGuard: () => {} }
    await assert.rejects(
      train(join(folder, 'run'), await reluConfig(folder), options),
      /an operation whose rule is wrong/,
    )
  })

  /** Moves the kink of a unit to a distance from where its input is, for the first token of the first image. */
  async function kinkNearby(distance: number): Promise<SmallProblem> {
    const problem = smallProblem({ activation: 'relu' })
    const { mlp } = problem.model.encoder.blocks[0]
    const forward = mlp.up.forward.bind(mlp.up)
    let first = Number.NaN
    mlp.up.forward = x => {
      const out = forward(x)
      first = out.stopGradient().slice([0]).dataSync()[0]
      return out
    }
    const probe = await LossProbe.open(problem)
    probe.exactGradients()
    const bias = (await mlp.up.bias!.data()) as Float32Array
    mlp.up.bias!.assign(
      fromData(
        Float32Array.from(bias, (b, i) => (i === 0 ? b - first + distance : b)),
        [bias.length],
      ),
    )
    mlp.up.forward = forward
    return problem
  }
  const judged = (probe: LossProbe) =>
    Array.from({ length: 8 }, (_, n) => probe.judge(probe.direction(new Generator(n)), 0.01))

  it('is checked with shorter differences near a kink', async () => {
    const verdicts = judged(await LossProbe.open(await kinkNearby(2e-7)))
    assert.ok(
      verdicts.some(({ kinks }) => kinks),
      'a kink was met',
    )
    for (const verdict of verdicts) assert.ok(!isRuleWrong(verdict) && verdict.error < 1e-4, JSON.stringify(verdict))
    const problem = await kinkNearby(2e-7)
    plant(
      problem.model,
      leaky(() => true, 1.01),
    )
    const wrong = judged(await LossProbe.open(problem)).filter(isRuleWrong)
    assert.ok(wrong.length >= 6, `found in ${wrong.length} of 8 directions`)
  })

  it('is checked with the differences whose loss is finite', async () => {
    const problem = smallProblem()
    const { model } = problem
    const loss = model.loss.bind(model)
    // the longest of the steps to one side leaves the domain of the logarithm
    const edge = model.logScale.dataSync()[0] - 5e-7
    model.loss = (...args) => {
      const { total, ...parts } = loss(...args)
      return { ...parts, total: total.add(model.logScale.sub(edge).log()) }
    }
    const probe = await LossProbe.open(problem)
    const verdict = probe.judge(
      probe.direction(new Generator(1), name => name === 'logScale'),
      0.01,
    )
    assert.ok(!isRuleWrong(verdict) && verdict.inFloat64! < 1e-4, JSON.stringify(verdict))
    const wrong = leaky(() => true)
    const right = model.loss
    model.loss = (...args) => {
      const { total, ...parts } = right(...args)
      return { ...parts, total: wrong(total) }
    }
    const other = await LossProbe.open(problem)
    const isMoved = (name: string) => name === 'logScale'
    assert.ok(isRuleWrong(other.judge(other.direction(new Generator(1), isMoved), 0.01)), 'a wrong rule is let pass')
  })

  it('passes the check exactly at a kink', async () => {
    const problem = smallProblem({ activation: 'relu' })
    const { weight, bias } = problem.model.encoder.blocks[0].mlp.up
    weight.assign(zeros(weight.shape))
    bias!.assign(zeros(bias!.shape))
    const verdicts = judged(await LossProbe.open(problem))
    assert.ok(verdicts.some(({ kinks, inFloat64 = 0 }) => kinks && inFloat64 > 1e-4))
    for (const verdict of verdicts) assert.ok(!isRuleWrong(verdict) && verdict.error < 1e-4, JSON.stringify(verdict))
  })
})

describe('one tensor among many', () => {
  // a softmax does not feel what is added to all of its logits
  const isFelt = (name: string) => !name.endsWith('key.bias')

  it('is found if only its gradient is off by some percent', () =>
    device.with('cpu', async () => {
      const probe = await LossProbe.open(smallProblem())
      assert.deepEqual(probe.wrongTensors(1e-4), [], 'the right gradient agrees')
      for (const [name, gradient] of [...probe.gradients].filter(([name]) => isFelt(name))) {
        const right = gradient.slice()
        for (const wrong of [1.02, 1.1, 2]) {
          gradient.forEach((_, i) => {
            gradient[i] = wrong * right[i]
          })
          const [found, ...others] = probe.wrongTensors(0.01)
          assert.deepEqual([found?.name, others], [name, []])
          assert.ok(Math.abs(found.error - (wrong - 1)) < 1e-4, `${name} times ${wrong}: ${found.error}`)
        }
        gradient.set(right)
      }
    }))

  it('is found if the exact gradient of another one is not finite', () =>
    device.with('cpu', async () => {
      const probe = await LossProbe.open(smallProblem())
      probe.exactGradients().get('logScale')![0] = Number.NaN
      const wrong = probe.gradients.get('encoder.positions')!
      wrong.forEach((x, i) => {
        wrong[i] = 2 * x
      })
      assert.deepEqual(
        probe.wrongTensors(0.01).map(({ name }) => name),
        ['encoder.positions'],
      )
    }))

  it('fails the first check, by name, even if the derivative along all parameters is nearly right', async t => {
    const folder = await temporaryFolder(t)
    const config = tinyConfig(await pictures(folder), { guard, device: 'cpu' })
    const wrong = leaky(x => x.device === 'cpu', 1.03)
    const options: TrainOptions = {
      onStart: ({ model }) => {
        const { up } = model.encoder.blocks[0].mlp
        up.forward = x => x.matmul(up.weight.permute([1, 0])).add(wrong(up.bias!))
      },
      onGuard: () => {},
    }
    await assert.rejects(
      train(join(folder, 'run'), config, options),
      /a kernel of this device is wrong or rounds too much: the gradient of encoder\.blocks\.0\.mlp\.up\.bias is off by 3\.00 %/,
    )
    const [{ error, bound, step }] = await checksOf(join(folder, 'run'))
    assert.ok(step === 1 && error < bound, `${error}`)
  })
})

test('different numbers are printed with enough digits to differ', () => {
  const check = { kind: 'guard', step: 1, ok: false, bound: 0.01, examples: 8, seconds: 1, inFloat64: 2.89e-4 } as const
  const text = describeCheck({ ...check, error: 2.89e-4, tape: -0.339030771, differences: -0.339240003 }, 'runs/x')
  assert.match(text, /the tape gives -0\.3390308, finite differences of the loss give -0\.3392400/)
})

test('a wrong gradient of any parameter is found', async () => {
  const probe = await LossProbe.open(smallProblem())
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
