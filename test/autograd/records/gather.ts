// Records of the operations that select elements by index.

import * as ops from '../../../src/autograd/index.ts'
import {
  AxisError,
  DTypeError,
  IndexError,
  type Shape,
  ShapeError,
  type Tensor,
  tensor,
  zeros,
} from '../../../src/tensor/index.ts'
import { make, type Plain, read } from '../plain.ts'
import { type OperationRecord, record } from './record.ts'

const ids = (numbers: readonly number[], shape: readonly number[]): Tensor =>
  tensor(Int32Array.from(numbers), { shape })
const zeroIds = (shape: readonly number[]): Tensor => zeros(shape, { dtype: 'int32' })

function scattered(
  { axis, shape: sizes }: { readonly axis: number; readonly shape: Shape },
  indices: Plain,
  updates: Plain,
): Plain {
  const data = make(sizes, () => 0).data.slice()
  make(updates.shape, at => {
    const to = at.with(axis, read(indices, at))
    data[to.reduce((sum, i, j) => sum * sizes[j] + i, 0)] += read(updates, at)
    return 0
  })
  return { shape: sizes, data }
}

export const gather: readonly OperationRecord[] = [
  record(
    'gather',
    {
      'an index for every element': (axis, x, indices) =>
        make(indices.shape, at => read(x, at.with(axis, read(indices, at)))),
    },
    [
      [() => ops.gather(zeros([2]), ids([2], [1])), IndexError, 'gather: index 2 is outside of 0 … 1'],
      [() => ops.gather(zeros([2]), ids([-1], [1])), IndexError, 'gather: index -1 is outside of 0 … 1'],
      [() => ops.gather(zeros([2]), zeros([1])), DTypeError, 'gather: indices must be int32, not float32'],
      [
        () => ops.gather(zeros([2, 3]), zeroIds([2, 4])),
        ShapeError,
        'gather: [2, 3] and indices [2, 4] must have the same sizes except on axis 0',
      ],
    ],
  ),
  record(
    'scatterAdd',
    {
      'adds into zeros': scattered,
      'counts truths': (options, indices, updates) =>
        scattered(options, indices, { ...updates, data: updates.data.map(x => (x > 0 ? 1 : 0)) }),
    },
    [
      [() => ops.scatterAdd([2], ids([2], [1]), zeros([1])), IndexError, 'scatterAdd: index 2 is outside of 0 … 1'],
      [() => ops.scatterAdd([2], zeros([1]), zeros([1])), DTypeError, 'scatterAdd: indices must be int32, not float32'],
      [() => ops.scatterAdd([2], zeroIds([3]), zeros([2])), ShapeError, 'expand: [2] does not broadcast to [3]'],
      [
        () => ops.scatterAdd([2, 3], zeroIds([2, 4]), zeros([2, 4])),
        ShapeError,
        'scatterAdd: [2, 3] and indices [2, 4] must have the same sizes except on axis 0',
      ],
    ],
  ),
  record(
    'take',
    {
      'slices by index': (axis, x, indices) => {
        const rank = indices.shape.length
        return make([...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)], at =>
          read(x, [...at.slice(0, axis), read(indices, at.slice(axis, axis + rank)), ...at.slice(axis + rank)]),
        )
      },
    },
    [
      [() => ops.take(zeros([2, 3]), ids([3], [1]), { axis: 1 }), IndexError, 'take: index 3 is outside of 0 … 2'],
      [() => ops.take(zeros([2]), zeros([1])), DTypeError, 'take: indices must be int32, not float32'],
      [() => ops.take(zeros([2]), ids([0], [1]), { axis: 1 }), AxisError, 'take: [2] has no axis 1'],
    ],
  ),
  record(
    'embedding',
    {
      'rows of a table': (_, table, indices) =>
        make([...indices.shape, table.shape[1]], at =>
          read(table, [read(indices, at.slice(0, -1)), at[at.length - 1]]),
        ),
    },
    [[() => ops.embedding(zeros([4, 2]), ids([4], [1])), IndexError, 'embedding: index 4 is outside of 0 … 3']],
  ),
  record('oneHot', {
    'zeros for what is no class': (_, indices) =>
      make([...indices.shape, 5], at => Number(read(indices, at.slice(0, -1)) === at[at.length - 1])),
  }),
]
