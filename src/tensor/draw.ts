// Creates random tensors. Their numbers come from a generator (random.ts) on the host and are the same on every device.

import { takes } from './arguments.ts'
import { type CreateOptions, checkPossible, createOptions, element, upload } from './create.ts'
import { device } from './devices.ts'
import { allocate, type DType, DTypeError, isFloating } from './dtype.ts'
import * as is from './kinds.ts'
import { type Settings, settle } from './options.ts'
import { Generator } from './random.ts'
import type { Shape } from './shape.ts'
import type { Tensor } from './tensor.ts'

export interface RandomOptions extends CreateOptions {
  /** source of the numbers; default: the generator of the program, which `seed` sets */
  readonly generator?: Generator
}
const randomOptions = {
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

/** Makes a random tensor of a shape by a function that draws the numbers of any shape. */
export type Draws = (shape: Shape, draw: (shape: Shape) => Tensor) => Tensor

let draws: Draws = (shape, draw) => draw(shape)

/** How random tensors are made now. */
export const currentDraws = (): Draws => draws

/** Runs `f`, with random tensors made in another way: in `vmap` each sample has numbers of its own. */
export function withDraws<T>(inner: Draws, f: () => T): T {
  const outer = draws
  draws = inner
  try {
    return f()
  } finally {
    draws = outer
  }
}

function random(
  name: string,
  shape: Shape,
  { generator = shared, dtype = 'float32', device: at }: RandomOptions,
  draw: (generator: Generator) => number,
): Tensor {
  const on = device.get(at)
  return draws(shape, all => {
    checkPossible(name, all, dtype, on)
    const data = allocate(dtype, all, name)
    for (let i = 0; i < data.length; i++) data[i] = draw(generator)
    return upload(name, data, all, on, dtype)
  })
}

/** Throws for a dtype that would truncate the numbers. */
function checkFractions(name: string, dtype: DType): void {
  if (!isFloating(dtype))
    throw new DTypeError(
      `${name}: the dtype must be float32 or float64, not ${dtype}; write randint(low, high, shape)`,
      dtype,
    )
}

export interface UniformOptions extends RandomOptions {
  /** default 0 */
  readonly low?: number
  /** default 1 */
  readonly high?: number
}
const uniformOptions = { ...randomOptions, low: 0, high: 1 } satisfies Settings<UniformOptions>

/** The largest number of a floating dtype that is below another number. */
function below(limit: number, dtype: DType): number {
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
    checkFractions('rand', dtype)
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
    checkFractions('randn', settled.dtype ?? 'float32')
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
