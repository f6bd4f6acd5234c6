// Checks the gradient of a whole loss. Along a random direction through many parameters at once, the tape's gradient is
// compared with finite differences of the loss in float64, on `cpu` if the model is there, else on `reference`. This takes two
// evaluations for any number of parameters; the trained model itself is evaluated, with other values in its parameters. If the
// two differ, the cause is a rule, a kernel, the rounding of float32 or a kink of the loss: to distinguish them, the tape runs on
// `reference` in both precisions, and the differences are computed there with shorter steps.

import type { ExactDevice } from '../../autograd/gradcheck/gradcheck.ts'
import { type Module, Parameter, withParameters } from '../../nn/index.ts'
import {
  type DType,
  defaultGenerator,
  device,
  fromData,
  type Generator,
  isAbove,
  type Shape,
  scope,
  Tensor,
  zeros,
} from '../../tensor/index.ts'
import { mapLeaves, type Numbers, readBatch, writeBatch } from '../batch-tree.ts'
import { batchGradients } from '../gradients.ts'
import { lossesOf, type Objective } from '../objective.ts'

/** A loss as a function of a model's parameters: one batch, and the random numbers that dropout draws. */
export interface LossProblem<Batch = unknown> {
  readonly objective: Objective<Batch>
  readonly batch: Batch
  /** number of parts in which the gradient of the batch is computed */
  readonly parts: number
  /** position of the default generator at which the loss starts to draw */
  readonly position: number
}

/** One vector per parameter, by name. */
export type Vectors = ReadonlyMap<string, Float64Array>

/** The derivative of the loss along a direction, computed in two ways. */
export interface Agreement {
  /** |tape - differences| / the typical size of derivatives along such directions, or / |differences| if that is larger */
  readonly error: number
  readonly tape: number
  readonly differences: number
}

/** An agreement and, if the error was examined further, the results of that. */
export interface Verdict extends Agreement {
  /** the error of the tape in float64 on `reference` */
  readonly inFloat64?: number
  /** true if no rule is wrong, but kinks of the loss, such as those of relu, made some of the differences wrong */
  readonly kinks?: boolean
}

/** The error of the gradient of one tensor. */
export interface TensorError {
  readonly name: string
  /** |device - exact| / |exact| */
  readonly error: number
}

/**
 * The largest error of a right rule: in float64 the tape and the differences agree to about 1e-6. If the error is larger, the
 * tape also runs in float64, which distinguishes a slightly wrong rule from the rounding of a device.
 */
export const EXACT = 1e-4

/** Whether the tape is wrong in float64 too. */
export const isRuleWrong = ({ inFloat64 = 0, kinks = false }: Pick<Verdict, 'inFloat64' | 'kinks'>): boolean =>
  inFloat64 > EXACT && !kinks

/** Norm of one parameter's gradient below which float32 is inaccurate: rounding alone is a hundredth of it. */
const SMALL = 1e-4

/** Share of the mean norm below which the gradient of one tensor is not distinguished from 0. */
const LITTLE = 1e-4

/**
 * A right kernel may differ from float64 by so many times the difference of float32 on `reference`, which rounds less often: 6
 * times were measured, also in gradients that consist of rounding alone.
 */
const ROUNDING = 20

/**
 * Step lengths to either side, for the elements that a direction moves most. The shorter ones are used if a longer one may have
 * crossed a kink. Still shorter ones would leave too few of the loss's 16 digits.
 */
const STEPS = [1e-6, 1e-6 / 16, 1e-6 / 256] as const

/** A loss at the current values of a model's parameters, with the tape's gradient on the model's device. */
export class LossProbe {
  readonly problem: LossProblem
  /** of all parameters, frozen ones included */
  readonly values: Vectors
  /** of the parameters that are not frozen */
  readonly gradients: Vectors
  /** the problem's batch, on the host */
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
   * A direction through some parameters. All elements of a tensor move by the same amount, up or down at random. Tensors with
   * small gradients move up to ten times as far as the others, so that each contributes to the derivative and an error in the
   * smallest bias is visible beside the largest matrix.
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

  /** Compares a gradient with the slope of the loss along a direction. A value that is not finite never agrees. */
  agreement(direction: Vectors, gradients = this.gradients): Agreement {
    const on = isOnCpu(this.problem) ? 'cpu' : 'reference'
    const [up, down] = [this.#lossAt(direction, STEPS[0], on), this.#lossAt(direction, -STEPS[0], on)]
    return compare(direction, gradients, (up - down) / (2 * STEPS[0]))
  }

  /**
   * Checks the gradient along a direction and, if it is wrong, the rules.
   *
   * If a kink is between the two points of a difference, the difference is wrong even if the gradient is right. A difference
   * that does not agree is therefore computed again with shorter steps, until it agrees with the tape in float64 and the slopes
   * on both sides are equal. If that never happens, the step at which the two sides differ least counts, because a wrong rule
   * has the same error at any step. If the sides differ there by more than the error, the rules are not called wrong: the kink
   * is at the weights themselves.
   * @param bound an error above this or above `EXACT` is examined further
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
    // if kinks make all differences unreliable, the device is compared with the exact tape
    const isSpoilt = kinks && inFloat64 > EXACT
    const slope = isSpoilt ? along(direction, exact) : differences
    return { ...compare(direction, this.gradients, slope), differences, inFloat64, ...(kinks && { kinks }) }
  }

  /**
   * The tensors whose gradient on the device differs from that in float64 on `reference` by more than `bound` times its norm and
   * by more than the rounding of float32, in the order of the model. The gradient of the bias of keys, which does not change the
   * result of a softmax, consists of rounding alone.
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

  /** The tape's gradient in float64 on `reference`: without the rounding of float32 and without the kernels of the device. */
  exactGradients(): Vectors {
    this.#exact ??= this.#gradientsIn(Float64Array)
    return this.#exact
  }

  #gradientsIn(numbers: Numbers): Vectors {
    return this.#inPrecision(numbers, 'reference', batch => {
      const gradients = gradientsOf(this.problem, batch)
      return new Map([...gradients].map(([name, gradient]) => [name, Float64Array.from(gradient.dataSync())]))
    })
  }

  #lossAt(direction: Vectors, step: number, on: ExactDevice = 'reference'): number {
    return this.#inPrecision(Float64Array, on, batch => lossOf(this.problem, batch).dataSync()[0], direction, step)
  }

  /** Runs `f` on a device with the model in float64 or float32, at its own values or a step away from them. */
  #inPrecision<T>(numbers: Numbers, on: ExactDevice, f: (batch: unknown) => T, direction?: Vectors, step = 0): T {
    const { model } = this.problem.objective
    const valueFor = (name: string, shape: Shape) => {
      const value = this.values.get(name)!.slice()
      const vector = direction?.get(name)
      if (vector) for (let i = 0; i < value.length; i++) value[i] += step * vector[i]
      return fromData(numbers.from(value), shape)
    }
    const run = () => drawing(this.problem, () => f(writeBatch(this.#batch, numbers)))
    return device.with(on, () => withValues(model, valueFor, run))
  }
}

/** Runs `f` with other values in the parameters of a model. */
function withValues<T>(model: Module, valueFor: (name: string, shape: Shape) => Tensor, f: () => T): T {
  return scope(() => {
    const moved = [...model.namedParameters()].map(([name, { shape, trainable }]) =>
      Object.assign(new Parameter(valueFor(name, shape)), { trainable }),
    )
    try {
      return withParameters(model, moved, f)
    } finally {
      for (const { storage } of moved) storage.free('the check of a gradient')
    }
  })
}

/** Takes the memory that a check takes on the device of the model, for a count: of the gradient, and of the loss in float64 on `cpu`. */
export function takeMemoryOfCheck(problem: LossProblem): void {
  scope(() => void gradientsOf(problem, problem.batch))
  if (!isOnCpu(problem)) return
  const zerosIn = (shape: Shape, dtype: DType) => zeros(shape, { dtype: dtype === 'float32' ? 'float64' : dtype })
  withValues(
    problem.objective.model,
    (_, shape) => zerosIn(shape, 'float32'),
    () => {
      const read = mapLeaves(problem.batch, leaf => (leaf instanceof Tensor ? zerosIn(leaf.shape, leaf.dtype) : leaf))
      lossOf(problem, writeBatch(read, Float64Array))
    },
  )
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

/** The typical size of derivatives along such directions, or that of this derivative if it is larger. */
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

/** An error that is not finite counts as the largest possible one. */
const finite = (error: number): number => (Number.isFinite(error) ? error : Number.MAX_VALUE)

const isOnCpu = ({ objective }: LossProblem): boolean => objective.model.parameters()[0]?.device === 'cpu'

/** A batch in parts draws other random numbers than a whole batch. */
const lossOf = ({ objective, parts }: LossProblem, batch: unknown): Tensor =>
  (parts === 1 ? lossesOf(objective, batch) : batchGradients(objective, batch, parts).loss).total

const gradientsOf = ({ objective, parts }: LossProblem, batch: unknown): Map<string, Tensor> =>
  batchGradients(objective, batch, parts).gradients

/** Runs `f` with the default generator at the problem's position, and then restores its position. */
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

/** Numbers of equal size and random sign. */
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
