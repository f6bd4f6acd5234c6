// Reductions over axes, and what is made of them.

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
import { asFloating, defineOp } from '../op.ts'
import { where } from './elementwise.ts'

/** Which axes go: all by default; negative ones count from the back. keepDims leaves them with size one. */
export interface ReduceOptions {
  readonly axis?: number | readonly number[]
  readonly keepDims?: boolean
}

function reduceWith(
  k: Kernels,
  kernel: ReductionName,
  name: string,
  x: Tensor,
  { axis, keepDims = false }: ReduceOptions,
): Tensor {
  const axes = normalizeAxes(name, axis, x.shape)
  const result = axes.length === 0 && kernel !== 'sum' ? x : k.reduce(kernel, x, axes)
  return reshapeView(result, reducedShape(x.shape, axes, keepDims))
}

/** A reduced tensor with its axes back, of size one, so that it broadcasts against what it was made of. */
const restored = (reduced: Tensor, x: Tensor, { axis }: ReduceOptions): Tensor =>
  reduced.reshape(reducedShape(x.shape, normalizeAxes('reduce', axis, x.shape), true))

/** Number of elements that each result is made of. */
const countOf = (name: string, x: Tensor, { axis }: ReduceOptions): number =>
  sizeOf(normalizeAxes(name, axis, x.shape).map(i => x.shape[i]))

/** Σ x; the sum of nothing is 0. */
export const sum = defineOp(
  'sum',
  (k, x: Tensor, options: ReduceOptions = {}) => reduceWith(k, 'sum', 'sum', x, options),
  (g, _, x, options = {}) => [() => restored(g, x, options).expand(x.shape)],
)

const extremum = (name: 'max' | 'min') =>
  defineOp(
    name,
    (k, x: Tensor, options: ReduceOptions = {}) => {
      if (countOf(name, x, options) === 0)
        throw new ShapeError(`${name}: ${show(x.shape)} has nothing to compare`, x.shape)
      return reduceWith(k, name, name, x, options)
    },
    (g, out, x, options = {}) => [
      () => {
        const isBest = x.equal(restored(out, x, options)).cast(x.dtype)
        return isBest.div(isBest.sum({ axis: options.axis, keepDims: true })).mul(restored(g, x, options))
      },
    ],
  )

/** The largest element; equal ones share the gradient. Throws ShapeError where there is none. */
export const max = extremum('max')
/** The smallest element; equal ones share the gradient. Throws ShapeError where there is none. */
export const min = extremum('min')

/** Σ x / n */
export const mean = (x: Tensor, options: ReduceOptions = {}): Tensor => sum(x, options).div(countOf('mean', x, options))

/** Σ (x - mean)² / (n - correction); correction 1 (default) estimates from a sample, 0 is the variance of what is there. */
export function variance(x: Tensor, options: ReduceOptions & { readonly correction?: number } = {}): Tensor {
  const { axis, correction = 1 } = options
  const centred = x.sub(mean(x, { axis, keepDims: true }))
  return sum(centred.square(), options).div(countOf('variance', x, options) - correction)
}

/** A finite stand-in for ±∞ where a shift must not turn ∞ - ∞ into NaN. */
const finite = (x: Tensor): Tensor => where(x.abs().less(Infinity), x, 0)

/** log Σ eˣ, finite for any finite x, and -∞ (with gradient 0) where all x are -∞ */
export const logSumExp = defineOp(
  'logSumExp',
  (k, input: Tensor, options: ReduceOptions = {}) => {
    const x = asFloating(k, input)
    const axes = normalizeAxes('logSumExp', options.axis, x.shape)
    const largest = k.reduce('max', x, axes)
    const shift = k.where(k.compare('less', k.unary('abs', largest), Infinity), largest, 0, x.dtype)
    const total = k.reduce('sum', k.unary('exp', k.binary('sub', x, shift, x.dtype)), axes)
    const result = k.binary('add', k.unary('log', total), shift, x.dtype)
    return reshapeView(result, reducedShape(x.shape, axes, options.keepDims ?? false))
  },
  (g, out, x, options = {}) => [
    () =>
      x
        .sub(finite(restored(out, x, options)))
        .exp()
        .mul(restored(g, x, options)),
  ],
)

const euclidean = defineOp(
  'norm',
  (k, x: Tensor, options: ReduceOptions) => {
    const y = asFloating(k, x)
    return k.unary('sqrt', reduceWith(k, 'sum', 'norm', k.binary('mul', y, y, y.dtype), options))
  },
  (g, out, x, options) => [() => x.mul(restored(g.div(where(out.equal(0), 1, out)), x, options))],
)

/** (Σ |x|ᵒ)^(1/o) for order 1, 2 (default) or Infinity; the gradient of the 2-norm at 0 is 0 */
export function norm(x: Tensor, options: ReduceOptions & { readonly order?: 1 | 2 | typeof Infinity } = {}): Tensor {
  const { order = 2, ...reduce } = options
  if (order === 2) return euclidean(x, reduce)
  if (order === 1) return sum(x.abs(), reduce)
  if (order === Infinity) return max(x.abs(), reduce)
  throw new RangeError(`norm: the order is 1, 2 or Infinity, not ${order}`)
}

/**
 * Position of the first largest element along an axis, as int32; not differentiable. NaN is the largest, as it is to `max`;
 * on gpu NaN is not dependable.
 */
export const argmax = defineOp(
  'argmax',
  (k, x: Tensor, { axis = -1, keepDims = false }: { readonly axis?: number; readonly keepDims?: boolean } = {}) => {
    const at = normalizeAxis('argmax', axis, x.shape)
    if (x.shape[at] === 0) throw new ShapeError(`argmax: ${show(x.shape)} has nothing to compare`, x.shape)
    return reshapeView(k.argmax(x, at), reducedShape(x.shape, [at], keepDims))
  },
)

/** out[i] = Σ_{j ≤ i} x[j] along an axis, in log₂ n shifted additions */
export const cumsum = defineOp(
  'cumsum',
  (k, x: Tensor, { axis = -1 }: { readonly axis?: number } = {}) => {
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
)

/** Summed over the axes along which `shape` was broadcast to x's shape: the adjoint of `expand`. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (!broadcastsTo(shape, x.shape))
    throw new ShapeError(`sumTo: ${show(shape)} does not broadcast to ${show(x.shape)}`, x.shape, shape)
  const extra = x.rank - shape.length
  const axes = x.shape.map((_, i) => i).filter(i => i < extra || (shape[i - extra] === 1 && x.shape[i] !== 1))
  return sum(x, { axis: axes, keepDims: true }).reshape(shape)
}
