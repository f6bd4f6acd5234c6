// Records of attention, its weights and its causal mask.

import * as ops from '../../../src/autograd/index.ts'
import { DTypeError, ShapeError, zeros } from '../../../src/tensor/index.ts'
import { common, make, type Plain, read, times, total } from '../plain.ts'
import { type OperationRecord, record } from './record.ts'

interface Sight {
  readonly causal: boolean
  readonly masked: boolean
}

/** Rows of weights by the formula: softmax over what may be seen, zeros where that is nothing. */
function weightsOf({ causal, masked }: Sight, q: Plain, k: Plain, mask: Plain): Plain {
  const width = q.shape[q.shape.length - 1]
  const [queries, keys] = [q.shape[q.shape.length - 2], k.shape[k.shape.length - 2]]
  const stack = common(q.shape.slice(0, -2), k.shape.slice(0, -2))
  return make([...stack, queries, keys], at => {
    const [i, own] = at.slice(-2)
    const seen = (j: number) => (!causal || j <= i + keys - queries) && (!masked || read(mask, [i, j]) !== 0)
    const score = (j: number) => {
      const products = Array.from(
        { length: width },
        (_, c) => read(q, [...at.slice(0, -2), i, c]) * read(k, [...at.slice(0, -2), j, c]),
      )
      return Math.exp(total(products) / Math.sqrt(width))
    }
    if (!seen(own)) return 0
    return score(own) / total(Array.from({ length: keys }, (_, j) => (seen(j) ? score(j) : 0)))
  })
}

export const attention: readonly OperationRecord[] = [
  record(
    'attentionWeights',
    { 'over the keys that are seen': (sight, q, k, _, mask) => weightsOf(sight, q, k, mask) },
    [
      [
        () => ops.attentionWeights(zeros([2, 3]), zeros([2, 3]), { mask: zeros([2, 2]) }),
        DTypeError,
        'attention: the mask must be bool (true: may attend), not float32',
      ],
      [
        () => ops.attentionWeights(zeros([2, 3]), zeros([2, 4])),
        ShapeError,
        '[2, 3] and [4, 2] must have equal inner sizes, not 3 and 4',
      ],
      [
        () => ops.attentionWeights(zeros([2, 3]), zeros([4, 3]), { mask: zeros([3, 4], { dtype: 'bool' }) }),
        ShapeError,
        '[3, 4] and [2, 4]',
      ],
    ],
  ),
  record('attention', { 'weighted values': (sight, q, k, v, mask) => times(weightsOf(sight, q, k, mask), v) }, [
    [
      () => ops.attention(zeros([2, 3]), zeros([4, 3]), zeros([5, 2])),
      ShapeError,
      'queries [2, 3], keys [4, 3] and values [5, 2] must be',
    ],
    [() => ops.attention(zeros([2, 3]), zeros([4, 2]), zeros([4, 2])), ShapeError, 'keys [4, 2]'],
    [() => ops.attention(zeros([2, 2, 3]), zeros([3, 4, 3]), zeros([4, 2])), ShapeError, 'leading axes'],
    [
      () => ops.attention(zeros([2, 3]), zeros([4, 3]), zeros([4, 2]), { mask: zeros([5], { dtype: 'bool' }) }),
      ShapeError,
      'a mask of [5] does not broadcast to 2 queries and 4 keys',
    ],
  ]),
  record('causalMask', {
    'the last query sees the last key': ([queries, keys]) =>
      make([queries, keys], ([i, j]) => Number(keys - j >= queries - i)),
  }),
]
