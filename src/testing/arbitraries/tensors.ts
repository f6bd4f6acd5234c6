// Random tensors for property tests. Values lie on a coarse grid that every dtype holds exactly, so they can be read in a
// report, and shrink to small whole numbers; shape, values and memory are drawn side by side, so that a fault found in a
// [3, 2, 4] of eighths is reported for a [1] of zeros, if that will do.

import fc from 'fast-check'
import { type DType, device, isFloating, type Shape, show, sizeOf, type Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { type Layout, layOut, layouts } from '../layouts.ts'
import { sourceOf } from '../source-text.ts'
import { shape } from './shapes.ts'

export interface ValueOptions {
  /** default float64 where the current device has it, else float32 */
  readonly dtype?: DType
  /**
   * least and largest value, finite; default [-2, 2], and [0, 1] for bool. Of a wide domain some values are drawn, in a narrow one
   * they are finer than eighths
   */
  readonly domain?: readonly [least: number, largest: number]
  /** kinks and singularities: no value is nearer to one of these than 1/8 */
  readonly awayFrom?: readonly number[]
  /**
   * no two values of one tensor are equal: for functions with a kink where they are. A tensor of more elements than its domain has
   * values is refused when it is drawn; [-2, 2] has 33
   */
  readonly distinct?: boolean
}
export const valueOptions = {
  dtype: is.optional(is.dtype),
  domain: undefined,
  awayFrom: [],
  distinct: false,
} satisfies Settings<ValueOptions>

export interface DrawnTensorOptions extends ValueOptions {
  /** one shape, or an arbitrary of them; default any */
  readonly shape?: Shape | fc.Arbitrary<Shape>
}
const tensorOptions = { ...valueOptions, shape: undefined } satisfies Settings<DrawnTensorOptions>

/** Floating values are eighths where there are some: every dtype holds them exactly, and they are readable in a report. */
const EIGHTH = 1 / 8

/** How far values keep from what they are to keep away from. */
export const AWAY = EIGHTH

/** How many values are drawn for a tensor; a larger one meets them again, in no order. */
const poolSize = 61

/** From how many points values are drawn at most: of a wide domain those nearest to 0, and some of the others. */
const GRID_SIZE = 1024

/** The values that are drawn, simple ones first. @throws RangeError where there is none */
function grid({ dtype, domain = dtype === 'bool' ? [0, 1] : [-2, 2], awayFrom = [] }: ValueOptions): number[] {
  const [min, max] = checkDomain(domain, dtype)
  const isWhole = dtype !== undefined && !isFloating(dtype)
  const step = isWhole ? 1 : stepIn(min, max)
  const points = min === max && !isWhole ? [min] : multiples(min, max, step)
  const kind = isWhole ? 'whole number' : 'value'
  if (points.length === 0)
    throw new RangeError(`domain: there is no ${kind} from ${min} to ${max} that every dtype holds`)
  const allowed = points.filter(x => awayFrom.every(kink => Math.abs(x - kink) >= AWAY))
  if (allowed.length === 0)
    throw new RangeError(
      `awayFrom: no ${kind} from ${min} to ${max} is ${AWAY} or more away from ${awayFrom.join(', ')}; values are multiples of ${step}`,
    )
  // because indices shrink to 0: whole numbers, then small ones
  return allowed.sort((a, b) => Number(a % 1 !== 0) - Number(b % 1 !== 0) || Math.abs(a) - Math.abs(b) || b - a)
}

function checkDomain(domain: readonly [number, number], dtype: DType | undefined): readonly [number, number] {
  const [min, max] = domain
  if (!(Number.isFinite(min) && Number.isFinite(max) && min <= max))
    throw new RangeError(`domain: two finite numbers, the least one first, are needed, not [${min}, ${max}]`)
  if (dtype === 'int32' && (min < -(2 ** 31) || max >= 2 ** 31))
    throw new RangeError(`domain: int32 does not reach from ${min} to ${max}`)
  return domain
}

/** 1/8, or where fewer than two eighths lie in a domain the largest power of two of which eight or more do. */
function stepIn(min: number, max: number): number {
  let step = EIGHTH
  if (min === max || Math.floor(max / step) - Math.ceil(min / step) >= 1) return step
  while (step * 8 > max - min && step > Number.MIN_VALUE) step /= 2
  return step
}

/** Multiples of a step in a domain, those that float32 holds: all, or some where there are more than a grid takes. */
function multiples(min: number, max: number, step: number): number[] {
  const [first, last] = [Math.ceil(min / step), Math.floor(max / step)]
  const half = GRID_SIZE / 2
  // around 0, or at the end that is nearest to it
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
  // distinct as a shuffle: each index exchanges one place with another
  return fc.array(index, { minLength: points.length, maxLength: points.length }).map(indices => {
    const shuffled = [...points]
    indices.forEach((j, i) => {
      ;[shuffled[i], shuffled[j]] = [shuffled[j], shuffled[i]]
    })
    return shuffled
  })
}

/** The value of an element: one of those drawn each, and then any of them again, so that no two rows are the same. */
function valueAt(values: readonly number[], i: number): number {
  if (i < values.length) return values[i]
  // the digits of i, mixed
  const mixed = Math.imul(i ^ (i >>> 15), 0x2c1b3c6d)
  return values[((mixed ^ (mixed >>> 12)) >>> 0) % values.length]
}

const layout = fc.constantFrom(...layouts)

function build(shape: Shape, values: readonly number[], lies: Layout, options: ValueOptions): Tensor {
  const on = device.get()
  const dtype = options.dtype ?? (on.dtypes.includes('float64') ? 'float64' : 'float32')
  if (options.distinct && sizeOf(shape) > values.length)
    throw new RangeError(
      `distinct: ${show(shape)} has ${sizeOf(shape)} elements, and there are ${values.length} different values to draw: give a wider domain or smaller shapes`,
    )
  const tensor = layOut(i => valueAt(values, i), shape, lies, { dtype, on })
  // fast-check prints a counterexample by this
  return Object.defineProperty(tensor, fc.toStringMethod, { value: () => sourceOf(tensor) })
}

/**
 * Tensors of a shape or of an arbitrary of shapes, on the current device. Values are eighths (whole for int32) of the
 * domain and shrink to small whole ones; memory is laid out plainly, with axes reversed, backwards or with gaps, and shrinks to
 * plain.
 */
export function tensor(options?: DrawnTensorOptions): fc.Arbitrary<Tensor> {
  const { shape: given = shape(), ...kind } = settle('tensor(options)', options, tensorOptions)
  const shapes = given instanceof fc.Arbitrary ? given : fc.constant(given)
  return fc.tuple(shapes, pool(kind), layout).map(([sizes, values, lies]) => build(sizes, values, lies, kind))
}

/**
 * A tensor for each of several shapes that belong together, and with them what else was drawn for the operation: an axis, a
 * padding, a flag.
 * @param values of all tensors, or of the first, the second, … one
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

/** A tensor for each of several shapes that belong together: `tensors(broadcastShapes(2))`. */
export const tensors = (
  shapes: fc.Arbitrary<readonly Shape[]>,
  values: ValueOptions | readonly ValueOptions[] = {},
): fc.Arbitrary<Tensor[]> =>
  operands(
    shapes.map(list => ({ shapes: list, options: undefined })),
    values,
  ).map(({ inputs }) => inputs)

/** A bool tensor that broadcasts to a shape: true where something may be seen, and nothing may be seen now and then. */
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
