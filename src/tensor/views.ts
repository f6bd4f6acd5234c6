// Views: the same memory under another shape and other strides. Nothing is computed and nothing moves, except where a
// reshape cannot be expressed in strides and copies first.

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
  readonly start?: number
  readonly stop?: number
  /** default 1 */
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

/** Axes of size one repeated, and new ones in front, to a broadcast shape. */
export function expandView(x: Tensor, shape: Shape): Tensor {
  checkShape('expand', shape)
  if (!broadcastsTo(x.shape, shape))
    throw new ShapeError(`expand: ${show(x.shape)} does not broadcast to ${show(shape)}`, x.shape, shape)
  return x.view(shape, broadcastStrides(x.shape, x.strides, shape))
}

/** First position and number of elements of a range on an axis of size n; out-of-range ends are cut off. */
export function resolveRange(range: Range, n: number): { first: number; length: number; step: number } {
  const { start, stop, step } = settle('x.slice([range])', range, rangeOptions)
  if (!Number.isInteger(step) || step === 0) throw new RangeError(`slice: a step is a non-zero integer, not ${step}`)
  for (const end of [start ?? 0, stop ?? 0])
    if (!Number.isInteger(end)) throw new RangeError(`slice: a range goes from integer to integer, not to ${end}`)
  const clip = (position: number, low: number, high: number) =>
    Math.min(Math.max(position < 0 ? position + n : position, low), high)
  const first = step > 0 ? clip(start ?? 0, 0, n) : clip(start ?? n - 1, -1, n - 1)
  const end = step > 0 ? clip(stop ?? n, 0, n) : stop === undefined ? -1 : clip(stop, -1, n - 1)
  return { first, length: Math.max(0, Math.ceil((end - first) / step)), step }
}

/** A part of every axis; axes beyond the list are whole. */
export function sliceView(x: Tensor, ranges: readonly Range[]): Tensor {
  if (ranges.length > x.rank) throw new ShapeError(`slice: ${ranges.length} ranges for ${show(x.shape)}`, x.shape)
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

/** The same elements in row-major order under another shape; copies where strides cannot say it. */
export function reshapeView(x: Tensor, target: Shape): Tensor {
  const shape = resolveReshape(x.shape, target)
  const strides = reshapeStrides(x.shape, x.strides, shape)
  if (strides) return x.view(shape, strides)
  const copied = deviceOf(x).kernels.copy(x)
  return copied.view(shape, reshapeStrides(copied.shape, copied.strides, shape)!)
}
