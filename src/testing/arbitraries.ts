// Random shapes and tensors for property tests. Everything is drawn side by side and put together at the end, never one
// draw inside another: fast-check can then shrink the shape and the values on their own, and a fault that is found in a
// [3, 2, 4] of eighths is reported for a [1] of zeros, if that will do.

import fc from 'fast-check'
import {
  allocate,
  contiguousStrides,
  type DType,
  device,
  fromData,
  isFloating,
  type Shape,
  sizeOf,
  Tensor,
  type TypedArray,
} from '../tensor/index.ts'

export interface ShapeOptions {
  /** default 0 */
  readonly minRank?: number
  /** default 3 */
  readonly maxRank?: number
  /** default 0: an axis may be empty, though few are */
  readonly minSize?: number
  /** default 3 */
  readonly maxSize?: number
}

/** The size of one axis: mostly not empty. */
function axisSize({ minSize = 0, maxSize = 3 }: ShapeOptions): fc.Arbitrary<number> {
  const filled = fc.integer({ min: Math.max(1, minSize), max: maxSize })
  if (minSize > 0) return filled
  return fc.oneof(
    { withCrossShrink: true },
    { weight: 15, arbitrary: filled },
    { weight: 1, arbitrary: fc.constant(0) },
  )
}

/** Shapes of any rank up to 3, with axes of size one and now and then an empty one; they shrink to fewer and smaller axes. */
export const shape = (options: ShapeOptions = {}): fc.Arbitrary<number[]> =>
  fc.array(axisSize(options), { minLength: options.minRank ?? 0, maxLength: options.maxRank ?? 3, size: 'max' })

/** `count` shapes that broadcast with each other: axes of one common shape, some left out in front, some of size one. */
export function broadcastShapes(count: number, options: ShapeOptions = {}): fc.Arbitrary<number[][]> {
  const { minRank = 0, maxRank = 3 } = options
  const differences = fc.record({
    missing: fc.integer({ min: 0, max: maxRank - minRank }),
    ones: fc.array(fc.boolean(), { minLength: maxRank, maxLength: maxRank }),
  })
  return fc
    .tuple(shape(options), fc.array(differences, { minLength: count, maxLength: count }))
    .map(([common, operands]) =>
      operands.map(({ missing, ones }) =>
        common.map((n, i) => (ones[i] ? 1 : n)).slice(Math.min(missing, common.length - minRank)),
      ),
    )
}

/** Two shapes that matmul takes: [..., m, k] and [..., k, n] with leading axes that broadcast, or vectors [k]. */
export function matmulShapes(options: ShapeOptions = {}): fc.Arbitrary<[left: number[], right: number[]]> {
  const { maxRank = 3 } = options
  const isVector = fc.integer({ min: 0, max: 4 }).map(n => n === 4)
  return fc
    .record({
      stacks: broadcastShapes(2, { ...options, minRank: 0, maxRank: Math.max(0, maxRank - 2) }),
      sizes: fc.tuple(axisSize(options), axisSize(options), axisSize(options)),
      vectors: fc.tuple(isVector, isVector),
    })
    .map(({ stacks, sizes: [m, k, n], vectors }) => [
      vectors[0] ? [k] : [...stacks[0], m, k],
      vectors[1] ? [k] : [...stacks[1], k, n],
    ])
}

/** A shape and some of its axes, counted from the front or from the back; they shrink to none. */
export function axes(options: ShapeOptions = {}): fc.Arbitrary<{ shape: number[]; axes: number[] }> {
  const { maxRank = 3 } = options
  const choice = fc.constantFrom('out', 'in', 'fromBack')
  return fc
    .tuple(shape(options), fc.array(choice, { minLength: maxRank, maxLength: maxRank }))
    .map(([sizes, choices]) => ({
      shape: sizes,
      axes: sizes.flatMap((_, i) => ({ out: [], in: [i], fromBack: [i - sizes.length] })[choices[i]]),
    }))
}

/** A shape and an order of its axes; the order shrinks to 0, 1, 2, … */
export function permutation(options: ShapeOptions = {}): fc.Arbitrary<{ shape: number[]; order: number[] }> {
  const { maxRank = 3 } = options
  // the i-th digit says which of the axes that are left comes next
  const digits = Array.from({ length: maxRank }, (_, i) => fc.integer({ min: 0, max: maxRank - 1 - i }))
  return fc.tuple(shape(options), fc.tuple(...digits)).map(([sizes, code]) => {
    const left = sizes.map((_, i) => i)
    return { shape: sizes, order: sizes.map((_, i) => left.splice(code[i] % left.length, 1)[0]) }
  })
}

export interface ValueOptions {
  /** default float64 where the current device has it, else float32 */
  readonly dtype?: DType
  /** default -2 */
  readonly min?: number
  /** default 2 */
  readonly max?: number
  /** kinks and singularities: no value is nearer to one of these than 1/8 */
  readonly awayFrom?: readonly number[]
  /** no two values of one tensor are equal: for functions with a kink where they are; needs (max - min) ≥ size / 8 */
  readonly distinct?: boolean
}

export interface TensorOptions extends ValueOptions {
  /** one shape, or an arbitrary of them; default any */
  readonly shape?: Shape | fc.Arbitrary<Shape>
}

/** Steps to 1: floating values are eighths, which every dtype holds exactly and which are readable in a report. */
const fineness = 8

/** How many values are drawn for a tensor; a larger one meets them again. */
const poolSize = 61

function grid({ dtype, min = -2, max = 2, awayFrom = [] }: ValueOptions): number[] {
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

/** How the same elements may lie in memory. */
type Layout = 'plain' | 'axes reversed' | 'backwards' | 'spaced'
const layout = fc.constantFrom<Layout>('plain', 'axes reversed', 'backwards', 'spaced')

function build(shape: Shape, values: readonly number[], lies: Layout, options: ValueOptions): Tensor {
  const on = device.get()
  const dtype = options.dtype ?? (on.dtypes.includes('float64') ? 'float64' : 'float32')
  const size = sizeOf(shape)
  const [strides, offset, length] = arrange(shape, size, lies)
  const memory: TypedArray = allocate(dtype, length)
  const counts = contiguousStrides(shape)
  for (let i = 0; i < size; i++) {
    const at = shape.reduce((sum, n, axis) => sum + (Math.floor(i / counts[axis]) % n) * strides[axis], offset)
    memory[at] = values[i % values.length]
  }
  return new Tensor(fromData(memory, [length], on).storage, shape, strides, offset)
}

/** Strides, offset and length of the memory. */
function arrange(shape: Shape, size: number, lies: Layout): [strides: number[], offset: number, length: number] {
  const plain = contiguousStrides(shape)
  if (size === 0) return [plain, 0, 0]
  switch (lies) {
    case 'plain':
      return [plain, 0, size]
    case 'axes reversed':
      return [contiguousStrides([...shape].reverse()).reverse(), 0, size]
    case 'backwards':
      return [plain.map(stride => -stride), size - 1, size]
    case 'spaced':
      return [plain.map(stride => 2 * stride), 1, 2 * size + 1]
  }
}

/**
 * Tensors of a shape or of an arbitrary of shapes, on the current device. Values are eighths (whole for int32) from min to
 * max and shrink to small whole ones; memory is laid out plainly, with axes reversed, backwards or with gaps, and shrinks to
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

const isList = (options: ValueOptions | readonly ValueOptions[]): options is readonly ValueOptions[] =>
  Array.isArray(options)
