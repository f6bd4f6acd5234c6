// Fused operations against their definitions: the rule beside a definition is the gradient of that definition, and its second
// and third derivatives are too. describeOperation compares them where there is a definition.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { defineFused, type FusedOp, fusedOps, grad } from '../../src/autograd/index.ts'
import { derivedRule } from '../../src/autograd/op.ts'
import { fromData, type Tensor, tensor } from '../../src/tensor/index.ts'
import { describeOperation, shape, tensors } from '../../src/testing/index.ts'
import { assertClose, fc, runs } from '../support.ts'
import { plain } from './plain.ts'
import { isAsked } from './records.ts'

type AnyFused = FusedOp<readonly unknown[]>

const rows = shape({ minRank: 1, maxRank: 2, minSize: 1 })
const epsilon = 0.25

interface Takes {
  /** shapes of the floating tensors it takes */
  readonly shapes: fc.Arbitrary<readonly number[][]>
  /** what else it takes, after these */
  readonly rest?: (...inputs: Tensor[]) => readonly unknown[]
  /** whether it works element by element */
  readonly elementwise?: boolean
}

const alike = (count: number) => rows.map(sizes => new Array<number[]>(count).fill([...sizes]))
const withRow = (count: number, extra: number) =>
  rows.map(sizes => [
    ...new Array<number[]>(count).fill([...sizes]),
    ...new Array<number[]>(extra).fill(sizes.slice(-1)),
  ])
const size = fc.integer({ min: 1, max: 3 })

/** Queries, keys and values of two heads, with a gradient in front if asked for. */
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
  )
  return [mask, { causal: true, scale: 0.7 }]
}
const classes = (x: Tensor): readonly unknown[] => {
  const [n, shapeOfIds] = [x.shape[x.rank - 1], x.shape.slice(0, -1)]
  const ids = Int32Array.from({ length: x.size / n }, (_, i) => (i * 2) % n)
  return [fromData(ids, shapeOfIds)]
}

const takes: Record<keyof typeof fusedOps, Takes> = {
  softmax: { shapes: alike(1) },
  softmaxGradient: { shapes: alike(2) },
  logSoftmax: { shapes: alike(1) },
  logSoftmaxGradient: { shapes: alike(2) },
  standardize: { shapes: alike(1), rest: () => [epsilon] },
  standardizeGradient: { shapes: alike(2), rest: () => [epsilon] },
  layerNorm: { shapes: withRow(1, 2), rest: () => [epsilon] },
  layerNormGradient: { shapes: withRow(2, 1), rest: () => [epsilon] },
  negativeLogLikelihood: { shapes: alike(1), rest: classes },
  negativeLogLikelihoodGradient: {
    shapes: rows.map(sizes => [sizes.slice(0, -1), [...sizes]]),
    rest: (_, x) => classes(x),
  },
  gelu: { shapes: alike(1), elementwise: true },
  geluGradient: { shapes: alike(2), elementwise: true },
  geluTanh: { shapes: alike(1), elementwise: true },
  linear: { shapes: fc.tuple(size, size, size).map(([n, i, o]) => [[n, i], [o, i], [o]]) },
  attention: { shapes: heads(false), rest: (q, k) => sight(q, k) },
  attentionGradient: { shapes: heads(true), rest: (_, q, k) => sight(q, k) },
}

for (const name of (Object.keys(takes) as (keyof typeof fusedOps)[]).filter(isAsked)) {
  const { shapes, rest = () => [], elementwise } = takes[name]
  describeOperation(fusedOps[name] as unknown as AnyFused, {
    name,
    expression: `fusedOps.${name}`,
    from: 'cocagrad',
    samples: tensors(shapes).map(xs => [...xs, ...rest(...xs)]),
    order: elementwise ? 3 : 2,
    ...runs(8),
  })
}

it('every fused operation is tested here', () =>
  assert.deepEqual(Object.keys(takes).sort(), Object.keys(fusedOps).sort()))

it('the rule that is derived from a definition is the one beside it', () => {
  fc.assert(
    fc.property(tensors(rows.map(sizes => [sizes, sizes])), ([g, x]) => {
      const derived = derivedRule(fusedOps.softmax.definition)(g, x, x)[0]
      assert.ok(derived)
      const y = fusedOps.softmax(x)
      const ruled = fusedOps.softmax.rule?.(g, y, x)[0]
      assert.ok(ruled)
      assertClose(ruled(), plain(derived()), 1e-12)
    }),
    runs(15),
  )
})

it('a tensor that stands in two places gets its gradient once', () => {
  const product = defineFused('product', { definition: (x: Tensor, y: Tensor) => x.mul(y) })
  const x = tensor([1, -2, 3], { dtype: 'float64' })
  assertClose(grad((y: Tensor) => product(y, y).sum())(x), plain(x.mul(2)), 1e-12)
})
