// The doctor with a user's own module: each problem is made once, and a model without a problem has no findings.

import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { defineOp, dropout } from '../../src/autograd/index.ts'
import { type DoctorFinding, examine, examineRun } from '../../src/doctor/index.ts'
import { Dropout, Linear, Module, Parameter } from '../../src/nn/index.ts'
import { AdamW, SGD } from '../../src/optim/index.ts'
import { defaultGenerator, device, full, randn, seed, type Tensor, tensor } from '../../src/tensor/index.ts'
import { fit, type Objective, RunError } from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'

class Perceptron extends Module {
  readonly hidden = new Linear(4, 16)
  readonly dropout = new Dropout(0.2)
  readonly out = new Linear(16, 2)
  /** after the hidden layer */
  between: (x: Tensor) => Tensor = x => x

  forward(x: Tensor): Tensor {
    return this.out.forward(this.dropout.forward(this.between(this.hidden.forward(x).relu())))
  }
}

interface Pairs {
  readonly x: Tensor
  readonly y: Tensor
}

const squares = (model: Perceptron): Objective<Pairs> => ({
  model,
  loss: ({ x, y }) => model.forward(x).sub(y).square().mean(),
})

/** A model, and a batch of a linear function for it to learn. */
function problem() {
  seed(5)
  const model = new Perceptron()
  const x = randn([64, 4])
  return { model, objective: squares(model), batch: { x, y: x.matmul(randn([4, 2])) } }
}

const titles = (findings: readonly DoctorFinding[]) => findings.map(({ severity, title }) => `${severity}: ${title}`)

/** An identity whose gradient is 1.5 times the right one, on the given devices. */
const leaky = (...devices: string[]) =>
  defineOp<[Tensor]>(
    'leaky',
    (k, x) => k.copy(x),
    (g, _, x) => [() => (devices.includes(x.device) ? g.mul(1.5) : g)],
  )

describe('examine', () => {
  for (const name of ['reference', 'cpu'] as const)
    it(`a perceptron without a problem has no findings on ${name}`, () =>
      device.with(name, async () => {
        const { objective, batch } = problem()
        const { ok, findings, looked, run, step } = await examine({ objective, batch })
        assert.deepEqual([ok, findings, run, step], [true, [], 'Perceptron', 0])
        assert.deepEqual(Object.keys(looked), ['gradients', 'activity'])
        assert.match(looked.gradients, /^2 parts of the model against finite differences, the largest error \d/)
        assert.match(looked.activity, /^the forward and backward pass of 64 examples$/)
      }))

  it('parameters, modes and random numbers are the same after an examination', async () => {
    const { model, batch } = problem()
    // draws random numbers in both modes
    const objective = { model, loss: ({ x, y }: Pairs) => dropout(model.forward(x), 0.1).sub(y).square().mean() }
    const optimizer = new AdamW(model)
    optimizer.minimize(() => objective.loss(batch))
    for (const [training, dropped] of [
      [true, false],
      [false, true],
    ]) {
      model.train(training)
      model.dropout.training = dropped
      const state = () => [
        ...[...model.namedParameters()].flatMap(([name, value]) => [name, ...value.dataSync()]),
        ...[...optimizer.stateDict().tensors].flatMap(([name, value]) => [name, ...value.dataSync()]),
        model.training,
        model.dropout.training,
        model.hidden.training,
        defaultGenerator().state,
      ]
      const before = state()
      const { findings } = await examine({ objective, batch, optimizer })
      assert.deepEqual(findings, [])
      assert.deepEqual(state(), before)
    }
  })

  it('a wrong rule of an operation is reported with the part of the model and the operations that it can be', async () => {
    const { model, objective, batch } = problem()
    model.between = leaky('reference', 'cpu')
    const { ok, findings } = await examine({ objective, batch })
    assert.deepEqual([ok, titles(findings)], [false, ['wrong: the gradient of hidden is wrong']])
    assert.match(findings[0].advice, /an operation has a wrong rule/)
    assert.match(
      findings[0].evidence,
      /only wrong gradients pass through the rules of these operations, in the order of the tape: relu, leaky, mul, linear$/,
    )
    // above the error of the rule
    const { findings: none } = await examine({ objective, batch, bound: 10 })
    assert.deepEqual(titles(none), ['wrong: the gradient of hidden is wrong'], 'a rule is wrong at any bound')
  })

  it('operations that a right gradient passes through are not named', async () => {
    const { batch } = problem()
    class Scaled extends Perceptron {
      readonly scale = new Parameter(tensor([1, 2]))
      readonly shift = new Parameter(tensor([1, 2]))
      override forward(x: Tensor): Tensor {
        return leaky('reference', 'cpu')(super.forward(x).mul(this.scale)).add(this.shift)
      }
    }
    const { findings } = await examine({ objective: squares(new Scaled()), batch })
    assert.deepEqual(titles(findings), ['wrong: the gradient of scale is wrong'])
    assert.match(findings[0].evidence, /in the order of the tape: mul, leaky, add$/)
    // the rule is wrong for one of two arguments
    const halfway = defineOp<[Tensor, Tensor]>(
      'halfway',
      (k, x, y) => k.binary('mul', x, y, x.dtype),
      (g, _, x, y) => [() => g.mul(y), () => g.mul(x).mul(2)],
    )
    class Weighed extends Perceptron {
      readonly factor = new Parameter(full([2], 1.5))
      override forward(x: Tensor): Tensor {
        return halfway(super.forward(x), this.factor)
      }
    }
    const half = await examine({ objective: squares(new Weighed()), batch })
    assert.deepEqual(titles(half.findings), ['wrong: the gradient of factor is wrong'])
    assert.match(half.findings[0].evidence, /in the order of the tape: halfway$/)
    // a gradient of 0 does not show that a rule is right, and neither does a value that the loss does not depend on
    class Silent extends Perceptron {
      readonly silent = new Parameter(full([2], 1))
      override forward(x: Tensor): Tensor {
        this.between = hidden => {
          hidden.exp()
          return leaky('reference', 'cpu')(hidden.add(this.silent.mul(0).sum()))
        }
        return super.forward(x)
      }
    }
    const { findings: found } = await examine({ objective: squares(new Silent()), batch })
    const { evidence } = found.find(({ area }) => area === 'gradients')!
    assert.match(evidence, /in the order of the tape: relu, add, leaky, mul, linear$/)
  })

  it('a wrong kernel of the device is reported', () =>
    device.with('cpu', async () => {
      const { model, objective, batch } = problem()
      model.between = leaky('cpu')
      const { findings } = await examine({ objective, batch })
      assert.deepEqual(titles(findings), ['wrong: the gradient of hidden.bias is wrong on this device'])
    }))

  it('relu units that never fire are reported if there are enough examples', async () => {
    const { model, objective, batch } = problem()
    const bias = new Float32Array(16)
    bias.fill(-100, 0, 12)
    model.hidden.bias!.assign(tensor([...bias]))
    const { findings } = await examine({ objective, batch, learningRate: 0.125 })
    assert.deepEqual(titles(findings), ['suspect: units of 1 layer never fire'])
    assert.match(findings[0].evidence, /^hidden 12 of 16 \(75\.0 %\)$/)
    assert.match(findings[0].advice, /a learning rate below 0\.125 or a longer warm-up, or gelu instead of relu/)
    // in one example they may be silent by chance
    const first = (x: Tensor) => x.slice([{ stop: 1 }])
    assert.deepEqual((await examine({ objective, batch: { x: first(batch.x), y: first(batch.y) } })).findings, [])
    // a few of them are only a note
    model.hidden.bias!.assign(tensor([...bias.fill(0, 2)]))
    const { ok, findings: notes } = await examine({ objective, batch })
    assert.deepEqual([ok, titles(notes)], [true, ['note: units of 1 layer never fire']])
  })

  it('channels that never fire are reported: they are the second axis of images', async () => {
    seed(1)
    const model = new (class Channels extends Module {
      readonly scale = new Parameter(tensor([1, -1, 1, 1, 1]).reshape([5, 1, 1]))
    })()
    const loss = (x: Tensor) => x.mul(model.scale).relu().square().mean()
    const { findings } = await examine({ objective: { model, loss }, batch: full([4, 5, 3, 3], 1) })
    assert.match(findings.map(({ evidence }) => evidence).join(), /1 of 5/)
  })

  it('parameters that the loss does not depend on are reported', async () => {
    const { batch } = problem()
    class Forgetful extends Perceptron {
      readonly forgotten = new Linear(3, 3)
    }
    const model = new Forgetful()
    const objective = squares(model)
    const { findings } = await examine({ objective, batch })
    assert.deepEqual(titles(findings), ['suspect: no gradient reaches 2 parameters'])
    assert.match(findings[0].evidence, /forgotten\.weight 0, forgotten\.bias 0/)
    model.forgotten.freeze()
    assert.deepEqual((await examine({ objective, batch })).findings, [])
  })

  it('values and weights that are not finite are reported', async () => {
    const { model, batch } = problem()
    const objective = { model, loss: ({ x }: Pairs) => model.forward(x).mul(0).log().mean() }
    const { findings, looked } = await examine({ objective, batch })
    assert.deepEqual(titles(findings), ['wrong: the model computes values that are not finite'])
    assert.match(findings[0].evidence, /^activation log at out\.weight has -Infinity at 0/)
    assert.match(
      findings[0].advice,
      /call firstNonFinite to find it.* a lower learning rate, a longer warm-up or a maximumNorm/,
    )
    assert.match(looked.gradients, /none/)
    model.out.bias!.assign(tensor([Number.NaN, 0]))
    const broken = await examine({ objective: squares(model), batch })
    assert.deepEqual(titles(broken.findings), ['wrong: the weights hold values that are not finite'])
    assert.match(broken.findings[0].evidence, /^out\.bias has NaN at 0$/)
    assert.deepEqual(Object.values(broken.looked), ['none: values are not finite', 'none: values are not finite'])
  })

  it('a value that is not finite only for some random numbers is named', async () => {
    const { model, batch } = problem()
    const objective = { model, loss: ({ x }: Pairs) => model.forward(x).mean().mul(randn([]).sqrt()) }
    // the square root of a negative number first, then of a positive one
    const signs = (start: number) => {
      seed(start)
      return [randn([]), randn([])].map(x => Math.sign(x.dataSync()[0])).join()
    }
    const start = Array.from({ length: 50 }, (_, i) => i).find(start => signs(start) === '-1,1')!
    seed(start)
    const { findings } = await examine({ objective, batch })
    assert.match(findings[0].evidence, /^activation mul at out\.weight has NaN at 0/)
  })

  it('moments that no gradients can produce are reported, and so are parameters that were not updated', async () => {
    const { model, objective, batch } = problem()
    const optimizer = new AdamW(model)
    model.out.freeze()
    for (let i = 0; i < 3; i++) optimizer.minimize(() => objective.loss(batch) as Tensor)
    assert.deepEqual((await examine({ objective, batch, optimizer })).findings, [])
    model.out.freeze(false)
    const { findings, looked, step } = await examine({ objective, batch, optimizer })
    assert.deepEqual(titles(findings), ['note: some parameters were not updated in every step'])
    assert.match(findings[0].evidence, /^of 3 updates, these parameters had: out\.weight 0, out\.bias 0/)
    assert.equal(looked.optimizer, 'AdamW and 4 parameters, after 3 updates')
    assert.equal(step, 3)
    const moment = (name: string) => optimizer.stateDict().tensors.get(name) as Parameter
    const first = moment('firstMoment.hidden.weight')
    const before = first.mul(1)
    first.assign(first.mul(1000))
    const mixed = await examine({ objective, batch, optimizer })
    assert.deepEqual(titles(mixed.findings).slice(0, 1), ['wrong: first and second moments do not belong together'])
    assert.match(mixed.findings[0].advice, /go back to an earlier checkpoint$/)
    first.assign(before.mul(Number.NaN))
    const broken = await examine({ objective, batch, optimizer })
    assert.deepEqual(titles(broken.findings)[0], 'wrong: the optimizer’s moments hold values that are not finite')
  })

  it('embeddings that are all alike are reported after 100 updates', async () => {
    const { model, objective: plain, batch } = problem()
    const objective = { ...plain, embeddings: ({ x }: Pairs) => ({ rows: x.mul(0).add(0.5) }) }
    const optimizer = new SGD(model, { learningRate: 1e-6 })
    assert.deepEqual((await examine({ objective, batch, optimizer })).findings, [])
    for (let i = 0; i < 100; i++) optimizer.minimize(() => plain.loss(batch) as Tensor)
    const { findings } = await examine({ objective, batch, optimizer })
    assert.deepEqual(titles(findings), ['suspect: the embeddings of rows are all alike'])
    assert.match(findings[0].advice, /a learning rate below 0\.000001 /)
  })

  it('an error names the option that is wrong', async t => {
    const { model, objective, batch } = problem()
    const folder = await temporaryFolder(t)
    await mkdir(join(folder, 'empty'))
    await assert.rejects(examine({ objective: { model } as never, batch }), /objective must be an objective, \{ model/)
    await assert.rejects(examine({ objective } as never), /batch is missing: it must be what objective\.loss takes/)
    await assert.rejects(examine({ objective, batch, optimiser: 1 } as never), /there is no option optimiser/)
    await assert.rejects(examine({ objective, batch, optimizer: model as never }), /must be an optimizer of the param/)
    await assert.rejects(examine({ objective, batch, folder: join(folder, 'empty') }), (error: unknown) => {
      assert.ok(error instanceof RunError)
      assert.match(error.message, /has no metrics: pass the folder of fit, after at least one step/)
      return true
    })
    const constant = { model, loss: ({ x }: Pairs) => x.mean() }
    await assert.rejects(examine({ objective: constant, batch }), /the loss depends on no trainable parameter of Perc/)
  })

  it('a tensor of the loss that is neither a parameter nor in the batch is an error', () =>
    device.with('cpu', async () => {
      const { model, batch } = problem()
      const scale = tensor(2)
      const objective = { model, loss: ({ x, y }: Pairs) => model.forward(x).sub(y).mul(scale).square().mean() }
      await assert.rejects(
        examine({ objective, batch }),
        /float64 on reference: .*\n {2}Pass every tensor that the loss/,
      )
    }))
})

describe('examine with a folder of fit', () => {
  it('a training without a problem has no findings', async t => {
    const folder = join(await temporaryFolder(t), 'run')
    const { model, objective, batch } = problem()
    const optimizer = new AdamW(model, { learningRate: 0.01 })
    await fit({ objective, batches: [batch], optimizer, steps: 120, folder })
    const { findings, looked, run, step } = await examine({ objective, batch, optimizer, folder })
    assert.deepEqual(findings, [])
    assert.deepEqual([run, step], [folder, 120])
    assert.deepEqual(Object.keys(looked), ['gradients', 'optimizer', 'metrics', 'activity'])
    assert.match(looked.metrics, /^120 steps and 1 check by the guard$/)
    // the command does not know the model
    await assert.rejects(examineRun(folder), (error: unknown) => {
      assert.ok(error instanceof RunError)
      assert.match(
        error.message,
        /has no config\.json\. It is a folder of fit, .* call await examine\(\{ objective, batch/,
      )
      return true
    })
    // a new program, which has not loaded the checkpoint
    const other = problem()
    const fresh = new AdamW(other.model)
    const { findings: unread } = await examine({ objective: other.objective, batch, optimizer: fresh, folder })
    assert.deepEqual(titles(unread), ['suspect: the model is not the one in the folder'])
    assert.match(unread[0].evidence, /has made 0 updates, .* was written after 120$/)
  })

  it('a training that learns nothing is reported in the words of fit', async t => {
    const folder = join(await temporaryFolder(t), 'run')
    const { model, objective, batch } = problem()
    const optimizer = new SGD(model, { learningRate: 1e-9 })
    await fit({ objective, batches: [batch], optimizer, steps: 100, folder, guard: false })
    const { ok, findings } = await examine({ objective, batch, folder })
    assert.deepEqual([ok, titles(findings)], [false, ['suspect: the loss does not fall']])
    assert.match(findings[0].evidence, /the learning rate was 1e-9 to 1e-9$/)
    assert.match(
      findings[0].advice,
      /^first check that the gradients are right and inputs and targets belong together;/,
    )
  })

  it('a wrong gradient found by the guard is reported', async t => {
    const folder = join(await temporaryFolder(t), 'run')
    const { model, objective, batch } = problem()
    model.between = leaky('reference', 'cpu')
    const optimizer = new SGD(model)
    const options = { objective, batches: [batch], optimizer, folder, onGuard: () => {} }
    await assert.rejects(
      fit(options),
      /the gradient is wrong[\s\S]*\n {4}await examine\(\{ objective, kept: '.*step-000001\.safetensors' \}\)$/,
    )
    const { findings } = await examine({ objective, batch, folder })
    assert.deepEqual(titles(findings), [
      'wrong: the gradient of hidden is wrong',
      'wrong: the guard found a wrong gradient in 1 of 1 check',
    ])
    const file = join(folder, 'guard', 'step-000001.safetensors')
    assert.ok(findings[1].advice.endsWith(`await examine({ objective, kept: '${file}' })`), findings[1].advice)
  })

  it('a batch that the guard saved is examined with the weights of its step', async t => {
    const folder = join(await temporaryFolder(t), 'run')
    const { model, objective, batch } = problem()
    let isWrong = true
    const rule = leaky('reference', 'cpu')
    model.between = x => (isWrong ? rule(x) : x)
    const guard = { every: 1, share: 100, examples: 4 }
    const options = { objective, batches: [batch], optimizer: new SGD(model), folder, guard, onGuard: () => {} }
    await assert.rejects(fit(options), /the gradient is wrong/)
    const kept = join(folder, 'guard', 'step-000001.safetensors')
    const weights = () => [...model.namedParameters()].flatMap(([name, value]) => [name, ...value.dataSync()])
    model.hidden.weight.assign(full([16, 4], Number.NaN))
    const before = weights()
    const { findings, looked, step } = await examine({ objective, kept })
    assert.deepEqual(titles(findings), ['wrong: the gradient of hidden is wrong'])
    assert.match(looked.activity, /^the forward and backward pass of 4 examples$/)
    assert.equal(step, 1)
    assert.deepEqual(weights(), before)
    isWrong = false
    assert.deepEqual((await examine({ objective, kept })).findings, [])
    await assert.rejects(examine({ objective, kept, batch }), /batch and kept are two batches: give one of them/)
    await assert.rejects(examine({ objective, kept: join(folder, 'metrics.jsonl') }), /metrics\.jsonl/)
    assert.deepEqual(weights(), before)
  })
})
