// Models that are small enough to compute by hand, and the values of a tensor.

import { Linear, Module, type Parameter, parameter } from '../../src/nn/index.ts'
import {
  Adafactor,
  Adagrad,
  Adam,
  AdamW,
  Lion,
  Muon,
  type Optimizer,
  type OptimizerOptions,
  RMSprop,
  SGD,
} from '../../src/optim/index.ts'
import { fromData, Generator, type Shape, sizeOf, type Tensor } from '../../src/tensor/index.ts'

/** One of each, with all that it remembers. */
export const algorithms: Record<string, (module: Module, options?: OptimizerOptions) => Optimizer> = {
  SGD: (module, options) => new SGD(module, { momentum: 0.9, nesterov: true, weightDecay: 0.1, ...options }),
  AdamW: (module, options) => new AdamW(module, { weightDecay: 0.1, ...options }),
  Adafactor: (module, options) => new Adafactor(module, { weightDecay: 0.1, ...options }),
  Adam: (module, options) => new Adam(module, { weightDecay: 0.1, ...options }),
  Lion: (module, options) => new Lion(module, { weightDecay: 0.1, ...options }),
  RMSprop: (module, options) => new RMSprop(module, { momentum: 0.9, centered: true, weightDecay: 0.1, ...options }),
  Adagrad: (module, options) => new Adagrad(module, { weightDecay: 0.1, ...options }),
  Muon: (module, options) => new Muon(module, { ...options }),
}

/** Random numbers in float64, so that a plain implementation can be followed to the last digits. */
export function random(shape: Shape, seed: number): Tensor {
  const generator = new Generator(seed)
  return fromData(
    Float64Array.from({ length: sizeOf(shape) }, () => generator.normal()),
    shape,
  )
}

/** Parameters with nothing around them: a matrix, a vector and a stack of matrices. */
export class Loose extends Module {
  readonly matrix: Parameter
  readonly vector: Parameter
  readonly stack: Parameter

  constructor(seed = 1) {
    super()
    this.matrix = parameter([3, 4], shape => random(shape, seed))
    this.vector = parameter([5], shape => random(shape, seed + 1))
    this.stack = parameter([2, 3, 2], shape => random(shape, seed + 2))
  }
}

export class TwoLayers extends Module {
  readonly first = new Linear(3, 8)
  readonly second = new Linear(8, 2)

  forward(x: Tensor): Tensor {
    return this.second.forward(this.first.forward(x).gelu())
  }
}

/** Gradients that differ from step to step, for every parameter of a module. */
export const gradientsAt = (module: Module, step: number): Map<string, Tensor> =>
  new Map([...module.namedParameters()].map(([name, { shape }], i) => [name, random(shape, 100 + 10 * step + i)]))

export const numbers = (x: Tensor): number[] => [...x.dataSync()]

/** The values of all parameters, by name. */
export const snapshot = (module: Module): Record<string, number[]> =>
  Object.fromEntries([...module.namedParameters()].map(([name, parameter]) => [name, numbers(parameter)]))

export type Walk = (value: number[], gradient: (step: number) => number[], shape: Shape) => number[]

/** Takes steps with an optimizer, and where a plain implementation of one parameter would be after as many. */
export function follow(
  module: Module,
  optimizer: Optimizer,
  steps: number,
  plain: Walk,
): [actual: number[], expected: number[]][] {
  const expected = [...module.namedParameters()].map(([name, parameter]) =>
    plain(numbers(parameter), step => numbers(gradientsAt(module, step).get(name)!), parameter.shape),
  )
  for (let step = 0; step < steps; step++) optimizer.step(gradientsAt(module, step))
  return module.parameters().map((parameter, i) => [numbers(parameter), expected[i]])
}
