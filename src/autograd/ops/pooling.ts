// Pooling: the largest or the mean element of every window, one axis after the other, which costs less than all axes together.
// The maximum of all positions is `x.max({ axis: [2, 3] })` and their mean `x.mean({ axis: [2, 3] })`.

import { takes } from '../../tensor/arguments.ts'
import {
  deviceOf,
  fromData,
  type PoolSteps,
  type Shape,
  ShapeError,
  show,
  type Tensor,
  zerosLike,
} from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { defineFused, derivedRule } from '../op.ts'
import type { Thunks } from '../recording.ts'
import { where } from './elementwise.ts'
import { pad } from './movement.ts'
import {
  besides,
  checkKernel,
  checkSpatial,
  constant,
  countOf,
  countPerAxis,
  forEachAxis,
  level,
  type PerAxis,
  reachOf,
  sizePerAxis,
  takeRows,
  windows,
} from './spatial.ts'

interface PoolOptions {
  /** sizes of a window */
  readonly kernel: PerAxis
  /** step of the windows; default the size of the kernel, so that they lie side by side */
  readonly stride?: PerAxis
  /** what is added on both sides of each axis, at most half the kernel; default 0 */
  readonly padding?: PerAxis
  /** whether a last window that reaches beyond the padded axis counts too, if it begins within x or before it; default false */
  readonly ceilMode?: boolean
}
const poolOptions = {
  kernel: countPerAxis,
  stride: is.optional(countPerAxis),
  padding: is.byDefault(0, sizePerAxis),
  ceilMode: false,
} satisfies Settings<PoolOptions>

/** How the windows of one axis lie. */
export interface Windows {
  readonly size: number
  readonly stride: number
  readonly padding: number
  readonly dilation: number
  /** number of windows */
  readonly count: number
  /** what is added after the padded axis, for a last window that reaches beyond it */
  readonly extra: number
}

function windowsOf(
  name: string,
  x: Tensor,
  rank: number,
  options: Omit<PoolOptions, 'stride'> & { stride: PerAxis | undefined; dilation: PerAxis; padding: PerAxis },
): Windows[] {
  checkSpatial(name, x, rank)
  const kernel = forEachAxis(name, 'kernel', options.kernel, rank)
  const stride = forEachAxis(name, 'stride', options.stride ?? options.kernel, rank)
  const padding = forEachAxis(name, 'padding', options.padding, rank)
  const dilation = forEachAxis(name, 'dilation', options.dilation, rank)
  if (padding.some((n, i) => 2 * n > reachOf(kernel[i], dilation[i])))
    throw new RangeError(
      `${name}: the padding ${show(padding)} must be at most half the kernel ${show(kernel.map((n, i) => reachOf(n, dilation[i])))}`,
    )
  const sizes = padding.map((n, i) => x.shape[2 + i] + 2 * n)
  checkKernel(name, x, sizes, kernel, dilation)
  return sizes.map((n, i) => {
    const [size, step, reach] = [kernel[i], stride[i], reachOf(kernel[i], dilation[i])]
    const rounded = Math.ceil((n - reach) / step) + 1
    const begins = (rounded - 1) * step < n - padding[i]
    const count = options.ceilMode ? (begins ? rounded : rounded - 1) : countOf(n, size, step, dilation[i])
    const extra = Math.max(0, (count - 1) * step + reach - n)
    return { size, stride: step, padding: padding[i], dilation: dilation[i], count, extra }
  })
}

/** f of the windows of each spatial axis, the last one first: [..., size, count, ...] → [..., count, ...] */
const pooled = (x: Tensor, axes: readonly Windows[], value: number, f: (x: Tensor, axis: number) => Tensor): Tensor =>
  axes.reduceRight((y, { size, stride, padding, dilation, extra }, i) => {
    const margins = y.shape.map((_, axis): [number, number] => (axis === 2 + i ? [padding, padding + extra] : [0, 0]))
    const all = padding + extra > 0 ? pad(y, margins, value) : y
    return f(windows(all, 2 + i, size, stride, dilation), 2 + i)
  }, x)

/** The first largest element along an axis. */
function largest(x: Tensor, axis: number): Tensor {
  if (x.shape[axis] === 1) return x.squeeze(axis)
  return x.gather(x.argmax({ axis, keepDims: true }), { axis }).squeeze(axis)
}

const least = { float32: -Infinity, float64: -Infinity, int32: -(2 ** 31), bool: 0 } as const

/** The windows of `maxPool1d`, `maxPool2d` and `maxPool3d`. */
export interface MaxPoolOptions extends PoolOptions {
  /** distance of neighbours in a window; default 1 */
  readonly dilation?: PerAxis
}
const maxPoolOptions = { ...poolOptions, dilation: is.byDefault(1, countPerAxis) } satisfies Settings<MaxPoolOptions>

const stepsOf = (axes: readonly Windows[]): PoolSteps => ({
  kernel: axes.map(({ size }) => size),
  stride: axes.map(({ stride }) => stride),
  dilation: axes.map(({ dilation }) => dilation),
  padding: axes.map(({ padding, extra }) => [padding, padding + extra]),
})

/** x [batch, channels, spatial…] → [batch, channels, counts…], of the windows of each axis */
const maxPool = defineFused('maxPool', {
  definition: (x: Tensor, axes: readonly Windows[]) => pooled(x, axes, least[x.dtype], largest),
  kernel: (k, x, axes) =>
    k.maxPool?.(
      x,
      axes.map(({ count }) => count),
      stepsOf(axes),
    ),
  rule: (g, _, x, axes): Thunks => [() => maxPoolGradient(g, x, axes)],
  batching: (op, batch, x, axes) => {
    // samples are further examples
    const [size, examples, ...rest] = batch.whole(x).shape
    const y = op(batch.whole(x).reshape([size * examples, ...rest]), axes)
    return y.reshape([size, examples, ...y.shape.slice(1)])
  },
})

const byX = derivedRule(maxPool.definition)

/** The gradient goes to the first largest element of each window. */
const maxPoolGradient = defineFused('maxPoolGradient', {
  definition: (g: Tensor, x: Tensor, axes: readonly Windows[]) => byX(g, g, x, axes)[0]?.() ?? zerosLike(x),
  kernel: (k, g, x, axes) => k.maxPoolGradient?.(g, x, stepsOf(axes)),
})

/** The fused operations of this file. */
export const fusedPooling = { maxPool, maxPoolGradient }

type MaxPool = (x: Tensor, options: MaxPoolOptions) => Tensor

function maxPooling(rank: 1 | 2 | 3): MaxPool {
  const name = `maxPool${rank}d`
  const call = `x.${name}(options)`
  return takes(call, [is.tensor, is.options], (x: Tensor, options: MaxPoolOptions): Tensor => {
    const axes = windowsOf(name, x, rank, settle(call, options, maxPoolOptions))
    return maxPool(x, axes)
  })
}

/**
 * The largest element of every window of one axis; NaN if one of them is NaN. The padding is -∞ and never the largest, except in
 * a window of nothing else. The gradient goes to the first of several equal elements, as in PyTorch.
 *
 * x.maxPool1d({ kernel: 3, stride: 2, padding: 1 })
 *
 * @param x [batch, channels, width]
 * @returns [batch, channels, count] with count = ⌊(width + 2 padding - dilation (kernel - 1) - 1) / stride⌋ + 1, or rounded up in
 *   `ceilMode`
 * @throws ShapeError if the kernel is larger than the padded x, RangeError for a padding of more than half the kernel
 */
export const maxPool1d: (x: Tensor, options: MaxPoolOptions) => Tensor = maxPooling(1)

/**
 * The largest element of every window of two axes, as `maxPool1d`; of equal elements, the first in row-major order has the
 * gradient.
 *
 * x.maxPool2d({ kernel: 2 })
 *
 * @param x [batch, channels, height, width]
 * @returns [batch, channels, count, count]
 * @throws ShapeError if the kernel is larger than the padded x, RangeError for a padding of more than half the kernel
 */
export const maxPool2d: (x: Tensor, options: MaxPoolOptions) => Tensor = maxPooling(2)

/**
 * The largest element of every window of three axes, as `maxPool1d`; of equal elements, the first in row-major order has the
 * gradient.
 *
 * x.maxPool3d({ kernel: [1, 2, 2] })
 *
 * @param x [batch, channels, depth, height, width]
 * @returns [batch, channels, count, count, count]
 * @throws ShapeError if the kernel is larger than the padded x, RangeError for a padding of more than half the kernel
 */
export const maxPool3d: (x: Tensor, options: MaxPoolOptions) => Tensor = maxPooling(3)

/** The windows of `avgPool1d`, `avgPool2d` and `avgPool3d`. */
export interface AvgPoolOptions extends PoolOptions {
  /** whether the zeros of the padding count in the mean; default true */
  readonly countIncludePad?: boolean
}
const avgPoolOptions = { ...poolOptions, countIncludePad: true } satisfies Settings<AvgPoolOptions>

/** Elements that each window of an axis of size n counts. */
const counted = (n: number, { size, stride, padding, count }: Windows, includesPadding: boolean): number[] =>
  Array.from({ length: count }, (_, i) => {
    const first = i * stride - padding
    const end = Math.min(first + size, n + padding)
    return includesPadding ? end - first : Math.min(end, n) - Math.max(first, 0)
  })

type AvgPool = (x: Tensor, options: AvgPoolOptions) => Tensor

function avgPooling(rank: 1 | 2 | 3): AvgPool {
  const name = `avgPool${rank}d`
  const call = `x.${name}(options)`
  return takes(call, [is.tensor, is.options], (x: Tensor, options: AvgPoolOptions): Tensor => {
    const { countIncludePad, ...pool } = settle(call, options, avgPoolOptions)
    const axes = windowsOf(name, x, rank, { ...pool, dilation: 1 })
    const sums = pooled(x.dtype === 'int32' ? x.cast('float32') : x, axes, 0, (y, axis) => y.sum({ axis }))
    return axes.reduce((y, each, i) => {
      const counts = counted(x.shape[2 + i], each, countIncludePad)
      const axis = y.shape.map((n, at) => (at === 2 + i ? n : 1))
      return y.div(counts.every(n => n === counts[0]) ? counts[0] : constant(x, counts, axis))
    }, sums)
  })
}

/**
 * The mean of every window of one axis. The padding is 0; it counts as elements of the mean unless `countIncludePad` is false.
 * What a window has beyond the padding, in `ceilMode`, never counts. The mean of integers is float32.
 *
 * x.avgPool1d({ kernel: 3, stride: 1, padding: 1 })
 *
 * @param x [batch, channels, width]
 * @returns [batch, channels, count] with count = ⌊(width + 2 padding - kernel) / stride⌋ + 1, or rounded up in `ceilMode`
 * @throws ShapeError if the kernel is larger than the padded x, RangeError for a padding of more than half the kernel
 */
export const avgPool1d: (x: Tensor, options: AvgPoolOptions) => Tensor = avgPooling(1)

/**
 * The mean of every window of two axes, as `avgPool1d`.
 *
 * x.avgPool2d({ kernel: 2 })
 *
 * @param x [batch, channels, height, width]
 * @returns [batch, channels, count, count]
 * @throws ShapeError if the kernel is larger than the padded x, RangeError for a padding of more than half the kernel
 */
export const avgPool2d: (x: Tensor, options: AvgPoolOptions) => Tensor = avgPooling(2)

/**
 * The mean of every window of three axes, as `avgPool1d`.
 *
 * x.avgPool3d({ kernel: 2, countIncludePad: false, padding: 1 })
 *
 * @param x [batch, channels, depth, height, width]
 * @returns [batch, channels, count, count, count]
 * @throws ShapeError if the kernel is larger than the padded x, RangeError for a padding of more than half the kernel
 */
export const avgPool3d: (x: Tensor, options: AvgPoolOptions) => Tensor = avgPooling(3)

/** Positions of each of m parts of an axis of size n, from ⌊i n / m⌋ to ⌈(i + 1) n / m⌉. */
const partsOf = (n: number, m: number): number[][] =>
  Array.from({ length: m }, (_, i) => {
    const first = Math.floor((i * n) / m)
    return Array.from({ length: Math.ceil(((i + 1) * n) / m) - first }, (_, j) => first + j)
  })

/** f of the parts of each spatial axis, [..., m, part, ...] → [..., m, ...], where shorter parts are filled up. */
function adapted(
  name: string,
  x: Tensor,
  sizes: Shape,
  f: (parts: Tensor, axis: number, own: readonly boolean[], counts: readonly number[]) => Tensor,
): Tensor {
  if (sizes.length < 1 || sizes.length > 3 || !sizes.every(is.count.fits))
    throw new ShapeError(`${name}: the sizes must be one to three whole numbers above 0, not ${show(sizes)}`, sizes)
  checkSpatial(name, x, sizes.length)
  if (x.shape.slice(2).includes(0))
    throw new ShapeError(`${name}: the spatial axes of x ${show(x.shape)} must have elements`, x.shape)
  return sizes.reduceRight((y, m, i) => {
    const n = x.shape[2 + i]
    const parts = partsOf(n, m)
    const { filled, own } = level(parts)
    const all = n % m === 0 ? y.reshape(y.shape.toSpliced(2 + i, 1, m, n / m)) : takeRows(y, 2 + i, filled)
    return f(
      all,
      3 + i,
      own,
      parts.map(part => part.length),
    )
  }, x)
}

/**
 * The mean of parts of the spatial axes, as many as the sizes say: part i of m, of an axis of size n, is from ⌊i n / m⌋ to
 * ⌈(i + 1) n / m⌉, so that neighbours may overlap. PyTorch's AdaptiveAvgPool1d, 2d and 3d, by the number of sizes.
 *
 * x.adaptiveAvgPool([1, 1]) // as x.mean({ axis: [2, 3], keepDims: true })
 *
 * @param x [batch, channels, n…]
 * @param sizes one to three numbers of parts
 * @returns [batch, channels, sizes…]
 * @throws ShapeError if x does not have as many spatial axes, or an empty one
 */
export const adaptiveAvgPool: (x: Tensor, sizes: Shape) => Tensor = takes(
  'x.adaptiveAvgPool(sizes)',
  [is.tensor, is.shape],
  (x: Tensor, sizes: Shape): Tensor =>
    adapted('adaptiveAvgPool', x, sizes, (parts, axis, own, counts) => {
      if (own.every(is => is)) return parts.mean({ axis })
      const mask = fromData(Uint8Array.from(own, Number), besides(parts, axis - 1), deviceOf(x), 'bool')
      const beside = besides(parts, axis - 1).toSpliced(axis, 1)
      return where(mask, parts, 0)
        .sum({ axis })
        .div(constant(x, counts, beside))
    }),
)

/**
 * The largest element of parts of the spatial axes, which are those of `adaptiveAvgPool`; the gradient is that of `maxPool1d`.
 * PyTorch's AdaptiveMaxPool1d, 2d and 3d, by the number of sizes.
 *
 * x.adaptiveMaxPool([7, 7])
 *
 * @param x [batch, channels, n…]
 * @param sizes one to three numbers of parts
 * @returns [batch, channels, sizes…]
 * @throws ShapeError if x does not have as many spatial axes, or an empty one
 */
export const adaptiveMaxPool: (x: Tensor, sizes: Shape) => Tensor = takes(
  'x.adaptiveMaxPool(sizes)',
  [is.tensor, is.shape],
  (x: Tensor, sizes: Shape): Tensor => adapted('adaptiveMaxPool', x, sizes, largest),
)
