// Gradients of first, second and third order against PyTorch's, in float64. The numbers are made by test/golden/gradients.py.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'
import { attention, crossEntropy, layerNorm, type TensorFunction, vjp } from '../../src/autograd/index.ts'
import { contrastiveLoss } from '../../src/nn/index.ts'
import { fromData, type Tensor, tensor } from '../../src/tensor/index.ts'
import { assertClose } from '../support.ts'

interface Numbers {
  readonly shape: readonly number[]
  readonly data: readonly number[]
  readonly weights: readonly number[]
}

interface Golden {
  readonly name: string
  readonly inputs: readonly Numbers[]
  readonly result: Numbers
  /** of order 1, 2, … by each input */
  readonly gradients: readonly (readonly (readonly number[])[])[]
}

const file = new URL('../golden/gradients.json', import.meta.url)
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { readonly cases: readonly Golden[] }

const ids = tensor([2, 0, 3], { dtype: 'int32' })
const functions: Readonly<Record<string, TensorFunction>> = {
  softmax: x => x.softmax(),
  'softmax of the first axis': x => x.softmax({ axis: 0 }),
  logSoftmax: x => x.logSoftmax(),
  layerNorm: (x, weight, bias) => layerNorm(x, { weight, bias }),
  attention: (q, k, v) => attention(q, k, v),
  'causal attention': (q, k, v) => attention(q, k, v, { causal: true }),
  'self-attention': x => attention(x, x, x),
  'gelu of PyTorch': x => x.gelu(),
  geluTanh: x => x.gelu({ approximate: 'tanh' }),
  crossEntropy: x => crossEntropy(x, ids),
  'crossEntropy, smoothed': x => crossEntropy(x, ids, { smoothing: 0.1 }),
  'crossEntropy, ignoring': x => crossEntropy(x, ids, { ignore: 0 }),
  contrastiveLoss: (image, text, logScale) =>
    contrastiveLoss(image.normalize(), text.normalize(), logScale.exp(), { reduction: 'mean' }),
  exp: x => x.exp(),
  tanh: x => x.tanh(),
  sigmoid: x => x.sigmoid(),
  erf: x => x.erf(),
  softplus: x => x.softplus(),
  silu: x => x.silu(),
  gelu: x => x.gelu(),
  'x exp x': x => x.mul(x.exp()),
  'x tanh x': x => x.mul(x.tanh()),
}

const tensorOf = ({ shape }: Numbers, data: readonly number[]): Tensor => fromData(Float64Array.from(data), shape)

/** All gradients of Σ w f. */
const gradientsOf =
  (f: TensorFunction, weights: Tensor) =>
  (...xs: Tensor[]): Tensor[] =>
    vjp(f, ...xs)[1](weights)

for (const { name, inputs, result, gradients } of cases) {
  it(`${name} has PyTorch's value and gradients to order ${gradients.length}`, () => {
    const f = functions[name]
    assert.ok(f, `${name} is tested`)
    const xs = inputs.map(x => tensorOf(x, x.data))
    const directions = inputs.map(x => tensorOf(x, x.weights))
    assertClose(f(...xs), result, 1e-12)
    let derive = gradientsOf(f, tensorOf(result, result.weights))
    for (const [n, expected] of gradients.entries()) {
      derive(...xs).forEach((g, i) => {
        assertClose(g, { shape: inputs[i].shape, data: expected[i] }, n < 2 ? 1e-11 : 1e-10)
      })
      const lower = derive
      const along: TensorFunction = (...ys) =>
        lower(...ys)
          .map((g, i) => g.mul(directions[i]).sum())
          .reduce((a, b) => a.add(b))
      derive = gradientsOf(along, tensor(1, { dtype: 'float64' }))
    }
  })
}

it('every function has golden numbers', () =>
  assert.deepEqual(cases.map(({ name }) => name).sort(), Object.keys(functions).sort()))
