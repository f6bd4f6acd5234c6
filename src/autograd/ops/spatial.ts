// What operations over spatial axes share: the windows of an axis and their adjoint, and the numbers that are given for each
// axis. Windows of several axes are those of one axis after the other. A window is a view, with strides that overlap, so that
// only the kernel that reads the windows moves elements.

import {
  deviceOf,
  floating,
  fromData,
  type Kernels,
  reshapeView,
  ShapeError,
  show,
  sliceView,
  type Tensor,
} from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { defineOp } from '../op.ts'
import type { Thunks } from '../recording.ts'
import { take } from './gather.ts'

/** A number for every spatial axis, or a list with one for each. */
export type PerAxis = number | readonly number[]

/** Kernels, strides and dilations. */
export const countPerAxis = is.perAxis(is.count)
/** Paddings. */
export const sizePerAxis = is.perAxis(is.size)

/**
 * The numbers for each of `count` axes.
 * @throws ShapeError for a list of another length
 */
export function forEachAxis(name: string, option: string, value: PerAxis, count: number): readonly number[] {
  if (typeof value === 'number') return new Array<number>(count).fill(value)
  if (value.length !== count)
    throw new ShapeError(
      `${name}: ${option} ${show(value)} must have one number for each of the ${count} spatial axes, or be one number for all`,
      value,
    )
  return value
}

/**
 * Checks that x is [batch, channels, …spatial].
 * @throws ShapeError
 */
export function checkSpatial(name: string, x: Tensor, rank: number): void {
  if (x.rank === rank + 2) return
  const expected = ['batch', 'channels', ...['depth', 'height', 'width'].slice(3 - rank)]
  const missing = x.rank === rank + 1 ? '; write x.unsqueeze(0) for one example' : ''
  throw new ShapeError(`${name}: x must be [${expected.join(', ')}], not ${show(x.shape)}${missing}`, x.shape)
}

/** The elements from the first to the last of a window. */
export const reachOf = (size: number, dilation: number): number => dilation * (size - 1) + 1

/** Number of whole windows on an axis of size n. */
export const countOf = (n: number, size: number, stride: number, dilation: number): number =>
  Math.floor((n - reachOf(size, dilation)) / stride) + 1

/**
 * Checks that a kernel fits into its axes.
 * @param sizes of the padded axes
 * @throws ShapeError naming both
 */
export function checkKernel(
  name: string,
  x: Tensor,
  sizes: readonly number[],
  kernel: readonly number[],
  dilation: readonly number[],
): void {
  const reach = kernel.map((n, i) => reachOf(n, dilation[i]))
  if (reach.every((n, i) => n <= sizes[i])) return
  const dilated = reach.some((n, i) => n !== kernel[i]) ? `, which is ${show(reach)} with its dilation,` : ''
  const own = x.shape.slice(x.rank - sizes.length)
  const padded = sizes.some((n, i) => n !== own[i]) ? `, ${show(sizes)} with its padding` : ''
  throw new ShapeError(
    `${name}: the kernel ${show(kernel)}${dilated} is larger than the spatial axes ${show(own)} of x ${show(x.shape)}${padded}`,
    kernel,
    x.shape,
  )
}

/** The windows of an axis: [..., n, ...] → [..., size, count, ...] with element (j, i) = x[i stride + j dilation]. */
export const windows = defineOp(
  'unfold',
  (_, x: Tensor, axis: number, size: number, stride: number, dilation: number) => {
    const count = countOf(x.shape[axis], size, stride, dilation)
    const step = x.strides[axis]
    return x.view(x.shape.toSpliced(axis, 1, size, count), x.strides.toSpliced(axis, 1, step * dilation, step * stride))
  },
  (g, _, x, axis, _size, stride, dilation): Thunks => [() => overlap(g, axis, x.shape[axis], stride, dilation)],
  (op, batch, x, axis, size, stride, dilation) => op(batch.whole(x), axis + 1, size, stride, dilation),
  'linear',
)

/**
 * The adjoint of `windows`: [..., size, count, ...] → [..., n, ...] with out[i stride + j dilation] += x[j, i]. With zeros around
 * it, x is read along its diagonals: [..., overlaps, q, stride, ...] has all terms of element q stride + r in one column, so that
 * one reduction adds them.
 */
export const overlap = defineOp(
  'fold',
  (k, x: Tensor, axis: number, n: number, stride: number, dilation: number) => {
    const count = axis + 1
    const isApart = stride > 1 && dilation > 1
    const columns = isApart ? spread(k, x, axis, dilation) : x
    const shift = isApart ? 1 : dilation
    const overlaps = Math.ceil(columns.shape[axis] / stride)
    const beside = shift * (overlaps - 1)
    const whole = padAxis(k, columns, axis, 0, overlaps * stride - columns.shape[axis])
    const padded = padAxis(k, whole, count, beside, beside)
    const [along, step] = [padded.strides[axis], padded.strides[count]]
    const terms = padded.view(
      padded.shape.toSpliced(axis, 2, overlaps, x.shape[count] + beside, stride),
      padded.strides.toSpliced(axis, 2, stride * along - shift * step, step, along),
      padded.offset + beside * step,
    )
    const sum = k.reduce('sum', terms, [axis])
    const length = (x.shape[count] + beside) * stride
    const all = reshapeView(sum, padded.shape.toSpliced(axis, 2, length))
    return padAxis(k, upTo(all, axis, Math.min(n, length)), axis, 0, Math.max(0, n - length))
  },
  (g, _, x, axis, _n, stride, dilation): Thunks => [() => windows(g, axis, x.shape[axis], stride, dilation)],
  (op, batch, x, axis, n, stride, dilation) => op(batch.whole(x), axis + 1, n, stride, dilation),
  'linear',
)

/** Zeros before and after an axis. */
const padAxis = (k: Kernels, x: Tensor, axis: number, before: number, after: number): Tensor =>
  before + after === 0
    ? x
    : k.pad(
        x,
        x.shape.map((_, i) => (i === axis ? [before, after] : [0, 0])),
        0,
      )

/** The first n positions of an axis. */
const upTo = (x: Tensor, axis: number, n: number): Tensor =>
  sliceView(
    x,
    x.shape.map((_, i) => (i === axis ? { stop: n } : {})),
  )

/** An axis with zeros between its elements, as many as make the distance of two of them `distance`. */
function spread(k: Kernels, x: Tensor, axis: number, distance: number): Tensor {
  const n = x.shape[axis]
  const apart = padAxis(k, reshapeView(x, x.shape.toSpliced(axis + 1, 0, 1)), axis + 1, 0, distance - 1)
  return upTo(reshapeView(apart, x.shape.toSpliced(axis, 1, n * distance)), axis, reachOf(n, distance))
}

/** Floating numbers on the device of x, in its dtype or as float32. */
export const constant = (x: Tensor, values: readonly number[], shape: readonly number[]): Tensor =>
  fromData(Float64Array.from(values), shape, deviceOf(x), floating(x.dtype))

/** Some positions of an axis, a row for each position of the result: [..., n, ...] → [..., rows, positions, ...] */
export const takeRows = (x: Tensor, axis: number, rows: readonly (readonly number[])[]): Tensor =>
  take(x, fromData(Int32Array.from(rows.flat()), [rows.length, rows[0]?.length ?? 0], deviceOf(x)), { axis })

/** Rows of one length, filled up with their last entry, and which entries are their own. */
export function level<T>(rows: readonly (readonly T[])[]): { filled: T[][]; own: boolean[]; isLevel: boolean } {
  const longest = Math.max(0, ...rows.map(row => row.length))
  const filled = rows.map(row => [...row, ...new Array<T>(longest - row.length).fill(row[row.length - 1])])
  const own = rows.flatMap(row => Array.from({ length: longest }, (_, i) => i < row.length))
  return { filled, own, isLevel: own.every(is => is) }
}

/** Numbers by position of an axis and of the axis after it, as a shape that broadcasts with x. */
export const besides = (x: Tensor, axis: number): number[] =>
  x.shape.map((n, i) => (i === axis || i === axis + 1 ? n : 1))
