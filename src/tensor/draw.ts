// Creates random tensors. Their numbers come from a generator (random.ts) on the host and are the same on every device. They are
// drawn in float64 and rounded to the dtype of the tensor. Further distributions are in distributions.ts.

import { takes } from './arguments.ts'
import { type CreateOptions, checkPossible, createOptions, element, upload, withoutValues } from './create.ts'
import { device } from './devices.ts'
import { announceDraw, currentDraws } from './draws.ts'
import { allocate, type DType, DTypeError, isFloating, type TypedArray } from './dtype.ts'
import * as is from './kinds.ts'
import { type Settings, settle } from './options.ts'
import { Generator } from './random.ts'
import { type Shape, sizeOf } from './shape.ts'
import type { Tensor } from './tensor.ts'

/** Options of every function that draws random tensors. */
export interface RandomOptions extends CreateOptions {
  /** source of the numbers; default: the generator of the program, which `seed` sets */
  readonly generator?: Generator
}
export const randomOptions = {
  ...createOptions,
  generator: is.optional(is.instance('a Generator', Generator)),
} satisfies Settings<RandomOptions>

let shared = new Generator(0)

/** Seeds the default generator of random tensors. */
export const seed = takes('seed(value)', [is.integer], (value: number): void => {
  shared = new Generator(value)
})

/** The generator that `seed` sets. Save its state in a checkpoint to resume with the same numbers. */
export const defaultGenerator = (): Generator => shared

/** A tensor whose elements are drawn one after the other, in row-major order. */
export const random = (
  name: string,
  shape: Shape,
  options: RandomOptions,
  draw: (generator: Generator) => number,
): Tensor =>
  filled(name, shape, options, (data, generator) => {
    for (let i = 0; i < data.length; i++) data[i] = draw(generator)
  })

/** A tensor whose elements a function draws, all of those in the array that it gets. */
export function filled(
  name: string,
  shape: Shape,
  { generator = shared, dtype = 'float32', device: at }: RandomOptions,
  draw: (data: TypedArray, generator: Generator) => void,
): Tensor {
  const on = device.get(at)
  return currentDraws()(shape, all => {
    checkPossible(name, all, dtype, on)
    const empty = withoutValues(all, dtype, on)
    if (empty) return empty
    const data = allocate(dtype, all, name)
    announceDraw(generator)
    const [size, each] = [data.length, sizeOf(shape)]
    for (let start = 0; start < size; start += each) draw(data.subarray(start, start + each), generator)
    return upload(name, data, all, on, dtype)
  })
}

/**
 * Throws for a dtype that would truncate the numbers.
 * @param instead what to write for whole numbers
 */
export function checkFractions(name: string, dtype: DType, instead?: string): void {
  const advice = instead === undefined ? '' : `; write ${instead}`
  if (!isFloating(dtype))
    throw new DTypeError(`${name}: the dtype must be float32 or float64, not ${dtype}${advice}`, dtype)
}

/** Options of `rand`. */
export interface UniformOptions extends RandomOptions {
  /** default 0 */
  readonly low?: number
  /** default 1 */
  readonly high?: number
}
const uniformOptions = { ...randomOptions, low: 0, high: 1 } satisfies Settings<UniformOptions>

/** The largest number of a floating dtype that is below another number. */
export function below(limit: number, dtype: DType): number {
  // the bits of positive numbers are integers in the same order, and those of negative numbers in reverse
  if (dtype === 'float32') {
    const number = Float32Array.of(limit)
    if (number[0] >= limit) {
      const bits = new Int32Array(number.buffer)
      bits[0] = limit === 0 ? -(2 ** 31) + 1 : bits[0] - Math.sign(limit)
    }
    return number[0]
  }
  const number = Float64Array.of(limit)
  const bits = new BigInt64Array(number.buffer)
  bits[0] = limit === 0 ? -(2n ** 63n) + 1n : bits[0] - BigInt(Math.sign(limit))
  return number[0]
}

/** Uniform numbers on [low, high), default [0, 1): what would be rounded up to `high` is the largest number below it. */
export const rand = takes(
  'rand(shape, options)',
  [is.shape, is.options],
  (shape: Shape, options?: UniformOptions): Tensor => {
    const { low, high, dtype = 'float32', ...others } = settle('rand(shape, options)', options, uniformOptions)
    checkFractions('rand', dtype, 'randint(low, high, shape)')
    // as many bits as float32 has, because with more a number could be rounded up to high
    const unit = (u: number) => (dtype === 'float32' ? Math.floor(u * 2 ** 24) / 2 ** 24 : u)
    const last = low < high ? below(high, dtype) : Infinity
    return random('rand', shape, { ...others, dtype }, generator =>
      Math.min(low + (high - low) * unit(generator.uniform()), last),
    )
  },
)

/** Standard normal numbers. */
export const randn = takes(
  'randn(shape, options)',
  [is.shape, is.options],
  (shape: Shape, options?: RandomOptions): Tensor => {
    const settled = settle('randn(shape, options)', options, randomOptions)
    checkFractions('randn', settled.dtype ?? 'float32', 'randint(low, high, shape)')
    return random('randn', shape, settled, generator => generator.normal())
  },
)

/** Uniform integers in [low, high), int32. */
export const randint = takes(
  'randint(low, high, shape, options)',
  [is.integer, is.integer, is.shape, is.options],
  (low: number, high: number, shape: Shape, options?: RandomOptions): Tensor => {
    const { dtype = 'int32', ...others } = settle('randint(low, high, shape, options)', options, randomOptions)
    if (!(low < high)) throw new RangeError(`randint: high must be above low, not ${high} and ${low}`)
    for (const end of [low, high - 1]) element('randint', end, dtype)
    return random('randint', shape, { ...others, dtype }, generator => low + generator.integer(high - low))
  },
)

type Like = Pick<Tensor, 'shape' | 'dtype' | 'device'>

/** The options with the dtype and the device of a tensor, where they have none. */
const like = <O extends CreateOptions>({ dtype, device }: Like, options: O | undefined): O =>
  ({ ...options, dtype: options?.dtype ?? dtype, device: options?.device ?? device }) as O

/**
 * Uniform numbers as `rand` draws them, with the shape, dtype and device of another tensor unless the options say otherwise.
 * @throws DTypeError for a tensor of integers or bools, where the options give no floating dtype
 */
export const randLike = takes(
  'randLike(x, options)',
  [is.tensor, is.options],
  (x: Tensor, options?: UniformOptions): Tensor => {
    settle('randLike(x, options)', options, uniformOptions)
    checkFractions('randLike', options?.dtype ?? x.dtype, 'randintLike(x, low, high)')
    return rand(x.shape, like(x, options))
  },
)

/**
 * Standard normal numbers, with the shape, dtype and device of another tensor unless the options say otherwise.
 * @throws DTypeError for a tensor of integers or bools, where the options give no floating dtype
 */
export const randnLike = takes(
  'randnLike(x, options)',
  [is.tensor, is.options],
  (x: Tensor, options?: RandomOptions): Tensor => {
    settle('randnLike(x, options)', options, randomOptions)
    checkFractions('randnLike', options?.dtype ?? x.dtype, 'randintLike(x, low, high)')
    return randn(x.shape, like(x, options))
  },
)

/** Uniform integers in [low, high), with the shape, dtype and device of another tensor unless the options say otherwise. */
export const randintLike = takes(
  'randintLike(x, low, high, options)',
  [is.tensor, is.integer, is.integer, is.options],
  (x: Tensor, low: number, high: number, options?: RandomOptions): Tensor => {
    settle('randintLike(x, low, high, options)', options, randomOptions)
    return randint(low, high, x.shape, like(x, options))
  },
)

/** The numbers 0 … n - 1 in a random order [n], int32 by default. PyTorch's `randperm`. */
export const permutation = takes(
  'permutation(n, options)',
  [is.size, is.options],
  (n: number, options?: RandomOptions): Tensor => {
    const { dtype = 'int32', ...others } = settle('permutation(n, options)', options, randomOptions)
    if (n > 0) element('permutation', n - 1, dtype)
    return filled('permutation', [n], { ...others, dtype }, (data, generator) => {
      for (let start = 0; start < data.length; start += n) data.set(generator.permutation(n), start)
    })
  },
)
