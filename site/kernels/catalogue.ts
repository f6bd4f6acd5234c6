// A call of every operation, with the tensors that it is called with: the compiler reports an operation that is missing. The page reads it
// without loading the library.

import type * as Cocagrad from 'cocagrad'
import type { Tensor } from 'cocagrad'
import type { OperationName } from 'cocagrad/testing'

export type { OperationName }

export interface Operand {
  readonly name: string
  readonly shape: readonly number[]
  /** ids below a number, in place of random numbers; default random numbers */
  readonly ids?: number
  /** what makes the values of random numbers, where the operation does not take all */
  readonly values?: (x: Tensor) => Tensor
}

export interface Operation {
  readonly operands: readonly Operand[]
  /** what the call is told besides the tensors */
  readonly note?: string
  /** whether this call has no gradient, though the operation has one */
  readonly isWhole?: boolean
  /** the call; functions that are no methods are given */
  f(xs: readonly Tensor[], library: typeof Cocagrad): Tensor
}

const matrix = [512, 1024] as const
const image = [2, 8, 32, 32] as const
const volume = [1, 4, 8, 16, 16] as const
const line = [2, 8, 1024] as const

const positive = (x: Tensor): Tensor => x.abs().add(0.5)
const small = (x: Tensor): Tensor => x.tanh().mul(0.9)
const aboveOne = (x: Tensor): Tensor => x.abs().add(1.1)
const truth = (x: Tensor): Tensor => x.greater(0)
const inOrder = (x: Tensor): Tensor => x.sort().values

type Methods = Extract<OperationName, keyof Tensor>
type Method<Call> = { [Name in Methods]: Tensor[Name] extends Call ? Name : never }[Methods]

/** Operations of one tensor, called without options. */
function alone<Name extends Method<() => Tensor>>(
  names: readonly Name[],
  more: Partial<Operand> = {},
): Record<Name, Operation> {
  const of = (name: Name): Operation => ({
    operands: [{ name: 'x', shape: matrix, ...more }],
    f: ([x]) => (x[name] as () => Tensor)(),
  })
  return Object.fromEntries(names.map(name => [name, of(name)])) as Record<Name, Operation>
}

/** Operations along the last axis. */
function overRows<Name extends Method<(options: { readonly axis: number }) => Tensor>>(
  ...names: readonly Name[]
): Record<Name, Operation> {
  const of = (name: Name): Operation => ({
    operands: [{ name: 'x', shape: matrix }],
    note: 'of each row',
    f: ([x]) => (x[name] as (options: { readonly axis: number }) => Tensor)({ axis: -1 }),
  })
  return Object.fromEntries(names.map(name => [name, of(name)])) as Record<Name, Operation>
}

/** Operations of a matrix and a row, which broadcasts. */
function pairs<Name extends Method<(y: Tensor) => Tensor>>(
  names: readonly Name[],
  values?: Operand['values'],
): Record<Name, Operation> {
  const of = (name: Name): Operation => ({
    operands: [
      { name: 'x', shape: matrix, values },
      { name: 'y', shape: [1024], values },
    ],
    f: ([x, y]) => (x[name] as (y: Tensor) => Tensor)(y),
  })
  return Object.fromEntries(names.map(name => [name, of(name)])) as Record<Name, Operation>
}

/** A call of one tensor. */
const one = (f: (x: Tensor) => Tensor, note?: string, more: Partial<Operand> = {}): Operation => ({
  operands: [{ name: 'x', shape: matrix, ...more }],
  note,
  f: ([x]) => f(x),
})

/** A call of several tensors, by their names and shapes. */
const several = (
  operands: Readonly<Record<string, readonly number[] | Omit<Operand, 'name'>>>,
  f: Operation['f'],
  note?: string,
): Operation => ({
  operands: Object.entries(operands).map(([name, given]) => ({
    name,
    ...('shape' in given ? given : { shape: given }),
  })),
  note,
  f,
})

const elementwise = {
  ...alone(['abs', 'cos', 'cube', 'erf', 'exp', 'exp2', 'expm1', 'isFinite', 'isInf', 'isNaN', 'neg']),
  ...alone(['nanToNum', 'sign', 'sin', 'square', 'stopGradient', 'tanh']),
  ...alone(['log', 'log10', 'log1p', 'log2', 'reciprocal', 'rsqrt', 'sqrt'], { values: positive }),
  ...alone(['logicalNot'], { values: truth }),
  ...pairs(['add', 'equal', 'greater', 'greaterEqual', 'isClose', 'less', 'lessEqual', 'logaddexp', 'maximum']),
  ...pairs(['minimum', 'mul', 'notEqual', 'sub']),
  ...pairs(['div', 'pow'], positive),
  ...pairs(['logicalAnd', 'logicalOr'], truth),
  identity: several({ x: matrix }, ([x], { identity }) => identity(x)),
  cast: { ...one(x => x.cast('int32'), 'to int32'), isWhole: true },
  clamp: one(x => x.clamp({ min: -1, max: 1 }), 'from −1 to 1'),
  lerp: several({ x: matrix, y: matrix }, ([x, y]) => x.lerp(y, 0.25), 'with a weight of 1/4'),
  where: several(
    { condition: { shape: matrix, values: truth }, x: matrix, y: [1024] },
    ([condition, x, y], { where }) => where(condition, x, y),
  ),
}

const activations = {
  ...alone(['elu', 'gelu', 'hardswish', 'leakyRelu', 'logSigmoid', 'mish', 'quickGelu', 'relu', 'selu', 'sigmoid']),
  ...alone(['silu', 'softplus', 'softsign', 'glu', 'swiglu']),
}

const otherFunctions = {
  ...alone(['ceil', 'floor', 'round', 'trunc']),
  ...pairs(['fmod', 'remainder'], positive),
  ...alone(['asinh', 'atan', 'cosh', 'sinh', 'tan']),
  ...alone(['acos', 'asin', 'atanh'], { values: small }),
  ...alone(['acosh'], { values: aboveOne }),
  ...pairs(['atan2', 'hypot']),
}

const reductions = {
  ...overRows('all', 'any', 'argmax', 'argmin', 'logSumExp', 'max', 'mean', 'median', 'min', 'norm', 'prod', 'std'),
  ...overRows('sum', 'variance', 'cummax', 'cummin', 'cumprod', 'cumsum', 'logCumSumExp', 'argsort'),
  sumTo: one(x => x.sumTo([1024]), 'to one row'),
  varianceAndMean: one(x => x.varianceAndMean({ axis: -1 }).variance, 'of each row'),
  maxWithIndices: one(x => x.maxWithIndices().values, 'of each row'),
  minWithIndices: one(x => x.minWithIndices().values, 'of each row'),
  kthValue: one(x => x.kthValue(3).values, 'k = 3, of each row'),
  quantile: one(x => x.quantile(0.9, { axis: -1 }), 'q = 0.9, of each row'),
  sort: one(x => x.sort().values, 'of each row'),
  topk: one(x => x.topk(8).values, 'k = 8, of each row'),
  histogram: one(x => x.histogram().counts),
  searchSorted: several({ sorted: { shape: [1024], values: inOrder }, values: matrix }, ([sorted, values]) =>
    sorted.searchSorted(values),
  ),
}

const normalizations = {
  ...alone(['softmax', 'logSoftmax', 'normalize']),
  standardize: several({ x: matrix }, ([x], { standardize }) => standardize(x, 1e-5), 'with ε = 10⁻⁵'),
  crossEntropy: several({ logits: matrix, classes: { shape: [512], ids: 1024 } }, ([logits, classes]) =>
    logits.crossEntropy(classes),
  ),
  layerNorm: several({ x: matrix, weight: [1024], bias: [1024] }, ([x, weight, bias]) => x.layerNorm({ weight, bias })),
  rmsNorm: several({ x: matrix, weight: [1024] }, ([x, weight]) => x.rmsNorm({ weight })),
  batchNorm: several({ x: image, weight: [8], bias: [8] }, ([x, weight, bias]) => x.batchNorm({ weight, bias })),
  groupNorm: several(
    { x: image, weight: [8], bias: [8] },
    ([x, weight, bias]) => x.groupNorm({ groups: 2, weight, bias }),
    'in 2 groups',
  ),
}

const heads = { q: [4, 4, 64, 32], k: [4, 4, 64, 32] }
const products = {
  matmul: several({ a: [256, 256], b: [256, 256] }, ([a, b]) => a.matmul(b)),
  linear: several({ x: [256, 192], weight: [192, 192], bias: [192] }, ([x, weight, bias]) => x.linear(weight, bias)),
  einsum: several(
    { queries: [4, 64, 32], keys: [4, 64, 32] },
    ([q, k], { einsum }) => einsum('bqd,bkd->bqk', q, k),
    "'bqd,bkd->bqk'",
  ),
  attention: several(
    { ...heads, v: [4, 4, 64, 32] },
    ([q, k, v]) => q.attention(k, v, { causal: true }),
    'with a causal mask',
  ),
  attentionWeights: several(
    heads,
    ([q, k], { attentionWeights }) => attentionWeights(q, k, { causal: true }),
    'with a causal mask',
  ),
  causalMask: several(
    { scores: matrix },
    ([scores], { causalMask }) => causalMask(scores.shape[0], scores.shape[1], scores),
    'of as many queries and keys',
  ),
  conv1d: several({ x: line, kernels: [16, 8, 3] }, ([x, w]) => x.conv1d(w, { padding: 1 }), 'padding 1'),
  conv2d: several({ x: image, kernels: [16, 8, 3, 3] }, ([x, w]) => x.conv2d(w, { padding: 1 }), 'padding 1'),
  conv3d: several({ x: volume, kernels: [8, 4, 3, 3, 3] }, ([x, w]) => x.conv3d(w, { padding: 1 }), 'padding 1'),
  convTranspose1d: several(
    { x: line, kernels: [8, 16, 2] },
    ([x, w]) => x.convTranspose1d(w, { stride: 2 }),
    'stride 2',
  ),
  convTranspose2d: several(
    { x: image, kernels: [8, 16, 2, 2] },
    ([x, w]) => x.convTranspose2d(w, { stride: 2 }),
    'stride 2',
  ),
  convTranspose3d: several(
    { x: volume, kernels: [4, 8, 2, 2, 2] },
    ([x, w]) => x.convTranspose3d(w, { stride: 2 }),
    'stride 2',
  ),
  unfold: one(x => x.unfold({ kernel: [3, 3] }), 'windows of 3 × 3', { shape: image }),
  fold: one(x => x.fold([32, 32], { stride: 2 }), 'windows of 2 × 2, stride 2', { shape: [2, 8, 2, 2, 16, 16] }),
  avgPool1d: one(x => x.avgPool1d({ kernel: 2 }), 'windows of 2', { shape: line }),
  avgPool2d: one(x => x.avgPool2d({ kernel: 2 }), 'windows of 2 × 2', { shape: image }),
  avgPool3d: one(x => x.avgPool3d({ kernel: 2 }), 'windows of 2 × 2 × 2', { shape: volume }),
  maxPool1d: one(x => x.maxPool1d({ kernel: 2 }), 'windows of 2', { shape: line }),
  maxPool2d: one(x => x.maxPool2d({ kernel: 2 }), 'windows of 2 × 2', { shape: image }),
  maxPool3d: one(x => x.maxPool3d({ kernel: 2 }), 'windows of 2 × 2 × 2', { shape: volume }),
  adaptiveAvgPool: one(x => x.adaptiveAvgPool([5, 5]), 'to 5 × 5', { shape: image }),
  adaptiveMaxPool: one(x => x.adaptiveMaxPool([5, 5]), 'to 5 × 5', { shape: image }),
  interpolate: one(x => x.interpolate({ scale: 2, mode: 'bilinear' }), 'twice the size, bilinear', { shape: image }),
  gridSample: several({ x: image, grid: { shape: [2, 16, 16, 2], values: small } }, ([x, grid]) => x.gridSample(grid)),
  pixelShuffle: one(x => x.pixelShuffle(2), 'by 2', { shape: image }),
  pixelUnshuffle: one(x => x.pixelUnshuffle(2), 'by 2', { shape: image }),
}

const mask = { shape: matrix, values: truth }
const places = { shape: [512, 16], ids: 1024 }
const tables = {
  embedding: several({ table: [1024, 192], ids: { shape: [512], ids: 1024 } }, ([table, ids], { embedding }) =>
    embedding(table, ids),
  ),
  gather: several({ x: matrix, places }, ([x, at]) => x.gather(at, { axis: 1 }), 'along the rows'),
  take: several({ x: matrix, rows: { shape: [256], ids: 512 } }, ([x, rows]) => x.take(rows)),
  scatterAdd: several(
    { places, values: [512, 16] },
    ([at, values], { scatterAdd }) => scatterAdd([512, 1024], at, values, { axis: 1 }),
    'into 512 × 1024',
  ),
  oneHot: several({ ids: { shape: [512], ids: 64 } }, ([ids], { oneHot }) => oneHot(ids, 64), 'of 64 classes'),
  at: several({ x: matrix, rows: { shape: [256], ids: 512 } }, ([x, rows]) => x.at(rows, 5), 'in column 5'),
  addAt: several({ x: matrix, rows: { shape: [256], ids: 512 } }, ([x, rows]) => x.addAt([rows], 1), '1'),
  withAt: several({ x: matrix, values: [1024] }, ([x, values]) => x.withAt([7], values), 'in row 7'),
  maskedFill: several({ x: matrix, mask }, ([x, where]) => x.maskedFill(where, 0), 'with 0'),
}

const random = {
  bernoulli: one(x => x.bernoulli(), undefined, { values: x => x.sigmoid() }),
  categorical: one(x => x.categorical()),
  multinomial: one(x => x.multinomial({ count: 4 }), '4 of each row', { values: positive }),
  gumbelSoftmax: one(x => x.gumbelSoftmax()),
  dropout: several({ x: matrix }, ([x], { dropout }) => dropout(x, 0.1), 'with a probability of 0.1'),
}

const edges = [
  [1, 1],
  [1, 1],
] as const
const arranged = {
  broadcast: several({ x: matrix, y: [1024] }, ([x, y], { broadcast }) => broadcast(x, y)[1]),
  chunk: one(x => x.chunk(4)[1], 'in 4, the second'),
  concat: several({ x: matrix, y: matrix }, ([x, y], { concat }) => concat([x, y], 0)),
  diag: one(x => x.diag(), undefined, { shape: [512] }),
  diagonal: one(x => x.diagonal()),
  expand: one(x => x.expand([512, 1024]), 'to 512 × 1024', { shape: [1024] }),
  flatten: one(x => x.flatten()),
  flip: one(x => x.flip(-1), 'each row'),
  meshgrid: several({ x: [512], y: [1024] }, ([x, y], { meshgrid }) => meshgrid([x, y])[0], 'the first'),
  moveAxis: one(x => x.moveAxis(0, 1), 'the first behind the second'),
  pad: one(x => x.pad(edges), 'with a frame of zeros'),
  permute: one(x => x.permute([1, 0])),
  repeat: one(x => x.repeat(2, { axis: 0 }), 'each row twice'),
  reshape: one(x => x.reshape([-1])),
  roll: one(x => x.roll(3, { axis: -1 }), 'each row by 3'),
  slice: one(x => x.slice([{ start: 1, step: 2 }]), 'every second row'),
  split: one(x => x.split(128)[1], 'in 128 rows each, the second'),
  squeeze: one(x => x.squeeze(), undefined, { shape: [512, 1, 1024] }),
  stack: several({ x: matrix, y: matrix }, ([x, y], { stack }) => stack([x, y])),
  tile: one(x => x.tile([2, 1]), 'twice'),
  transpose: one(x => x.transpose().add(0), 'then a copy in that order'),
  tril: one(x => x.tril()),
  triu: one(x => x.triu()),
  unbind: one(x => x.unbind()[0], 'the first'),
  unflatten: one(x => x.unflatten(1, [32, 32]), 'each row as 32 × 32'),
  unsqueeze: one(x => x.unsqueeze(0)),
}

export const operations: Readonly<Record<OperationName, Operation>> = {
  ...elementwise,
  ...activations,
  ...otherFunctions,
  ...reductions,
  ...normalizations,
  ...products,
  ...tables,
  ...random,
  ...arranged,
}
