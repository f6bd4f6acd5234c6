// Initial values of parameters.

import { checkArguments, takes } from '../tensor/arguments.ts'
import { allocate, fromData, full, Generator, type Shape, sizeOf, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'

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

/** Normal with deviation gain / √in (He et al. 2015, with gain √2 for relu) */
export const kaimingNormal = (gain = Math.SQRT2): Initializer =>
  madeOf('kaimingNormal', 'gain', gain, (shape, generator) =>
    normal(gain / Math.sqrt(fans(shape).fanIn))(shape, generator),
  )

/** Normal with deviation 1 / √in: the output has the same variance as the input (LeCun et al. 1998, section 4.6) */
export const lecunNormal = initializer('lecunNormal', kaimingNormal(1), is.instance('a Generator', Generator))
