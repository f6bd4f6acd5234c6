// Records of what neural networks are made of.

import * as ops from '../../../src/autograd/index.ts'
import { AxisError, DTypeError, Generator, IndexError, ShapeError, tensor, zeros } from '../../../src/tensor/index.ts'
import { common, lines, make, type Plain, pointwise, read, softmaxOf, times, total } from '../plain.ts'
import { type OperationRecord, record } from './record.ts'

interface Sight {
  readonly causal: boolean
  readonly masked: boolean
}

const standard =
  (epsilon: number) =>
  (line: readonly number[]): number[] => {
    const mean = total(line) / line.length
    const variance = total(line.map(x => (x - mean) ** 2)) / line.length
    return line.map(x => (x - mean) / Math.sqrt(variance + epsilon))
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

const reduced = (losses: Plain, count: number, reduction: string): Plain => {
  if (reduction === 'none') return losses
  return { shape: [], data: [total(losses.data) / (reduction === 'mean' ? Math.max(1, count) : 1)] }
}

const logSoftmaxOf = (line: readonly number[]) => softmaxOf(line).map(Math.log)

export const network: readonly OperationRecord[] = [
  record('softmax', { 'along an axis': (axis, x) => lines(x, axis, softmaxOf) }, [
    [() => ops.softmax(zeros([2]), { axis: 1 }), AxisError, 'softmax: [2] has no axis 1'],
    [() => ops.softmax(zeros([])), AxisError, 'softmax: [] has no axis -1'],
  ]),
  record('logSoftmax', { 'along an axis': (axis, x) => lines(x, axis, logSoftmaxOf) }, [
    [() => ops.logSoftmax(zeros([2]), { axis: 1 }), AxisError, 'logSoftmax: [2] has no axis 1'],
  ]),
  record('standardize', { 'over the last axis': (_, x) => lines(x, -1, standard(0.25)) }),
  record(
    'layerNorm',
    {
      plain: (_, x) => lines(x, -1, standard(0.25)),
      'with scale and shift': (_, x, weight, bias) =>
        pointwise((a, w, b) => a * w + b)(lines(x, -1, standard(0.25)), weight, bias),
      'with scale alone': (_, x, weight) => pointwise((a, w) => a * w)(lines(x, -1, standard(0.25)), weight),
      'with shift alone': (_, x, bias) => pointwise((a, b) => a + b)(lines(x, -1, standard(0.25)), bias),
      'with the usual epsilon': (_, x) => lines(x, -1, standard(1e-5)),
    },
    [
      [
        () => ops.layerNorm(zeros([2, 3]), { weight: zeros([2]) }),
        ShapeError,
        'layerNorm: a weight of [2] for a last axis of 3 in [2, 3]',
      ],
    ],
  ),
  record(
    'linear',
    {
      'with and without a bias': (_, x, weight, bias?: Plain) => {
        const transposed = make([...weight.shape].reverse(), ([i, j]) => read(weight, [j, i]))
        const product = times(x, transposed)
        return bias ? pointwise((a, b) => a + b)(product, bias) : product
      },
    },
    [
      [
        () => ops.linear(zeros([2, 3]), zeros([4, 5])),
        ShapeError,
        'linear: [2, 3] does not meet a weight [out, in] of [4, 5]',
      ],
      [
        () => ops.linear(zeros([2, 3]), zeros([3])),
        ShapeError,
        'linear: [2, 3] does not meet a weight [out, in] of [3]',
      ],
      [
        () => ops.linear(zeros([2, 3]), zeros([4, 3]), zeros([5])),
        ShapeError,
        'a bias of [5] does not meet a weight [out, in] of [4, 3]',
      ],
    ],
  ),
  record(
    'attentionWeights',
    { 'over the keys that are seen': (sight, q, k, _, mask) => weightsOf(sight, q, k, mask) },
    [
      [
        () => ops.attentionWeights(zeros([2, 3]), zeros([2, 3]), { mask: zeros([2, 2]) }),
        DTypeError,
        'attention: a mask is bool (true: may be seen), not float32',
      ],
      [() => ops.attentionWeights(zeros([2, 3]), zeros([2, 4])), ShapeError, '[2, 3] and [4, 2] do not agree: 3 ≠ 4'],
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
      'queries [2, 3], keys [4, 3] and values [5, 2] are not',
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
  record(
    'crossEntropy',
    {
      'class ids': ({ reduction, smoothing, ignore }, logits, target) => {
        const log = lines(logits, -1, line => softmaxOf(line).map(Math.log))
        const classes = logits.shape[logits.shape.length - 1]
        const losses = make(target.shape, at => {
          const id = read(target, at)
          if (id === ignore) return 0
          const all = total(Array.from({ length: classes }, (_, c) => read(log, [...at, c])))
          return -(1 - smoothing) * read(log, [...at, id]) - (smoothing / classes) * all
        })
        return reduced(losses, target.data.filter(id => id !== ignore).length, reduction)
      },
      probabilities: ({ reduction, smoothing }, logits, target) => {
        const log = lines(logits, -1, line => softmaxOf(line).map(Math.log))
        const classes = logits.shape[logits.shape.length - 1]
        const losses = make(logits.shape.slice(0, -1), at => {
          const own = Array.from({ length: classes }, (_, c) => read(target, [...at, c]))
          const smoothed = own.map(p => (1 - smoothing) * p + (smoothing / classes) * total(own))
          return -total(smoothed.map((p, c) => p * read(log, [...at, c])))
        })
        return reduced(losses, losses.data.length, reduction)
      },
    },
    [
      [
        () => ops.crossEntropy(zeros([2, 3]), tensor([0, 3], { dtype: 'int32' })),
        IndexError,
        'crossEntropy: index 3 is outside of 0 … 2',
      ],
      [
        () => ops.crossEntropy(zeros([2, 3]), tensor([0], { dtype: 'int32' })),
        ShapeError,
        'crossEntropy: class ids [1] for logits [2, 3]',
      ],
      [
        () => ops.crossEntropy(zeros([2, 3]), zeros([2, 4])),
        ShapeError,
        'crossEntropy: probabilities [2, 4] for logits [2, 3]',
      ],
      [() => ops.crossEntropy(zeros([2, 3]), zeros([2, 3]), { ignore: 0 }), TypeError, 'ignore names a class id'],
    ],
  ),
  record(
    'normalize',
    {
      'along an axis': (axis, x) => lines(x, axis, line => line.map(a => a / Math.sqrt(total(line.map(b => b * b))))),
    },
    [[() => ops.normalize(zeros([2]), { axis: 1 }), AxisError, 'normalize: [2] has no axis 1']],
  ),
  record(
    'dropout',
    {
      'a generator decides': (p, x) => {
        const generator = new Generator(7)
        return { shape: x.shape, data: x.data.map(a => (p > 0 && generator.uniform() < p ? 0 : a / (1 - p))) }
      },
    },
    [
      [() => ops.dropout(zeros([2]), 1), RangeError, 'dropout: a probability below 1, not 1'],
      [() => ops.dropout(zeros([2]), -0.1), RangeError, 'dropout: a probability below 1, not -0.1'],
    ],
  ),
]
