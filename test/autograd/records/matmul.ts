// Records of matrix products and linear maps.

import * as ops from '../../../src/autograd/index.ts'
import { ShapeError, zeros } from '../../../src/tensor/index.ts'
import { make, type Plain, pointwise, read, times } from '../plain.ts'
import { type OperationRecord, record } from './record.ts'

export const matmul: readonly OperationRecord[] = [
  record('matmul', { 'matrices, stacks and vectors': (_, x, y) => times(x, y) }, [
    [() => ops.matmul(zeros([8, 16]), zeros([15, 4])), ShapeError, 'matmul: [8, 16] and [15, 4] do not agree: 16 ≠ 15'],
    [() => ops.matmul(zeros([3]), zeros([4, 2])), ShapeError, 'matmul: [3] and [4, 2] do not agree: 3 ≠ 4'],
    [() => ops.matmul(zeros([3]), zeros([4])), ShapeError, 'matmul: [3] and [4] do not agree: 3 ≠ 4'],
    [() => ops.matmul(zeros([]), zeros([4])), ShapeError, 'matmul: [] and [4]: a scalar is not a matrix'],
    [
      () => ops.matmul(zeros([2, 3, 4]), zeros([3, 4, 5])),
      ShapeError,
      'matmul: [2, 3, 4] and [3, 4, 5]: leading axes: [2] and [3] do not broadcast: 2 ≠ 3',
    ],
  ]),
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
]
