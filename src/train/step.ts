// One update of an objective's model. All measured values are read and checked to be finite before the parameters change.

import { stack } from '../autograd/index.ts'
import type { Communicator } from '../mpi/index.ts'
import { clipGradients, type ExponentialMovingAverage, type Optimizer, type Schedule } from '../optim/index.ts'
import { defaultGenerator, scope, storagesIn } from '../tensor/index.ts'
import { findingsOf } from './among-ranks.ts'
import type { CapturedGradients } from './captured-gradients.ts'
import { batchGradients } from './gradients.ts'
import { diagnose, TrainingError } from './guard/diagnose.ts'
import type { LossProblem } from './guard/directional.ts'
import { type Measured, updateInBackward } from './in-backward.ts'
import type { StepMetrics } from './metrics.ts'
import type { Objective } from './objective.ts'
import type { OptimizerShards } from './optimizer-shards.ts'

/** An objective, and how it is optimized. */
export interface Learner<Batch> {
  readonly objective: Objective<Batch>
  readonly optimizer: Optimizer
  /** the average of the weights, if one is kept */
  readonly average?: ExponentialMovingAverage
  /** the learning rate of each step, counted from 0 */
  readonly schedule: Schedule
  /** largest norm of all gradients together; undefined disables clipping */
  readonly maximumNorm?: number
  /** number of parts that a batch is split into */
  readonly parts: number
  /** whether each parameter is updated during the backward pass: without a maximum norm, parts and inspections; default false */
  readonly inBackward?: boolean
  /** the gradients of whole batches, where their kernels are run again; without parts and ranks. Default they are computed each time */
  readonly captured?: CapturedGradients<Batch>
  /** the processes that divide each batch among them; default this one alone */
  readonly ranks?: Communicator
  /** the optimizer, if its state is divided among the processes; default each has all of it */
  readonly shards?: OptimizerShards
}

/** Checks the gradient of a step before the parameters change. Returns how many seconds it took. */
export type Inspection = (step: number, problem: LossProblem) => Promise<number>

/** The metrics of an update. */
export interface Update
  extends Pick<StepMetrics, 'losses' | 'measures' | 'gradientNorm' | 'learningRate' | 'learningRates'> {
  /** seconds that the inspection took */
  readonly inspected: number
}

/** The maximum norm without clipping: far above any norm in practice, and representable in a shader. */
const NEVER_CLIPPED = 1e30

/**
 * Makes one update.
 * @param step its number, from 1
 * @throws TrainingError if a value is not finite; the parameters are unchanged then, except with `inBackward`
 */
export async function update<Batch>(
  learner: Learner<Batch>,
  batch: Batch,
  step: number,
  inspect: Inspection,
): Promise<Update> {
  const { objective, optimizer, average, schedule, inBackward } = learner
  const learningRate = schedule(step - 1)
  const { values, names, measured, gradientNorm, inspected } = inBackward
    ? await updateInBackward(learner, batch, step, learningRate)
    : await updateAfterBackward(learner, batch, step, learningRate, inspect)
  objective.afterUpdate?.()
  average?.update()
  const byName = (keys: readonly string[], from: number) =>
    Object.fromEntries(keys.map((name, i) => [name, values[from + i]]))
  return {
    losses: { total: values[0], ...byName(names, 1) },
    measures: byName(measured, 1 + names.length),
    gradientNorm,
    learningRate,
    ...rangeOf(optimizer, learningRate),
    inspected,
  }
}

/** Computes all gradients, checks them, and then updates the parameters. */
async function updateAfterBackward<Batch>(
  { objective, optimizer, maximumNorm = NEVER_CLIPPED, parts, captured, ranks, shards }: Learner<Batch>,
  batch: Batch,
  step: number,
  learningRate: number,
  inspect: Inspection,
): Promise<Measured> {
  const { position } = defaultGenerator().state
  const computed = scope(() => {
    const { loss, gradients } = captured?.of(batch) ?? batchGradients(objective, batch, parts, ranks)
    const clipped = clipGradients(gradients, maximumNorm)
    const { total, ...named } = loss
    const measures = objective.measures?.() ?? {}
    const values = [clipped.norm, total, ...Object.values(named), ...Object.values(measures)]
    const report = stack(values.map(value => value.reshape([])))
    return { report, names: Object.keys(named), measured: Object.keys(measures), gradients: clipped.gradients }
  }, `step ${step}`)
  try {
    const { names, measured } = computed
    const [gradientNorm, ...values] = await computed.report.data()
    if (![gradientNorm, ...values].every(Number.isFinite)) {
      defaultGenerator().seek(position)
      throw new TrainingError(step, findingsOf(ranks, await diagnose(objective, batch)))
    }
    const inspected = await inspect(step, { objective, batch, parts, position })
    const divided = shards ?? optimizer
    divided.step(computed.gradients, learningRate)
    return { values, names, measured, gradientNorm, inspected }
  } finally {
    for (const storage of storagesIn(computed)) storage.free(`step ${step}`)
  }
}

/** The lowest and the highest learning rate, if they are not the learning rate of the step. */
function rangeOf({ learningRateFactors }: Optimizer, learningRate: number): Pick<StepMetrics, 'learningRates'> {
  let [low, high] = [Number.POSITIVE_INFINITY, 0]
  for (const factor of learningRateFactors.values()) {
    low = Math.min(low, factor)
    high = Math.max(high, factor)
  }
  if (high === 0 || (low === 1 && high === 1)) return {}
  return { learningRates: { lowest: low * learningRate, highest: high * learningRate } }
}
