// Weights that are computed from other parameters. Weight normalization stands beside PyTorch's in test/golden/pytorch.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  deepCopy,
  LayerNorm,
  Linear,
  lossAndGradients,
  removeParametrization,
  spectralNorm,
  weightNorm,
} from '../../src/nn/index.ts'
import { ones, type Tensor, tensor, zeros } from '../../src/tensor/index.ts'
import { assertClose, assertCloseNumbers, values } from '../support.ts'
import { checkModule, random, randomize } from './support.ts'

test('weight normalization changes nothing at first, and has right gradients', () => {
  const layer = randomize(new Linear(3, 2))
  const x = random([4, 3])
  const before = values(layer.forward(x))
  assert.equal(weightNorm(layer), layer)
  assertCloseNumbers(values(layer.forward(x)), before)
  assert.deepEqual([...layer.stateDict().keys()].sort(), ['bias', 'weight_g', 'weight_v'])
  checkModule(layer, y => layer.forward(y), [x])
  const lengths = values(layer.weight.norm({ axis: 1 }))
  assertCloseNumbers(lengths, values(layer.stateDict().get('weight_g')!.abs()))
})

test('spectral normalization divides by the largest singular value', () => {
  const layer = new Linear(2, 2, { bias: false }).double()
  layer.weight.assign(tensor([[0, 3], [-0.5, 0]], { dtype: 'float64' })) // biome-ignore format: a matrix
  assert.equal(spectralNorm(layer), layer)
  assertClose(layer.weight, { shape: [2, 2], data: [0, 1, -1 / 6, 0] })
  assert.deepEqual([...layer.stateDict().keys()], ['weight_orig', 'weight_u', 'weight_v'])
  assert.equal(layer.parameters().length, 1)
})

test('spectral normalization has right gradients, with u and v as constants', () => {
  // at singular vectors the derivative of σ by W is u vᵀ, so that differences of the true σ agree at the first order
  const layer = randomize(new Linear(3, 2))
  layer.weight.assign(random([2, 3], 7))
  spectralNorm(layer, { iterations: 200 })
  const x = random([2, 3], 3)
  layer.forward(x)
  layer.eval()
  const found = lossAndGradients(layer, () => layer.forward(x).square().sum()).gradients.get('weight_orig')!
  const sigma = (a: number[]) => {
    const gram = [
      a[0] ** 2 + a[1] ** 2 + a[2] ** 2,
      a[0] * a[3] + a[1] * a[4] + a[2] * a[5],
      a[3] ** 2 + a[4] ** 2 + a[5] ** 2,
    ]
    return Math.sqrt((gram[0] + gram[2]) / 2 + Math.sqrt(((gram[0] - gram[2]) / 2) ** 2 + gram[1] ** 2))
  }
  const weights = values(layer.stateDict().get('weight_orig')!)
  const loss = (a: number[]) => {
    const w = tensor(
      a.map(value => value / sigma(a)),
      { dtype: 'float64', shape: [2, 3] },
    )
    return values(x.linear(w, layer.bias).square().sum())[0]
  }
  const differences = weights.map((_, i) => {
    const moved = (by: number) => loss(weights.map((value, j) => (i === j ? value + by : value)))
    return (moved(1e-5) - moved(-1e-5)) / 2e-5
  })
  assertCloseNumbers(values(found), differences, 1e-6)
})

test('the power iteration runs in training alone, and a tape survives the next one', () => {
  const layer = spectralNorm(randomize(new Linear(5, 4)), { iterations: 1 })
  const u = () => values(layer.stateDict().get('weight_u')!)
  layer.eval()
  const start = u()
  layer.forward(random([1, 5]))
  assert.deepEqual(u(), start)
  layer.train()
  layer.forward(random([1, 5]))
  assert.notDeepEqual(u(), start)
})

test('two calls on one tape have the u and v of their time', () => {
  const layer = spectralNorm(randomize(new Linear(5, 4, { bias: false })))
  const [x, y] = [random([1, 5], 1), random([1, 5], 2)]
  const begin = () => {
    for (const [, buffer] of layer.namedBuffers()) buffer.assign(ones(buffer.shape, { dtype: 'float64' }))
  }
  const gradient = (f: () => Tensor) => values(lossAndGradients(layer, f).gradients.get('weight_orig')!)
  begin()
  const parts = [x, y].map(input => gradient(() => layer.forward(input).sum()))
  begin()
  const both = gradient(() => layer.forward(x).add(layer.forward(y)).sum())
  assertCloseNumbers(
    both,
    parts[0].map((value, i) => value + parts[1][i]),
  )
})

test('a parametrization is copied and removed', () => {
  for (const make of [weightNorm, spectralNorm]) {
    const layer = make(randomize(new Linear(3, 2))).eval()
    const x = random([1, 3])
    const before = values(layer.forward(x))
    const copy = deepCopy(layer)
    assert.deepEqual(values(copy.forward(x)), before)
    removeParametrization(copy)
    assertCloseNumbers(values(copy.forward(x)), before)
    assert.deepEqual([...copy.stateDict().keys()].sort(), ['bias', 'weight'])
    assert.equal(Object.getPrototypeOf(copy), Linear.prototype)
    assert.equal(layer.stateDict().has('weight'), false)
  }
})

test('a weight that cannot be computed is refused', () => {
  assert.throws(() => weightNorm(weightNorm(new Linear(2, 2))), /Linear must have a weight .* computed already/)
  assert.throws(() => spectralNorm(new LayerNorm(2)), /LayerNorm must have a weight of two axes or more/)
  assert.throws(() => removeParametrization(new Linear(2, 2)), /no weight of Linear is computed/)
  assert.throws(() => weightNorm(zeros([2]) as never), /module must be a module with a weight/)
})
