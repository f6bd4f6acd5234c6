// Triangles and diagonals of matrices, composed of masks, margins and gathered elements: what is left out is 0 even if it is NaN
// or infinite, because it is replaced and not multiplied.

import { takes } from '../../tensor/arguments.ts'
import { arange, eye, normalizeAxes, normalizeAxis, ShapeError, show, type Tensor, zeros } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { moveAxis } from './arrange.ts'
import { greaterEqual, lessEqual, sub, where } from './elementwise.ts'
import { gather } from './gather.ts'
import { expand, pad, slice, squeeze, unsqueeze } from './movement.ts'

/** Options of `tril` and `triu`. */
export interface TriangleOptions {
  /** the diagonal that bounds it: 0 is the main one (default), 1 the next above, -1 the next below */
  readonly diagonal?: number
}
const triangleOptions = { diagonal: is.byDefault(0, is.integer) } satisfies Settings<TriangleOptions>

function triangle(
  name: string,
  keeps: (columnMinusRow: Tensor, diagonal: number) => Tensor,
): (x: Tensor, options?: TriangleOptions) => Tensor {
  const call = `x.${name}(options)`
  return takes(call, [is.tensor, is.options], (x: Tensor, options?: TriangleOptions): Tensor => {
    const { diagonal } = settle(call, options, triangleOptions)
    if (x.rank < 2) throw new ShapeError(`${name}: x must have two axes or more, and ${show(x.shape)} has not`, x.shape)
    const [rows, columns] = x.shape.slice(-2)
    const on = { device: x.device }
    const distance = sub(arange(0, columns, 1, on), unsqueeze(arange(0, rows, 1, on), -1))
    return where(keeps(distance, diagonal), x, zeros([], { dtype: x.dtype, device: x.device }))
  })
}

/**
 * The lower triangle of matrices [..., n, m]: out[…, i, j] = x[…, i, j] where j - i ≤ diagonal, else 0. The gradient of what is
 * left out is 0.
 * @throws ShapeError for fewer than two axes
 */
export const tril: (x: Tensor, options?: TriangleOptions) => Tensor = triangle('tril', lessEqual)

/**
 * The upper triangle of matrices [..., n, m]: out[…, i, j] = x[…, i, j] where j - i ≥ diagonal, else 0. The gradient of what is
 * left out is 0.
 * @throws ShapeError for fewer than two axes
 */
export const triu: (x: Tensor, options?: TriangleOptions) => Tensor = triangle('triu', greaterEqual)

/** Options of `diagonal`. */
export interface DiagonalOptions {
  /** which diagonal: 0 is the main one (default), 1 the next above, -1 the next below */
  readonly offset?: number
  /** the axes of the rows and of the columns; default [0, 1], as in PyTorch and NumPy */
  readonly axes?: readonly number[]
}
const diagonalOptions = {
  offset: is.byDefault(0, is.integer),
  axes: is.byDefault([0, 1] as readonly number[], is.order),
} satisfies Settings<DiagonalOptions>

/**
 * A diagonal of the matrices over two axes: out[…, k] = x[…, k, k + offset], or x[…, k - offset, k] for a negative offset. The two
 * axes are removed, and the diagonal is the last axis of the result; it is empty where there is none.
 *
 *     covariances.diagonal({ axes: [-2, -1] })  // [batch, n, n] → [batch, n]
 *
 * @throws ShapeError if there are not two axes, or the same twice, AxisError if x does not have one
 */
export const diagonal: (x: Tensor, options?: DiagonalOptions) => Tensor = takes(
  'x.diagonal(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: DiagonalOptions): Tensor => {
    const { offset, axes } = settle('x.diagonal(options)', options, diagonalOptions)
    if (axes.length !== 2)
      throw new ShapeError(`diagonal: axes must be those of the rows and of the columns, not ${show(axes)}`, x.shape)
    normalizeAxes('diagonal', axes, x.shape)
    const matrices = moveAxis(
      x,
      axes.map(axis => normalizeAxis('diagonal', axis, x.shape)),
      [-2, -1],
    )
    return alongDiagonal(matrices, offset)
  },
)

/** A diagonal over the last two axes: one element is gathered from each of the rows that it crosses. */
function alongDiagonal(x: Tensor, offset: number): Tensor {
  const [rows, columns] = x.shape.slice(-2)
  const first = Math.max(0, -offset)
  const n = Math.max(0, Math.min(rows - first, columns - Math.max(0, offset)))
  const before = x.shape.slice(0, -2)
  const crossed = slice(x, [...before.map(() => ({})), { start: first, stop: first + n }])
  const start = first + offset
  const at = unsqueeze(arange(start, start + n, 1, { device: x.device }), -1)
  return squeeze(gather(crossed, expand(at, [...before, n, 1]), { axis: -1 }), -1)
}

/** Options of `diag`. */
export interface DiagOptions {
  /** which diagonal: 0 is the main one (default), 1 the next above, -1 the next below */
  readonly offset?: number
}
const diagOptions = { offset: is.byDefault(0, is.integer) } satisfies Settings<DiagOptions>

/**
 * A vector [n] on a diagonal of a square matrix of zeros [n + |offset|, n + |offset|], or the diagonal of a matrix as a vector, as
 * PyTorch's and NumPy's `diag`. For more axes see `diagonal`.
 * @throws ShapeError if x is neither a vector nor a matrix
 */
export const diag: (x: Tensor, options?: DiagOptions) => Tensor = takes(
  'x.diag(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: DiagOptions): Tensor => {
    const { offset } = settle('x.diag(options)', options, diagOptions)
    if (x.rank === 2) return alongDiagonal(x, offset)
    if (x.rank !== 1)
      throw new ShapeError(
        `diag: x must be a vector or a matrix, not ${show(x.shape)}; write x.diagonal({ axes: [-2, -1] }) for the diagonals of several matrices`,
        x.shape,
      )
    const like = { dtype: x.dtype, device: x.device }
    const isDiagonal = eye(x.size, x.size, { dtype: 'bool', device: x.device })
    const [above, below] = [Math.max(0, offset), Math.max(0, -offset)]
    return pad(where(isDiagonal, x, zeros([], like)), [
      [below, above],
      [above, below],
    ])
  },
)
