// Updates during the backward pass: the numbers of the usual step, in the memory of a few gradients.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkpoint, stopGradient, Tape } from '../../src/autograd/index.ts'
import { init, Linear, lossAndGradients, Module, Parameter, parameter } from '../../src/nn/index.ts'
import { AdamW, SGD, withoutDecay } from '../../src/optim/index.ts'
import { device, keep, randn, type Storage, seed, type Tensor, tensor } from '../../src/tensor/index.ts'
import { programs } from '../autograd/records/programs.ts'
import { fc, runs } from '../support.ts'
import { algorithms, snapshot } from './plain.ts'
import '../reference.ts'

const width = 5

/** Uses of two matrices, and of views of them, in the order of a list; a third matrix is never used. */
const uses = {
  product: (x: Tensor, w: Parameter) => x.matmul(w),
  transposed: (x: Tensor, w: Parameter) => x.matmul(w.transpose()),
  repeated: (x: Tensor, w: Parameter) => checkpoint((y: Tensor) => y.matmul(w).tanh())(x),
  // the rule of mul reads the memory of the parameter, which is a constant here
  constant: (x: Tensor, w: Parameter) => x.mul(stopGradient(w)),
  scaled: (x: Tensor, w: Parameter) => x.mul(w).add(w.slice([{ start: 0, stop: 1 }])),
} satisfies Record<string, (x: Tensor, w: Parameter) => Tensor>

type Use = readonly [use: keyof typeof uses, matrix: 0 | 1]

class Uses extends Module {
  readonly first = parameter([width, width], init.normal(1))
  readonly second = parameter([width, width], init.normal(1))
  readonly bias = parameter([width], init.normal(1))
  readonly unused = parameter([2, 3], init.normal(1))
  readonly #uses: readonly Use[]

  constructor(list: readonly Use[]) {
    super()
    this.#uses = list
  }

  loss = (): Tensor => {
    const matrices = [this.first, this.second]
    const start = tensor(
      Array.from({ length: width }, (_, i) => Array.from({ length: width }, (_, j) => 1 / (1 + i + j))),
    )
    return this.#uses
      .reduce((x, [use, matrix]) => uses[use](x, matrices[matrix]), start.add(this.bias))
      .square()
      .mean()
  }
}

const anyUses = fc.array(
  fc.tuple(fc.constantFrom(...(Object.keys(uses) as (keyof typeof uses)[])), fc.constantFrom<0 | 1>(0, 1)),
  { minLength: 1, maxLength: 8 },
)

describe('an update during the backward pass', () => {
  for (const on of ['reference', 'cpu'] as const)
    for (const [name, make] of Object.entries(algorithms))
      it(`with ${name} equals the usual one bit for bit on ${on}, whatever uses a parameter has`, async () => {
        await device.use(on)
        fc.assert(
          fc.property(anyUses, fc.boolean(), (list, isGrouped) => {
            const [usual, inBackward] = [false, true].map(inBackward => {
              seed(4)
              const module = new Uses(list)
              const optimizer = make(module, isGrouped ? { groups: [withoutDecay] } : {})
              for (const learningRate of [0.1, 0.05, 0.02])
                optimizer.minimize(module.loss, { inBackward, learningRate, allowUnused: true })
              return snapshot(module)
            })
            assert.deepEqual(inBackward, usual)
          }),
          runs(20),
        )
        await device.use('reference')
      })

  it('equals the usual one for random programs in float64', () =>
    fc.assert(
      fc.property(programs, ({ options: { f }, inputs }) => {
        const [usual, inBackward] = [false, true].map(inBackward => {
          const parameters = inputs.map((x, i) => [`x${i}`, new Parameter(x.add(0))] as const)
          const optimizer = new AdamW(parameters, { learningRate: 0.1 })
          const loss = () =>
            f(...parameters.map(([, x]) => x))
              .square()
              .sum()
          for (let step = 0; step < 2; step++) optimizer.minimize(loss, { inBackward, allowUnused: true })
          return parameters.map(([, x]) => [...x.dataSync()])
        })
        assert.deepEqual(inBackward, usual)
      }),
      runs(50),
    ))

  it('updates a tied weight once, after all of its uses', () => {
    const module = new Uses([
      ['product', 0],
      ['product', 1],
      ['transposed', 0],
    ])
    const order: string[] = []
    lossAndGradients(module, module.loss, { allowUnused: true, onGradient: name => void order.push(name) })
    assert.deepEqual(order, ['second', 'first', 'bias', 'unused'])
  })

  it('refuses to clip by the norm of all gradients', () => {
    const module = new Linear(2, 1)
    assert.throws(() => new SGD(module).minimize(() => module.weight.sum(), { inBackward: true, maximumNorm: 1 }), {
      name: 'OptionsError',
      message: /maximumNorm needs the norm of all gradients/,
    })
  })
})

describe('gradients that are given away', () => {
  class Deep extends Module {
    readonly layers = Array.from({ length: 12 }, () => new Linear(16, 16))
    forward = (x: Tensor): Tensor => this.layers.reduce((y, layer) => layer.forward(y).tanh(), x)
  }

  for (const on of ['reference', 'cpu'] as const)
    it(`are never in memory more than two at a time on ${on}`, async () => {
      await device.use(on)
      const module = new Deep()
      const x = randn([3, 16])
      const given: Storage[] = []
      let most = 0
      const { gradients } = lossAndGradients(module, () => module.forward(x).square().sum(), {
        onGradient(_, { storage }) {
          given.push(storage)
          most = Math.max(most, given.filter(({ isFreed }) => !isFreed).length)
        },
      })
      assert.equal(given.length, 24)
      assert.equal(gradients.size, 0)
      assert.ok(most <= 2, `${most} gradients`)
      assert.ok(given.every(({ isFreed }) => isFreed))
      await device.use('reference')
    })

  it('leave a step at a lower peak of memory: by all gradients but a few', async () => {
    await device.use('cpu')
    const module = new Deep()
    const x = randn([1, 16])
    const all = module.parameters().reduce((sum, { size }) => sum + 4 * size, 0)
    const peak = (inBackward: boolean) => {
      let most = 0
      class Watched extends SGD {
        override step(...args: Parameters<SGD['step']>) {
          most = Math.max(most, device.get().memory().bytes)
          super.step(...args)
        }
      }
      new Watched(module).minimize(() => module.forward(x).square().sum(), { inBackward })
      return most
    }
    peak(true)
    const [usual, inBackward] = [peak(false), peak(true)]
    const saved = usual - inBackward
    // what is left: one matrix and one vector, and activations of the first layers
    assert.ok(saved > 0.8 * all, `${saved} of ${all} bytes`)
    await device.use('reference')
  })

  it('are kept if keep is called on them', () => {
    const module = new Linear(2, 1)
    const kept = new Map<string, Tensor>()
    const loss = () => module.forward(tensor([[1, 2]])).sum()
    lossAndGradients(module, loss, { onGradient: (name, gradient) => void kept.set(name, keep(gradient)) })
    assert.deepEqual([...kept.get('weight')!.dataSync()], [1, 2])
    assert.deepEqual([...kept.get('bias')!.dataSync()], [1])
  })

  it('are those of partials, also of intermediate results and of the result itself', () => {
    const tape = new Tape()
    const x = tape.watch(tensor([1, 2, 3]))
    const [y, total] = tape.run(() => {
      const y = x.square()
      return [y, y.mul(x).sum()] as const
    })
    const wanted = [x, y, total].map(input => tape.partials(total, [input])[0]!.dataSync())
    const found = new Map<Tensor, unknown>()
    const returned = tape.partials(total, [x, y, total], {
      ends: true,
      onGradient: (input, gradient) => void found.set(input, gradient.dataSync()),
    })
    assert.deepEqual([found.get(x), found.get(y), found.get(total)], wanted)
    assert.deepEqual(returned, [undefined, undefined, undefined])
  })

  it('need a tape that ends', () => {
    const tape = new Tape()
    const x = tape.watch(tensor([1, 2, 3]))
    const y = tape.run(() => x.sum())
    assert.throws(() => tape.partials(y, [x], { onGradient: () => {} }), /onGradient needs \{ ends: true \}/)
  })
})
