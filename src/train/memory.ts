// The memory that a training will need, counted before it begins: one step runs without computing anything.

import { lossAndGradients } from '../nn/index.ts'
import { clipGradients, ExponentialMovingAverage, Optimizer } from '../optim/index.ts'
import { bytesPerElement } from '../tensor/dtype.ts'
import { askNode } from '../tensor/host.ts'
import {
  countMemory,
  type DeviceName,
  device,
  type MemoryCount,
  OutOfMemoryError,
  scope,
  storagesIn,
  type Tensor,
  zerosLike,
} from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { warn } from '../tensor/warn.ts'
import { batchGradients } from './gradients.ts'
import { isObjective, lossesOf, type Objective } from './objective.ts'
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
   * the rest at the highest point: the batch, what the backward pass needs of the forward pass, and temporary values. It is small where the
   * highest point is the update, when the activations are freed and all gradients are there
   */
  readonly activations: number
}

export interface CountTrainingOptions<Batch> {
  readonly objective: Objective<Batch>
  /** of the parameters of the model */
  readonly optimizer: Optimizer
  readonly average?: ExponentialMovingAverage
  /** one batch; only the shapes of its tensors matter */
  readonly batch: Batch
  /** number of parts that a batch is split into; default 1 */
  readonly parts?: number
  /** whether parameters are updated during the backward pass; default false */
  readonly inBackward?: boolean
}
const countTrainingOptions = {
  objective: isObjective,
  optimizer: is.instance('an optimizer of the parameters of the model, such as new AdamW(model)', Optimizer),
  average: is.optional(is.instance('an average of the weights of the model', ExponentialMovingAverage)),
  batch: is.anything as is.Kind<never>,
  parts: is.byDefault(1, is.count),
  inBackward: false,
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
function step<Batch>({ objective, optimizer, average, batch, parts = 1, inBackward }: CountTrainingOptions<Batch>) {
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

/** Bytes that this process may use at most, and those that are free now; unknown outside of Node. */
function systemMemory(): { readonly limit?: number; readonly free?: number } {
  const total = askNode(node => node.getBuiltinModule('node:os').totalmem())
  // 0 if nothing limits it, or a number far above the total
  const allowed = askNode(node => node.constrainedMemory()) || Number.POSITIVE_INFINITY
  return { limit: total && Math.min(total, allowed), free: askNode(node => node.availableMemory()) }
}

/** The memory that there is for a training on a device, in bytes, if known. */
export function memoryLimit(on: DeviceName): number | undefined {
  const { memoryLimit: own } = device.get(on)
  if (on === 'gpu') return own
  const { limit } = systemMemory()
  return own === undefined || limit === undefined ? (own ?? limit) : Math.min(own, limit)
}

/** `needs 3.9 GiB: weights 1.0, gradients 1.0, AdamW 2.0, activations 0.9; cpu has 4.0 GiB` */
export function describeMemory(memory: TrainingMemory, algorithm: string, on: DeviceName): string {
  const { peak, weights, gradients, optimizer, average, activations } = memory
  const [unit, size] = peak >= 2 ** 30 ? ['GiB', 2 ** 30] : ['MiB', 2 ** 20]
  const number = (bytes: number) => (bytes / size).toFixed(1)
  const parts = { weights, gradients, [algorithm]: optimizer, average, activations }
  const listed = Object.entries(parts).filter(([name, bytes]) => bytes > 0 || name === 'activations')
  const limit = memoryLimit(on)
  const has = limit === undefined ? '' : `; ${on} has ${(limit / 2 ** 30).toFixed(1)} GiB`
  return `needs ${number(peak)} ${unit}: ${listed.map(([name, bytes]) => `${name} ${number(bytes)}`).join(', ')}${has}`
}

/**
 * Checks that a training fits beside what else is on its device. A process warning says if the system has less free memory at the moment.
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
  const used = Math.max(0, device.get(on).memory().bytes - before)
  const limit = memoryLimit(on)
  const { peak } = memory
  if (limit !== undefined && used + peak > limit)
    throw new OutOfMemoryError({
      device: on,
      bytes: peak,
      used,
      limit,
      purpose: `this training, which ${describeMemory(memory, algorithm, on)}`,
      advice: advice(),
    })
  const { free } = systemMemory()
  if (on !== 'gpu' && free !== undefined && peak - before > free)
    warn(
      `this training ${describeMemory(memory, algorithm, on)}, and the system has ${(free / 2 ** 30).toFixed(1)} GiB free at the moment`,
      'MemoryWarning',
    )
}

/** How to get a larger memory, for the end of an advice; empty where there is one. */
export const largerMemory = (on: DeviceName): string =>
  on === 'cpu' && (device.get(on).memoryLimit ?? 0) <= 2 ** 32
    ? '; Node 24 or later gives cpu up to 16 GiB instead of 4'
    : ''

/** The part of the memory that weights, gradients and state must take for `fit` to count before it begins. */
const LARGE = 1 / 8

/**
 * Checks a training of `fit` before its first step, if weights, gradients and state alone take an eighth of the memory: a count calls the
 * loss, which costs time, and a small model finds out soon enough.
 * @throws OutOfMemoryError
 */
export function checkTrainingFits<Batch>(training: CountTrainingOptions<Batch>): void {
  const { objective, optimizer, inBackward } = training
  const { model } = objective
  const on = model.parameters()[0]?.device
  const limit = on && memoryLimit(on)
  if (limit === undefined) return
  if (bytesIn(model.stateDict()) + optimizer.bytesToCome({ inBackward }) < LARGE * limit) return
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
    on!,
    () =>
      `Smaller batches, more parts (parts), checkpointBlocks(model), inBackward, moments in float8, Adafactor or SGD, and frozen parameters need less${largerMemory(on!)}`,
  )
}
