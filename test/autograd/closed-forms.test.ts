// Second and third derivatives against closed formulas, which use no tape. Among them are those that are silently wrong if saved
// tensors are copied: x exp x, x tanh x, x sigmoid x and softmax.

import { describe, it } from 'node:test'
import { crossEntropy, grad, hessian, jacobian, type TensorFunction } from '../../src/autograd/index.ts'
import { contrastiveLoss } from '../../src/nn/index.ts'
import { type Tensor, tensor } from '../../src/tensor/index.ts'
import { assertClose } from '../support.ts'
import { make, softmaxOf } from './plain.ts'

const points = [-2.5, -1, -0.3, 0, 0.4, 1, 2.2]
const positive = points.map(x => x + 3)
const exact = (data: number | readonly number[] | readonly (readonly number[])[]) => tensor(data, { dtype: 'float64' })

const slope = (f: TensorFunction): TensorFunction => grad((x: Tensor) => f(x).sum())
const second = (f: TensorFunction) => slope(slope(f))
const third = (f: TensorFunction) => slope(second(f))

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
const sech2 = (x: number) => 1 / Math.cosh(x) ** 2
const density = (x: number) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)
/** σ′, σ″ and σ‴ */
const sigmoid1 = (x: number) => sigmoid(x) * sigmoid(-x)
const sigmoid2 = (x: number) => sigmoid1(x) * (1 - 2 * sigmoid(x))
const sigmoid3 = (x: number) => sigmoid1(x) * (1 - 6 * sigmoid1(x))
const tanh2 = (x: number) => -2 * Math.tanh(x) * sech2(x)
const tanh3 = (x: number) => sech2(x) * (4 * Math.tanh(x) ** 2 - 2 * sech2(x))

type Form = readonly [f: TensorFunction, second: (x: number) => number, third: (x: number) => number]
const forms: Readonly<Record<string, Form>> = {
  'exp x': [x => x.exp(), Math.exp, Math.exp],
  'x exp x': [x => x.mul(x.exp()), x => (x + 2) * Math.exp(x), x => (x + 3) * Math.exp(x)],
  'x tanh x': [x => x.mul(x.tanh()), x => 2 * sech2(x) + x * tanh2(x), x => 3 * tanh2(x) + x * tanh3(x)],
  'x sigmoid x': [x => x.silu(), x => 2 * sigmoid1(x) + x * sigmoid2(x), x => 3 * sigmoid2(x) + x * sigmoid3(x)],
  tanh: [x => x.tanh(), tanh2, tanh3],
  sigmoid: [x => x.sigmoid(), sigmoid2, sigmoid3],
  softplus: [x => x.softplus(), sigmoid1, sigmoid2],
  gelu: [x => x.gelu(), x => density(x) * (2 - x * x), x => density(x) * (x ** 3 - 4 * x)],
  erf: [
    x => x.erf(),
    x => ((-4 * x) / Math.sqrt(Math.PI)) * Math.exp(-x * x),
    x => ((8 * x * x - 4) / Math.sqrt(Math.PI)) * Math.exp(-x * x),
  ],
  sin: [x => x.sin(), x => -Math.sin(x), x => -Math.cos(x)],
  cos: [x => x.cos(), x => -Math.cos(x), x => Math.sin(x)],
  'x⁴': [x => x.pow(4), x => 12 * x * x, x => 24 * x],
}
const positiveForms: Readonly<Record<string, Form>> = {
  log: [x => x.log(), x => -1 / x ** 2, x => 2 / x ** 3],
  log1p: [x => x.log1p(), x => -1 / (1 + x) ** 2, x => 2 / (1 + x) ** 3],
  sqrt: [x => x.sqrt(), x => -(x ** -1.5) / 4, x => (3 * x ** -2.5) / 8],
  rsqrt: [x => x.rsqrt(), x => 0.75 * x ** -2.5, x => -1.875 * x ** -3.5],
  '1/x': [x => x.pow(-1), x => 2 / x ** 3, x => -6 / x ** 4],
}

for (const [at, list] of [
  [points, forms],
  [positive, positiveForms],
] as const)
  for (const [name, [f, two, three]] of Object.entries(list))
    it(`${name}: second and third derivative`, () => {
      assertClose(second(f)(exact(at)), { shape: [at.length], data: at.map(two) }, 1e-11)
      assertClose(third(f)(exact(at)), { shape: [at.length], data: at.map(three) }, 1e-11)
    })

describe('Hessians', () => {
  const logits = [0.3, -1.2, 0.8, 2]
  const p = softmaxOf(logits)
  const delta = (i: number, j: number) => Number(i === j)
  /** diag p - p pᵀ, the derivative of softmax */
  const spread = (i: number, j: number) => p[i] * (delta(i, j) - p[j])

  it('softmax: p (δ - p)(δ - p) - p p (δ - p)', () => {
    const actual = jacobian(jacobian(x => x.softmax()))(exact(logits))
    const expected = make([4, 4, 4], ([i, j, k]) => spread(i, k) * (delta(i, j) - p[j]) - p[i] * spread(j, k))
    assertClose(actual, expected, 1e-12)
  })

  it('logSumExp and crossEntropy: diag p - p pᵀ, for any target', () => {
    const expected = make([4, 4], ([i, j]) => spread(i, j))
    assertClose(hessian(x => x.logSumExp())(exact(logits)), expected, 1e-12)
    for (const id of [0, 2]) {
      const loss = (x: Tensor) => crossEntropy(x.unsqueeze(0), tensor([id], { dtype: 'int32' }))
      assertClose(hessian(loss)(exact(logits)), expected, 1e-12)
    }
  })

  it('contrastiveLoss, with respect to the similarities: both softmaxes, along rows and along columns', () => {
    const [rows, scale] = [
      [
        [0.6, -0.4, 0.1],
        [0.2, 0.9, -0.7],
        [-0.5, 0.3, 0.8],
      ],
      3,
    ]
    // with the identity for the texts, the embeddings of images are the similarities
    const texts = exact([
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ])
    const loss = (images: Tensor) => contrastiveLoss(images, texts, scale, { reduction: 'mean' })
    const byRow = rows.map(row => softmaxOf(row.map(x => scale * x)))
    const byColumn = [0, 1, 2].map(j => softmaxOf(rows.map(row => scale * row[j])))
    const expected = make([3, 3, 3, 3], ([i, j, k, l]) => {
      const row = delta(i, k) * byRow[i][j] * (delta(j, l) - byRow[i][l])
      const column = delta(j, l) * byColumn[j][i] * (delta(i, k) - byColumn[j][k])
      return ((row + column) * scale * scale) / 6
    })
    assertClose(hessian(loss)(exact(rows)), expected, 1e-12)
  })

  it('a norm: (I - u uᵀ) / ‖x‖', () => {
    const x = [1, -2, 2]
    const expected = make([3, 3], ([i, j]) => (delta(i, j) - (x[i] * x[j]) / 9) / 3)
    assertClose(hessian(y => y.norm())(exact(x)), expected, 1e-12)
  })
})
