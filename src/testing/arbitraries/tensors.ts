// Random tensors for property tests. Values are on a coarse grid that every dtype represents exactly, so they are readable in a
// report, and shrink to small whole numbers. Shape, values and layout are drawn independently, so that a fault found with a
// [3, 2, 4] of eighths is reported for a [1] of zeros if it occurs there too.

import fc from 'fast-check'
import { type DType, device, isFloating, type Shape, show, sizeOf, type Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { type Layout, layOut, layouts } from '../layouts.ts'
import { sourceOf } from '../source-text.ts'
import { shape } from './shapes.ts'

/** Which values an arbitrary tensor has. */
export interface ValueOptions {
  /** default float64 if the current device has it, otherwise float32 */
  readonly dtype?: DType
  /**
   * smallest and largest value, finite; default [-2, 2], and [0, 1] for bool. Only some values of a wide domain are drawn; those of
   * a narrow domain are finer than eighths
   */
  readonly domain?: readonly [least: number, largest: number]
  /** kinks and singularities: every value has a distance of at least 1/8 from each of these */
  readonly awayFrom?: readonly number[]
  /**
   * whether all values of a tensor are distinct, for functions with a kink at equal values. It is an error to draw a tensor with more
   * elements than the domain has values; [-2, 2] has 33
   */
  readonly distinct?: boolean
}
export const valueOptions = {
  dtype: is.optional(is.dtype),
  domain: undefined,
  awayFrom: [],
  distinct: false,
} satisfies Settings<ValueOptions>

/** Options of `tensor`. */
export interface DrawnTensorOptions extends ValueOptions {
  /** one shape, or an arbitrary of shapes; default any shape */
  readonly shape?: Shape | fc.Arbitrary<Shape>
}
const tensorOptions = { ...valueOptions, shape: undefined } satisfies Settings<DrawnTensorOptions>

/** Floating values are eighths if the domain has any: every floating dtype represents them exactly, and they are readable. */
const EIGHTH = 1 / 8

/** Distance of values from those in `awayFrom`. */
export const AWAY = EIGHTH

/** Number of values drawn for a tensor; a larger tensor repeats them in mixed order. */
const poolSize = 61

/** Maximum number of points to draw from: those of a wide domain nearest to 0, and some of the others. */
const GRID_SIZE = 1024

/** The values to draw from, simple ones first. @throws RangeError if there are none */
function grid({ dtype, domain = dtype === 'bool' ? [0, 1] : [-2, 2], awayFrom = [] }: ValueOptions): number[] {
  const [min, max] = checkDomain(domain, dtype)
  const isWhole = dtype !== undefined && !isFloating(dtype)
  const step = isWhole ? 1 : stepIn(min, max)
  const points = min === max && !isWhole ? [min] : multiples(min, max, step)
  const kind = isWhole ? 'whole number' : 'value'
  if (points.length === 0) throw new RangeError(`domain: no ${kind} from ${min} to ${max} is exact in every dtype`)
  const allowed = points.filter(x => awayFrom.every(kink => Math.abs(x - kink) >= AWAY))
  if (allowed.length === 0)
    throw new RangeError(
      `awayFrom: no ${kind} from ${min} to ${max} is ${AWAY} or more away from ${awayFrom.join(', ')}; values are multiples of ${step}`,
    )
  // indices shrink to 0: whole numbers first, then small ones
  return allowed.sort((a, b) => Number(a % 1 !== 0) - Number(b % 1 !== 0) || Math.abs(a) - Math.abs(b) || b - a)
}

function checkDomain(domain: readonly [number, number], dtype: DType | undefined): readonly [number, number] {
  const [min, max] = domain
  if (!(Number.isFinite(min) && Number.isFinite(max) && min <= max))
    throw new RangeError(`domain: must be two finite numbers in ascending order, not [${min}, ${max}]`)
  if (dtype === 'int32' && (min < -(2 ** 31) || max >= 2 ** 31))
    throw new RangeError(`domain: must be within int32, -2147483648 to 2147483647, not [${min}, ${max}]`)
  return domain
}

/** 1/8; for a domain with fewer than two eighths, the largest power of two that has eight or more multiples in it. */
function stepIn(min: number, max: number): number {
  let step = EIGHTH
  if (min === max || Math.floor(max / step) - Math.ceil(min / step) >= 1) return step
  while (step * 8 > max - min && step > Number.MIN_VALUE) step /= 2
  return step
}

/** Multiples of a step in a domain that are exact in float32: all of them, or some if there are more than GRID_SIZE. */
function multiples(min: number, max: number, step: number): number[] {
  const [first, last] = [Math.ceil(min / step), Math.floor(max / step)]
  const half = GRID_SIZE / 2
  // around 0, or at the end of the domain that is nearest to 0
  const start = Math.max(first, Math.min(-half / 2, last - half))
  const near = Array.from({ length: Math.min(last - start, GRID_SIZE) + 1 }, (_, i) => start + i)
  const spread = Array.from({ length: half + 1 }, (_, i) => Math.round(first + (last - first) * (i / half)))
  const chosen = last - first <= GRID_SIZE ? near : [...near.slice(0, half), ...spread]
  return [...new Set(chosen.map(i => Math.fround(i * step)))].filter(x => x >= min && x <= max)
}

function pool(options: ValueOptions): fc.Arbitrary<number[]> {
  const points = grid(options)
  const index = fc.integer({ min: 0, max: points.length - 1 })
  if (!options.distinct)
    return fc.array(index, { minLength: poolSize, maxLength: poolSize }).map(indices => indices.map(i => points[i]))
  // distinct values by a shuffle: each index exchanges two positions
  return fc.array(index, { minLength: points.length, maxLength: points.length }).map(indices => {
    const shuffled = [...points]
    indices.forEach((j, i) => {
      ;[shuffled[i], shuffled[j]] = [shuffled[j], shuffled[i]]
    })
    return shuffled
  })
}

/** The value of an element: first each of the drawn values, then any of them again, so that no two rows are the same. */
function valueAt(values: readonly number[], i: number): number {
  if (i < values.length) return values[i]
  // a hash of i
  const mixed = Math.imul(i ^ (i >>> 15), 0x2c1b3c6d)
  return values[((mixed ^ (mixed >>> 12)) >>> 0) % values.length]
}

const layout = fc.constantFrom(...layouts)

function build(shape: Shape, values: readonly number[], lies: Layout, options: ValueOptions): Tensor {
  const on = device.get()
  const dtype = options.dtype ?? (on.dtypes.includes('float64') ? 'float64' : 'float32')
  if (options.distinct && sizeOf(shape) > values.length)
    throw new RangeError(
      `distinct: ${show(shape)} has ${sizeOf(shape)} elements, but the domain has ${values.length} different values: use a wider domain or smaller shapes`,
    )
  const tensor = layOut(i => valueAt(values, i), shape, lies, { dtype, on })
  // fast-check uses this to print a counterexample
  return Object.defineProperty(tensor, fc.toStringMethod, { value: () => sourceOf(tensor) })
}

/**
 * Tensors of a shape or of an arbitrary of shapes, on the current device. Values are eighths (whole for int32) in the domain and
 * shrink to small whole numbers; the layout in memory is contiguous, with axes reversed, backwards or with gaps, and shrinks to
 * contiguous.
 */
export function tensor(options?: DrawnTensorOptions): fc.Arbitrary<Tensor> {
  const { shape: given = shape(), ...kind } = settle('tensor(options)', options, tensorOptions)
  const shapes = given instanceof fc.Arbitrary ? given : fc.constant(given)
  return fc.tuple(shapes, pool(kind), layout).map(([sizes, values, lies]) => build(sizes, values, lies, kind))
}

/**
 * A tensor for each of several shapes that are drawn together, with other arguments of the operation, such as an axis, a padding
 * or a flag.
 * @param values options for the values of all tensors, or a list with options for each tensor
 */
export function operands<O>(
  drawn: fc.Arbitrary<{ readonly shapes: readonly Shape[]; readonly options: O }>,
  values: ValueOptions | readonly ValueOptions[] = {},
): fc.Arbitrary<{ inputs: Tensor[]; options: O }> {
  const each = isList(values) ? values : [values, values, values, values]
  const list = each.map(of => settle('operands(drawn, values)', of, valueOptions))
  const parts = list.map(each => fc.tuple(pool(each), layout))
  return fc.tuple(drawn, fc.tuple(...parts)).map(([{ shapes, options }, memory]) => ({
    inputs: shapes.map((sizes, i) => build(sizes, ...memory[i % list.length], list[i % list.length])),
    options,
  }))
}

/** A tensor for each of several shapes that are drawn together: `tensors(broadcastShapes(2))`. */
export const tensors = (
  shapes: fc.Arbitrary<readonly Shape[]>,
  values: ValueOptions | readonly ValueOptions[] = {},
): fc.Arbitrary<Tensor[]> =>
  operands(
    shapes.map(list => ({ shapes: list, options: undefined })),
    values,
  ).map(({ inputs }) => inputs)

/** A bool tensor that broadcasts to a shape, as an attention mask: true where a key is visible; some masks hide everything. */
export function mask(of: Shape | fc.Arbitrary<Shape>): fc.Arbitrary<Tensor> {
  const shapes = of instanceof fc.Arbitrary ? of : fc.constant(of)
  const ones = fc.array(fc.boolean(), { minLength: 6, maxLength: 6 })
  return tensor({
    dtype: 'bool',
    shape: fc.tuple(shapes, ones).map(([sizes, shared]) => sizes.map((n, i) => (shared[i % 6] ? 1 : n))),
  })
}

const isList = (options: ValueOptions | readonly ValueOptions[]): options is readonly ValueOptions[] =>
  Array.isArray(options)
