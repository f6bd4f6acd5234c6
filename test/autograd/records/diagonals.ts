// Records of triangles and diagonals.

import * as ops from '../../../src/autograd/index.ts'
import { AxisError, ShapeError, zeros } from '../../../src/tensor/index.ts'
import { make, type Plain, read } from '../plain.ts'
import { type OperationRecord, record } from './record.ts'

const kept = (x: Plain, keeps: (columnMinusRow: number) => boolean): Plain =>
  make(x.shape, at => (keeps(at[at.length - 1] - at[at.length - 2]) ? read(x, at) : 0))

const along = (x: Plain, offset: number, rows: number, columns: number): Plain => {
  const [n, m] = [x.shape[rows], x.shape[columns]]
  const places: [number, number][] = []
  for (let i = 0; i < n; i++) if (i + offset >= 0 && i + offset < m) places.push([i, i + offset])
  const others = x.shape.map((_, axis) => axis).filter(axis => axis !== rows && axis !== columns)
  return make([...others.map(axis => x.shape[axis]), places.length], at => {
    const [row, column] = places[at[at.length - 1]]
    return read(
      x,
      x.shape.map((_, axis) => (axis === rows ? row : axis === columns ? column : at[others.indexOf(axis)])),
    )
  })
}

export const diagonals: readonly OperationRecord[] = [
  record('tril', { 'below a diagonal': (diagonal, x) => kept(x, distance => distance <= diagonal) }, [
    [() => ops.tril(zeros([3])), ShapeError, 'tril: x must have two axes or more, and [3] has not'],
  ]),
  record('triu', { 'above a diagonal': (diagonal, x) => kept(x, distance => distance >= diagonal) }, [
    [() => ops.triu(zeros([])), ShapeError, 'triu: x must have two axes or more, and [] has not'],
  ]),
  record(
    'diagonal',
    { 'of any two axes': ({ offset, axes: [rows, columns] }, x) => along(x, offset, rows, columns + x.shape.length) },
    [
      [() => ops.diagonal(zeros([3])), AxisError, 'diagonal: [3] has no axis 1'],
      [
        () => ops.diagonal(zeros([3, 3]), { axes: [0, -2] }),
        ShapeError,
        'diagonal: axes [0, 0] name an axis of [3, 3] twice',
      ],
      [
        () => ops.diagonal(zeros([3, 3]), { axes: [0] }),
        ShapeError,
        'diagonal: axes must be those of the rows and of the columns, not [0]',
      ],
    ],
  ),
  record(
    'diag',
    {
      'a vector as a matrix': (offset, x) => {
        const n = x.data.length + Math.abs(offset)
        return make([n, n], ([i, j]) => (j - i === offset ? x.data[offset > 0 ? i : j] : 0))
      },
      'the diagonal of a matrix': (offset, x) => along(x, offset, 0, 1),
    },
    [
      [
        () => ops.diag(zeros([2, 3, 3])),
        ShapeError,
        'diag: x must be a vector or a matrix, not [2, 3, 3]; write x.diagonal({ axes: [-2, -1] })',
      ],
    ],
  ),
]
