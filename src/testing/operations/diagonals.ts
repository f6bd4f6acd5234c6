// Cases of triangles and diagonals.

import fc from 'fast-check'
import * as ops from '../../autograd/index.ts'
import { shape } from '../arbitraries/shapes.ts'
import { drawn } from './case.ts'

const offset = fc.integer({ min: -4, max: 4 })

const matrices = fc
  .tuple(shape({ minRank: 2, maxSize: 4 }), offset)
  .map(([sizes, diagonal]) => ({ shapes: [sizes], options: diagonal }))

export const diagonals = {
  tril: { 'below a diagonal': drawn(matrices, {}, (diagonal, x) => ops.tril(x, { diagonal })) },
  triu: { 'above a diagonal': drawn(matrices, {}, (diagonal, x) => ops.triu(x, { diagonal })) },
  diagonal: {
    'of any two axes': drawn(
      fc.tuple(shape({ minRank: 2, maxSize: 4 }), offset, fc.nat(5), fc.nat(4)).map(([sizes, of, a, b]) => {
        const rows = a % sizes.length
        const columns = (rows + 1 + (b % (sizes.length - 1))) % sizes.length
        return { shapes: [sizes], options: { offset: of, axes: [rows, columns - sizes.length] } }
      }),
      {},
      (options, x) => ops.diagonal(x, options),
    ),
  },
  diag: {
    'a vector as a matrix': drawn(
      fc.tuple(shape({ minRank: 1, maxRank: 1 }), offset).map(([sizes, of]) => ({ shapes: [sizes], options: of })),
      {},
      (of, x) => ops.diag(x, { offset: of }),
    ),
    'the diagonal of a matrix': drawn(
      fc.tuple(shape({ minRank: 2, maxRank: 2 }), offset).map(([sizes, of]) => ({ shapes: [sizes], options: of })),
      {},
      (of, x) => ops.diag(x, { offset: of }),
    ),
  },
}
