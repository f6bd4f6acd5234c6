// Records of softmax, its logarithm and cross-entropy.

import * as ops from '../../../src/autograd/index.ts'
import { AxisError, IndexError, ShapeError, tensor, zeros } from '../../../src/tensor/index.ts'
import { lines, make, type Plain, read, softmaxOf, total } from '../plain.ts'
import { type OperationRecord, record } from './record.ts'

const reduced = (losses: Plain, count: number, reduction: string): Plain => {
  if (reduction === 'none') return losses
  return { shape: [], data: [total(losses.data) / (reduction === 'mean' ? Math.max(1, count) : 1)] }
}

const logSoftmaxOf = (line: readonly number[]) => softmaxOf(line).map(Math.log)

export const softmax: readonly OperationRecord[] = [
  record('softmax', { 'along an axis': (axis, x) => lines(x, axis, softmaxOf) }, [
    [() => ops.softmax(zeros([2]), { axis: 1 }), AxisError, 'softmax: [2] has no axis 1'],
    [() => ops.softmax(zeros([])), AxisError, 'softmax: [] has no axis -1'],
  ]),
  record('logSoftmax', { 'along an axis': (axis, x) => lines(x, axis, logSoftmaxOf) }, [
    [() => ops.logSoftmax(zeros([2]), { axis: 1 }), AxisError, 'logSoftmax: [2] has no axis 1'],
  ]),
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
        'crossEntropy: class ids [1] must be [2] for logits [2, 3]',
      ],
      [
        () => ops.crossEntropy(zeros([2, 3]), zeros([2, 4])),
        ShapeError,
        'crossEntropy: probabilities [2, 4] must be [2, 3] for logits [2, 3]',
      ],
      [
        () => ops.crossEntropy(zeros([2, 3]), zeros([2, 3]), { ignore: 0 }),
        TypeError,
        'ignore is a class id, but the target holds probabilities',
      ],
    ],
  ),
]
