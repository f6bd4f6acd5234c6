// Order: the positions of sorted elements, and what is selected by them. Only `argsort` has a kernel, and
// `topk` on some devices. The values are gathered by
// their positions, so the gradient of a sorted tensor is added to the places where its elements came from. One order holds
// everywhere: NaN is the largest, 0 and -0 are equal, and equal elements stay in order.

import { takes } from '../../tensor/arguments.ts'
import {
  allocate,
  deviceOf,
  fromData,
  isFloating,
  normalizeAxes,
  normalizeAxis,
  type Operand,
  reducedShape,
  reshapeView,
  type Shape,
  ShapeError,
  sameShape,
  show,
  sizeOf,
  sliceView,
  type Tensor,
  zeros,
} from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { defineOp } from '../op.ts'
import { logicalAnd, where } from './elementwise.ts'
import { gather, scatterAdd } from './gather.ts'
import { stack } from './movement.ts'
import { type ArgmaxOptions, type AxisOptions, alongAxis, argmax, lastAxis, type ReduceOptions } from './reduce.ts'

/** Elements, and their positions along an axis. */
export interface ValuesAndIndices {
  /** the values, of the dtype of x */
  readonly values: Tensor
  /** int32, of the shape of the values */
  readonly indices: Tensor
}

/** Options of `sort` and `argsort`. */
export interface SortOptions extends AxisOptions {
  /** from the largest to the smallest; default false */
  readonly descending?: boolean
}
const sortOptions = { ...lastAxis, descending: false } satisfies Settings<SortOptions>

/**
 * The positions along an axis (default the last) in the order of their elements, as int32: `x.gather(x.argsort(), { axis: -1 })`
 * is sorted. Equal elements stay in the order of their positions, also from the largest to the smallest, as with `stable=True` in
 * PyTorch. NaN is the largest, as in PyTorch: it is last, or first if `descending`; 0 and -0 are equal, and so are truths. On `gpu`
 * results with NaN are unreliable. argsort has no gradient.
 *
 * On `cpu` a line of n elements takes a time that grows as n, on `gpu` one kernel call for each doubling of n.
 *
 * @returns int32, of the shape of x
 * @throws AxisError if x does not have the axis
 */
export const argsort: (x: Tensor, options?: SortOptions) => Tensor = takes(
  'x.argsort(options)',
  [is.tensor, is.options],
  defineOp(
    'argsort',
    (k, x: Tensor, options?: SortOptions) => {
      const { axis, descending } = settle('x.argsort(options)', options, sortOptions)
      return k.argsort(x, normalizeAxis('argsort', axis, x.shape), descending)
    },
    undefined,
    (op, batch, x, options?) => op(batch.whole(x), alongAxis(x, options)),
  ),
)

/** The elements at positions along an axis. */
const at = (x: Tensor, indices: Tensor, axis: number): ValuesAndIndices => ({
  values: gather(x, indices, { axis }),
  indices,
})

/** The positions from `start` to before `stop` on an axis. */
const between = (x: Tensor, axis: number, start: number, stop: number): Tensor =>
  x.slice(x.shape.map((_, i) => (i === axis ? { start, stop } : {})))

/**
 * The elements in order along an axis (default the last), from the smallest to the largest or, if `descending`, from the largest to
 * the smallest, and the positions that they had; see `argsort` for equal elements and NaN. The gradient of each value is that of the
 * element that it is.
 * @returns values and int32 indices, of the shape of x
 * @throws AxisError if x does not have the axis
 */
export const sort: (x: Tensor, options?: SortOptions) => ValuesAndIndices = takes(
  'x.sort(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: SortOptions): ValuesAndIndices => {
    const { axis, descending } = settle('x.sort(options)', options, sortOptions)
    const along = normalizeAxis('sort', axis, x.shape)
    return at(x, argsort(x, { axis: along, descending }), along)
  },
)

/** The first `count` positions of `argsort`. */
const first = defineOp(
  'topk',
  (k, x: Tensor, axis: number, count: number, largest: boolean) =>
    k.topk?.(x, axis, count, largest) ??
    sliceView(
      k.argsort(x, axis, largest),
      x.shape.map((_, i) => (i === axis ? { stop: count } : {})),
    ),
  undefined,
  (op, batch, x, axis, count, largest) => op(batch.whole(x), axis + 1, count, largest),
)

/** Options of `topk`. */
export interface TopkOptions extends AxisOptions {
  /** false gives the smallest elements; default true */
  readonly largest?: boolean
}
const topkOptions = { ...lastAxis, largest: true } satisfies Settings<TopkOptions>

/**
 * The k largest elements along an axis (default the last), from the largest on, or the k smallest from the smallest on, and their
 * positions. Of equal elements the first come first (PyTorch does not say which). NaN is the largest. The gradient of each value is
 * that of the element that it is; other elements have a gradient of 0.
 * @param k 0 … n, for an axis of n elements
 * @returns values and int32 indices, with k elements on the axis
 * @throws RangeError if the axis has fewer than k elements, AxisError if x does not have the axis
 */
export const topk: (x: Tensor, k: number, options?: TopkOptions) => ValuesAndIndices = takes(
  'x.topk(k, options)',
  [is.tensor, is.size, is.options],
  (x: Tensor, k: number, options?: TopkOptions): ValuesAndIndices => {
    const { axis, largest } = settle('x.topk(k, options)', options, topkOptions)
    const along = normalizeAxis('topk', axis, x.shape)
    const n = x.shape[along]
    if (k > n)
      throw new RangeError(`topk: k must be 0 … ${n}, the elements on axis ${along} of ${show(x.shape)}, not ${k}`)
    return at(x, first(x, along, k, largest), along)
  },
)

/** One axis, and whether it is kept with size 1. */
const oneAxis = { ...lastAxis, keepDims: false } satisfies Settings<ArgmaxOptions>

/** The elements at one position on an axis, which the indices have with size 1. */
function one(x: Tensor, indices: Tensor, axis: number, keepDims: boolean): ValuesAndIndices {
  const shape = reducedShape(x.shape, [axis], keepDims)
  return { values: gather(x, indices, { axis }).reshape(shape), indices: indices.reshape(shape) }
}

/**
 * The k-th smallest element along an axis (default the last), and its position; k = 1 is the smallest. NaN is the largest. PyTorch's
 * `kthvalue`. The gradient is that of the element; equal elements do not share it.
 * @param k 1 … n, for an axis of n elements
 * @returns values and int32 indices, without the axis or, with keepDims, with size 1
 * @throws RangeError if the axis has fewer than k elements, AxisError if x does not have the axis
 */
export const kthValue: (x: Tensor, k: number, options?: ArgmaxOptions) => ValuesAndIndices = takes(
  'x.kthValue(k, options)',
  [is.tensor, is.count, is.options],
  (x: Tensor, k: number, options?: ArgmaxOptions): ValuesAndIndices => {
    const { axis, keepDims } = settle('x.kthValue(k, options)', options, oneAxis)
    const along = normalizeAxis('kthValue', axis, x.shape)
    const n = x.shape[along]
    if (k > n)
      throw new RangeError(`kthValue: k must be 1 … ${n}, the elements on axis ${along} of ${show(x.shape)}, not ${k}`)
    return one(x, between(first(x, along, k, false), along, k - 1, k), along, keepDims)
  },
)

/** A tensor whose largest elements are the smallest of x. */
function reversed(x: Tensor): Tensor {
  if (isFloating(x.dtype)) return x.neg()
  // -1 - x: the negative of the smallest int32 is itself
  return (x.dtype === 'bool' ? x.cast('int32') : x).mul(-1).sub(1)
}

const extreme = (name: 'maxWithIndices' | 'minWithIndices', of: (x: Tensor) => Tensor) =>
  takes(`x.${name}(options)`, [is.tensor, is.options], (x: Tensor, options?: ArgmaxOptions): ValuesAndIndices => {
    const { axis, keepDims } = settle(`x.${name}(options)`, options, oneAxis)
    const along = normalizeAxis(name, axis, x.shape)
    if (x.shape[along] === 0)
      throw new ShapeError(`${name}: x must have an element to compare, and ${show(x.shape)} has none`, x.shape)
    const first: ArgmaxOptions = { axis: along, keepDims: true }
    return one(x, argmax(of(x.stopGradient()), first), along, keepDims)
  })

/**
 * The largest element along an axis (default the last), and its position: the first of several equal elements. NaN is the largest,
 * so the result is NaN if any element is. PyTorch's `max(dim)`. Only the element at the position has a gradient, as in PyTorch; in
 * `max` equal elements share it.
 * @returns values and int32 indices, without the axis or, with keepDims, with size 1
 * @throws ShapeError if there is no element to compare, AxisError if x does not have the axis
 */
export const maxWithIndices: (x: Tensor, options?: ArgmaxOptions) => ValuesAndIndices = extreme(
  'maxWithIndices',
  x => x,
)

/**
 * The smallest element along an axis (default the last), and its position: the first of several equal elements. The result is NaN,
 * and the position that of the first NaN, if any element is NaN. PyTorch's `min(dim)`. Only the element at the position has a
 * gradient, as in PyTorch; in `min` equal elements share it.
 * @returns values and int32 indices, without the axis or, with keepDims, with size 1
 * @throws ShapeError if there is no element to compare, AxisError if x does not have the axis
 */
export const minWithIndices: (x: Tensor, options?: ArgmaxOptions) => ValuesAndIndices = extreme(
  'minWithIndices',
  reversed,
)

/** What is reduced, as lines along the last axis. */
interface Lines {
  readonly lines: Tensor
  /** the position in its line of the element of each rank; that of a NaN for every rank if the line has one */
  ranked(rank: number): Tensor
  readonly n: number
  /** the shape of the result */
  readonly shape: Shape
}

function linesOf(name: string, x: Tensor, axis: ReduceOptions['axis'], keepDims: boolean): Lines {
  const axes = normalizeAxes(name, axis, x.shape)
  const kept = x.shape.map((_, i) => i).filter(i => !axes.includes(i))
  const n = sizeOf(axes.map(i => x.shape[i]))
  if (n === 0)
    throw new ShapeError(`${name}: x must have an element to compare, and ${show(x.shape)} has none`, x.shape)
  const lines = x.permute([...kept, ...axes]).reshape([...kept.map(i => x.shape[i]), n])
  const order = argsort(lines)
  const of = (rank: number) => between(order, kept.length, rank, rank + 1)
  const last = of(n - 1)
  // the last element is NaN if any is
  const largest = gather(lines.stopGradient(), last, { axis: -1 })
  const hasNaN = largest.notEqual(largest)
  return { lines, n, ranked: rank => where(hasNaN, last, of(rank)), shape: reducedShape(x.shape, axes, keepDims) }
}

const reduceOptions = { axis: is.optional(is.axes), keepDims: false } satisfies Settings<ReduceOptions>

/**
 * The median over the axes given, all by default: the element in the middle of the sorted ones. Of an even number it is the lower of
 * the two in the middle, as in PyTorch, so that it is an element of x; `x.quantile(0.5)` is their mean. NaN if any element is NaN.
 * Only the element that is selected has a gradient.
 * @throws ShapeError if there is no element to compare, AxisError if x does not have the axis
 */
export const median: (x: Tensor, options?: ReduceOptions) => Tensor = takes(
  'x.median(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: ReduceOptions): Tensor => {
    const { axis, keepDims } = settle('x.median(options)', options, reduceOptions)
    const { lines, n, ranked, shape } = linesOf('median', x, axis, keepDims)
    return gather(lines, ranked(Math.floor((n - 1) / 2)), { axis: -1 }).reshape(shape)
  },
)

/** How a quantile between two elements is computed from them. */
export type QuantileInterpolation = 'linear' | 'lower' | 'higher' | 'nearest' | 'midpoint'

/** Options of `quantile`. */
export interface QuantileOptions extends ReduceOptions {
  /** default linear */
  readonly interpolation?: QuantileInterpolation
}
const quantileOptions = {
  ...reduceOptions,
  interpolation: is.choice<QuantileInterpolation>('linear', 'lower', 'higher', 'nearest', 'midpoint'),
} satisfies Settings<QuantileOptions>

/** The whole number nearest to x; of two the even one. */
function nearestEven(x: number): number {
  const below = Math.floor(x)
  return x - below === 0.5 ? 2 * Math.round(below / 2) : Math.round(x)
}

/** The two ranks that a rank lies between, and the weight of the upper one. */
function neighbours(
  rank: number,
  interpolation: QuantileInterpolation,
): readonly [lower: number, upper: number, weight: number] {
  const [lower, upper] = [Math.floor(rank), Math.ceil(rank)]
  switch (interpolation) {
    case 'linear':
      return [lower, upper, rank - lower]
    case 'midpoint':
      return [lower, upper, lower === upper ? 0 : 0.5]
    case 'lower':
      return [lower, lower, 0]
    case 'higher':
      return [upper, upper, 0]
    case 'nearest':
      return [nearestEven(rank), nearestEven(rank), 0]
  }
}

const isShare = (q: unknown): boolean => typeof q === 'number' && q >= 0 && q <= 1
const shares = new is.Kind<number | readonly number[]>(
  'a number from 0 to 1 or a list of them',
  q => isShare(q) || (Array.isArray(q) && q.every(isShare)),
)

/**
 * The element of rank r = q (n - 1) among the n sorted ones, over the axes given, all by default; ranks begin at 0. Between two
 * elements a and b of neighbouring ranks it is a + (b - a) (r - ⌊r⌋) (`linear`), a (`lower`), b (`higher`), that of the nearest rank
 * and, halfway, of the even rank (`nearest`), or their mean (`midpoint`), as in PyTorch and NumPy. NaN if any element is NaN.
 * Between an infinity and a finite number it is the infinity, and between two equal ones too (PyTorch may give NaN). Integers become
 * float32. Only a and b have gradients, 1 - (r - ⌊r⌋) and r - ⌊r⌋ for `linear`.
 *
 * x.quantile([0.25, 0.5, 0.75], { axis: 0 })
 *
 * @param q from 0 to 1, or a list: the result then has a first axis with an entry for each
 * @throws ShapeError if there is no element to compare, AxisError if x does not have the axis
 */
export const quantile: (x: Tensor, q: number | readonly number[], options?: QuantileOptions) => Tensor = takes(
  'x.quantile(q, options)',
  [is.tensor, shares, is.options],
  (x: Tensor, q: number | readonly number[], options?: QuantileOptions): Tensor => {
    const { axis, keepDims, interpolation } = settle('x.quantile(q, options)', options, quantileOptions)
    const floats = isFloating(x.dtype) ? x : x.cast('float32')
    const { lines, n, ranked, shape } = linesOf('quantile', floats, axis, keepDims)
    const of = (share: number): Tensor => {
      const [lower, upper, weight] = neighbours(share * (n - 1), interpolation)
      const [a, b] = [lower, upper].map(rank => gather(lines, ranked(rank), { axis: -1 }).reshape(shape))
      if (weight === 0) return a
      // the first form is exact for equal elements, the second right for infinite ones
      const difference = b.sub(a)
      const isBounded = difference.abs().less(Infinity)
      return where(isBounded, a.add(difference.mul(weight)), a.mul(1 - weight).add(b.mul(weight)))
    }
    if (typeof q === 'number') return of(q)
    return q.length === 0 ? zeros([0, ...shape], { dtype: floats.dtype, device: x.device }) : stack(q.map(of))
  },
)

/** Options of `searchSorted`. */
export interface SearchSortedOptions {
  /** left (default): before elements that are equal to a value; right: after them */
  readonly side?: 'left' | 'right'
}
const searchOptions = { side: is.choice('left', 'right') } satisfies Settings<SearchSortedOptions>

const search = defineOp(
  'searchSorted',
  (k, sorted: Tensor, values: Tensor, side: 'left' | 'right') => {
    const n = sorted.shape[sorted.rank - 1]
    const isShared = sorted.rank === 1
    const wanted = isShared ? reshapeView(values, [values.size]) : values
    const isLargest = k.compare('notEqual', wanted, wanted)
    const both = (p: Operand, q: Operand) => k.binary('mul', p, q, 'bool')
    /** whether a value belongs after an element */
    const isAfter = (element: Tensor): Tensor => {
      const isAbove = k.compare(side === 'left' ? 'less' : 'lessEqual', element, wanted)
      const isAboveAll = side === 'left' ? both(isLargest, k.compare('equal', element, element)) : isLargest
      return k.binary('maximum', isAbove, isAboveAll, 'bool')
    }
    let count = zeros(wanted.shape, { dtype: 'int32', device: values.device })
    // by halving: every value belongs after its first `count` elements
    for (let step = 2 ** Math.floor(Math.log2(n)); step >= 1; step /= 2) {
      const next = k.binary('add', count, step - 1, 'int32')
      const element = k.gather(sorted, sorted.rank - 1, k.binary('minimum', next, n - 1, 'int32'))
      const moves = both(isAfter(element), k.compare('less', next, n))
      count = k.binary('add', count, k.binary('mul', moves, step, 'int32'), 'int32')
    }
    return reshapeView(count, values.shape)
  },
  undefined,
  (op, batch, sorted, values, side) => {
    if (sorted.rank > 1) return op(batch.whole(sorted), batch.whole(values), side)
    if (!batch.has(sorted)) return op(sorted, batch.whole(values), side)
    const rows = batch.whole(values).reshape([batch.size, values.size])
    return op(batch.whole(sorted), rows, side).reshape([batch.size, ...values.shape])
  },
)

/**
 * The position at which each value would stand in a sorted line: the number of elements that are smaller (side `left`), or not larger
 * (side `right`). NaN counts as the largest. Whether the line is sorted is not checked. The search halves the line: it takes log₂ n
 * steps for all values together. PyTorch's `searchsorted`; its `bucketize(values, boundaries)` is `boundaries.searchSorted(values)`.
 * searchSorted has no gradient.
 * @param sorted [n] for values of any shape, or [..., n] for values [..., m]
 * @returns int32 of the shape of the values, 0 … n
 * @throws ShapeError if the leading axes differ
 */
export const searchSorted: (sorted: Tensor, values: Tensor, options?: SearchSortedOptions) => Tensor = takes(
  'sorted.searchSorted(values, options)',
  [is.tensor, is.tensor, is.options],
  (sorted: Tensor, values: Tensor, options?: SearchSortedOptions): Tensor => {
    const { side } = settle('sorted.searchSorted(values, options)', options, searchOptions)
    normalizeAxis('searchSorted', -1, sorted.shape)
    if (sorted.rank > 1 && !sameShape(sorted.shape.slice(0, -1), values.shape.slice(0, -1)))
      throw new ShapeError(
        `searchSorted: sorted ${show(sorted.shape)} and values ${show(values.shape)} must have the same sizes except on the last axis, or sorted must have one axis`,
        sorted.shape,
        values.shape,
      )
    return search(sorted, values, side)
  },
)

/** How often elements fall between neighbouring edges. */
export interface Histogram {
  /** int32 [bins] */
  readonly counts: Tensor
  /** [bins + 1] */
  readonly edges: Tensor
}

/** Options of `histogram`. */
export interface HistogramOptions {
  /** number of bins of equal width; default 10 */
  readonly bins?: number
  /** the first and the last edge; default the smallest and the largest element */
  readonly range?: readonly [low: number, high: number]
}
const isRange = (range: unknown): boolean =>
  Array.isArray(range) && range.length === 2 && range.every(Number.isFinite) && range[0] <= range[1]
const histogramOptions = {
  bins: is.byDefault(10, is.count),
  range: is.optional(new is.Kind<readonly [number, number]>('two finite numbers in ascending order', isRange)),
} satisfies Settings<HistogramOptions>

/**
 * Counts of the elements in bins of equal width: counts[i] is the number of elements with edges[i] ≤ x < edges[i + 1], and the last
 * bin includes its upper edge. Elements outside of the range and NaN are not counted. Without a range the edges go from the smallest
 * to the largest element (from 0 to 1 if there is none); they are NaN if these are not finite. A range of one point is widened by ½
 * on both sides. PyTorch's `histogram`, but that counts are int32 and the default is NumPy's 10 bins. The number of bins is known
 * beforehand, so nothing is read. histogram has no gradient.
 */
export const histogram: (x: Tensor, options?: HistogramOptions) => Histogram = takes(
  'x.histogram(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: HistogramOptions): Histogram => {
    const { bins, range } = settle('x.histogram(options)', options, histogramOptions)
    const floats = (isFloating(x.dtype) ? x : x.cast('float32')).stopGradient().reshape([-1])
    const edges = edgesOf(floats, bins, range)
    const [first, last] = [edges.slice([0]), edges.slice([bins])]
    const isInside = logicalAnd(floats.greaterEqual(first), floats.lessEqual(last))
    const places = searchSorted(edges, floats, { side: 'right' })
      .sub(1)
      .clamp({ min: 0, max: bins - 1 })
    return { counts: scatterAdd([bins], places, isInside), edges }
  },
)

function edgesOf(x: Tensor, bins: number, range: readonly [number, number] | undefined): Tensor {
  const data = (f: (i: number) => number) => {
    const values = allocate(x.dtype, bins + 1)
    for (let i = 0; i <= bins; i++) values[i] = f(i)
    return fromData(values, [bins + 1], deviceOf(x), x.dtype)
  }
  // exact at both ends
  const share = (i: number) => i / bins
  if (range || x.size === 0) {
    const [low, high] = range ?? [0, 1]
    const margin = low === high ? 0.5 : 0
    return data(i => (low - margin) * (1 - share(i)) + (high + margin) * share(i))
  }
  const [low, high] = [x.min(), x.max()]
  const margin = low.equal(high).cast(x.dtype).mul(0.5)
  return low
    .sub(margin)
    .mul(data(i => 1 - share(i)))
    .add(high.add(margin).mul(data(share)))
}
