// Gradients of modules against finite differences: a module's parameters become arguments of a function.

import type { TensorFunction } from '../../src/autograd/index.ts'
import { type Module, withParameters } from '../../src/nn/index.ts'
import { fromData, Generator, type Shape, sizeOf, type Tensor, zeros } from '../../src/tensor/index.ts'
import { checkGradients } from '../../src/testing/index.ts'

/** Standard normal float64 numbers, the same for the same seed. */
export function random(shape: Shape, seed = 1): Tensor {
  const generator = new Generator(seed)
  return fromData(
    Float64Array.from({ length: sizeOf(shape) }, () => generator.normal()),
    shape,
  )
}

/** Gives every parameter random float64 values, so that none is a special case. */
export function randomize<M extends Module>(module: M, deviation = 0.5): M {
  module.parameters().forEach((parameter, i) => {
    parameter.assign(random(parameter.shape, 1000 + i).mul(deviation))
  })
  return module
}

/**
 * Checks every derivative of a module by its parameters and inputs, and the second derivatives along one direction a
 * tensor, which together see every parameter.
 * @param f of the inputs; it uses the module
 */
export function checkModule(module: Module, f: TensorFunction, inputs: readonly Tensor[]): void {
  randomize(module)
  const count = inputs.length
  const whole: TensorFunction = (...all) => withParameters(module, all.slice(count), () => f(...all.slice(0, count)))
  const start = [...inputs, ...module.parameters()]
  checkGradients(whole, start)
  const directions = start.map((x, i) => random(x.shape, 2000 + i))
  const along: TensorFunction = (...steps) => whole(...start.map((x, i) => x.add(directions[i].mul(steps[i]))))
  checkGradients(
    along,
    start.map(() => zeros([], { dtype: 'float64' })),
    { order: 2 },
  )
}

/** Rows of a matrix as arrays. */
export function rows(x: Tensor): number[][] {
  const width = x.shape[x.rank - 1]
  const data = [...x.dataSync()]
  return Array.from({ length: data.length / width }, (_, i) => data.slice(i * width, (i + 1) * width))
}

/** x Wᵀ + b in loops. */
export const plainLinear = (x: number[][], weight: Tensor, bias?: Tensor): number[][] => {
  const [w, b] = [rows(weight), bias ? [...bias.dataSync()] : undefined]
  return x.map(row => w.map((column, o) => column.reduce((sum, c, i) => sum + c * row[i], b?.[o] ?? 0)))
}

/** softmax(q kᵀ / √width) v in loops, over the keys that a query may see; one that sees nothing gets zeros. */
export function plainAttention(
  q: number[][],
  k: number[][],
  v: number[][],
  sees: (query: number, key: number) => boolean = () => true,
): number[][] {
  return q.map((query, i) => {
    const seen = k.flatMap((key, j) => {
      if (!sees(i, j)) return []
      const score = query.reduce((sum, x, c) => sum + x * key[c], 0) / Math.sqrt(query.length)
      return [{ weight: Math.exp(score), value: v[j] }]
    })
    const total = seen.reduce((sum, { weight }) => sum + weight, 0)
    return v[0].map((_, c) => seen.reduce((sum, { weight, value }) => sum + (weight / total) * value[c], 0))
  })
}
