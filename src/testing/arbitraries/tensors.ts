// Random tensors for property tests. Values lie on a coarse grid that every dtype holds exactly, so they can be read in a
// report, and shrink to small whole numbers; shape, values and memory are drawn side by side, so that a fault found in a
// [3, 2, 4] of eighths is reported for a [1] of zeros, if that will do.

import fc from 'fast-check'
import { type DType, device, isFloating, type Shape, type Tensor } from '../../tensor/index.ts'
import { type Layout, layOut, layouts } from '../layouts.ts'
import { sourceOf } from '../source.ts'
import { shape } from './shapes.ts'

export interface ValueOptions {
  /** default float64 where the current device has it, else float32 */
  readonly dtype?: DType
  /** least and largest value; default [-2, 2], and [0, 1] for bool */
  readonly domain?: readonly [least: number, largest: number]
  /** kinks and singularities: no value is nearer to one of these than 1/8 */
  readonly awayFrom?: readonly number[]
  /** no two values of one tensor are equal: for functions with a kink where they are; needs a domain of size / 8 */
  readonly distinct?: boolean
}

export interface TensorOptions extends ValueOptions {
  /** one shape, or an arbitrary of them; default any */
  readonly shape?: Shape | fc.Arbitrary<Shape>
}

/** Steps to 1: floating values are eighths, which every dtype holds exactly and which are readable in a report. */
const fineness = 8

/** How far values keep from what they are to keep away from. */
export const AWAY = 1 / 8

/** How many values are drawn for a tensor; a larger one meets them again. */
const poolSize = 61

function grid({ dtype, domain = dtype === 'bool' ? [0, 1] : [-2, 2], awayFrom = [] }: ValueOptions): number[] {
  const [min, max] = domain
  const step = dtype === undefined || isFloating(dtype) ? 1 / fineness : 1
  const points: number[] = []
  for (let i = Math.ceil(min / step); i * step <= max; i++) points.push(i * step)
  const allowed = points.filter(x => awayFrom.every(kink => Math.abs(x - kink) >= 1 / fineness))
  if (allowed.length === 0) throw new RangeError(`no value from ${min} to ${max} is away from ${awayFrom.join(', ')}`)
  // simple ones first, because indices shrink to 0: whole numbers, then small ones
  return allowed.sort((a, b) => Number(a % 1 !== 0) - Number(b % 1 !== 0) || Math.abs(a) - Math.abs(b) || b - a)
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

const layout = fc.constantFrom(...layouts)

function build(shape: Shape, values: readonly number[], lies: Layout, options: ValueOptions): Tensor {
  const on = device.get()
  const dtype = options.dtype ?? (on.dtypes.includes('float64') ? 'float64' : 'float32')
  const tensor = layOut(i => values[i % values.length], shape, lies, { dtype, on })
  // fast-check prints a counterexample by this
  return Object.defineProperty(tensor, fc.toStringMethod, { value: () => sourceOf(tensor) })
}

/**
 * Tensors of a shape or of an arbitrary of shapes, on the current device. Values are eighths (whole for int32) of the
 * domain and shrink to small whole ones; memory is laid out plainly, with axes reversed, backwards or with gaps, and shrinks to
 * plain.
 */
export function tensor(options: TensorOptions = {}): fc.Arbitrary<Tensor> {
  const { shape: given = shape() } = options
  const shapes = given instanceof fc.Arbitrary ? given : fc.constant(given)
  return fc.tuple(shapes, pool(options), layout).map(([sizes, values, lies]) => build(sizes, values, lies, options))
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
  const list = isList(values) ? values : [values, values, values, values]
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
