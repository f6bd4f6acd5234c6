// Records of matrix products and linear maps.

import * as ops from '../../../src/autograd/index.ts'
import { ShapeError, zeros } from '../../../src/tensor/index.ts'
import { make, type Plain, pointwise, read, times } from '../plain.ts'
import { type OperationRecord, record } from './record.ts'

export const matmul: readonly OperationRecord[] = [
  record('matmul', { 'matrices, stacks and vectors': (_, x, y) => times(x, y) }, [
    [
      () => ops.matmul(zeros([8, 16]), zeros([15, 4])),
      ShapeError,
      'matmul: [8, 16] and [15, 4] must have equal inner sizes, not 16 and 15',
    ],
    [
      () => ops.matmul(zeros([3]), zeros([4, 2])),
      ShapeError,
      'matmul: [3] and [4, 2] must have equal inner sizes, not 3 and 4',
    ],
    [
      () => ops.matmul(zeros([3]), zeros([4])),
      ShapeError,
      'matmul: [3] and [4] must have equal inner sizes, not 3 and 4',
    ],
    [() => ops.matmul(zeros([]), zeros([4])), ShapeError, 'matmul: [] and [4]: a factor must have at least one axis'],
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
        'linear: x [2, 3] must be [..., in] for the weight [out, in] [4, 5]',
      ],
      [
        () => ops.linear(zeros([2, 3]), zeros([3])),
        ShapeError,
        'linear: x [2, 3] must be [..., in] for the weight [out, in] [3]',
      ],
      [
        () => ops.linear(zeros([2, 3]), zeros([4, 3]), zeros([5])),
        ShapeError,
        'linear: the bias [5] must be [out] for the weight [out, in] [4, 3]',
      ],
    ],
  ),
]
