// Is the gradient of a whole loss right? Along a random direction through many parameters at once, the tape's gradient is
// held against differences of the loss in float64 on `reference`: two evaluations, however many parameters there are. The
// model that trains is the one that is evaluated, with other values in its parameters for as long as that takes. Where the two
// differ, it can be a rule, a kernel, the rounding of float32, or a kink of the loss: the tape runs on `reference` in both
// precisions and the differences are taken in shorter steps, which tells them apart.

import { Parameter, withParameters } from '../../nn/index.ts'
import { defaultGenerator, device, fromData, type Generator, isAbove, scope, type Tensor } from '../../tensor/index.ts'
import { type Numbers, readBatch, writeBatch } from '../batch-tree.ts'
import { batchGradients } from '../gradients.ts'
import { lossesOf, type Objective } from '../objective.ts'

/** A loss as a function of a model's parameters: one batch, and the random numbers that dropout draws. */
export interface LossProblem<Batch = unknown> {
  readonly objective: Objective<Batch>
  readonly batch: Batch
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

/** An agreement, and where the error was worth a second look, what that showed. */
export interface Verdict extends Agreement {
  /** the error of the tape in float64 on `reference` */
  readonly inFloat64?: number
  /** true where no rule is wrong, and some of the differences were spoilt by kinks of the loss, as those of relu */
  readonly kinks?: boolean
}

/** How far the gradient of one tensor is from the exact one. */
export interface TensorError {
  readonly name: string
  /** |device - exact| over |exact| */
  readonly error: number
}

/**
 * The largest error of a right rule: in float64 the tape and the differences agree to about 1e-6. An error beyond it is worth
 * a look at the tape in float64, which tells a rule that is wrong a little from a device that rounds.
 */
export const EXACT = 1e-4

/** Whether the tape is wrong in float64 too. */
export const isRuleWrong = ({ inFloat64 = 0, kinks = false }: Pick<Verdict, 'inFloat64' | 'kinks'>): boolean =>
  inFloat64 > EXACT && !kinks

/** Norm of one parameter's gradient below which float32 has little to say: rounding alone is a hundredth of it. */
const SMALL = 1e-4

/** Of the mean norm: what is not told apart from 0 in the gradient of one tensor. */
const LITTLE = 1e-4

/**
 * A kernel that rounds well may be so many times as far from float64 as float32 on `reference` is, which rounds less often: 6
 * times were seen, in gradients that were nothing but rounding too.
 */
const ROUNDING = 20

/**
 * How far the elements that a direction moves most are moved to either side; the shorter ones where a longer one may have met a
 * kink. Still shorter ones would leave too few of a loss's 16 digits.
 */
const STEPS = [1e-6, 1e-6 / 16, 1e-6 / 256] as const

/** A loss at the present values of a model's parameters, with the tape's gradient from where the model is. */
export class LossProbe {
  readonly problem: LossProblem
  /** of every parameter, the frozen ones too */
  readonly values: Vectors
  /** of those that are not frozen */
  readonly gradients: Vectors
  /** the problem's batch, read */
  readonly #batch: unknown

  private constructor(problem: LossProblem, batch: unknown, values: Vectors, gradients: Vectors) {
    this.problem = problem
    this.#batch = batch
    this.values = values
    this.gradients = gradients
  }

  /** Computes the gradient on the model's device, and reads it and the values. */
  static async open(problem: LossProblem): Promise<LossProbe> {
    const gradients = drawing(problem, () => scope(() => gradientsOf(problem, problem.batch)))
    const values = await readAll(problem.objective.model.namedParameters())
    const probe = new LossProbe(problem, await readBatch(problem.batch), values, await readAll(gradients))
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
    const [up, down] = [this.#lossAt(direction, STEPS[0]), this.#lossAt(direction, -STEPS[0])]
    return compare(direction, gradients, (up - down) / (2 * STEPS[0]))
  }

  /**
   * Is the gradient right along a direction, and if not, are the rules?
   *
   * A kink between the two points of a difference spoils it, however right the gradient is. So one that does not fit is taken
   * again in shorter steps, until it fits the tape in float64 and the slopes to both sides are the same; if it never does, what
   * counts is the step at which the two sides differ least, for a wrong rule is as wrong in any step. Where they differ there by
   * more than the error, nothing is said against the rules: there is a kink at the weights themselves.
   * @param bound an error beyond this or `EXACT` gets the second look
   */
  judge(direction: Vectors, bound: number): Verdict {
    const first = this.agreement(direction)
    if (first.error <= Math.min(EXACT, bound)) return first
    const exact = this.exactGradients()
    const middle = this.#lossAt(direction, 0)
    const looks: { differences: number; inFloat64: number; bend: number }[] = []
    for (const step of STEPS) {
      const [up, down] = [this.#lossAt(direction, step), this.#lossAt(direction, -step)]
      const differences = (up - down) / (2 * step)
      const inFloat64 = compare(direction, exact, differences).error
      const bend = Math.abs(up - 2 * middle + down) / step / sizeOf(direction, exact, differences)
      looks.push({ differences, inFloat64, bend })
      if (inFloat64 <= EXACT && bend <= EXACT) break
    }
    const { differences, inFloat64, bend } = looks.reduce((a, b) => (isAbove(-b.bend, -a.bend) ? b : a))
    const kinks = looks.some(look => look.inFloat64 > EXACT) && inFloat64 <= Math.max(EXACT, bend)
    // where kinks leave no difference to be trusted, the device is held against the exact tape
    const isSpoilt = kinks && inFloat64 > EXACT
    const slope = isSpoilt ? along(direction, exact) : differences
    return { ...compare(direction, this.gradients, slope), differences, inFloat64, ...(kinks && { kinks }) }
  }

  /**
   * The tensors whose gradient is another on the device than in float64 on `reference`, by more than a share of it, and by more
   * than float32 rounds; in the order of the model. Of a tensor that hardly has a gradient, as the bias of keys, which no softmax
   * feels, rounding is all that is seen.
   */
  wrongTensors(bound: number): TensorError[] {
    const exact = this.exactGradients()
    const norms = [...exact.values()].map(norm)
    const floor = LITTLE * Math.max(norms.reduce((a, b) => a + b, 0) / norms.length, SMALL)
    const far = [...exact].flatMap(([name, right]) => {
      const off = distance(this.gradients.get(name)!, right)
      const error = finite(off / Math.max(norm(right), floor))
      return error > bound ? [{ name, error, off, right }] : []
    })
    if (far.length === 0) return []
    this.#rounded ??= this.#gradientsIn(Float32Array)
    const rounded = this.#rounded
    return far
      .filter(({ name, off, right }) => off > ROUNDING * distance(rounded.get(name)!, right))
      .map(({ name, error }) => ({ name, error }))
  }

  #exact?: Vectors
  #rounded?: Vectors

  /** The tape's gradient once more, in float64 on `reference`: free of rounding, and of everything that only a device does. */
  exactGradients(): Vectors {
    this.#exact ??= this.#gradientsIn(Float64Array)
    return this.#exact
  }

  #gradientsIn(numbers: Numbers): Vectors {
    return this.#onReference(numbers, batch => {
      const gradients = gradientsOf(this.problem, batch)
      return new Map([...gradients].map(([name, gradient]) => [name, Float64Array.from(gradient.dataSync())]))
    })
  }

  #lossAt(direction: Vectors, step: number): number {
    return this.#onReference(Float64Array, batch => lossOf(this.problem, batch).dataSync()[0], direction, step)
  }

  /** Runs `f` on `reference` with the model in float64 or float32, at its own values or a step away from them. */
  #onReference<T>(numbers: Numbers, f: (batch: unknown) => T, direction?: Vectors, step = 0): T {
    const { model } = this.problem.objective
    return device.with('reference', () =>
      scope(() => {
        const moved = [...model.namedParameters()].map(([name, { shape, trainable }]) => {
          const value = this.values.get(name)!.slice()
          const vector = direction?.get(name)
          if (vector) for (let i = 0; i < value.length; i++) value[i] += step * vector[i]
          return Object.assign(new Parameter(fromData(numbers.from(value), shape)), { trainable })
        })
        try {
          return withParameters(model, moved, () => drawing(this.problem, () => f(writeBatch(this.#batch, numbers))))
        } finally {
          for (const { storage } of moved) storage.free('the check of a gradient')
        }
      }),
    )
  }
}

/** The derivative along a direction, of a function with these gradients. */
function along(direction: Vectors, gradients: Vectors): number {
  let sum = 0
  for (const [name, vector] of direction) {
    const gradient = gradients.get(name)!
    for (let i = 0; i < vector.length; i++) sum += gradient[i] * vector[i]
  }
  return sum
}

/** The size that derivatives along such directions have, or that of a derivative if it is larger. */
function sizeOf(direction: Vectors, gradients: Vectors, differences: number): number {
  let variance = 0
  for (const [name, vector] of direction) variance += (Math.max(norm(gradients.get(name)!), SMALL) * vector[0]) ** 2
  return Math.max(Math.sqrt(variance), Math.abs(differences))
}

function compare(direction: Vectors, gradients: Vectors, differences: number): Agreement {
  const tape = along(direction, gradients)
  const error = Math.abs(tape - differences) / sizeOf(direction, gradients, differences)
  return { error: finite(error), tape, differences }
}

/** What is no finite number is as far off as can be. */
const finite = (error: number): number => (Number.isFinite(error) ? error : Number.MAX_VALUE)

/** A batch in parts draws other random numbers than the whole. */
const lossOf = ({ objective, parts }: LossProblem, batch: unknown): Tensor =>
  (parts === 1 ? lossesOf(objective, batch) : batchGradients(objective, batch, parts).loss).total

const gradientsOf = ({ objective, parts }: LossProblem, batch: unknown): Map<string, Tensor> =>
  batchGradients(objective, batch, parts).gradients

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

/** |a - b| */
const distance = (a: Float64Array, b: Float64Array): number => finite(norm(a.map((value, i) => value - b[i])))

function norm(vector: Float64Array): number {
  let sum = 0
  for (let i = 0; i < vector.length; i++) sum += vector[i] * vector[i]
  return Math.sqrt(sum)
}
