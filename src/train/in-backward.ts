// An update during the backward pass: each parameter is updated as soon as its gradient is complete, and the gradient is freed at once.
// Values are checked before they are used where a device can be read synchronously, but the update of other parameters cannot be
// undone: the loop goes back to the last checkpoint after an error.

import { noGrad, stack } from '../autograd/index.ts'
import { lossAndGradients } from '../nn/index.ts'
import type { Optimizer } from '../optim/index.ts'
import { defaultGenerator, deviceOf, keep, scope, type Tensor } from '../tensor/index.ts'
import { diagnose, type Finding, inspect, TrainingError } from './guard/diagnose.ts'
import { lossesOf, type Objective } from './objective.ts'

/** What is measured in a step, from before its update. */
export interface Measured {
  /** the total loss, its parts, then other measures */
  readonly values: readonly number[]
  /** names of the parts, and of the other measures */
  readonly names: readonly string[]
  readonly measured: readonly string[]
  /** of all gradients together, before clipping */
  readonly gradientNorm: number
  /** seconds that the inspection took */
  readonly inspected: number
}

/** A value that is not finite, found before or during the backward pass. */
class NonFinite extends Error {
  readonly findings: readonly Finding[] | undefined

  constructor(findings?: readonly Finding[]) {
    super('a value is not finite')
    this.findings = findings
  }
}

/**
 * Computes the losses of a batch, and updates the parameters during the backward pass. The norm is that of all gradients.
 * @throws TrainingError if a value is not finite; some parameters may be updated then, as after any other error
 */
export async function updateInBackward<Batch>(
  { objective, optimizer }: { readonly objective: Objective<Batch>; readonly optimizer: Optimizer },
  batch: Batch,
  step: number,
  learningRate: number,
): Promise<Measured> {
  const { position } = defaultGenerator().state
  const squares = new SquaredNorms()
  const refuse = (findings: readonly Finding[]) => new TrainingError(step, findings)
  try {
    const { loss } = scope(
      () =>
        lossAndGradients(objective.model, () => reported(objective, batch), {
          onGradient(name, gradient) {
            squares.add(name, gradient)
            optimizer.step(new Map([[name, gradient]]), learningRate)
          },
        }),
      `step ${step}`,
    )
    try {
      const values = [...(await loss.report.data())]
      const gradientNorm = await squares.norm()
      if (![...values, gradientNorm].every(Number.isFinite)) throw refuse(await nonFiniteParameters(objective))
      return { values, names: loss.names, measured: loss.measured, gradientNorm, inspected: 0 }
    } finally {
      loss.report.storage.free(`step ${step}`)
      loss.total.storage.free(`step ${step}`)
    }
  } catch (error) {
    if (!(error instanceof NonFinite)) throw error
    if (error.findings) throw refuse(error.findings)
    // nothing is updated yet, so the step can be computed again
    defaultGenerator().seek(position)
    throw refuse(await diagnose(objective, batch))
  } finally {
    squares.free()
  }
}

/** The total loss, and a report of it, its parts and the measures from before the update. @throws NonFinite where it can be read */
function reported<Batch>(objective: Objective<Batch>, batch: Batch) {
  const losses = lossesOf(objective, batch)
  const { total, ...named } = losses
  const measures = objective.measures?.() ?? {}
  const report = noGrad(() =>
    stack([total, ...Object.values(named), ...Object.values(measures)].map(value => value.reshape([]))),
  )
  if (canBeRead(report) && !report.dataSync().every(Number.isFinite)) throw new NonFinite()
  return { total, report, names: Object.keys(named), measured: Object.keys(measures) }
}

const canBeRead = (x: Tensor): boolean => deviceOf(x).readSync !== undefined

/** The sum of squares of each gradient, as numbers where the device can be read synchronously. */
class SquaredNorms {
  #sum = 0
  readonly #unread: Tensor[] = []

  /** @throws NonFinite if the gradient is not finite, and its device can be read synchronously */
  add(name: string, gradient: Tensor): void {
    const square = noGrad(() => deviceOf(gradient).kernels.sumOfSquares?.([gradient]) ?? gradient.square().sum())
    if (!canBeRead(square)) {
      this.#unread.push(keep(square))
      return
    }
    const value = square.dataSync()[0]
    square.storage.free('the norm of the gradients')
    if (!Number.isFinite(value)) throw new NonFinite(inspect('gradient', name, gradient.shape, gradient.dataSync()))
    this.#sum += value
  }

  /** The norm of all gradients together. */
  async norm(): Promise<number> {
    if (this.#unread.length === 0) return Math.sqrt(this.#sum)
    const all = scope(() => stack(this.#unread))
    const values = await all.data()
    all.storage.free('the norm of the gradients')
    return Math.sqrt([...values].reduce((sum, value) => sum + value, this.#sum))
  }

  free(): void {
    for (const { storage } of this.#unread) storage.free('the norm of the gradients')
  }
}

/** The parameters that are not finite after an update. */
async function nonFiniteParameters<Batch>({ model }: Objective<Batch>): Promise<Finding[]> {
  const found: Finding[] = []
  for (const [name, parameter] of model.namedParameters())
    found.push(...inspect('parameter', name, parameter.shape, await parameter.data()))
  return found
}
