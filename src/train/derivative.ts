// Is the gradient of a whole loss right? Along a random direction through many parameters at once, the tape's gradient is
// held against differences of the loss in float64 on `reference`: two evaluations, however many parameters there are. The
// model that trains is the one that is evaluated, with other values in its parameters for as long as that takes.

import type { CoCa } from '../models/index.ts'
import { Parameter, withParameters } from '../nn/index.ts'
import { defaultGenerator, device, fromData, type Generator, scope, type Tensor } from '../tensor/index.ts'
import { batchGradients, batchLoss, type LossBatch } from './loss.ts'

/** A loss as a function of a model's parameters: one batch, and the random numbers that dropout draws. */
export interface LossProblem {
  readonly model: CoCa
  readonly batch: LossBatch
  /** captions that are equal belong to each other's images */
  readonly positives: boolean
  /** into which the batch is cut for its gradient */
  readonly parts: number
  /** of the program's generator: where the loss begins to draw */
  readonly position: number
}

/** One vector a parameter, by name. */
export type Vectors = ReadonlyMap<string, Float64Array>

/** Two numbers that should be one: the derivative of the loss along a direction. */
export interface Agreement {
  /** |tape - differences| over the size that derivatives along such directions have, or over the differences if they are larger */
  readonly error: number
  readonly tape: number
  readonly differences: number
}

/** Norm of one parameter's gradient below which float32 has little to say: rounding alone is a hundredth of it. */
const SMALL = 1e-4

/** How far the elements that a direction moves most are moved to either side. */
const STEP = 1e-5

/** A loss at the present values of a model's parameters, with the tape's gradient from where the model is. */
export class LossProbe {
  readonly problem: LossProblem
  /** of every parameter, the frozen ones too */
  readonly values: Vectors
  /** of those that are not frozen */
  readonly gradients: Vectors

  private constructor(problem: LossProblem, values: Vectors, gradients: Vectors) {
    this.problem = problem
    this.values = values
    this.gradients = gradients
  }

  /** Computes the gradient on the model's device, and reads it and the values. */
  static async open(problem: LossProblem): Promise<LossProbe> {
    const { model } = problem
    const gradients = drawing(problem, () => scope(() => gradientsOf(problem, problem.batch)))
    const probe = new LossProbe(problem, await readAll(model.namedParameters()), await readAll(gradients))
    for (const gradient of gradients.values()) gradient.storage.free('the check of its gradient')
    return probe
  }

  /**
   * A direction through some parameters, each element of a tensor moved equally far up or down at random. Tensors with small
   * gradients are moved further, up to ten times as far as the others, so that each has its share in the derivative
   * and an error in the smallest bias is not lost beside the largest matrix.
   */
  direction(generator: Generator, isMoved: (name: string) => boolean = () => true): Vectors {
    const moved = [...this.gradients].filter(([name]) => isMoved(name))
    const norms = moved.map(([, gradient]) => norm(gradient))
    const floor = 0.1 * (norms.reduce((a, b) => a + b, 0) / norms.length)
    const lengths = norms.map(length => (floor > 0 ? 1 / (length + floor) : 1))
    const longest = Math.max(...lengths)
    return new Map(
      moved.map(([name, { length }], i) => {
        return [name, signs(length, lengths[i] / longest, generator)]
      }),
    )
  }

  /** Whether a gradient has the slope of the loss along a direction. What is not finite agrees with nothing. */
  agreement(direction: Vectors, gradients = this.gradients): Agreement {
    let [tape, variance] = [0, 0]
    for (const [name, vector] of direction) {
      const gradient = gradients.get(name)!
      for (let i = 0; i < vector.length; i++) tape += gradient[i] * vector[i]
      variance += (Math.max(norm(gradient), SMALL) * vector[0]) ** 2
    }
    const differences = (this.#lossAt(direction, STEP) - this.#lossAt(direction, -STEP)) / (2 * STEP)
    const distance = Math.abs(tape - differences)
    const error = distance / Math.max(Math.sqrt(variance), Math.abs(differences))
    return { error: Number.isFinite(error) ? error : Number.MAX_VALUE, tape, differences }
  }

  /** The tape's gradient once more, in float64 on `reference`: free of rounding, and of everything that only a device does. */
  exactGradients(): Vectors {
    return this.#exactly(batch => {
      const gradients = gradientsOf(this.problem, batch)
      return new Map([...gradients].map(([name, gradient]) => [name, gradient.dataSync() as Float64Array]))
    })
  }

  #lossAt(direction: Vectors, step: number): number {
    return this.#exactly(batch => lossOf(this.problem, batch).dataSync()[0], direction, step)
  }

  /** Runs `f` on `reference` with the model in float64, at its own values or a step away from them. */
  #exactly<T>(f: (batch: LossBatch) => T, direction?: Vectors, step = 0): T {
    const { batch, model } = this.problem
    return device.with('reference', () =>
      scope(() => {
        const moved = [...model.namedParameters()].map(([name, { shape, trainable }]) => {
          const value = this.values.get(name)!.slice()
          const vector = direction?.get(name)
          if (vector) for (let i = 0; i < value.length; i++) value[i] += step * vector[i]
          return Object.assign(new Parameter(fromData(value, shape)), { trainable })
        })
        try {
          const exact = { ...batch, images: Float64Array.from(batch.images) }
          return withParameters(model, moved, () => drawing(this.problem, () => f(exact)))
        } finally {
          for (const { storage } of moved) storage.free('the check of a gradient')
        }
      }),
    )
  }
}

/** A batch in parts draws other random numbers than the whole. */
const lossOf = (problem: LossProblem, batch: LossBatch): Tensor =>
  (problem.parts === 1 ? batchLoss(problem.model, batch, problem) : batchGradients(problem.model, batch, problem).loss)
    .total

const gradientsOf = (problem: LossProblem, batch: LossBatch): Map<string, Tensor> =>
  batchGradients(problem.model, batch, problem).gradients

/** Runs `f` with the program's random numbers beginning at the problem's, and leaves them where they were. */
function drawing<T>({ position }: LossProblem, f: () => T): T {
  const generator = defaultGenerator()
  const before = generator.state.position
  generator.seek(position)
  try {
    return f()
  } finally {
    generator.seek(before)
  }
}

async function readAll(tensors: Iterable<readonly [name: string, tensor: Tensor]>): Promise<Vectors> {
  const read = new Map<string, Float64Array>()
  for (const [name, tensor] of tensors) read.set(name, Float64Array.from(await tensor.data()))
  return read
}

/** Numbers of one size and random signs. */
function signs(length: number, size: number, generator: Generator): Float64Array {
  const vector = new Float64Array(length)
  let word = 0
  for (let i = 0; i < length; i++) {
    word = i % 32 === 0 ? generator.uint32() : word >>> 1
    vector[i] = word % 2 === 0 ? size : -size
  }
  return vector
}

function norm(vector: Float64Array): number {
  let sum = 0
  for (let i = 0; i < vector.length; i++) sum += vector[i] * vector[i]
  return Math.sqrt(sum)
}
