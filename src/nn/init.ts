// How parameters begin.

import { allocate, fromData, full, type Generator, type Shape, sizeOf, type Tensor } from '../tensor/index.ts'

/** Values of a shape, random ones from the generator. */
export type Initializer = (shape: Shape, generator: Generator) => Tensor

function drawn(shape: Shape, draw: () => number): Tensor {
  const data = allocate('float32', sizeOf(shape))
  for (let i = 0; i < data.length; i++) data[i] = draw()
  return fromData(data, shape)
}

export const constant =
  (value: number): Initializer =>
  shape =>
    full(shape, value)
export const zeros: Initializer = constant(0)
export const ones: Initializer = constant(1)

/** Normal around 0 */
export const normal =
  (deviation: number): Initializer =>
  (shape, generator) =>
    drawn(shape, () => deviation * generator.normal())

/** Normal around 0, drawn again beyond two deviations */
export const truncatedNormal =
  (deviation: number): Initializer =>
  (shape, generator) =>
    drawn(shape, () => {
      let x = generator.normal()
      while (Math.abs(x) > 2) x = generator.normal()
      return deviation * x
    })

export const uniform =
  (limit: number): Initializer =>
  (shape, generator) =>
    drawn(shape, () => limit * (2 * generator.uniform() - 1))

/** Numbers of inputs and outputs of a weight [out, in, ...]. */
function fans(shape: Shape): { fanIn: number; fanOut: number } {
  const window = sizeOf(shape.slice(2))
  return { fanIn: (shape[1] ?? 1) * window, fanOut: shape[0] * window }
}

/** Uniform within ±gain √(6 / (in + out)) (Glorot and Bengio 2010) */
export const xavierUniform =
  (gain = 1): Initializer =>
  (shape, generator) => {
    const { fanIn, fanOut } = fans(shape)
    return uniform(gain * Math.sqrt(6 / (fanIn + fanOut)))(shape, generator)
  }

/** Normal with deviation gain / √in (He et al. 2015, with gain √2 for relu) */
export const kaimingNormal =
  (gain = Math.SQRT2): Initializer =>
  (shape, generator) =>
    normal(gain / Math.sqrt(fans(shape).fanIn))(shape, generator)

/** Normal with deviation 1 / √in: the output varies as much as the input (LeCun et al. 1998, section 4.6) */
export const lecunNormal: Initializer = kaimingNormal(1)
