// Reductions over axes, and functions computed from them.

import { takes } from '../../tensor/arguments.ts'
import {
  broadcastsTo,
  type Kernels,
  normalizeAxes,
  normalizeAxis,
  type ReductionName,
  reducedShape,
  reshapeView,
  type Shape,
  ShapeError,
  show,
  sizeOf,
  sliceView,
  type Tensor,
} from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { afterBatch } from '../batched.ts'
import { asFloating, defineOp } from '../op.ts'
import { where } from './elementwise.ts'

/** The axes to reduce: all by default; negative axes count from the last. keepDims keeps them with size 1. */
export interface ReduceOptions {
  readonly axis?: number | readonly number[]
  readonly keepDims?: boolean
}
const reduceOptions = { axis: is.optional(is.axes), keepDims: false } satisfies Settings<ReduceOptions>

function reduceWith(
  k: Kernels,
  kernel: ReductionName,
  name: string,
  x: Tensor,
  options: ReduceOptions | undefined,
): Tensor {
  const { axis, keepDims } = settle(`x.${name}(options)`, options, reduceOptions)
  const axes = normalizeAxes(name, axis, x.shape)
  const result = axes.length === 0 && kernel !== 'sum' ? x : k.reduce(kernel, x, axes)
  return reshapeView(result, reducedShape(x.shape, axes, keepDims))
}

/** A reduced tensor with its reduced axes restored as size 1, so that it broadcasts with x. */
const restored = (reduced: Tensor, x: Tensor, options: ReduceOptions | undefined): Tensor =>
  reduced.reshape(reducedShape(x.shape, normalizeAxes('reduce', options?.axis, x.shape), true))

/** The options that reduce each sample of a batch over the axes that `options` name, `fallback` if none. */
const ofSamples = <O extends ReduceOptions>(x: Tensor, options?: O, fallback?: number) => ({
  ...options,
  axis: afterBatch(normalizeAxes('reduce', options?.axis ?? fallback, x.shape)),
})

/** The options of a function along one axis, by default the last, for each sample of a batch. */
export const alongAxis = <O extends AxisOptions>(x: Tensor, options?: O) => {
  const [axis] = ofSamples(x, options, -1).axis
  return { ...options, axis }
}

/** Number of elements that each result is computed from. */
const countOf = (x: Tensor, { axis }: ReduceOptions): number =>
  sizeOf(normalizeAxes('reduce', axis, x.shape).map(i => x.shape[i]))

/**
 * Σ x over the axes given, all by default. The sum of no elements is 0; the sum of bools is int32. A sum of int32 is int32 too
 * and wraps around, modulo 2³²: write `x.cast('float32').sum()` where it may be 2³¹ or more.
 *
 * x.sum({ axis: -1, keepDims: true })
 *
 * @throws AxisError if x does not have the axis
 */
export const sum: (x: Tensor, options?: ReduceOptions) => Tensor = takes(
  'x.sum(options)',
  [is.tensor, is.options],
  defineOp(
    'sum',
    (k, x: Tensor, options?: ReduceOptions) => reduceWith(k, 'sum', 'sum', x, options),
    (g, _, x, options?) => [() => restored(g, x, options).expand(x.shape)],
    (op, batch, x, options?) => op(batch.whole(x), ofSamples(x, options)),
  ),
)

const extremum = (name: 'max' | 'min') =>
  takes(
    `x.${name}(options)`,
    [is.tensor, is.options],
    defineOp(
      name,
      (k, x: Tensor, options?: ReduceOptions) => {
        if (x.size === 0 && countOf(x, settle(`x.${name}(options)`, options, reduceOptions)) === 0)
          throw new ShapeError(`${name}: x must have an element to compare, and ${show(x.shape)} has none`, x.shape)
        return reduceWith(k, name, name, x, options)
      },
      (g, out, x, options?) => [
        () => {
          const isBest = x.equal(restored(out, x, options)).cast(x.dtype)
          return isBest.div(isBest.sum({ axis: options?.axis, keepDims: true })).mul(restored(g, x, options))
        },
      ],
      (op, batch, x, options?) => op(batch.whole(x), ofSamples(x, options)),
    ),
  )

/**
 * The largest element over the axes given, all by default; NaN if any of them is NaN, whose position `argmax` then gives. Equal
 * elements share the gradient; where the result is NaN, all gradients are NaN.
 * @throws ShapeError if there is no element to compare, AxisError if x does not have the axis
 */
export const max: (x: Tensor, options?: ReduceOptions) => Tensor = extremum('max')
/**
 * The smallest element over the axes given, all by default; NaN if any of them is NaN. Equal elements share the gradient; where
 * the result is NaN, all gradients are NaN.
 * @throws ShapeError if there is no element to compare, AxisError if x does not have the axis
 */
export const min: (x: Tensor, options?: ReduceOptions) => Tensor = extremum('min')

/**
 * Σ x / n over the axes given, all by default; n is the number of elements. The mean of no elements is NaN; that of integers is
 * float32 and does not overflow.
 * @throws AxisError if x does not have the axis
 */
export const mean: (x: Tensor, options?: ReduceOptions) => Tensor = takes(
  'x.mean(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: ReduceOptions): Tensor => {
    const n = countOf(x, settle('x.mean(options)', options, reduceOptions))
    return sum(x.dtype === 'int32' ? x.cast('float32') : x, options).div(n)
  },
)

export interface VarianceOptions extends ReduceOptions {
  /** subtracted from the number of elements in the divisor: 1 (default) gives the unbiased estimate, 0 the variance of the elements */
  readonly correction?: number
}
const varianceOptions = { ...reduceOptions, correction: 1 } satisfies Settings<VarianceOptions>

/**
 * Σ (x - mean)² / (n - correction) over the axes given, all by default; n is the number of elements. The correction is 1 by
 * default, which gives the unbiased estimate from a sample; 0 gives the variance of the elements themselves. If the correction
 * is n or more, the divisor is 0, as in PyTorch: the variance is ∞, or NaN where the elements are equal (so that of one
 * element is NaN by default).
 * @throws AxisError if x does not have the axis
 */
export const variance: (x: Tensor, options?: VarianceOptions) => Tensor = takes(
  'x.variance(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: VarianceOptions): Tensor => {
    const { correction, ...reduce } = settle('x.variance(options)', options, varianceOptions)
    const centred = x.sub(mean(x, { ...reduce, keepDims: true }))
    return sum(centred.square(), reduce).div(Math.max(0, countOf(x, reduce) - correction))
  },
)

/** x with -∞ replaced by 0, so that a shift by it does not compute -∞ + ∞. */
const above = (x: Tensor): Tensor => where(x.equal(-Infinity), 0, x)

/**
 * log Σ eˣ over the axes given, all by default. It is finite for finite x, and -∞ with a gradient of 0 where all x are -∞. Where
 * the result is +∞, the gradient is 0 for finite x and NaN for x = +∞, as in PyTorch, and where it is NaN, all gradients are.
 * @throws AxisError if x does not have the axis
 */
export const logSumExp: (x: Tensor, options?: ReduceOptions) => Tensor = takes(
  'x.logSumExp(options)',
  [is.tensor, is.options],
  defineOp(
    'logSumExp',
    (k, input: Tensor, options?: ReduceOptions) => {
      const { axis, keepDims } = settle('x.logSumExp(options)', options, reduceOptions)
      const x = asFloating(k, input)
      const axes = normalizeAxes('logSumExp', axis, x.shape)
      const largest = k.reduce('max', x, axes)
      const shift = k.where(k.compare('less', k.unary('abs', largest), Infinity), largest, 0, x.dtype)
      const total = k.reduce('sum', k.unary('exp', k.binary('sub', x, shift, x.dtype)), axes)
      const result = k.binary('add', k.unary('log', total), shift, x.dtype)
      return reshapeView(result, reducedShape(x.shape, axes, keepDims))
    },
    (g, out, x, options?) => [
      () =>
        x
          .sub(above(restored(out, x, options)))
          .exp()
          .mul(restored(g, x, options)),
    ],
    (op, batch, x, options?) => op(batch.whole(x), ofSamples(x, options)),
  ),
)

const euclidean = defineOp(
  'norm',
  (k, x: Tensor, options: ReduceOptions) => {
    const y = asFloating(k, x)
    return k.unary('sqrt', reduceWith(k, 'sum', 'norm', k.binary('mul', y, y, y.dtype), options))
  },
  (g, out, x, options?) => [() => x.mul(restored(g.div(where(out.equal(0), 1, out)), x, options))],
  (op, batch, x, options?) => op(batch.whole(x), ofSamples(x, options)),
)

export interface NormOptions extends ReduceOptions {
  /** 1, 2 (default) or Infinity */
  readonly order?: number
}
const normOptions = { ...reduceOptions, order: 2 } satisfies Settings<NormOptions>

/**
 * (Σ |x|ᵒ)^(1/o) over the axes given, all by default, for the orders o = 1, 2 (default) and Infinity (max |x|). The gradient of
 * the 2-norm at 0 is 0, as in PyTorch. It has no second derivatives there: `hessian` gives the identity matrix, the derivative of
 * x / 1 in place of x / ‖x‖, which is finite (PyTorch gives NaN).
 * @throws RangeError for another order, AxisError if x does not have the axis
 */
export const norm: (x: Tensor, options?: NormOptions) => Tensor = takes(
  'x.norm(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: NormOptions): Tensor => {
    const { order, ...reduce } = settle('x.norm(options)', options, normOptions)
    if (order === 2) return euclidean(x, reduce)
    if (order === 1) return sum(x.abs(), reduce)
    if (order === Infinity) return max(x.abs(), reduce)
    throw new RangeError(`norm: the order must be 1, 2 or Infinity, not ${order}`)
  },
)

export interface ArgmaxOptions {
  /** default -1, the last */
  readonly axis?: number
  readonly keepDims?: boolean
}
const argmaxOptions = { axis: -1, keepDims: false } satisfies Settings<ArgmaxOptions>

/**
 * The position of the largest element along an axis (default the last), as int32: the first of several equal elements. NaN
 * counts as the largest, as in `max`; on `gpu` results with NaN are unreliable. argmax has no gradient.
 * @throws ShapeError if there is no element to compare, AxisError if x does not have the axis
 */
export const argmax: (x: Tensor, options?: ArgmaxOptions) => Tensor = takes(
  'x.argmax(options)',
  [is.tensor, is.options],
  defineOp(
    'argmax',
    (k, x: Tensor, options?: ArgmaxOptions) => {
      const { axis, keepDims } = settle('x.argmax(options)', options, argmaxOptions)
      const at = normalizeAxis('argmax', axis, x.shape)
      if (x.shape[at] === 0)
        throw new ShapeError(`argmax: x must have an element to compare, and ${show(x.shape)} has none`, x.shape)
      return reshapeView(k.argmax(x, at), reducedShape(x.shape, [at], keepDims))
    },
    undefined,
    (op, batch, x, options?) => op(batch.whole(x), alongAxis(x, options)),
  ),
)

/** The axis of a function; default the last. */
export interface AxisOptions {
  readonly axis?: number
}
/** The last axis. */
export const lastAxis = { axis: -1 } satisfies Settings<AxisOptions>
/** The last axis, which is kept with size 1. */
export const keptLast = { axis: -1, keepDims: true } as const

/**
 * out[i] = Σ_{j ≤ i} x[j] along an axis (default the last), in log₂ n shifted additions. The sum of bools is int32.
 * @throws AxisError if x does not have the axis
 */
export const cumsum: (x: Tensor, options?: AxisOptions) => Tensor = takes(
  'x.cumsum(options)',
  [is.tensor, is.options],
  defineOp(
    'cumsum',
    (k, x: Tensor, options?: AxisOptions) => {
      const { axis } = settle('x.cumsum(options)', options, lastAxis)
      const at = normalizeAxis('cumsum', axis, x.shape)
      const n = x.shape[at]
      let total = x.dtype === 'bool' ? k.cast(x, 'int32') : k.copy(x)
      for (let shift = 1; shift < n; shift *= 2) {
        const earlier = sliceView(
          total,
          x.shape.map((_, i) => (i === at ? { stop: n - shift } : {})),
        )
        const padding = x.shape.map((_, i): [number, number] => (i === at ? [shift, 0] : [0, 0]))
        total = k.binary('add', total, k.pad(earlier, padding, 0), total.dtype)
      }
      return total
    },
    (g, _out, _x, { axis = -1 } = {}) => [() => g.flip(axis).cumsum({ axis }).flip(axis)],
    (op, batch, x, options?) => op(batch.whole(x), alongAxis(x, options)),
  ),
)

/**
 * x summed over the axes along which `shape` broadcasts to the shape of x: the adjoint of `expand`.
 * @throws ShapeError if `shape` does not broadcast to the shape of x
 */
export const sumTo: (x: Tensor, shape: Shape) => Tensor = takes(
  'x.sumTo(shape)',
  [is.tensor, is.shape],
  (x: Tensor, shape: Shape): Tensor => {
    if (!broadcastsTo(shape, x.shape))
      throw new ShapeError(`sumTo: ${show(shape)} does not broadcast to ${show(x.shape)}`, x.shape, shape)
    const extra = x.rank - shape.length
    const axes = x.shape.map((_, i) => i).filter(i => i < extra || (shape[i - extra] === 1 && x.shape[i] !== 1))
    return sum(x, { axis: axes, keepDims: true }).reshape(shape)
  },
)
