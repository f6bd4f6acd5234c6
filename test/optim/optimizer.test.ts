// Properties of every optimizer: which parameters it changes, which state it keeps, and that it does not leak memory.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { lossAndGradients } from '../../src/nn/index.ts'
import {
  AdamW,
  clipGradients,
  type Optimizer,
  type OptimizerState,
  OptimizerStateError,
  warmupCosine,
  withoutDecay,
} from '../../src/optim/index.ts'
import { DTypeError, randn, ShapeError, scope, seed, type Tensor, tensor, zeros } from '../../src/tensor/index.ts'
import { assertCloseNumbers } from '../support.ts'
import { algorithms, gradientsAt, Loose, numbers, snapshot, TwoLayers } from './plain.ts'

/** A checkpoint: the tensors of a state copied, the values through JSON. */
function saved({ tensors, values }: OptimizerState): OptimizerState {
  const copies = [...tensors].map(([name, x]) => [name, tensor(x.dataSync(), { shape: x.shape })] as const)
  return { tensors: new Map(copies), values: JSON.parse(JSON.stringify(values)) }
}

/** A state in plain numbers. */
const contents = ({ tensors, values }: OptimizerState) => [
  values,
  [...tensors].map(([name, x]) => [name, [...x.shape], numbers(x)]),
]

for (const [name, make] of Object.entries(algorithms))
  describe(name, () => {
    const train = (module: TwoLayers, optimizer: Optimizer, x: Tensor, y: Tensor, from: number, to: number) => {
      const schedule = warmupCosine({ peak: 0.03, warmup: 5, total: 200 })
      const losses: number[] = []
      for (let step = from; step < to; step++)
        scope(() => {
          const { loss, gradients } = lossAndGradients(module, () => module.forward(x).sub(y).square().mean())
          optimizer.step(clipGradients(gradients, 1).gradients, schedule(step))
          losses.push(numbers(loss)[0])
        })
      return losses
    }
    const problem = () => {
      seed(7)
      const [x, y] = [randn([16, 3]), randn([16, 2])]
      return { module: new TwoLayers(), x, y }
    }

    test('decreases the loss of a model', () => {
      const { module, x, y } = problem()
      const losses = train(module, make(module, { weightDecay: 0 }), x, y, 0, 200)
      assert.ok(losses[199] < 0.7 * losses[0], `from ${losses[0]} to ${losses[199]}`)
    })

    test('a resumed run is bitwise the same', () => {
      const { module, x, y } = problem()
      const optimizer = make(module)
      train(module, optimizer, x, y, 0, 7)
      const state = saved(optimizer.stateDict())
      const twin = new TwoLayers().loadStateDict(module.stateDict())
      const resumed = make(twin).loadStateDict(state)
      assert.deepEqual(train(twin, resumed, x, y, 7, 20), train(module, optimizer, x, y, 7, 20))
      assert.deepEqual(snapshot(twin), snapshot(module))
      assert.deepEqual(contents(resumed.stateDict()), contents(optimizer.stateDict()))
    })

    test('a resumed run depends on the state', () => {
      const { module, x, y } = problem()
      const optimizer = make(module)
      train(module, optimizer, x, y, 0, 7)
      const twin = new TwoLayers().loadStateDict(module.stateDict())
      assert.notDeepEqual(train(twin, make(twin), x, y, 7, 12), train(module, optimizer, x, y, 7, 12))
    })

    test('parameters that are frozen or not in the map do not change', () => {
      const module = new Loose()
      const optimizer = make(module)
      const before = snapshot(module)
      module.vector.trainable = false
      const gradients = gradientsAt(module, 0)
      gradients.delete('stack')
      optimizer.step(gradients)
      const after = snapshot(module)
      assert.notDeepEqual(after.matrix, before.matrix)
      assert.deepEqual([after.vector, after.stack], [before.vector, before.stack])
      assert.deepEqual(optimizer.stateDict().values.steps, { matrix: 1 })
    })

    test('a parameter with a first gradient in a later step starts from that step', () => {
      const [early, late] = [new Loose(), new Loose()]
      const optimizer = make(late)
      const once = new Map([['matrix', gradientsAt(late, 5).get('matrix')!]])
      for (let step = 0; step < 3; step++) optimizer.step(new Map([['vector', zeros([5], { dtype: 'float64' })]]))
      optimizer.step(once)
      make(early).step(once)
      assert.deepEqual(numbers(late.matrix), numbers(early.matrix))
    })

    test('an unknown name and a gradient of another shape or dtype throw, and no parameter changes', () => {
      const module = new Loose()
      const optimizer = make(module)
      const before = snapshot(module)
      assert.throws(() => optimizer.step(gradientsAt(module, 0).set('matrxi', zeros([3, 4]))), {
        name: 'RangeError',
        message: /matrxi is not a parameter/,
      })
      assert.throws(
        () => optimizer.step(gradientsAt(module, 0).set('stack', zeros([2, 3]))),
        (error: unknown) =>
          error instanceof ShapeError &&
          /the gradient of stack has shape \[2, 3\], but the parameter has shape \[2, 3, 2\]/.test(error.message),
      )
      for (const dtype of ['float32', 'int32'] as const)
        assert.throws(
          () => optimizer.step(gradientsAt(module, 0).set('stack', zeros([2, 3, 2], { dtype }))),
          (error: unknown) =>
            error instanceof DTypeError &&
            error.message === `step: the gradient of stack is ${dtype}, but the parameter is float64`,
        )
      assert.throws(() => optimizer.step(gradientsAt(module, 0), Number.NaN), /learningRate = NaN/)
      assert.deepEqual(snapshot(module), before)
    })

    test('a learning rate of zero changes no parameter', () => {
      const module = new Loose()
      const before = snapshot(module)
      make(module).step(gradientsAt(module, 0), 0)
      assert.deepEqual(snapshot(module), before)
    })

    test('a learning rate factor sets the learning rate of its group', () => {
      const [grouped, plain] = [new Loose(), new Loose()]
      const groups = [{ match: (path: string) => path === 'matrix', learningRateFactor: 0.5 }]
      const [a, b] = [make(grouped, { groups }), make(plain)]
      for (let step = 0; step < 3; step++) {
        a.step(gradientsAt(grouped, step), 0.2)
        b.step(gradientsAt(plain, step), 0.1)
      }
      assert.deepEqual(numbers(grouped.matrix), numbers(plain.matrix))
      assert.notDeepEqual(numbers(grouped.vector), numbers(plain.vector))
    })

    test('the first matching group sets the weight decay', () => {
      const [grouped, decayed, free] = [new Loose(), new Loose(), new Loose()]
      const stackToo = { match: (path: string) => path === 'stack', weightDecay: 0 }
      const useless = { match: () => true, weightDecay: 0.1 }
      const optimizers = [
        make(grouped, { groups: [withoutDecay, stackToo, useless] }),
        make(decayed, { weightDecay: 0.1 }),
        make(free, { weightDecay: 0 }),
      ]
      for (const [i, module] of [grouped, decayed, free].entries()) optimizers[i].step(gradientsAt(module, 0), 0.5)
      assert.deepEqual(numbers(grouped.matrix), numbers(decayed.matrix))
      assert.notDeepEqual(numbers(grouped.matrix), numbers(free.matrix))
      assert.deepEqual(numbers(grouped.vector), numbers(free.vector))
      assert.deepEqual(numbers(grouped.stack), numbers(free.stack))
    })

    test('a state that does not fit throws an error that says where, and changes nothing', () => {
      const module = new Loose()
      const optimizer = make(module)
      optimizer.step(gradientsAt(module, 0))
      const state = saved(optimizer.stateDict())
      const slot = [...state.tensors.keys()].find(key => key.endsWith('.matrix'))!
      const wrong = (tensors: [string, Tensor][], steps: Record<string, number> = {}): OptimizerState => ({
        tensors: new Map([...state.tensors, ...tensors]),
        values: { ...state.values, steps: { ...state.values.steps, ...steps } },
      })
      const rejects = (bad: OptimizerState, pattern: RegExp) =>
        assert.throws(
          () => optimizer.loadStateDict(bad),
          (error: unknown) => error instanceof OptimizerStateError && pattern.test(error.message),
        )
      rejects(wrong([[slot, zeros([9, 9])]]), new RegExp(`${slot} is \\[[0-9, ]+\\] here and \\[9, 9\\] there`))
      const integers = zeros(state.tensors.get(slot)!.shape, { dtype: 'int32' })
      rejects(wrong([[slot, integers]]), new RegExp(`${slot} is float64 here and int32 there`))
      rejects(wrong([['first.nothing', zeros([1])]]), /first\.nothing is not part of the state of this optimizer/)
      rejects(wrong([], { other: 3 }), /other is not a parameter of this optimizer/)
      rejects(wrong([], { vector: 1.5 }), /the number of updates of vector must be a positive integer, not 1\.5/)
      rejects({ ...state, tensors: new Map([...state.tensors].slice(1)) }, /is missing/)
      rejects(
        { ...state, values: { ...state.values, algorithm: 'Sophia' } },
        /a state of Sophia, but this optimizer is/,
      )
      assert.deepEqual(contents(optimizer.stateDict()), contents(state))
    })

    test('a loaded state is not shared with its source', () => {
      const module = new Loose()
      const optimizer = make(module)
      optimizer.step(gradientsAt(module, 0))
      const state = saved(optimizer.stateDict())
      make(new Loose()).loadStateDict(state).step(gradientsAt(module, 1))
      for (const value of state.tensors.values()) assert.equal(value.storage.isFreed, false)
    })

    test('parameters can be given as a map', () => {
      const module = new Loose()
      const before = snapshot(module)
      const optimizer = make(module)
      const Algorithm = optimizer.constructor as new (parameters: Iterable<[string, Tensor]>) => Optimizer
      new Algorithm([['mine', module.vector]]).step(new Map([['mine', gradientsAt(module, 0).get('vector')!]]))
      assert.notDeepEqual(numbers(module.vector), before.vector)
      assert.deepEqual(numbers(module.matrix), before.matrix)
      assert.throws(() => new Algorithm([]), /needs parameters/)
      const [one, other] = [new Loose(), new Loose()]
      const both = [...one.namedParameters(), ...other.namedParameters()]
      assert.throws(() => new Algorithm(both), /two parameters are called matrix, .* rename one/)
    })
  })

test('weight decay alone shrinks parameters by the learning rate times the decay in AdamW', () => {
  const module = new Loose()
  const before = snapshot(module)
  new AdamW(module, { weightDecay: 0.5 }).step(new Map([['vector', zeros([5], { dtype: 'float64' })]]), 0.1)
  assertCloseNumbers(
    numbers(module.vector),
    before.vector.map(w => w * 0.95),
  )
})

test('the state moves to a device with its parameters', async () => {
  const module = new Loose()
  const optimizer = new AdamW(module)
  optimizer.step(gradientsAt(module, 0))
  await optimizer.to('reference')
  for (const value of optimizer.stateDict().tensors.values()) assert.equal(value.device, 'reference')
})
