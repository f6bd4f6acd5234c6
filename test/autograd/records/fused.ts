// One record for every fused operation: its arguments. A test fails if an operation has none.

import fc from 'fast-check'
import { type FusedOp, fusedOps } from '../../../src/autograd/index.ts'
import { fromData, type Tensor, tensor } from '../../../src/tensor/index.ts'
import { shape, tensors } from '../../../src/testing/index.ts'

export interface FusedRecord {
  readonly name: keyof typeof fusedOps
  readonly op: FusedOp<readonly unknown[]>
  readonly samples: fc.Arbitrary<readonly unknown[]>
  /** highest order of gradients that are checked */
  readonly order: 2 | 3
}

interface Takes {
  /** shapes of the floating tensors it takes */
  readonly shapes: fc.Arbitrary<readonly number[][]>
  /** what else it takes, after these */
  readonly rest?: (...inputs: Tensor[]) => readonly unknown[]
  /** whether it works element by element */
  readonly elementwise?: boolean
  /** whether the numbers of a tensor must differ, because it has a kink where two are equal */
  readonly distinct?: boolean
}

const rows = shape({ minRank: 1, maxRank: 2, minSize: 1 })
const epsilon = 0.25

const alike = (count: number) => rows.map(sizes => new Array<number[]>(count).fill([...sizes]))
const withRow = (count: number, extra: number) =>
  rows.map(sizes => [
    ...new Array<number[]>(count).fill([...sizes]),
    ...new Array<number[]>(extra).fill(sizes.slice(-1)),
  ])
const size = fc.integer({ min: 1, max: 3 })

/** Rows of channels, on both sides of the shortest that the kernel takes. */
const channels = fc
  .tuple(size, size, fc.constantFrom(1, 15, 16, 17, 33))
  .map(([b, c, n]) => ({ x: n % 3 === 0 ? [b, c, 3, n / 3] : [b, c, n], row: [c] }))

/** Queries, keys and values of two heads, optionally with a gradient before them. */
const heads = (withGradient: boolean) =>
  fc
    .tuple(size, size, size, size)
    .map(([queries, keys, width, values]) => [
      ...(withGradient ? [[2, queries, values]] : []),
      [2, queries, width],
      [2, keys, width],
      [2, keys, values],
    ])
/** The last query sees the last key, and no query the first one unless it is the only one. */
const sight = (q: Tensor, k: Tensor): readonly unknown[] => {
  const [queries, keys] = [q.shape[q.rank - 2], k.shape[k.rank - 2]]
  const mask = tensor(
    Array.from({ length: queries }, () => Array.from({ length: keys }, (_, j) => keys === 1 || j > 0)),
    { device: 'reference' },
  )
  return [mask, { causal: true, scale: 0.7 }]
}
const classes = (x: Tensor): readonly unknown[] => {
  const [n, shapeOfIds] = [x.shape[x.rank - 1], x.shape.slice(0, -1)]
  const ids = Int32Array.from({ length: x.size / n }, (_, i) => (i * 2) % n)
  return [fromData(ids, shapeOfIds)]
}

/** What convolutions of two groups take, with one window more or less than the kernel needs: x, weight and gradient, and the rest. */
const steps = {
  stride: [2, 1],
  dilation: [1, 2],
  groups: 2,
  padding: [
    [1, 0],
    [1, 2],
  ],
}
const convolved = fc.tuple(size, size, size, size, size, fc.integer({ min: 1, max: 2 })).map(([b, n, m, k, l, c]) => {
  const sizes = [2 * n + k - 1, m + 2 * l - 2]
  return { x: [b, 2 * c, ...sizes], weight: [4, c, k, l], g: [b, 4, n + 1, m + 3] }
})

/** What a pooling takes, whose last window reaches beyond the padded axis: x and the gradient. */
const pooled = fc.tuple(size, size, fc.integer({ min: 1, max: 4 })).map(([b, c, n]) => ({
  x: [b, c, n + 1, 3],
  g: [b, c, Math.floor((n + 1) / 2) + 1, 2],
}))
/** Windows of 2 × 3 elements, of which the first rows overlap. */
const windowsAlong = ({ shape: [, , n] }: Tensor) => {
  const count = Math.floor((n as number) / 2) + 1
  return [
    { size: 3, stride: 2, padding: 1, dilation: 1, count, extra: Math.max(0, 2 * (count - 1) + 3 - (n as number) - 2) },
    { size: 2, stride: 1, padding: 0, dilation: 1, count: 2, extra: 0 },
  ]
}

const takes: Record<keyof typeof fusedOps, Takes> = {
  softmax: { shapes: alike(1) },
  softmaxGradient: { shapes: alike(2) },
  logSoftmax: { shapes: alike(1) },
  logSoftmaxGradient: { shapes: alike(2) },
  standardize: { shapes: alike(1), rest: () => [epsilon] },
  standardizeGradient: { shapes: alike(2), rest: () => [epsilon] },
  // vectors shorter than the smallest divisor, and longer; no vector has exactly this length, at which the derivative jumps
  normalize: { shapes: alike(1), rest: () => [0.7] },
  // a vector of one element has a constant result, so that all derivatives can be 0 up to rounding, which no difference shows
  normalizeGradient: {
    shapes: rows.filter(sizes => sizes[sizes.length - 1] > 1).map(sizes => [[...sizes], [...sizes]]),
    rest: () => [0.7],
  },
  layerNorm: { shapes: withRow(1, 2), rest: () => [epsilon] },
  layerNormGradient: { shapes: withRow(2, 1), rest: () => [epsilon] },
  layerNormWeightGradient: { shapes: withRow(2, 1), rest: () => [epsilon] },
  layerNormBiasGradient: { shapes: withRow(2, 1), rest: () => [epsilon] },
  batchNorm: { shapes: channels.map(({ x, row }) => [x, row, row]), rest: () => [epsilon] },
  batchNormGradient: { shapes: channels.map(({ x, row }) => [x, x, row]), rest: () => [epsilon] },
  batchNormWeightGradient: { shapes: channels.map(({ x, row }) => [x, x, row]), rest: () => [epsilon] },
  batchNormBiasGradient: { shapes: channels.map(({ x, row }) => [x, x, row]), rest: () => [epsilon] },
  negativeLogLikelihood: { shapes: alike(1), rest: classes },
  negativeLogLikelihoodGradient: {
    shapes: rows.map(sizes => [sizes.slice(0, -1), [...sizes]]),
    rest: (_, x) => classes(x),
  },
  silu: { shapes: alike(1), elementwise: true },
  quickGelu: { shapes: alike(1), elementwise: true },
  gelu: { shapes: alike(1), elementwise: true },
  geluGradient: { shapes: alike(2), elementwise: true },
  geluTanh: { shapes: alike(1), elementwise: true },
  linear: { shapes: fc.tuple(size, size, size).map(([n, i, o]) => [[n, i], [o, i], [o]]) },
  linearWeightGradient: {
    shapes: fc.tuple(size, size, size).map(([n, i, o]) => [
      [n, o],
      [n, i],
    ]),
  },
  linearBiasGradient: {
    shapes: fc.tuple(size, size, size).map(([n, i, o]) => [
      [n, o],
      [n, i],
    ]),
  },
  attention: { shapes: heads(false), rest: (q, k) => sight(q, k) },
  convolution: { shapes: convolved.map(({ x, weight }) => [x, weight]), rest: () => [steps] },
  convolutionTransposed: {
    shapes: convolved.map(({ g, weight }) => [g, weight]),
    // an element more than the windows need
    rest: ({ shape: [, , n, m] }, { shape: [, , k, l] }) => [[2 * n + k - 2, m + 2 * l - 5], steps],
  },
  convolutionByWeight: {
    shapes: convolved.map(({ x, g }) => [x, g]),
    rest: ({ shape: [, , h, w] }, { shape: [, , n, m] }) => [[h - 2 * (n - 1) + 1, (w - m + 5) / 2], steps],
  },
  maxPool: { shapes: pooled.map(({ x }) => [x]), rest: x => [windowsAlong(x)], distinct: true },
  maxPoolGradient: { shapes: pooled.map(({ x, g }) => [g, x]), rest: (_, x) => [windowsAlong(x)], distinct: true },
  attentionGradient: { shapes: heads(true), rest: (_, q, k) => sight(q, k) },
}

export const fusedRecords: readonly FusedRecord[] = Object.entries(takes).map(
  ([name, { shapes, rest = () => [], elementwise, distinct }]) => ({
    name: name as keyof typeof fusedOps,
    op: fusedOps[name as keyof typeof fusedOps] as unknown as FusedOp<readonly unknown[]>,
    samples: tensors(shapes, distinct ? { domain: [-32, 32], distinct } : {}).map(xs => [...xs, ...rest(...xs)]),
    order: elementwise ? 3 : 2,
  }),
)
