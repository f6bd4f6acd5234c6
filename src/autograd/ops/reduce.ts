// Reductions over axes, and functions computed from them.

import { takes } from '../../tensor/arguments.ts'
import {
  broadcastsTo,
  isFloating,
  type Kernels,
  normalizeAxes,
  normalizeAxis,
  type Range,
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
import { asFloating, defineFused, defineOp } from '../op.ts'
import { equal, notEqual, sub, where } from './elementwise.ts'

/** The axes to reduce: all by default; negative axes count from the last. keepDims keeps them with size 1. */
export interface ReduceOptions {
  /** the axis to reduce, or several; negative ones count from the end; default all */
  readonly axis?: number | readonly number[]
  /** whether reduced axes stay, with size 1; default false */
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
const countOf = (name: string, x: Tensor, { axis }: ReduceOptions): number =>
  sizeOf(normalizeAxes(name, axis, x.shape).map(i => x.shape[i]))

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
    'linear',
  ),
)

/**
 * The product of x over the axes given, all by default. The product of no elements is 1; that of bools is int32. int32 wraps
 * around, modulo 2³². The gradient by an element is the product of all others, computed without a division: it is right where
 * elements are 0, and so are its derivatives. Halves are multiplied with each other, in log₂ n steps.
 * @throws AxisError if x does not have the axis
 */
export const prod: (x: Tensor, options?: ReduceOptions) => Tensor = takes(
  'x.prod(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: ReduceOptions): Tensor => {
    const { axis, keepDims } = settle('x.prod(options)', options, reduceOptions)
    const axes = normalizeAxes('prod', axis, x.shape)
    const kept = x.shape.map((_, i) => i).filter(i => !axes.includes(i))
    let factors = (x.dtype === 'bool' ? x.cast('int32') : x)
      .permute([...kept, ...axes])
      .reshape([...kept.map(i => x.shape[i]), sizeOf(axes.map(i => x.shape[i]))])
    const part = (range: Range) => factors.slice([...kept.map(() => ({})), range])
    for (let n = factors.shape[kept.length]; n !== 1; n = factors.shape[kept.length]) {
      if (n % 2 === 1 || n === 0) factors = factors.pad([...kept.map(() => [0, 0] as const), [0, 1]], 1)
      const half = Math.ceil(n / 2)
      if (n > 0) factors = part({ stop: half }).mul(part({ start: half }))
    }
    return factors.reshape(reducedShape(x.shape, axes, keepDims))
  },
)

/**
 * Whether any element over the axes given, all by default, is true, as bool. A number is true unless it is 0; NaN is true. It is
 * false for no elements.
 * @throws AxisError if x does not have the axis
 */
export const any: (x: Tensor, options?: ReduceOptions) => Tensor = takes(
  'x.any(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: ReduceOptions): Tensor => {
    countOf('any', x, settle('x.any(options)', options, reduceOptions))
    return sum(notEqual(x, 0), options).greater(0)
  },
)

/**
 * Whether all elements over the axes given, all by default, are true, as bool. A number is true unless it is 0; NaN is true. It is
 * true for no elements.
 * @throws AxisError if x does not have the axis
 */
export const all: (x: Tensor, options?: ReduceOptions) => Tensor = takes(
  'x.all(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: ReduceOptions): Tensor => {
    countOf('all', x, settle('x.all(options)', options, reduceOptions))
    return sum(equal(x, 0), options).equal(0)
  },
)

const extremum = (name: 'max' | 'min') =>
  takes(
    `x.${name}(options)`,
    [is.tensor, is.options],
    defineOp(
      name,
      (k, x: Tensor, options?: ReduceOptions) => {
        if (x.size === 0 && countOf(name, x, settle(`x.${name}(options)`, options, reduceOptions)) === 0)
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
    const n = countOf('mean', x, settle('x.mean(options)', options, reduceOptions))
    return sum(x.dtype === 'int32' ? x.cast('float32') : x, options).div(n)
  },
)

/** Options of `variance`, `std` and `varianceAndMean`. */
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
    const count = countOf('variance', x, reduce)
    const centred = x.sub(mean(x, { ...reduce, keepDims: true }))
    return sum(centred.square(), reduce).div(Math.max(0, count - correction))
  },
)

/**
 * The variance and the mean over the axes given, all by default: `variance` and `mean` together, with one mean computed. The
 * correction is that of `variance`, 1 by default. (`torch.var_mean` in PyTorch.)
 *
 * const { variance, mean } = x.varianceAndMean({ axis: -1, keepDims: true })
 *
 * @throws AxisError if x does not have the axis
 */
export const varianceAndMean: (x: Tensor, options?: VarianceOptions) => { variance: Tensor; mean: Tensor } = takes(
  'x.varianceAndMean(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: VarianceOptions): { variance: Tensor; mean: Tensor } => {
    const { correction, ...reduce } = settle('x.varianceAndMean(options)', options, varianceOptions)
    const count = countOf('varianceAndMean', x, reduce)
    const shape = reducedShape(x.shape, normalizeAxes('varianceAndMean', reduce.axis, x.shape), reduce.keepDims)
    const average = mean(x, { ...reduce, keepDims: true })
    return {
      variance: sum(x.sub(average).square(), reduce).div(Math.max(0, count - correction)),
      mean: average.reshape(shape),
    }
  },
)

/**
 * √variance over the axes given, all by default; the correction is that of `variance`, 1 by default. Equal numbers have the
 * standard deviation 0 exactly. It has a kink there: the gradient is 0, as in PyTorch, and so are the second derivatives.
 *
 * x.std({ axis: -1, correction: 0 })
 *
 * @throws AxisError if x does not have the axis
 */
export const std: (x: Tensor, options?: VarianceOptions) => Tensor = takes(
  'x.std(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: VarianceOptions): Tensor => {
    const { axis } = settle('x.std(options)', options, varianceOptions)
    const axes = normalizeAxes('std', axis, x.shape)
    const y = isFloating(x.dtype) ? x : x.cast('float32')
    // the differences to the first element are exactly 0 for equal numbers; those to a rounded mean are not
    const first = y.slice(x.shape.map((_, i) => (axes.includes(i) ? { stop: 1 } : {}))).stopGradient()
    const spread = variance(y.sub(first), options)
    const isZero = spread.equal(0)
    return where(isZero, 0, where(isZero, 1, spread).sqrt())
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

const withExponent = defineFused('norm', {
  definition: (x: Tensor, p: number, options: ReduceOptions) => {
    const kept = { ...options, keepDims: true }
    const size = x.abs()
    // the powers of quotients up to 1 do not overflow
    const scale = countOf('norm', x, options) === 0 ? 1 : p > 0 ? max(size, kept) : min(size, kept)
    const safe = typeof scale === 'number' ? scale : where(scale.equal(0).logicalOr(scale.equal(Infinity)), 1, scale)
    const length = sum(size.div(safe).pow(p), kept)
      .pow(1 / p)
      .mul(safe)
    return length.reshape(
      reducedShape(x.shape, normalizeAxes('norm', options.axis, x.shape), options.keepDims ?? false),
    )
  },
  rule: (g, out, x, p, options) => [
    () => {
      const length = restored(out, x, options)
      const isZero = length.equal(0)
      const share = where(x.equal(0), 1, x.abs()).div(where(isZero, 1, length))
      return where(
        isZero,
        0,
        share
          .pow(p - 1)
          .mul(x.sign())
          .mul(restored(g, x, options)),
      )
    },
  ],
})

/** Options of `norm`. */
export interface NormOptions extends ReduceOptions {
  /** p: any number; default 2 */
  readonly order?: number
}
const normOptions = { ...reduceOptions, order: 2 } satisfies Settings<NormOptions>

/**
 * (Σ |x|ᵖ)^(1/p) over the axes given, all by default, for the order p: 2 by default, Infinity for max |x|, -Infinity for min |x|, and
 * 0 for the number of elements that are not 0. Of no elements it is 0 for 0 ≤ p < ∞ and ∞ for negative p; with a zero element it is 0
 * for negative p. It is the norm of all elements as one vector, also for matrices (`torch.linalg.vector_norm` in PyTorch).
 *
 * The gradient at x = 0 is 0, as in PyTorch, and so is the derivative by an element that is 0; the gradient of order 0 is 0. The
 * 2-norm has no second derivatives at 0: `hessian` gives the identity matrix, the derivative of x / 1 in place of x / ‖x‖, which is
 * finite (PyTorch gives NaN). For 1 < p < 2 the second derivative by an element that is 0 is infinite; 0 is given.
 *
 * x.norm({ order: 3, axis: -1 })
 *
 * @throws RangeError if the order is NaN, ShapeError for ±Infinity of no elements, AxisError if x does not have the axis
 */
export const norm: (x: Tensor, options?: NormOptions) => Tensor = takes(
  'x.norm(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: NormOptions): Tensor => {
    const { order, ...reduce } = settle('x.norm(options)', options, normOptions)
    countOf('norm', x, reduce)
    if (order === 2) return euclidean(x, reduce)
    if (order === 1) return sum(x.abs(), reduce)
    if (order === Infinity) return max(x.abs(), reduce)
    if (order === -Infinity) return min(x.abs(), reduce)
    if (Number.isNaN(order)) throw new RangeError('norm: the order must be a number such as 2, or Infinity, not NaN')
    const y = isFloating(x.dtype) ? x : x.cast('float32')
    return order === 0 ? sum(y.sign().abs(), reduce) : withExponent(y, order, reduce)
  },
)

/** Options of `argmax` and `argmin`. */
export interface ArgmaxOptions {
  /** default -1, the last */
  readonly axis?: number
  /** whether the reduced axis stays, with size 1; default false */
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

/**
 * The position of the smallest element along an axis (default the last), as int32: the first of several equal elements. NaN
 * counts as the smallest, as in `min`; on `gpu` results with NaN are unreliable. argmin has no gradient.
 * @throws ShapeError if there is no element to compare, AxisError if x does not have the axis
 */
export const argmin: (x: Tensor, options?: ArgmaxOptions) => Tensor = takes(
  'x.argmin(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: ArgmaxOptions): Tensor => {
    const { axis } = settle('x.argmin(options)', options, argmaxOptions)
    if (x.shape[normalizeAxis('argmin', axis, x.shape)] === 0)
      throw new ShapeError(`argmin: x must have an element to compare, and ${show(x.shape)} has none`, x.shape)
    // -1 - x is the complement of an integer: -(-2³¹) would be -2³¹
    return argmax(isFloating(x.dtype) ? x.neg() : sub(-1, x), options)
  },
)

/** The axis of a function; default the last. */
export interface AxisOptions {
  /** the axis; negative ones count from the end; default the last */
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
    'linear',
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
