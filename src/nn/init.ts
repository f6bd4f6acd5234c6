// Initial values of parameters.

import { checkArguments, takes } from '../tensor/arguments.ts'
import {
  allocate,
  fromData,
  full,
  Generator,
  type Shape,
  ShapeError,
  show,
  sizeOf,
  type Tensor,
} from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'

/** Makes values of a shape, with random numbers from the generator. */
export type Initializer = (shape: Shape, generator: Generator) => Tensor

function drawn(shape: Shape, draw: () => number): Tensor {
  const data = allocate('float32', shape, 'parameter')
  for (let i = 0; i < data.length; i++) data[i] = draw()
  return fromData(data, shape)
}

/** An initializer that takes no settings: a module calls it. */
function initializer(name: string, f: Initializer, generator: is.Kind<unknown> = is.anything): Initializer {
  return takes(`init.${name}(shape, generator)`, [is.shape, generator], f)
}

/** An initializer with one setting, `init.normal(deviation)`. */
function madeOf(name: string, parameter: string, value: number, initializer: Initializer): Initializer {
  checkArguments(`init.${name}(${parameter})`, [is.number], [value])
  return initializer
}

/** Every element `value`. */
export const constant = (value: number): Initializer => madeOf('constant', 'value', value, shape => full(shape, value))
/** Every element 0. */
export const zeros = initializer('zeros', shape => full(shape, 0))
/** Every element 1. */
export const ones = initializer('ones', shape => full(shape, 1))

/** Normal around 0 */
export const normal = (deviation: number): Initializer =>
  madeOf('normal', 'deviation', deviation, (shape, generator) => drawn(shape, () => deviation * generator.normal()))

/** Normal around 0; values beyond two deviations are drawn again */
export const truncatedNormal = (deviation: number): Initializer =>
  madeOf('truncatedNormal', 'deviation', deviation, (shape, generator) =>
    drawn(shape, () => {
      let x = generator.normal()
      while (Math.abs(x) > 2) x = generator.normal()
      return deviation * x
    }),
  )

/** Uniform within ±limit */
export const uniform = (limit: number): Initializer =>
  madeOf('uniform', 'limit', limit, (shape, generator) => drawn(shape, () => limit * (2 * generator.uniform() - 1)))

/** Numbers of inputs and outputs of a weight [out, in, ...]. */
function fans(shape: Shape): { fanIn: number; fanOut: number } {
  const window = sizeOf(shape.slice(2))
  return { fanIn: (shape[1] ?? 1) * window, fanOut: shape[0] * window }
}

/** Uniform within ±gain √(6 / (in + out)) (Glorot and Bengio 2010) */
export const xavierUniform = (gain = 1): Initializer =>
  madeOf('xavierUniform', 'gain', gain, (shape, generator) => {
    const { fanIn, fanOut } = fans(shape)
    return uniform(gain * Math.sqrt(6 / (fanIn + fanOut)))(shape, generator)
  })

/** Normal with deviation gain √(2 / (in + out)) (Glorot and Bengio 2010) */
export const xavierNormal = (gain = 1): Initializer =>
  madeOf('xavierNormal', 'gain', gain, (shape, generator) => {
    const { fanIn, fanOut } = fans(shape)
    return normal(gain * Math.sqrt(2 / (fanIn + fanOut)))(shape, generator)
  })

/** Options of the Kaiming initializers. */
export interface KaimingOptions {
  /** whose variance is kept: `in` that of the values forwards, `out` that of the gradients backwards; default in */
  readonly fan?: 'in' | 'out'
}
const kaimingOptions = { fan: is.choice('in', 'out') } satisfies Settings<KaimingOptions>

function kaiming(
  name: string,
  gain: number,
  options: KaimingOptions | undefined,
  make: (deviation: number) => Initializer,
): Initializer {
  const call = `init.${name}(gain, options)`
  checkArguments(call, [is.number, is.options], [gain, options])
  const { fan } = settle(call, options, kaimingOptions)
  return (shape, generator) => {
    const { fanIn, fanOut } = fans(shape)
    return make(gain / Math.sqrt(fan === 'in' ? fanIn : fanOut))(shape, generator)
  }
}

/** Normal with deviation gain / √in (He et al. 2015, with gain √2 for relu); `{ fan: 'out' }` takes √out in its place */
export const kaimingNormal = (gain = Math.SQRT2, options?: KaimingOptions): Initializer =>
  kaiming('kaimingNormal', gain, options, normal)

/** Uniform within ±gain √(3 / in), the deviation of `kaimingNormal`; `{ fan: 'out' }` takes the number of outputs in its place */
export const kaimingUniform = (gain = Math.SQRT2, options?: KaimingOptions): Initializer =>
  kaiming('kaimingUniform', gain, options, deviation => uniform(Math.sqrt(3) * deviation))

/** Functions that an initializer has a gain for. */
export type Nonlinearity = 'linear' | 'sigmoid' | 'tanh' | 'relu' | 'leakyRelu' | 'selu'
const isNonlinearity = is.oneOf<Nonlinearity>('linear', 'sigmoid', 'tanh', 'relu', 'leakyRelu', 'selu')

/**
 * The gain that keeps the variance through a nonlinearity: 1 for linear and sigmoid, 5/3 for tanh, √2 for relu,
 * √(2 / (1 + slope²)) for leakyRelu, 3/4 for selu; those of torch.nn.init.calculate_gain.
 *
 *     new Linear(2, 3, { init: init.kaimingUniform(init.gain('leakyRelu', 0.2)) })
 *
 * @param slope of leakyRelu for negative values; default 0.01
 */
export function gain(nonlinearity: Nonlinearity, slope = 0.01): number {
  checkArguments('init.gain(nonlinearity, slope)', [isNonlinearity, is.number], [nonlinearity, slope])
  const gains = { linear: 1, sigmoid: 1, tanh: 5 / 3, relu: Math.SQRT2, selu: 0.75 }
  return nonlinearity === 'leakyRelu' ? Math.sqrt(2 / (1 + slope ** 2)) : gains[nonlinearity]
}

/**
 * A random matrix with orthogonal rows, or orthogonal columns if it has fewer of these, each of length `gain`, uniformly among all
 * of them (Saxe et al. 2014). Axes after the first are taken together: [out, in, height, width] is [out, in · height · width].
 * @throws ShapeError for a shape of fewer than two axes
 */
export const orthogonal = (gain = 1): Initializer =>
  madeOf('orthogonal', 'gain', gain, (shape, generator) => {
    if (shape.length < 2)
      throw new ShapeError(`init.orthogonal: the shape must have two axes or more, not ${show(shape)}`, shape)
    const [rows, columns] = [shape[0], sizeOf(shape.slice(1))]
    const isWide = rows <= columns
    const vectors = orthonormal(Math.min(rows, columns), Math.max(rows, columns), generator)
    const data = allocate('float32', shape, 'parameter')
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) data[i * columns + j] = gain * (isWide ? vectors[i][j] : vectors[j][i])
    return fromData(data, shape)
  })

/** Random vectors of length 1 at right angles, by Gram and Schmidt, twice for each vector so that rounding does not tilt them. */
function orthonormal(count: number, width: number, generator: Generator): Float64Array[] {
  const vectors: Float64Array[] = []
  while (vectors.length < count) {
    const vector = Float64Array.from({ length: width }, () => generator.normal())
    for (let pass = 0; pass < 2; pass++)
      for (const other of vectors) {
        let along = 0
        for (let i = 0; i < width; i++) along += vector[i] * other[i]
        for (let i = 0; i < width; i++) vector[i] -= along * other[i]
      }
    const length = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0))
    // one that depends on the others is drawn again
    if (length > 1e-9) vectors.push(vector.map(x => x / length))
  }
  return vectors
}

/** Normal with deviation 1 / √in: the output has the same variance as the input (LeCun et al. 1998, section 4.6) */
export const lecunNormal = initializer('lecunNormal', kaimingNormal(1), is.instance('a Generator', Generator))
