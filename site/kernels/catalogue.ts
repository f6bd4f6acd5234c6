// The operations whose kernels are shown, with the tensors that they are called with. The page reads it without loading the library.

import type * as Cocagrad from 'cocagrad'
import type { Tensor } from 'cocagrad'

export interface Operand {
  readonly name: string
  readonly shape: readonly number[]
  /** ids below a number, in place of random numbers; default random numbers */
  readonly ids?: number
  /** whether the numbers are all positive */
  readonly isPositive?: boolean
}

export interface Operation {
  readonly group: string
  readonly formula: string
  readonly operands: readonly Operand[]
  /** 0 if it has no gradient */
  readonly order?: 0
  /** the call; functions that are no methods are given */
  f(xs: readonly Tensor[], library: typeof Cocagrad): Tensor
}

const matrix = [512, 1024] as const
const unary = (formula: string, f: (x: Tensor) => Tensor, isPositive = false): Operation => ({
  group: 'element by element',
  formula,
  operands: [{ name: 'x', shape: matrix, isPositive }],
  f: ([x]) => f(x),
})
const binary = (formula: string, f: (x: Tensor, y: Tensor) => Tensor, isPositive = false): Operation => ({
  group: 'element by element, with broadcasting',
  formula,
  operands: [
    { name: 'x', shape: matrix, isPositive },
    { name: 'y', shape: [1024], isPositive },
  ],
  f: ([x, y]) => f(x, y),
})
const overRows = (formula: string, f: (x: Tensor) => Tensor, order?: 0): Operation => ({
  group: 'along an axis',
  formula,
  operands: [{ name: 'x', shape: matrix }],
  order,
  f: ([x]) => f(x),
})
const arranged = (formula: string, f: (x: Tensor) => Tensor): Operation => ({
  group: 'order in memory',
  formula,
  operands: [{ name: 'x', shape: matrix }],
  f: ([x]) => f(x),
})

const catalogue = {
  gelu: unary('x Φ(x)', x => x.gelu()),
  relu: unary('max(x, 0)', x => x.relu()),
  sigmoid: unary('1 ⁄ (1 + e⁻ˣ)', x => x.sigmoid()),
  silu: unary('x sigmoid(x)', x => x.silu()),
  softplus: unary('log(1 + eˣ)', x => x.softplus()),
  tanh: unary('tanh x', x => x.tanh()),
  exp: unary('eˣ', x => x.exp()),
  log: unary('log x', x => x.log(), true),
  sqrt: unary('√x', x => x.sqrt(), true),
  rsqrt: unary('1 ⁄ √x', x => x.rsqrt(), true),
  sin: unary('sin x', x => x.sin()),
  erf: unary('erf x', x => x.erf()),
  square: unary('x²', x => x.square()),
  add: binary('x + y', (x, y) => x.add(y)),
  mul: binary('x y', (x, y) => x.mul(y)),
  div: binary('x ⁄ y', (x, y) => x.div(y), true),
  pow: binary('x to the power of y', (x, y) => x.pow(y), true),
  maximum: binary('the larger of x and y', (x, y) => x.maximum(y)),
  greater: { ...binary('x > y', (x, y) => x.greater(y)), order: 0 },
  sum: overRows('Σ x of each row', x => x.sum({ axis: -1 })),
  mean: overRows('the mean of each row', x => x.mean({ axis: -1 })),
  max: overRows('the largest of each row', x => x.max({ axis: -1 })),
  variance: overRows('the variance of each row', x => x.variance({ axis: -1 })),
  logSumExp: overRows('log Σ eˣ of each row', x => x.logSumExp({ axis: -1 })),
  cumsum: overRows('sums of all before, in each row', x => x.cumsum({ axis: -1 })),
  argmax: overRows('place of the largest of each row', x => x.argmax({ axis: -1 }), 0),
  sort: overRows('each row in order', x => x.sort({ axis: -1 }).values),
  softmax: overRows('eˣ ⁄ Σ eˣ of each row', x => x.softmax()),
  logSoftmax: overRows('x − log Σ eˣ of each row', x => x.logSoftmax()),
  normalize: overRows('x ⁄ ‖x‖ of each row', x => x.normalize()),
  layerNorm: {
    group: 'along an axis',
    formula: '(x − mean) ⁄ deviation · weight + bias',
    operands: [
      { name: 'x', shape: matrix },
      { name: 'weight', shape: [1024] },
      { name: 'bias', shape: [1024] },
    ],
    f: ([x, weight, bias]) => x.layerNorm({ weight, bias }),
  },
  rmsNorm: {
    group: 'along an axis',
    formula: 'x ⁄ √(mean of x²) · weight',
    operands: [
      { name: 'x', shape: matrix },
      { name: 'weight', shape: [1024] },
    ],
    f: ([x, weight]) => x.rmsNorm({ weight }),
  },
  crossEntropy: {
    group: 'along an axis',
    formula: '− log softmax at the class, the mean over rows',
    operands: [
      { name: 'logits', shape: matrix },
      { name: 'classes', shape: [512], ids: 1024 },
    ],
    f: ([logits, classes]) => logits.crossEntropy(classes),
  },
  matmul: {
    group: 'products',
    formula: 'Σₖ aᵢₖ bₖⱼ',
    operands: [
      { name: 'a', shape: [256, 256] },
      { name: 'b', shape: [256, 256] },
    ],
    f: ([a, b]) => a.matmul(b),
  },
  linear: {
    group: 'products',
    formula: 'x weightᵀ + bias',
    operands: [
      { name: 'x', shape: [256, 192] },
      { name: 'weight', shape: [192, 192] },
      { name: 'bias', shape: [192] },
    ],
    f: ([x, weight, bias]) => x.linear(weight, bias),
  },
  attention: {
    group: 'products',
    formula: 'softmax(q kᵀ ⁄ √width) v, causal',
    operands: ['q', 'k', 'v'].map(name => ({ name, shape: [4, 4, 64, 32] })),
    f: ([q, k, v]) => q.attention(k, v, { causal: true }),
  },
  conv2d: {
    group: 'products',
    formula: 'windows of the image times kernels, padding 1',
    operands: [
      { name: 'image', shape: [2, 8, 32, 32] },
      { name: 'kernels', shape: [16, 8, 3, 3] },
    ],
    f: ([image, kernels]) => image.conv2d(kernels, { padding: 1 }),
  },
  maxPool2d: {
    group: 'products',
    formula: 'the largest of each window of 2 × 2',
    operands: [{ name: 'image', shape: [4, 8, 32, 32] }],
    f: ([image]) => image.maxPool2d({ kernel: 2 }),
  },
  embedding: {
    group: 'tables',
    formula: 'rows of a table by their ids',
    operands: [
      { name: 'table', shape: [1024, 192] },
      { name: 'ids', shape: [512], ids: 1024 },
    ],
    f: ([table, ids], { embedding }) => embedding(table, ids),
  },
  gather: {
    group: 'tables',
    formula: 'elements of each row by their place',
    operands: [
      { name: 'x', shape: matrix },
      { name: 'places', shape: [512, 16], ids: 1024 },
    ],
    f: ([x, places]) => x.gather(places, { axis: 1 }),
  },
  transpose: arranged('xᵀ, then a copy in that order', x => x.transpose().add(0)),
  flip: arranged('each row from its end', x => x.flip(-1)),
  pad: arranged('a frame of zeros', x =>
    x.pad([
      [1, 1],
      [1, 1],
    ]),
  ),
  concat: {
    group: 'order in memory',
    formula: 'one after the other',
    operands: [
      { name: 'x', shape: matrix },
      { name: 'y', shape: matrix },
    ],
    f: ([x, y], { concat }) => concat([x, y], 0),
  },
} satisfies Record<string, Operation>

export type OperationName = keyof typeof catalogue

export const operations: Readonly<Record<OperationName, Operation>> = catalogue
