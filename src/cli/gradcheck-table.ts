// The operations that `cocagrad gradcheck` checks: for each what it computes, and inputs at which it is smooth.

import * as ops from '../autograd/index.ts'
import { fromData, type Generator, type Shape, sizeOf, type Tensor } from '../tensor/index.ts'

/** One operation with inputs of one kind. */
export interface GradcheckCase {
  readonly operation: string
  readonly f: (...inputs: Tensor[]) => Tensor
  readonly inputs: (generator: Generator) => Tensor[]
}

type Values = (generator: Generator) => number

const between =
  (low: number, high: number): Values =>
  generator =>
    low + (high - low) * generator.uniform()
const any = between(-2, 2)
const positive = between(0.25, 2.25)
/** of both signs, and no nearer to 0 than 1/4: for poles and kinks there */
const notZero: Values = generator => (generator.integer(2) === 0 ? -1 : 1) * positive(generator)

const draw = (shape: Shape, values: Values, generator: Generator): Tensor =>
  fromData(
    Float64Array.from({ length: sizeOf(shape) }, () => values(generator)),
    shape,
  )

/** Values that are all different by 1/8 and more, in a random order: for functions with a kink where two are equal. */
const distinct = (shape: Shape, generator: Generator): Tensor =>
  fromData(
    Float64Array.from(generator.permutation(sizeOf(shape)), rank => rank / 8 - 1),
    shape,
  )

/** A case for every list of shapes. */
const on = (
  operation: string,
  f: (...inputs: Tensor[]) => Tensor,
  shapeLists: readonly (readonly Shape[])[],
  values: Values = any,
): GradcheckCase[] =>
  shapeLists.map(shapes => ({
    operation,
    f,
    inputs: generator => shapes.map(shape => draw(shape, values, generator)),
  }))

const one: readonly (readonly Shape[])[] = [[[]], [[3]], [[2, 3]], [[2, 1, 3]]]
const two: readonly (readonly Shape[])[] = [
  [
    [2, 3],
    [2, 3],
  ],
  [[2, 3], [3]],
  [
    [2, 1],
    [1, 3],
  ],
  [[], [2, 2]],
]
const matrices: readonly (readonly Shape[])[] = [[[2, 3]], [[2, 2, 3]]]

/** Functions of one tensor by name, or of two. */
const unary = (functions: Record<string, (x: Tensor) => Tensor>, values?: Values) =>
  Object.entries(functions).flatMap(([name, f]) => on(name, x => f(x), one, values))
const binary = (functions: Record<string, (x: Tensor, y: Tensor) => Tensor>, values?: Values) =>
  Object.entries(functions).flatMap(([name, f]) => on(name, (x, y) => f(x, y), two, values))

const ids = (values: readonly number[], shape: Shape) => fromData(Int32Array.from(values), shape)

const { add, sub, mul, div, pow, maximum, minimum } = ops
const { neg, exp, expm1, sin, cos, tanh, sigmoid, erf, square, softplus, silu } = ops
const { log, log1p, sqrt, rsqrt, abs, relu } = ops

export const gradcheckTable: readonly GradcheckCase[] = [
  ...binary({ add, sub, mul }),
  ...binary({ div }, notZero),
  ...binary({ pow }, positive),
  ...unary({ neg, exp, expm1, sin, cos, tanh, sigmoid, erf, square, softplus, silu }),
  ...unary({ log, log1p, sqrt, rsqrt }, positive),
  ...unary({ abs, relu }, notZero),
  ...on('gelu', x => ops.gelu(x), one),
  ...on('gelu', x => ops.gelu(x, { approximate: 'tanh' }), one),
  ...Object.entries({ maximum, minimum }).map(
    ([operation, f]): GradcheckCase => ({
      operation,
      f: x => f(x.slice([0]), x.slice([1])),
      inputs: generator => [distinct([2, 5], generator)],
    }),
  ),
  ...on('sum', x => x.sum({ axis: -1 }), matrices),
  ...on('mean', x => x.mean({ axis: 0 }), matrices),
  ...on('variance', x => ops.variance(x, { axis: -1 }), matrices),
  ...on('norm', x => x.norm({ axis: -1 }), matrices, notZero),
  ...on('cumsum', x => ops.cumsum(x), matrices),
  ...on('logSumExp', x => x.logSumExp({ axis: -1 }), matrices),
  {
    operation: 'max',
    f: x => x.max({ axis: -1 }),
    inputs: generator => [distinct([3, 4], generator)],
  },
  ...on('softmax', x => x.softmax(), matrices),
  ...on('softmax', x => x.softmax({ axis: 0 }), matrices),
  ...on('logSoftmax', x => x.logSoftmax(), matrices),
  ...on('layerNorm', (x, weight, bias) => ops.layerNorm(x, { weight, bias }), [
    [[2, 3], [3], [3]],
    [[2, 2, 4], [4], [4]],
  ]),
  ...on('normalize', x => ops.normalize(x), matrices, notZero),
  ...on('matmul', (x, y) => x.matmul(y), [
    [
      [2, 3],
      [3, 2],
    ],
    [
      [2, 2, 3],
      [3, 2],
    ],
    [[3], [3, 2]],
  ]),
  ...on('linear', (x, weight, bias) => ops.linear(x, weight, bias), [[[2, 3], [2, 3], [2]]]),
  ...on('einsum', (x, y) => ops.einsum('bqd,bkd->bqk', x, y), [
    [
      [2, 2, 3],
      [2, 3, 3],
    ],
  ]),
  ...on('attention', (q, k, v) => ops.attention(q, k, v), [
    [
      [2, 2, 3],
      [2, 3, 3],
      [2, 3, 2],
    ],
  ]),
  ...on('attention', (q, k, v) => ops.attention(q, k, v, { causal: true }), [
    [
      [1, 3, 2],
      [1, 3, 2],
      [1, 3, 2],
    ],
  ]),
  ...on('crossEntropy', x => ops.crossEntropy(x, ids([2, 0], [2])), [[[2, 3]]]),
  ...on('crossEntropy', x => ops.crossEntropy(x, ids([2, 0], [2]), { ignore: 0, smoothing: 0.1 }), [[[2, 3]]]),
  ...on('reshape', x => x.reshape([-1]), matrices),
  ...on('permute', x => x.transpose(), matrices),
  ...on('slice', x => x.slice([{}, { start: 1 }]), matrices),
  ...on(
    'pad',
    x =>
      ops.pad(
        x,
        x.shape.map(() => [1, 2] as const),
      ),
    matrices,
  ),
  ...on('concat', (x, y) => ops.concat([x, y], 0), [
    [
      [2, 3],
      [1, 3],
    ],
  ]),
  ...on('gather', x => x.gather(ids([2, 0, 0, 1], [2, 2]), { axis: 1 }), [[[2, 3]]]),
  ...on('embedding', x => ops.embedding(x, ids([2, 0, 2], [3])), [[[3, 2]]]),
  ...on('where', (x, y) => ops.where(fromData(Uint8Array.from([1, 0, 1]), [3]).cast('bool'), x, y), [[[2, 3], [3]]]),
]
