import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { GradientError, Tape } from '../../src/autograd/index.ts'
import {
  BatchNorm1d,
  Dropout,
  Embedding,
  init,
  type LayerNorm,
  Linear,
  lossAndGradients,
  Module,
  Parameter,
  parameter,
  type StateDict,
  StateDictError,
  withoutAllocation,
  withParameters,
} from '../../src/nn/index.ts'
import {
  DTypeError,
  device,
  FreedError,
  jupyterDisplay,
  randn,
  ShapeError,
  scope,
  type Tensor,
  tensor,
  zeros,
} from '../../src/tensor/index.ts'
import { assertCloseNumbers, fc, runs, values } from '../support.ts'
import { random } from './support.ts'

/** Everything that a field may be: a setting, a parameter, a module, arrays of both, and nothing at all. */
class Tower extends Module {
  readonly config = { width: 2 }
  readonly scale = parameter([], init.ones)
  readonly layers: Linear[]
  readonly tokens: Parameter[]
  readonly norm?: LayerNorm
  readonly head: Linear

  constructor(depth = 2) {
    super()
    this.layers = Array.from({ length: depth }, () => new Linear(2, 2))
    this.tokens = [parameter([2], init.zeros), parameter([3], init.zeros)]
    this.head = new Linear(2, 1, { bias: false })
  }

  forward(x: Tensor): Tensor {
    return this.head.forward(this.layers.reduce((y, layer) => layer.forward(y).gelu(), x)).mul(this.scale)
  }
}

const names = [
  'scale',
  'layers.0.weight',
  'layers.0.bias',
  'layers.1.weight',
  'layers.1.bias',
  'tokens.0',
  'tokens.1',
  'head.weight',
]

const numbersOf = (module: Module) => [...module.namedParameters()].map(([name, p]) => [name, values(p)])

test('parameters are named by their paths, in the order of the fields', () => {
  assert.deepEqual(
    [...new Tower().namedParameters()].map(([name]) => name),
    names,
  )
  assert.deepEqual([...new Tower().stateDict().keys()], names)
  assert.deepEqual(
    [...new Tower().children()].map(([name]) => name),
    ['layers.0', 'layers.1', 'head'],
  )
})

test('a shared parameter is listed once', () => {
  class Tied extends Module {
    readonly embedding = new Embedding(5, 3)
    readonly output = new Linear(3, 5, { bias: false })
    constructor() {
      super()
      Object.assign(this.output, { weight: this.embedding.weight })
    }
  }
  const tied = new Tied()
  assert.deepEqual([...tied.stateDict().keys()], ['embedding.weight'])
  assert.equal(tied.parameterCount(), 15)
  const { gradients } = lossAndGradients(tied, () =>
    tied.output.forward(tied.embedding.forward(tensor([1], { dtype: 'int32' }))).sum(),
  )
  assert.deepEqual([...gradients.keys()], ['embedding.weight'])
})

test('the parameter count is the sum of their sizes', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5 }), depth => {
      assert.equal(new Tower(depth).parameterCount(), 1 + 6 * depth + 5 + 2)
    }),
    runs(6),
  )
})

test('a state dict can be saved and loaded', () => {
  const [from, to] = [new Tower(), new Tower()]
  assert.notDeepEqual(numbersOf(from), numbersOf(to))
  assert.equal(to.loadStateDict(from.stateDict()), to)
  assert.deepEqual(numbersOf(from), numbersOf(to))
  from.head.weight.assign(zeros([1, 2]))
  assert.notDeepEqual(numbersOf(from), numbersOf(to))
})

test('loading copies the values, and the given tensors keep their memory', () => {
  const to = new Tower()
  const state = new Tower().stateDict()
  to.loadStateDict(state)
  to.loadStateDict(new Tower().stateDict())
  for (const value of state.values()) assert.equal(value.storage.isFreed, false)
})

test('a state dict that does not fit throws an error with names and shapes, and changes nothing', () => {
  const module = new Tower()
  const before = numbersOf(module)
  const state: StateDict = new Map([...new Tower().stateDict()])
  state.set('layers.0.weight', zeros([2, 3])).set('layers.9.weight', zeros([1]))
  state.delete('scale')
  assert.throws(
    () => module.loadStateDict(state),
    (error: unknown) => {
      assert.ok(error instanceof StateDictError)
      assert.match(error.message, /layers\.0\.weight is \[2, 2\] here and \[2, 3\] there/)
      assert.match(error.message, /missing: scale/)
      assert.match(error.message, /not in the module: layers\.9\.weight/)
      assert.deepEqual([error.missing, error.unexpected], [['scale'], ['layers.9.weight']])
      assert.deepEqual(
        error.mismatched.map(({ name, expected, found }) => [name, [...expected], [...found]]),
        [['layers.0.weight', [2, 2], [2, 3]]],
      )
      return true
    },
  )
  assert.deepEqual(numbersOf(module), before)
})

for (const dtype of ['int32', 'bool'] as const)
  test(`${dtype} values throw and change nothing`, () => {
    const module = new Tower()
    const before = numbersOf(module)
    const state = new Map([...module.stateDict()].map(([name, value]) => [name, value.add(1)]))
    state.set('scale', tensor(1, { dtype }))
    assert.throws(
      () => module.loadStateDict(state),
      (error: unknown) => {
        assert.ok(error instanceof StateDictError, String(error))
        assert.equal(error.message, `the state dict does not fit:\n  scale is float32 here and ${dtype} there`)
        assert.deepEqual(error.mismatched, [
          { name: 'scale', expected: [], found: [], dtypes: { expected: 'float32', found: dtype } },
        ])
        return true
      },
    )
    assert.deepEqual(numbersOf(module), before)
    assert.throws(
      () => module.scale.assign(tensor(1, { dtype })),
      (error: unknown) =>
        error instanceof DTypeError &&
        error.message.startsWith(`assign: the value is ${dtype}, but the parameter is float32`),
    )
    const values = module.parameters().map((p, i) => (i === 0 ? p.cast(dtype) : p))
    assert.throws(
      () => withParameters(module, values, () => assert.fail('ran')),
      (error: unknown) =>
        error instanceof DTypeError &&
        error.message === `withParameters: value 0 is ${dtype}, but the parameter is float32`,
    )
    assert.deepEqual(numbersOf(module), before)
  })

test('double and float cast all parameters, and nothing that is cast is changed by rounding but once', () => {
  const model = new Linear(3, 2)
  const before = model.parameters().map(values)
  assert.equal(model.double(), model)
  assert.deepEqual(
    model.parameters().map(({ dtype }) => dtype),
    ['float64', 'float64'],
  )
  assert.deepEqual(model.parameters().map(values), before)
  const x = tensor([[0.1, 0.2, 0.3]], { dtype: 'float64' })
  assert.equal(model.forward(x).dtype, 'float64')
  model.parameters()[1].assign(tensor([0.1, 0.2], { dtype: 'float64' }))
  model.float()
  assert.deepEqual(values(model.parameters()[1]), [Math.fround(0.1), Math.fround(0.2)])
  const norm = new BatchNorm1d(2).double()
  assert.deepEqual(
    [...norm.stateDict()].map(([name, { dtype }]) => `${name} ${dtype}`),
    ['weight float64', 'bias float64', 'runningMean float64', 'runningVariance float64', 'batches int32'],
  )
})

test('a module keeps float64 values', () => {
  const module = new Tower()
  const state = new Map([...module.stateDict()].map(([name, value]) => [name, value.cast('float64').add(0.1)]))
  module.loadStateDict(state)
  for (const [name, parameter] of module.namedParameters()) {
    assert.equal(parameter.dtype, 'float64')
    assert.deepEqual(values(parameter), values(state.get(name)!))
  }
})

test('a long list of missing parameters is abbreviated', () => {
  assert.throws(() => new Tower(9).loadStateDict(new Map()), /missing: (\S+, ){4}\S+ and 17 more$/)
})

test('frozen parameters get no gradient, the rest do', () => {
  const module = new Tower()
  module.layers[0].freeze()
  const loss = () => module.forward(randn([3, 2])).sum()
  const step = () => [...lossAndGradients(module, loss, { allowUnused: true }).gradients.keys()]
  assert.deepEqual(
    step(),
    names.filter(name => !name.startsWith('layers.0')),
  )
  module.freeze(false)
  assert.deepEqual(step(), names)
})

test('train and eval reach every module inside', () => {
  class Outer extends Module {
    readonly towers = [new Tower(), new Tower()]
    readonly dropout = new Dropout(0.5)
  }
  const outer = new Outer()
  const modes = () => {
    const found: boolean[] = []
    outer.apply(module => found.push(module.training))
    return found
  }
  assert.deepEqual(modes(), new Array(10).fill(true))
  assert.deepEqual([outer.eval(), modes()], [outer, new Array(10).fill(false)])
  outer.train()
  assert.deepEqual(modes(), new Array(10).fill(true))
})

test('a module prints as a tree with shapes and counts', () => {
  const tower = new Tower(1)
  tower.head.freeze()
  assert.equal(
    String(tower),
    `Tower (14)
  scale: []
  layers.0: Linear (6)
    weight: [2, 2]
    bias: [2]
  tokens.0: [2]
  tokens.1: [3]
  head: Linear (2)
    weight: [1, 2] frozen`,
  )
})

test('a console shows a module as a tree, and in one line if it is nested', () => {
  const tower = new Tower(1)
  assert.equal(inspect(tower), String(tower))
  assert.equal(inspect({ tower, list: [tower] }), '{ tower: Tower (14), list: [ Tower (14) ] }')
  assert.equal(inspect([tower], { depth: 0 }), '[ [Tower] ]')
})

test('a console shows a parameter as a parameter, and a state dict with a line for each', () => {
  const layer = new Linear(1, 2)
  layer.weight.assign(tensor([[0.5], [2]]))
  layer.bias!.trainable = false
  assert.equal(inspect(layer.weight), 'Parameter [2, 1] float32 on reference, trainable:\n  [[0.5],\n   [2.0]]')
  assert.equal(
    inspect(layer.stateDict()),
    `Map(2) {
  'weight' => Parameter [2, 1] float32 on reference, trainable: [[0.5], [2.0]],
  'bias' => Parameter [2] float32 on reference, frozen: [0, 0]
}`,
  )
  const [parameter] = new Parameter(zeros([1])).toString().split(':')
  assert.equal(parameter, 'Parameter [1] float32 on reference, trainable')
})

test('a notebook shows a module as a collapsible tree, with escaped names', () => {
  class Odd extends Module {
    readonly 'a<b' = new Linear(1, 1)
    readonly scale = parameter([], init.ones)
  }
  const bundle = new Odd()[jupyterDisplay]()
  assert.equal(bundle['text/plain'], String(new Odd()))
  const inner = '<div>weight: [1, 1]</div><div>bias: [1]</div>'
  const folded = (head: string, below: string, open = '') =>
    `<details${open}><summary>${head}</summary><div style="margin-left: 2ch">${below}</div></details>`
  assert.equal(
    bundle['text/html'],
    `<div style="font-family: monospace; white-space: pre">${folded('Odd (3)', `${folded('a&lt;b: Linear (2)', inner)}<div>scale: []</div>`, ' open')}</div>`,
  )
})

test('a module moves to another device and back, with equal results', async () => {
  const module = new Tower()
  const x = randn([3, 2])
  const expected = values(module.forward(x))
  const before = numbersOf(module)
  const held = module.parameters().map(({ storage }) => storage)
  await device.use('gpu', { backend: 'cpu' })
  try {
    assert.equal(await module.to('gpu'), module)
    for (const p of module.parameters()) assert.equal(p.device, 'gpu')
    assert.ok(
      held.every(({ isFreed }) => isFreed),
      'the memory it had is given back',
    )
    const there = module.forward(tensor(x.dataSync(), { shape: [3, 2] }))
    assertCloseNumbers([...(await there.data())], expected, 1e-5)
    await module.to('reference')
    assert.deepEqual(numbersOf(module), before)
  } finally {
    await device.use('reference')
  }
})

test('a model without allocation can be counted and printed, and throws an error with the reason if it is used', async () => {
  const huge = withoutAllocation(() => new Linear(1_000_000, 1_000_000))
  assert.equal(huge.parameterCount(), 1_000_001_000_000)
  assert.match(String(huge), /weight: \[1000000, 1000000\]/)
  assert.match(
    String(huge.weight),
    /^Parameter \[1000000, 1000000\] float32 on reference, trainable:\n {2}this model was made by withoutAllocation/,
  )
  assert.throws(() => huge.weight.mul(2), /has shapes, and no values/)
  await assert.rejects(huge.weight.data(), /withoutAllocation/)
  assert.deepEqual(values(new Linear(1, 1).bias!), [0])
})

test('the loss is returned with one gradient per parameter, with zeros for parameters that it does not depend on', () => {
  const module = new Tower()
  const square = () =>
    module
      .forward(randn([3, 2]))
      .square()
      .mean()
  const { loss, gradients } = lossAndGradients(module, square, { allowUnused: true })
  assert.ok(Number.isFinite(values(loss)[0]))
  for (const [name, p] of module.namedParameters()) assert.deepEqual([...gradients.get(name)!.shape], [...p.shape])
  assert.deepEqual(values(gradients.get('tokens.1')!), [0, 0, 0])
  assert.ok(values(gradients.get('head.weight')!).every(g => g !== 0))
})

test('the total of a record of losses is differentiated, and the record is returned', () => {
  const module = new Linear(1, 1)
  const x = tensor([[2]])
  const { loss, gradients } = lossAndGradients(module, () => {
    const y = module.forward(x).sum()
    return { y, twice: y.mul(2), total: y.mul(3) }
  })
  assertCloseNumbers(values(loss.twice), [2 * values(loss.y)[0]])
  assert.deepEqual(values(gradients.get('weight')!), [6])
  assert.throws(() => lossAndGradients(module, () => module.forward(zeros([2, 1]))), GradientError)
})

test('a training step keeps only the memory of loss and gradients', () => {
  const module = new Tower()
  const x = randn([3, 2])
  const before = device.get('reference').memory().buffers
  scope(() => {
    lossAndGradients(module, () => module.forward(x).sum(), { allowUnused: true })
    assert.equal(device.get('reference').memory().buffers, before + 1 + names.length)
  })
  assert.equal(device.get('reference').memory().buffers, before)
})

test('a parameter takes ownership of a new value and frees the old memory', () => {
  const weight = parameter([2, 2], init.ones)
  const before = device.get('reference').memory().buffers
  const old = weight.view([4], [1])
  scope(() => weight.assign(tensor([[1, 2], [3, 4]]))) // biome-ignore format: a matrix
  assert.deepEqual(values(weight), [1, 2, 3, 4])
  assert.equal(device.get('reference').memory().buffers, before)
  assert.throws(() => old.dataSync(), FreedError)
})

test('a parameter can be given a view of itself', () => {
  const weight = new Parameter(tensor([[1, 2], [3, 4]])) // biome-ignore format: a matrix
  weight.assign(weight.transpose())
  assert.deepEqual(values(weight), [1, 3, 2, 4])
  weight.assign(weight)
  assert.deepEqual(values(weight), [1, 3, 2, 4])
})

test('a parameter made of a view has its own memory', () => {
  const whole = random([4])
  const part = new Parameter(whole.slice([{ stop: 2 }]))
  const head = values(whole).slice(0, 2)
  part.assign(zeros([2]))
  assert.deepEqual(values(whole).slice(0, 2), head)
})

test('two parameters made of one value do not share memory', () => {
  const value = random([2])
  const [one, two] = [new Parameter(value), new Parameter(value)]
  const three = parameter([2], init.zeros)
  three.assign(two)
  two.assign(zeros([2]))
  assert.deepEqual([values(one), values(three)], [values(value), values(value)])
  one.renew()
  three.assign(one)
  one.assign(zeros([2]))
  assert.notDeepEqual(values(three), [0, 0])
})

test('assigning a value of another shape throws an error with both shapes', () => {
  assert.throws(
    () => parameter([2, 3], init.zeros).assign(zeros([3, 2])),
    (error: unknown) =>
      error instanceof ShapeError &&
      /the value has shape \[3, 2\], but the parameter has shape \[2, 3\]/.test(error.message),
  )
})

test('a gradient throws if a parameter was assigned after its use', () => {
  const weight = parameter([2], init.ones)
  const tape = new Tape()
  tape.watch(weight, 'weight')
  const y = tape.run(() => weight.square().sum())
  weight.assign(zeros([2]))
  assert.throws(() => tape.gradient(y, [weight]), /weight was assigned a new value after it was recorded/)
  tape.end()
})
