// An objective: a module and the loss of a batch. Trainer, accumulation, guard, doctor and `gradcheck --model` use nothing
// else of a model, so any module with a loss can use all of them.

import { type LossAndGradients, Module } from '../nn/index.ts'
import { given } from '../tensor/given.ts'
import { ArgumentError, show, Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { leavesOf, mapLeaves } from './batch-tree.ts'
import type { Reducer, Steps } from './parallel.ts'

/** The loss that is differentiated, and by name what else it consists of. Each is a scalar. */
export interface Losses {
  readonly total: Tensor
  readonly [name: string]: Tensor
}

/** A loss and its gradients by the trainable parameters, by name. */
export type Gradients = Pick<LossAndGradients<Losses>, 'loss' | 'gradients'>

/**
 * A module and its loss. Only `model` and `loss` are needed; the other members say what cannot be found out from them.
 * @typeParam Batch tensors and typed arrays, in arrays and plain objects at any depth
 * @typeParam Examples what the model is evaluated on during training
 */
export interface Objective<Batch = unknown, Examples = unknown> {
  readonly model: Module

  /**
   * The loss of a batch, a scalar: the mean over its examples, or whatever {@link weight} says. A record of scalars is measured
   * whole, and its `total` is minimized.
   */
  loss(batch: Batch): Tensor | Losses

  /**
   * The gradient of one part of a batch, for a loss that is not a mean over the parts (a contrastive loss compares the examples
   * of all parts). Runs once for every part; `yield* reducer.gather(…)` waits for what the other parts have.
   * Default: the means of the parts, by their weights.
   */
  gradients?(part: Batch, reducer: Reducer): Steps<Gradients>

  /** Number of examples. Default: the first axis of the first tensor. */
  size?(batch: Batch): number

  /** The examples start … stop - 1. Default: rows start … stop - 1 of every tensor. */
  slice?(batch: Batch, start: number, stop: number): Batch

  /** Over how many things the loss of a batch is a mean, such as the tokens of its texts. Default: its size. */
  weight?(batch: Batch): number

  /** What else is worth a curve, such as a temperature: scalars. */
  measures?(): Readonly<Record<string, Tensor>>

  /** Vectors of unit length that should differ between examples, [examples, width], by name. The doctor compares them. */
  embeddings?(batch: Batch): Readonly<Record<string, Tensor>>

  /** About how many rows of each matrix product an example has, from which the time of a check is estimated. Default 1. */
  readonly rowsPerExample?: number

  /** What the model is worth on examples held back. */
  evaluate?(examples: Examples): Promise<Readonly<Record<string, number>>>

  /** Runs after each update, to keep parameters in their bounds. */
  afterUpdate?(): void
}

/** An objective, of whatever batches the type says. */
export const isObjective = new is.Kind<Objective<never>>('an objective, { model, loss: batch => … }', value => {
  const { model, loss } = (value ?? {}) as Partial<Objective>
  return model instanceof Module && typeof loss === 'function'
})

/**
 * The losses of a batch.
 * @throws ArgumentError where the objective gives something else than scalars
 */
export function lossesOf<Batch>(objective: Objective<Batch>, batch: Batch): Losses {
  const loss = objective.loss(batch)
  const losses: Losses = loss instanceof Tensor ? { total: loss } : { ...loss }
  if (!(losses.total instanceof Tensor))
    throw new ArgumentError(
      `objective.loss(batch) gave ${given(loss)}: return a scalar tensor, or an object with one as total`,
      'objective.loss',
      'loss',
      loss,
    )
  for (const [name, part] of Object.entries(losses))
    if (!(part instanceof Tensor) || part.size !== 1)
      throw new ArgumentError(
        `objective.loss(batch): ${name} is ${part instanceof Tensor ? show(part.shape) : given(part)}: each loss is a scalar; take a mean() or a sum()`,
        'objective.loss',
        name,
        part,
      )
  return losses
}

/** How many examples a batch has; undefined where neither the objective nor a tensor in the batch tells. */
export function sizeOf<Batch>(objective: Objective<Batch>, batch: Batch): number | undefined {
  if (objective.size) return objective.size(batch)
  const first = leavesOf(batch).find(leaf => leaf instanceof Tensor && leaf.rank > 0)
  return first instanceof Tensor ? first.shape[0] : undefined
}

/** Some examples of a batch. */
export function sliceOf<Batch>(objective: Objective<Batch>, batch: Batch, start: number, stop: number): Batch {
  if (objective.slice) return objective.slice(batch, start, stop)
  return mapLeaves(batch, leaf => (leaf instanceof Tensor && leaf.rank > 0 ? leaf.slice([{ start, stop }]) : leaf))
}

/** The first examples of a batch, or all of it where it cannot be cut. */
export function firstExamples<Batch>(objective: Objective<Batch>, batch: Batch, count: number): Batch {
  const size = sizeOf(objective, batch)
  return size === undefined ? batch : sliceOf(objective, batch, 0, Math.min(count, size))
}
