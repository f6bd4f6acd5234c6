import assert from 'node:assert/strict'
import { test } from 'node:test'
import { grad } from '../../src/autograd/index.ts'
import { Dropout, Embedding, init, LayerNorm, Linear, MLP, TransformerBlock } from '../../src/nn/index.ts'
import { eye, Generator, randn, type Shape, seed, type Tensor, tensor } from '../../src/tensor/index.ts'
import { assertClose, assertCloseNumbers, fc, runs, values } from '../support.ts'
import { checkModule, plainLinear, random, randomize, rows } from './support.ts'

test('Linear has right gradients, with and without a bias', () => {
  for (const bias of [true, false]) {
    const layer = new Linear(3, 2, { bias })
    checkModule(layer, x => layer.forward(x), [random([2, 2, 3])])
  }
})

test('LayerNorm has right gradients', () => {
  const layer = new LayerNorm(4)
  checkModule(layer, x => layer.forward(x), [random([2, 4])])
})

test('Embedding has right gradients, also for a repeated id', () => {
  const layer = new Embedding(4, 3)
  const ids = tensor([[1, 3, 1]], { dtype: 'int32' })
  checkModule(layer, () => layer.forward(ids), [])
})

test('MLP has right gradients with every smooth activation', () => {
  for (const activation of ['gelu', 'quickGelu', 'silu'] as const) {
    const layer = new MLP(2, 3, activation)
    checkModule(layer, x => layer.forward(x), [random([2, 2])])
  }
})

test('Linear equals a double loop', () => {
  const shape = fc.record({ batch: fc.integer({ min: 1, max: 4 }), inputs: fc.integer({ min: 1, max: 5 }) })
  fc.assert(
    fc.property(shape, fc.boolean(), ({ batch, inputs }, bias) => {
      const layer = randomize(new Linear(inputs, 3, { bias }))
      const x = random([batch, 2, inputs])
      const expected = plainLinear(rows(x), layer.weight, layer.bias).flat()
      assertClose(layer.forward(x), { shape: [batch, 2, 3], data: expected })
    }),
    runs(20),
  )
})

test('LayerNorm normalizes every row to mean 0 and variance 1, then scales and shifts it', () => {
  const layer = new LayerNorm(6, 0)
  const x = random([5, 6])
  for (const row of rows(layer.forward(x))) {
    const mean = row.reduce((a, b) => a + b) / 6
    assertCloseNumbers([mean, row.reduce((sum, v) => sum + v * v, 0) / 6], [0, 1])
  }
  const plain = rows(layer.forward(x))
  layer.weight.assign(tensor([1, 2, 3, 4, 5, 6]))
  layer.bias.assign(tensor([6, 5, 4, 3, 2, 1]))
  assertCloseNumbers(
    rows(layer.forward(x)).flat(),
    plain.flatMap(row => row.map((v, i) => v * (i + 1) + 6 - i)),
  )
})

test('Embedding selects rows of its table', () => {
  const layer = new Embedding(5, 3)
  const ids = tensor([[4, 0], [2, 2]], { dtype: 'int32' }) // biome-ignore format: a matrix
  const table = rows(layer.weight)
  assertClose(layer.forward(ids), { shape: [2, 2, 3], data: [4, 0, 2, 2].flatMap(id => table[id]) })
})

test('MLP is linear, activation, linear', () => {
  const layer = randomize(new MLP(3, 5, 'relu'))
  const x = random([4, 3])
  const hidden = plainLinear(rows(x), layer.up.weight, layer.up.bias).map(row => row.map(v => Math.max(0, v)))
  assertCloseNumbers(values(layer.forward(x)), plainLinear(hidden, layer.down.weight, layer.down.bias).flat())
})

test('dropout zeroes the given share and scales the rest, only in training', () => {
  seed(3)
  const [n, p] = [40_000, 0.3]
  const x = tensor(new Float64Array(n).fill(2))
  const layer = new Dropout(p)
  const dropped = values(layer.forward(x))
  const zeros = dropped.filter(v => v === 0).length
  assert.ok(Math.abs(zeros - n * p) < 5 * Math.sqrt(n * p * (1 - p)), `${zeros} zeros`)
  assertCloseNumbers(
    dropped.filter(v => v !== 0),
    new Array(n - zeros).fill(2 / 0.7),
  )
  assert.notDeepEqual(values(layer.forward(x)), dropped)
  layer.eval()
  assert.equal(layer.forward(x), x)
})

test('the gradient of dropout is zero exactly where the value is', () => {
  const layer = new Dropout(0.5)
  const x = tensor(new Float64Array(200).fill(1))
  const gradient = grad((y: Tensor) => layer.forward(y).mul(3).sum())
  seed(11)
  const found = values(gradient(x))
  seed(11)
  assertCloseNumbers(
    found,
    values(layer.forward(x)).map(v => 3 * v),
  )
})

test('dropout is applied in every part of a block in training, and nowhere in evaluation', () => {
  const block = new TransformerBlock({ width: 8, heads: 2, dropout: 0.5 })
  const x = randn([1, 4, 8])
  assert.notDeepEqual(values(block.forward(x)), values(block.forward(x)))
  block.eval()
  assert.deepEqual(values(block.forward(x)), values(block.forward(x)))
  assert.deepEqual(
    [block.attention.dropout?.training, block.dropout?.training, block.mlp.training],
    [false, false, false],
  )
})

test('a dropout probability outside of [0, 1) throws', () => {
  for (const p of [1, -0.1, Number.NaN]) assert.throws(() => new Dropout(p), RangeError)
})

/** Mean, deviation and largest size of many draws. */
function moments(initialize: init.Initializer, shape: Shape) {
  const x = values(initialize(shape, new Generator(5)))
  const mean = x.reduce((a, b) => a + b) / x.length
  const deviation = Math.sqrt(x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / x.length)
  return { mean, deviation, largest: x.reduce((a, v) => Math.max(a, Math.abs(v)), 0), n: x.length }
}

const cases: Record<string, { initialize: init.Initializer; deviation: number; limit?: number; shape?: Shape }> = {
  'normal(0.02)': { initialize: init.normal(0.02), deviation: 0.02 },
  // the variance of a standard normal cut at two: 1 - 4 φ(2) / (2 Φ(2) - 1)
  'truncatedNormal(0.1)': { initialize: init.truncatedNormal(0.1), deviation: 0.1 * Math.sqrt(0.7737413), limit: 0.2 },
  'uniform(3)': { initialize: init.uniform(3), deviation: Math.sqrt(3), limit: 3 },
  'xavierUniform()': {
    initialize: init.xavierUniform(),
    deviation: Math.sqrt(2 / 300),
    limit: Math.sqrt(6 / 300),
  },
  'xavierUniform(2)': {
    initialize: init.xavierUniform(2),
    deviation: 2 * Math.sqrt(2 / 300),
    limit: 2 * Math.sqrt(0.02),
  },
  'kaimingNormal()': { initialize: init.kaimingNormal(), deviation: Math.sqrt(2 / 100) },
  'xavierNormal(2)': { initialize: init.xavierNormal(2), deviation: 2 * Math.sqrt(2 / 300) },
  'kaimingNormal(1), backwards': { initialize: init.kaimingNormal(1, { fan: 'out' }), deviation: Math.sqrt(1 / 200) },
  'kaimingUniform()': { initialize: init.kaimingUniform(), deviation: Math.sqrt(2 / 100), limit: Math.sqrt(6 / 100) },
  'kaimingUniform(1) of a window, backwards': {
    initialize: init.kaimingUniform(1, { fan: 'out' }),
    deviation: Math.sqrt(1 / (100 * 4)),
    limit: Math.sqrt(3 / 400),
    shape: [100, 50, 2, 2],
  },
  'orthogonal(3)': { initialize: init.orthogonal(3), deviation: 3 / Math.sqrt(200) },
  'kaimingNormal(1) of a window': {
    initialize: init.kaimingNormal(1),
    deviation: Math.sqrt(1 / (50 * 4)),
    shape: [100, 50, 2, 2],
  },
}

for (const [name, { initialize, deviation, limit, shape = [200, 100] }] of Object.entries(cases))
  test(`${name} has the expected moments`, () => {
    const found = moments(initialize, shape)
    assert.ok(Math.abs(found.mean) < (5 * deviation) / Math.sqrt(found.n), `mean ${found.mean}`)
    assert.ok(Math.abs(found.deviation / deviation - 1) < 0.03, `deviation ${found.deviation} for ${deviation}`)
    if (limit) assert.ok(found.largest <= limit * 1.000001 && found.largest > 0.98 * limit, `largest ${found.largest}`)
  })

test('an initialiser gives equal values for equal generators, and constants are constant', () => {
  const draw = () => values(init.xavierUniform()([3, 4], new Generator(9)))
  assert.deepEqual(draw(), draw())
  assert.deepEqual(values(init.ones([2], new Generator(0))), [1, 1])
  assert.deepEqual(values(init.zeros([2], new Generator(0))), [0, 0])
  assert.deepEqual(values(init.constant(0.5)([2], new Generator(0))), [0.5, 0.5])
})

test('orthogonal matrices have rows or columns of one length at right angles', () => {
  for (const shape of [
    [5, 5],
    [3, 7],
    [7, 3],
    [4, 2, 3, 3],
    [1, 4],
  ] as const) {
    const matrix = init.orthogonal(2)(shape, new Generator(3)).cast('float64').reshape([shape[0], -1])
    const [rows, columns] = matrix.shape
    const gram = rows <= columns ? matrix.matmul(matrix.transpose()) : matrix.transpose().matmul(matrix)
    const n = Math.min(rows, columns)
    assertCloseNumbers(values(gram), values(eye(n).mul(4)), 1e-5)
  }
  assert.throws(() => init.orthogonal()([3], new Generator(1)), /init.orthogonal: the shape must have two axes/)
})

test('gains are those of torch.nn.init.calculate_gain', () => {
  const names = ['linear', 'sigmoid', 'tanh', 'relu', 'leakyRelu', 'selu'] as const
  const expected = [1, 1, 5 / 3, Math.SQRT2, 1.4141428569978354, 0.75]
  assertCloseNumbers(
    names.map(name => init.gain(name)),
    expected,
    1e-12,
  )
  assertCloseNumbers([init.gain('leakyRelu', 0.2)], [1.386750490563073], 1e-12)
  // @ts-expect-error no nonlinearity
  assert.throws(() => init.gain('gelu'), /nonlinearity must be 'linear', 'sigmoid'/)
})

test('a new layer has zero biases and norms without an effect', () => {
  const [linear, norm] = [new Linear(3, 4), new LayerNorm(3)]
  assert.deepEqual([...values(linear.bias!), ...values(norm.bias)], [0, 0, 0, 0, 0, 0, 0])
  assert.deepEqual(values(norm.weight), [1, 1, 1])
})
