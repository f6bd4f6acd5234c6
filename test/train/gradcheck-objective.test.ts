// The derivatives of a user's own loss, for each part of the model.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defineOp, dropout, GradientError } from '../../src/autograd/index.ts'
import { Dropout, Linear, Module } from '../../src/nn/index.ts'
import {
  defaultGenerator,
  device,
  type Generator,
  randn,
  seed,
  type Tensor,
  tensor,
  zeros,
} from '../../src/tensor/index.ts'
import { gradcheckObjective, type Objective } from '../../src/train/index.ts'

class Perceptron extends Module {
  readonly hidden = new Linear(3, 5)
  readonly blocks = [new Linear(5, 5), new Linear(5, 5)]
  readonly dropout = new Dropout(0.5)
  readonly out = new Linear(5, 1)
  /** between the two blocks */
  between: (x: Tensor) => Tensor = x => x

  forward(x: Tensor): Tensor {
    const first = this.blocks[0].forward(this.hidden.forward(x).tanh()).tanh()
    return this.out.forward(this.dropout.forward(this.blocks[1].forward(this.between(first)).tanh()))
  }
}

interface Pairs {
  readonly x: Tensor
  readonly y: Tensor
}

const pairs = (): Pairs => ({ x: randn([4, 3]), y: randn([4, 1]) })

const squares = (model: Perceptron): Objective<Pairs> => ({
  model,
  loss: ({ x, y }) => model.forward(x).sub(y).square().mean(),
})

/** Has a gradient that is twice what it should be. */
const twice = defineOp<[Tensor]>(
  'twice',
  (k, x) => k.copy(x),
  g => [() => g.mul(2)],
)

function problem() {
  seed(1)
  const model = new Perceptron()
  return { model, objective: squares(model), batch: pairs() }
}

describe('gradcheckObjective', () => {
  for (const name of ['reference', 'cpu'] as const)
    it(`right derivatives pass in every part and at both orders on ${name}`, () =>
      device.with(name, async () => {
        const { objective, batch } = problem()
        const { ok, verdict, parts, message } = await gradcheckObjective(objective, batch)
        assert.deepEqual([ok, verdict], [true, 'pass'])
        assert.deepEqual(
          parts.map(({ part, parameters, order, derivatives, ok }) => [part, parameters, order, derivatives, ok]),
          ['hidden', 'blocks.0', 'blocks.1', 'out'].flatMap((part, i) =>
            [1, 2].map(order => [part, [20, 30, 30, 6][i], order, 1, true]),
          ),
        )
        for (const { worst } of parts) assert.ok(worst > 0 && worst < 1, `${worst}`)
        assert.match(message, /agree with finite differences, along one direction for each of 4 parts/)
      }))

  it('a wrong rule is found in every part that its gradient reaches, and in no other', async () => {
    const { model, objective, batch } = problem()
    model.between = twice
    const { ok, parts, verdict, message } = await gradcheckObjective(objective, batch, { order: 1 })
    assert.deepEqual([ok, verdict], [false, 'mismatch'])
    assert.deepEqual(
      parts.map(({ part, ok }) => [part, ok]),
      [
        ['hidden', false],
        ['blocks.0', false],
        ['blocks.1', true],
        ['out', true],
      ],
    )
    assert.match(
      message,
      /^2 of 4 derivatives of the loss do not pass:\n {2}hidden, order 1: mismatch, .* tolerance\n {2}blocks\.0/,
    )
  })

  it('a rule with a wrong derivative is found at order 2', async () => {
    const { model, objective, batch } = problem()
    model.between = defineOp<[Tensor]>(
      'square',
      (k, x) => k.binary('mul', x, x, x.dtype),
      (g, _, x) => [() => g.mul(x.stopGradient()).mul(2)],
    )
    const { parts } = await gradcheckObjective(objective, batch)
    assert.deepEqual(parts.flatMap(({ part, order, ok }) => (part === 'hidden' ? [[order, ok]] : [])), [[1, true], [2, false]]) // biome-ignore format: a table
    assert.ok((await gradcheckObjective(objective, batch, { order: 1 })).ok)
  })

  it('parameters, modes and random numbers are the same after a check', async () => {
    const { model, objective, batch } = problem()
    model.train()
    model.dropout.training = false
    const state = () => [
      ...[...model.namedParameters()].flatMap(([name, value]) => [name, ...value.dataSync()]),
      model.training,
      model.dropout.training,
      defaultGenerator().state,
      device.current,
    ]
    const before = state()
    await gradcheckObjective(objective, batch)
    assert.deepEqual(state(), before)
    // also if the loss throws
    const broken = { model, loss: () => assert.fail('no loss') }
    await assert.rejects(gradcheckObjective(broken, batch), /no loss/)
    assert.deepEqual(state(), before)
  })

  it('a loss that draws random numbers gets the same ones in each evaluation', async () => {
    const { model, batch } = problem()
    const objective = { model, loss: ({ x }: Pairs) => dropout(model.forward(x), 0.5).square().mean() }
    assert.ok((await gradcheckObjective(objective, batch)).ok)
  })

  it('a loss that changes from one call to the next is not deterministic', async () => {
    const { model, batch } = problem()
    let calls = 0
    const objective = { model, loss: ({ x }: Pairs) => model.forward(x).mul(++calls).mean() }
    const { verdict, parts, message } = await gradcheckObjective(objective, batch)
    assert.equal(verdict, 'not deterministic')
    assert.ok(parts.every(({ ok }) => !ok))
    assert.match(message, /^the same parameters gave two different losses/)
  })

  it('the batch can be a function of a generator', async () => {
    const { objective } = problem()
    const devices: string[] = []
    const draw = (generator: Generator): Pairs => {
      devices.push(device.current)
      const numbers = (shape: number[]) => randn(shape, { dtype: 'float64', generator })
      return { x: numbers([4, 3]), y: numbers([4, 1]) }
    }
    assert.ok((await gradcheckObjective(objective, draw, { seed: 3 })).ok)
    assert.deepEqual(devices, ['cpu'])
  })

  it('what does not pass on cpu is checked again on reference', async () => {
    const { model } = problem()
    const devices: string[] = []
    const objective = { model, loss: ({ x }: Pairs) => twice(model.forward(x)).square().mean() }
    const draw = (): Pairs => {
      devices.push(device.current)
      return { x: randn([4, 3], { dtype: 'float64' }), y: zeros([1]) }
    }
    const { verdict } = await gradcheckObjective(objective, draw)
    assert.equal(verdict, 'mismatch')
    assert.deepEqual(devices, ['cpu', 'reference'])
  })

  it('a loss with a tensor on reference is checked there', async () => {
    const { model } = problem()
    const target = device.with('reference', () => randn([4, 1], { dtype: 'float64' }))
    const loss = ({ x }: Pairs) => model.forward(x).sub(target).square().mean()
    const { ok, message } = await gradcheckObjective({ model, loss }, pairs())
    assert.ok(ok, message)
  })

  it('without noise, derivatives are checked at the present parameters', async () => {
    const model = new Linear(1, 1)
    model.weight.assign(tensor([[0]]))
    // a kink where the weight is 0
    const objective = { model, loss: (x: Tensor) => x.matmul(model.weight).abs().mean().add(model.bias!.sum()) }
    assert.ok((await gradcheckObjective(objective, tensor([[1]]))).ok)
    const { verdict } = await gradcheckObjective(objective, tensor([[1]]), { noise: 0, order: 1 })
    assert.equal(verdict, 'not differentiable here')
  })

  it('an error names the argument that is wrong', async () => {
    const { model, objective, batch } = problem()
    await assert.rejects(gradcheckObjective({ model } as never, batch), /must be an objective, \{ model, loss/)
    await assert.rejects(gradcheckObjective(objective, batch, { order: 4 as 3 }), /order must be 1, 2 or 3, not 4/)
    await assert.rejects(
      gradcheckObjective({ model, loss: ({ x }: Pairs) => model.forward(x) }, batch),
      /total is \[4, 1\]: each loss must be a scalar/,
    )
    await assert.rejects(
      gradcheckObjective({ model, loss: ({ x }: Pairs) => x.square().mean() }, batch),
      (error: unknown) => error instanceof GradientError && /depends on no parameter of Perceptron/.test(error.message),
    )
  })
})
