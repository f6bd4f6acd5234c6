// An objective: a module and the loss of a batch. Trainer, accumulation, guard, doctor and `gradcheck --model` need nothing
// else, so they work with any module that has a loss.

import type { Communicator } from '../mpi/index.ts'
import { type LossAndGradients, Module } from '../nn/index.ts'
import { given } from '../tensor/given.ts'
import { ArgumentError, show, Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { leavesOf, mapLeaves } from './batch-tree.ts'
import type { Reducer, Steps } from './parallel.ts'

/** The total loss, which is differentiated, and its parts by name. Each is a scalar. */
export interface Losses {
  /** the loss that is minimized, a scalar */
  readonly total: Tensor
  readonly [name: string]: Tensor
}

/** A loss and its gradients with respect to the trainable parameters, by name. */
export type LossGradients = Pick<LossAndGradients<Losses>, 'loss' | 'gradients'>

/**
 * A module and its loss. Only `model` and `loss` are required; the other members add what cannot be derived from them.
 * @typeParam Batch tensors and typed arrays, in arrays and plain objects at any depth
 * @typeParam Examples the examples that the model is evaluated on during training
 */
export interface Objective<Batch = unknown, Examples = unknown> {
  /** the module that is trained */
  readonly model: Module

  /**
   * The loss of a batch, a scalar: the mean over its examples, or over the number that {@link weight} returns. If it is a record
   * of scalars, `total` is minimized, and all of them are recorded.
   */
  loss(batch: Batch): Tensor | Losses

  /**
   * The gradient of one part of a batch, for a loss that is not a mean over the parts (a contrastive loss compares the examples
   * of all parts). Runs once for every part; `yield* reducer.gather(…)` waits for the tensors of the other parts.
   * Default: the weighted mean over the parts.
   */
  gradients?(part: Batch, reducer: Reducer): Steps<LossGradients>

  /** Number of examples. Default: the first axis of the first tensor. */
  size?(batch: Batch): number

  /** The examples start … stop - 1. Default: rows start … stop - 1 of every tensor. */
  slice?(batch: Batch, start: number, stop: number): Batch

  /** The number of items that the loss of a batch is a mean over, such as the tokens of its texts. Default: its size. */
  weight?(batch: Batch): number

  /**
   * The tensors of a batch, in arrays and plain objects, from which {@link lossOfInputs} computes the loss. For batches that are not
   * tensors: `capture` needs them. Both methods are there or none
   */
  inputs?(batch: Batch): unknown

  /** The loss of a batch from its {@link inputs}: the same as `loss(batch)`. */
  lossOfInputs?(inputs: unknown): Tensor | Losses

  /** Other scalars to record in the metrics, such as a temperature. */
  measures?(): Readonly<Record<string, Tensor>>

  /** Vectors of unit length that should differ between examples, [examples, width], by name. The doctor compares them. */
  embeddings?(batch: Batch): Readonly<Record<string, Tensor>>

  /** Approximate number of rows of each matrix product per example, to estimate the time of a check. Default 1. */
  readonly rowsPerExample?: number

  /**
   * Evaluates the model on held-out examples.
   * @param ranks processes that all call it with the same examples and may divide them; each has to get the result for all. Given only
   *   if `dividesEvaluation` is true; otherwise rank 0 alone calls it
   */
  evaluate?(examples: Examples, ranks?: Communicator): Promise<Readonly<Record<string, number>>>

  /** Whether `evaluate` divides examples among processes; default false */
  readonly dividesEvaluation?: boolean

  /** Called after each update, to keep parameters within bounds. */
  afterUpdate?(): void
}

/** An objective for batches of any type. */
export const isObjective = new is.Kind<Objective<never>>('an objective, { model, loss: batch => … }', value => {
  const { model, loss } = (value ?? {}) as Partial<Objective>
  return model instanceof Module && typeof loss === 'function'
})

/**
 * The losses of a batch.
 * @throws ArgumentError if the objective returns anything but scalars
 */
export function lossesOf<Batch>(objective: Objective<Batch>, batch: Batch): Losses {
  const loss = objective.loss(batch)
  const losses: Losses = loss instanceof Tensor ? { total: loss } : { ...loss }
  if (!(losses.total instanceof Tensor))
    throw new ArgumentError(
      `objective.loss(batch) returned ${given(loss)}: return a scalar tensor, or an object with a scalar tensor as total`,
      'objective.loss',
      'loss',
      loss,
    )
  for (const [name, part] of Object.entries(losses))
    if (!(part instanceof Tensor) || part.size !== 1)
      throw new ArgumentError(
        `objective.loss(batch): ${name} is ${part instanceof Tensor ? show(part.shape) : given(part)}: each loss must be a scalar; use mean() or sum()`,
        'objective.loss',
        name,
        part,
      )
  return losses
}

/** The number of examples in a batch; undefined if neither the objective nor a tensor in the batch determines it. */
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

/** The first examples of a batch, or the whole batch if its size is unknown. */
export function firstExamples<Batch>(objective: Objective<Batch>, batch: Batch, count: number): Batch {
  const size = sizeOf(objective, batch)
  return size === undefined ? batch : sliceOf(objective, batch, 0, Math.min(count, size))
}
