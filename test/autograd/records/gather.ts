// Records of the operations that pick elements by index.

import * as ops from '../../../src/autograd/index.ts'
import {
  AxisError,
  DTypeError,
  IndexError,
  ShapeError,
  sizeOf,
  type Tensor,
  tensor,
  zeros,
} from '../../../src/tensor/index.ts'
import { operands, shape } from '../../../src/testing/index.ts'
import { fc } from '../../support.ts'
import { make, read } from '../plain.ts'
import { numbers, type OperationRecord, record, sampled, withNumbers } from './record.ts'

const ids = (numbers: number[], sizes: readonly number[]) =>
  tensor(
    Int32Array.from({ length: sizeOf(sizes) }, (_, i) => numbers[i % numbers.length]),
    { shape: sizes },
  )

export const gather: readonly OperationRecord[] = [
  record(
    'gather',
    [
      sampled(
        'an index for every element',
        operands(withNumbers.map(pickingShapes)).map(({ inputs: [x, like], options: { axis, n } }) => ({
          inputs: [x, positionsLike(like, n, x.shape[axis])],
          options: axis,
        })),
        (axis, x, indices) => ops.gather(x, indices, { axis }),
        (axis, x, indices) => make(indices.shape, at => read(x, at.with(axis, read(indices, at)))),
      ),
    ],
    [
      [() => ops.gather(zeros([2]), ids([2], [1])), IndexError, 'gather: index 2 is outside of 0 … 1'],
      [() => ops.gather(zeros([2]), ids([-1], [1])), IndexError, 'gather: index -1 is outside of 0 … 1'],
      [() => ops.gather(zeros([2]), zeros([1])), DTypeError, 'gather: indices are int32, not float32'],
      [
        () => ops.gather(zeros([2, 3]), ids([0], [2, 4])),
        ShapeError,
        'gather: [2, 3] and indices [2, 4] differ beside axis 0',
      ],
    ],
  ),
  record(
    'scatterAdd',
    [
      sampled(
        'adds into zeros',
        operands(withNumbers.map(pickingShapes)).map(({ inputs: [like, updates], options: { axis, n } }) => ({
          inputs: [positionsLike(updates, n, like.shape[axis]), updates],
          options: { axis, shape: like.shape },
        })),
        ({ axis, shape: sizes }, indices, updates) => ops.scatterAdd(sizes, indices, updates, { axis }),
        ({ axis, shape: sizes }, indices, updates) => {
          const data = make(sizes, () => 0).data.slice()
          make(updates.shape, at => {
            const to = at.with(axis, read(indices, at))
            data[to.reduce((sum, i, j) => sum * sizes[j] + i, 0)] += read(updates, at)
            return 0
          })
          return { shape: sizes, data }
        },
      ),
    ],
    [
      [() => ops.scatterAdd([2], ids([2], [1]), zeros([1])), IndexError, 'scatterAdd: index 2 is outside of 0 … 1'],
      [() => ops.scatterAdd([2], zeros([1]), zeros([1])), DTypeError, 'scatterAdd: indices are int32, not float32'],
      [() => ops.scatterAdd([2], ids([0], [3]), zeros([2])), ShapeError, 'expand: [2] does not broadcast to [3]'],
      [
        () => ops.scatterAdd([2, 3], ids([0], [2, 4]), zeros([2, 4])),
        ShapeError,
        'scatterAdd: [2, 3] and indices [2, 4] differ beside axis 0',
      ],
    ],
  ),
  record(
    'take',
    [
      sampled(
        'slices by index',
        operands(
          fc.tuple(withNumbers, shape({ maxRank: 2 })).map(([[sizes, n], picked]) => ({
            shapes: [sizes.with(n[0] % sizes.length, 1 + (n[1] % 4)), picked],
            options: { axis: n[0] % sizes.length, n },
          })),
        ).map(({ inputs: [x, like], options: { axis, n } }) => ({
          inputs: [x, positionsLike(like, n, x.shape[axis])],
          options: axis,
        })),
        (axis, x, indices) => ops.take(x, indices, { axis }),
        (axis, x, indices) => {
          const rank = indices.shape.length
          return make([...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)], at =>
            read(x, [...at.slice(0, axis), read(indices, at.slice(axis, axis + rank)), ...at.slice(axis + rank)]),
          )
        },
      ),
    ],
    [
      [() => ops.take(zeros([2, 3]), ids([3], [1]), { axis: 1 }), IndexError, 'index 3 is outside of 0 … 2'],
      [() => ops.take(zeros([2]), zeros([1])), DTypeError, 'take: indices are int32, not float32'],
      [() => ops.take(zeros([2]), ids([0], [1]), { axis: 1 }), AxisError, 'take: [2] has no axis 1'],
    ],
  ),
  record(
    'embedding',
    [
      sampled(
        'rows of a table',
        operands(
          fc
            .tuple(shape({ minRank: 2, maxRank: 2, minSize: 1 }), shape({ maxRank: 2 }), numbers)
            .map(([table, picked, n]) => ({ shapes: [table, picked], options: n })),
        ).map(({ inputs: [table, like], options: n }) => ({
          inputs: [table, positionsLike(like, n, table.shape[0])],
          options: undefined,
        })),
        (_, table, indices) => ops.embedding(table, indices),
        (_, table, indices) =>
          make([...indices.shape, table.shape[1]], at =>
            read(table, [read(indices, at.slice(0, -1)), at[at.length - 1]]),
          ),
      ),
    ],
    [[() => ops.embedding(zeros([4, 2]), ids([4], [1])), IndexError, 'index 4 is outside of 0 … 3']],
  ),
  record('oneHot', [
    sampled(
      'zeros for what is no class',
      fc.tuple(shape({ maxRank: 2 }), numbers).map(([sizes, n]) => ({
        inputs: [
          ids(
            n.map(i => i - 3),
            sizes,
          ),
        ],
        options: undefined,
      })),
      (_, indices) => ops.oneHot(indices, 5),
      (_, indices) => make([...indices.shape, 5], at => Number(read(indices, at.slice(0, -1)) === at[at.length - 1])),
      { order: 0 },
    ),
  ]),
]

/** A shape, and another that differs from it along one axis; neither is empty there. */
function pickingShapes([sizes, n]: [number[], number[]]) {
  const axis = n[0] % sizes.length
  return { shapes: [sizes.with(axis, 1 + (n[1] % 3)), sizes.with(axis, n[2] % 4)], options: { axis, n } }
}

const positionsLike = (like: Tensor, n: number[], size: number): Tensor =>
  ids(
    n.map(i => i % size),
    like.shape,
  )
