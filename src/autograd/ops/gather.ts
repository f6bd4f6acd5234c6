// Selects elements by index; the adjoint adds to elements by index.

import { takes } from '../../tensor/arguments.ts'
import {
  arange,
  type DType,
  DTypeError,
  normalizeAxis,
  type Shape,
  ShapeError,
  show,
  sizeOf,
  type Tensor,
} from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { defineOp } from '../op.ts'
import type { Thunks } from '../recording.ts'

/** @param what name of the indices in the message */
export function checkIndices(name: string, indices: Tensor, what = 'indices'): void {
  if (indices.dtype !== 'int32')
    throw new DTypeError(
      `${name}: ${what} must be int32, not ${indices.dtype}; write ${what}.cast('int32'), or tensor([…], { dtype: 'int32' })`,
      indices.dtype,
    )
}

/** Options of `gather`. */
export interface GatherOptions {
  /** default 0, the first */
  readonly axis?: number
}
const gatherOptions = { axis: 0 } satisfies Settings<GatherOptions>

function checkBesideAxis(name: string, shape: Shape, indices: Tensor, axis: number): void {
  if (shape.length !== indices.rank || shape.some((n, i) => i !== axis && n !== indices.shape[i]))
    throw new ShapeError(
      `${name}: ${show(shape)} and indices ${show(indices.shape)} must have the same sizes except on axis ${axis}`,
      shape,
      indices.shape,
    )
}

const pick = defineOp(
  'gather',
  (k, x: Tensor, indices: Tensor, axis: number) => k.gather(x, axis, indices),
  (g, _, x, indices, axis): Thunks => [() => put(x.shape, indices, g, axis)],
  (op, batch, x, indices, axis) => {
    if (batch.has(x)) return op(batch.whole(x), batch.whole(indices), axis + 1)
    // samples that share x: their indices stand beside each other along the axis, so that x is not repeated
    const { shape } = indices
    const order = shape.map((_, i) => i + 1)
    const beside = batch.whole(indices).permute([...order.slice(0, axis), 0, ...order.slice(axis)])
    const [before, after] = [shape.slice(0, axis), shape.slice(axis)]
    const picked = op(x, beside.reshape([...before, batch.size * shape[axis], ...after.slice(1)]), axis)
    const back = [axis, ...before.map((_, i) => i), ...after.map((_, i) => axis + 1 + i)]
    return picked.reshape([...before, batch.size, ...after]).permute(back)
  },
  'linear',
)

const put = defineOp(
  'scatterAdd',
  (k, shape: Shape, indices: Tensor, updates: Tensor, axis: number) => k.scatterAdd(shape, axis, indices, updates),
  (g, _, _shape, indices, _updates, axis): Thunks => [undefined, undefined, () => pick(g, indices, axis)],
  (op, batch, shape, indices, updates, axis) =>
    op([batch.size, ...shape], batch.whole(indices), batch.whole(updates), axis + 1),
  'linear',
)

/**
 * out[…, i, …] = x[…, indices[…, i, …], …]: one index for every element of the result, along an axis (default the first).
 *
 * logProbabilities.gather(ids.unsqueeze(-1), { axis: -1 })
 *
 * @param indices int32, with the sizes of x on the other axes
 * @returns of the shape of the indices
 * @throws ShapeError if the shapes differ on another axis, DTypeError if the indices are not int32, IndexError if one is out of range
 */
export const gather: (x: Tensor, indices: Tensor, options?: GatherOptions) => Tensor = takes(
  'x.gather(indices, options)',
  [is.tensor, is.indices, is.options],
  (x: Tensor, indices: Tensor, options?: GatherOptions): Tensor => {
    const along = settle('x.gather(indices, options)', options, gatherOptions)
    const axis = normalizeAxis('gather', along.axis, x.shape)
    checkIndices('gather', indices)
    checkBesideAxis('gather', x.shape, indices, axis)
    return pick(x, indices, axis)
  },
)

/**
 * Zeros of `shape` with out[…, indices[…, i, …], …] += updates[…, i, …]: the adjoint of `gather`. Bools are counted, in int32.
 * @param indices int32, with the sizes of `shape` on the other axes
 * @param updates a tensor that broadcasts to the shape of the indices
 * @throws ShapeError if the shapes differ on another axis, DTypeError if the indices are not int32, IndexError if one is out of range
 */
export const scatterAdd: (shape: Shape, indices: Tensor, updates: Tensor, options?: GatherOptions) => Tensor = takes(
  'scatterAdd(shape, indices, updates, options)',
  [is.shape, is.indices, is.tensor, is.options],
  (shape: Shape, indices: Tensor, updates: Tensor, options?: GatherOptions): Tensor => {
    const along = settle('scatterAdd(shape, indices, updates, options)', options, gatherOptions)
    const axis = normalizeAxis('scatterAdd', along.axis, shape)
    checkIndices('scatterAdd', indices)
    checkBesideAxis('scatterAdd', shape, indices, axis)
    const terms = updates.dtype === 'bool' ? updates.cast('int32') : updates
    return put(shape, indices, terms.expand(indices.shape), axis)
  },
)

/**
 * Slices of x by index along an axis (default the first), as in NumPy: the axes of the indices replace the axis. With a vector of
 * indices it is PyTorch's `index_select`.
 * @param x [a…, n, b…]
 * @param indices int32 of any shape, in [0, n)
 * @returns [a…, indices…, b…]
 * @throws DTypeError if the indices are not int32, IndexError if one is out of range
 */
export const take: (x: Tensor, indices: Tensor, options?: GatherOptions) => Tensor = takes(
  'x.take(indices, options)',
  [is.tensor, is.indices, is.options],
  (x: Tensor, indices: Tensor, options?: GatherOptions): Tensor => {
    const { axis } = settle('x.take(indices, options)', options, gatherOptions)
    checkIndices('take', indices)
    return slices(x, indices, normalizeAxis('take', axis, x.shape))
  },
)

function slices(x: Tensor, indices: Tensor, axis: number): Tensor {
  const [before, after] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)]
  const [outer, n, inner] = [sizeOf(before), x.shape[axis], sizeOf(after)]
  const everywhere = indices.reshape([1, indices.size, 1]).expand([outer, indices.size, inner])
  return pick(x.reshape([outer, n, inner]), everywhere, 1).reshape([...before, ...indices.shape, ...after])
}

/**
 * Rows of a table by id: weight [n, width], ids int32 [...] → [..., width].
 * @throws DTypeError if the ids are not int32, IndexError if one is out of range
 */
export const embedding: (weight: Tensor, ids: Tensor) => Tensor = takes(
  'embedding(weight, ids)',
  [is.tensor, is.indices],
  (weight: Tensor, ids: Tensor): Tensor => {
    checkIndices('embedding', ids, 'ids')
    return slices(weight, ids, normalizeAxis('embedding', 0, weight.shape))
  },
)

/**
 * 1 at the id and 0 elsewhere along a new last axis: ids [...] → [..., classes]. An id outside [0, classes) gives zeros.
 * @param dtype default float32
 */
export const oneHot: (ids: Tensor, classes: number, dtype?: DType) => Tensor = takes(
  'oneHot(ids, classes, dtype)',
  [is.indices, is.size, is.optional(is.dtype)],
  (ids: Tensor, classes: number, dtype: DType = 'float32'): Tensor =>
    ids
      .unsqueeze(-1)
      .equal(arange(0, classes, 1, { device: ids.device }))
      .cast(dtype),
)
