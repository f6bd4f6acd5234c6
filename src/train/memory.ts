// The memory that a training will need, counted before it begins: one step runs without computing anything.

import { lossAndGradients } from '../nn/index.ts'
import { clipGradients, ExponentialMovingAverage, Optimizer } from '../optim/index.ts'
import { demand, describeNeed, isLargePart, largerMemory } from '../tensor/demand.ts'
import { bytesPerElement } from '../tensor/dtype.ts'
import {
  countMemory,
  type DeviceName,
  defaultGenerator,
  device,
  type MemoryCount,
  scope,
  storagesIn,
  type Tensor,
  zerosLike,
} from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { batchGradients } from './gradients.ts'
import { takeMemoryOfCheck } from './guard/directional.ts'
import { firstExamples, isObjective, lossesOf, type Objective } from './objective.ts'
import type { RankOptions } from './optimizer-shards.ts'
import { restorer } from './restore.ts'

/** The memory of a training step on its device, in bytes. */
export interface TrainingMemory {
  /** at the highest point of a step: all of the following */
  readonly peak: number
  /** parameters and buffers */
  readonly weights: number
  /** those of all trainable parameters; of the largest one, if they are updated during the backward pass */
  readonly gradients: number
  /** the state of the optimizer, such as its moments */
  readonly optimizer: number
  /** the average of the weights, if one is kept */
  readonly average: number
  /**
   * the rest at the highest point: the batch, what the backward pass needs of the forward pass, temporary values, or what the guard's
   * check of the gradient takes on the device: the model in float64. It is small where the
   * highest point is the update, when the activations are freed and all gradients are there
   */
  readonly activations: number
}

/** Options of `countTraining`. */
export interface CountTrainingOptions<Batch> {
  /** the model and its loss */
  readonly objective: Objective<Batch>
  /** of the parameters of the model */
  readonly optimizer: Optimizer
  /** the average of the parameters, if there is one */
  readonly average?: ExponentialMovingAverage
  /** one batch; only the shapes of its tensors matter */
  readonly batch: Batch
  /** number of parts that a batch is split into; default 1 */
  readonly parts?: number
  /** whether parameters are updated during the backward pass; default false */
  readonly inBackward?: boolean
  /** number of examples on which the guard checks gradients; default 0: without a guard */
  readonly guardExamples?: number
}
const countTrainingOptions = {
  objective: isObjective,
  optimizer: is.instance('an optimizer of the parameters of the model, such as new AdamW(model)', Optimizer),
  average: is.optional(is.instance('an average of the weights of the model', ExponentialMovingAverage)),
  batch: is.anything as is.Kind<never>,
  parts: is.byDefault(1, is.count),
  inBackward: false,
  guardExamples: is.byDefault(0, is.size),
} satisfies Settings<CountTrainingOptions<never>>

/**
 * The memory that a step of `fit` will need, without computing it: see `countMemory`. The loss is called once, and nothing changes.
 *
 *     const { peak, activations } = countTraining({ objective: { model, loss }, optimizer, batch })
 *
 * The model may be one of `withoutAllocation`, to count a training that the machine cannot hold.
 */
export function countTraining<Batch>(options: CountTrainingOptions<Batch>): TrainingMemory {
  const settled = settle(
    'countTraining(options)',
    options as unknown as CountTrainingOptions<never>,
    countTrainingOptions,
  )
  const filled = settled.objective.model.parameters().find(({ storage }) => storage.device.hasValues !== false)
  return countedTraining(() => settled, filled?.device).memory
}

/** @param prepare makes what is trained, without values, or returns what there is */
export function countedTraining<Batch>(
  prepare: () => CountTrainingOptions<Batch>,
  on?: DeviceName,
): { readonly memory: TrainingMemory; readonly before: number } {
  const count = countMemory(() => step(prepare()), { device: on })
  return { memory: split(count), before: count.before }
}

function split({ peak, result }: MemoryCount<Omit<TrainingMemory, 'peak' | 'activations'>>): TrainingMemory {
  const { weights, gradients, optimizer, average } = result
  return { peak, ...result, activations: peak - weights - gradients - optimizer - average }
}

const bytesOf = ({ size, dtype }: Tensor): number => size * bytesPerElement(dtype)

function bytesIn(tensors: ReadonlyMap<string, Tensor>): number {
  // what exists counts from the beginning
  storagesIn([...tensors.values()])
  return [...tensors.values()].reduce((sum, tensor) => sum + bytesOf(tensor), 0)
}

/** A step as step.ts makes it, after the first one: the optimizer has its state. */
function step<Batch>(options: CountTrainingOptions<Batch>) {
  const { objective, optimizer, average, batch, parts = 1, inBackward, guardExamples = 0 } = options
  const { model } = objective
  const inUse = () => device.get().memory().bytes
  const restore = restorer(model)
  model.train()
  try {
    storagesIn(batch)
    const weights = bytesIn(model.stateDict())
    const averages = average ? bytesIn(average.stateDict().tensors) : 0
    const known = bytesIn(optimizer.stateDict().tensors)
    const before = inUse()
    for (const [name, parameter] of model.namedParameters())
      if (parameter.trainable) scope(() => optimizer.step(new Map([[name, zerosLike(parameter)]])))
    const state = known + inUse() - before
    const gradients = scope(() => {
      if (inBackward) return updatedInBackward(objective, optimizer, batch)
      const clipped = clipGradients(new Map(batchGradients(objective, batch, parts).gradients), 1)
      const bytes = bytesIn(clipped.gradients)
      if (guardExamples > 0) {
        const { position } = defaultGenerator().state
        const some = firstExamples(objective, batch, guardExamples)
        takeMemoryOfCheck({ objective: objective as Objective, batch: some, parts, position })
      }
      optimizer.step(clipped.gradients)
      return bytes
    })
    scope(() => {
      objective.afterUpdate?.()
      average?.update()
    })
    return { weights, gradients, optimizer: state, average: averages }
  } finally {
    restore()
  }
}

/** Returns the bytes of the largest gradient. */
function updatedInBackward<Batch>(objective: Objective<Batch>, optimizer: Optimizer, batch: Batch): number {
  let largest = 0
  lossAndGradients(objective.model, () => lossesOf(objective, batch), {
    onGradient(name, gradient) {
      largest = Math.max(largest, bytesOf(gradient))
      optimizer.step(new Map([[name, gradient]]))
    },
  })
  return largest
}

/** `needs 3.9 GiB: weights 1.0, gradients 1.0, AdamW 2.0, activations 0.9; cpu has 4.0 GiB` */
export function describeMemory(memory: TrainingMemory, algorithm: string, on: DeviceName): string {
  const { peak, weights, gradients, optimizer, average, activations } = memory
  return describeNeed(peak, { weights, gradients, [algorithm]: optimizer, average, activations }, on)
}

/**
 * Checks that a training fits beside what else is on its device.
 * @param before bytes of what is counted that are in use already
 * @param advice what would need less
 * @throws OutOfMemoryError
 */
export function demandTraining(
  { memory, before }: { readonly memory: TrainingMemory; readonly before: number },
  algorithm: string,
  on: DeviceName,
  advice: () => string,
): void {
  demand({ peak: memory.peak, before }, on, ['this training', describeMemory(memory, algorithm, on)], advice)
}

/**
 * Checks a training of `fit` before its first step, if weights, gradients and state alone take an eighth of the memory: a count calls the
 * loss, which costs time, and a small model finds out soon enough.
 * @param among the processes that divide the batches, and whether they divide the state of the optimizer
 * @throws OutOfMemoryError
 */
export function checkTrainingFits<Batch>(
  training: CountTrainingOptions<Batch>,
  { ranks, shardOptimizer }: RankOptions,
): void {
  const { objective, optimizer, inBackward } = training
  const { model } = objective
  const on = model.parameters()[0]?.device
  if (!on || !isLargePart(bytesIn(model.stateDict()) + optimizer.bytesToCome({ inBackward }), on)) return
  let counted: ReturnType<typeof countedTraining>
  try {
    counted = countedTraining(() => training, on)
  } catch {
    // a loss that needs values: its first step says what is wrong
    return
  }
  demandTraining(
    counted,
    optimizer.algorithm,
    on,
    () =>
      `Smaller batches, more parts (parts), checkpointBlocks(model), ${ranks ? (shardOptimizer ? '' : 'shardOptimizer, ') : 'inBackward, '}moments in float8, Adafactor or SGD, and frozen parameters need less${largerMemory(on)}`,
  )
}
