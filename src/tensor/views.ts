// Views: the same memory with another shape and other strides. Nothing is computed or moved, except by a reshape that cannot
// be expressed in strides, which copies.

import { callForm } from './arguments.ts'
import { deviceOf } from './device.ts'
import * as is from './kinds.ts'
import { type Settings, settle } from './options.ts'
import {
  broadcastStrides,
  broadcastsTo,
  checkShape,
  reshapeStrides,
  resolveReshape,
  type Shape,
  ShapeError,
  show,
} from './shape.ts'
import type { Tensor } from './tensor.ts'

/** A part of one axis, as in Python: negative positions count from the end, a negative step runs backwards. */
export interface Range {
  /** the first position; default the start of the axis */
  readonly start?: number
  /** the position after the last one; default the end of the axis */
  readonly stop?: number
  /** default 1; not 0 */
  readonly step?: number
}

const rangeOptions = {
  start: is.optional(is.number),
  stop: is.optional(is.number),
  step: 1,
} satisfies Settings<Range>

/** Axes in a new order. */
export function permuteView(x: Tensor, axes: readonly number[]): Tensor {
  return x.view(
    axes.map(axis => x.shape[axis]),
    axes.map(axis => x.strides[axis]),
  )
}

/** x broadcast to a shape: axes of size 1 are repeated, and new axes added in front. */
export function expandView(x: Tensor, shape: Shape): Tensor {
  checkShape('expand', shape)
  if (!broadcastsTo(x.shape, shape))
    throw new ShapeError(`expand: ${show(x.shape)} does not broadcast to ${show(shape)}`, x.shape, shape)
  return x.view(shape, broadcastStrides(x.shape, x.strides, shape))
}

/**
 * First position and number of elements of a range on an axis of size n; ends out of range are clipped.
 * @param call as people write it, for errors
 */
export function resolveRange(
  range: Range,
  n: number,
  call = 'x.slice([range])',
): { first: number; length: number; step: number } {
  const { start, stop, step } = settle(call, range, rangeOptions)
  const name = () => callForm(call).name
  if (!Number.isInteger(step) || step === 0)
    throw new RangeError(`${name()}: the step must be a non-zero integer, not ${step}`)
  for (const end of [start ?? 0, stop ?? 0])
    if (!Number.isInteger(end)) throw new RangeError(`${name()}: start and stop must be integers, not ${end}`)
  const clip = (position: number, low: number, high: number) =>
    Math.min(Math.max(position < 0 ? position + n : position, low), high)
  const first = step > 0 ? clip(start ?? 0, 0, n) : clip(start ?? n - 1, -1, n - 1)
  const end = step > 0 ? clip(stop ?? n, 0, n) : stop === undefined ? -1 : clip(stop, -1, n - 1)
  return { first, length: Math.max(0, Math.ceil((end - first) / step)), step }
}

/** A part of every axis; axes beyond the list are kept whole. */
export function sliceView(x: Tensor, ranges: readonly Range[]): Tensor {
  if (ranges.length > x.rank)
    throw new ShapeError(`slice: ${ranges.length} ranges are more than the axes of ${show(x.shape)}`, x.shape)
  const shape = [...x.shape]
  const strides = [...x.strides]
  let offset = x.offset
  ranges.forEach((range, axis) => {
    const { first, length, step } = resolveRange(range, x.shape[axis])
    if (length > 0) offset += first * x.strides[axis]
    shape[axis] = length
    strides[axis] = x.strides[axis] * step
  })
  return x.view(shape, strides, offset)
}

/** The same elements in row-major order with another shape; copies if strides cannot express it. */
export function reshapeView(x: Tensor, target: Shape): Tensor {
  const shape = resolveReshape(x.shape, target)
  const strides = reshapeStrides(x.shape, x.strides, shape)
  if (strides) return x.view(shape, strides)
  const copied = deviceOf(x).kernels.copy(x)
  return copied.view(shape, reshapeStrides(copied.shape, copied.strides, shape)!)
}
