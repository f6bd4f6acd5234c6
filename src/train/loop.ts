// The training loop: steps, evaluations and checkpoints, until the last step, the last batch or an abort signal. The caller
// decides where metrics and checkpoints are saved. Runs in a browser.

import { isFirst } from '../data/ranks.ts'
import { advised } from '../evaluate/memory.ts'
import { defaultGenerator, nextTask } from '../tensor/index.ts'
import { measuredTogether, requireSameParameters } from './among-ranks.ts'
import { TrainingError } from './guard/diagnose.ts'
import type { EvaluationMetrics, MetricsLine, StepMetrics } from './metrics.ts'
import { sizeOf } from './objective.ts'
import { type Inspection, type Learner, update } from './step.ts'

/** A batch, with its epoch and the number of skipped samples if its source counts them. */
export interface DrawnBatch<Batch> {
  readonly batch: Batch
  readonly epoch?: number
  /** the number of samples that could not be used so far */
  readonly skipped?: () => number
}

/** The parts of a training loop. */
export interface Loop<Batch> {
  readonly learner: Learner<Batch>
  /** updates made before */
  readonly from: number
  /** total number of updates */
  readonly steps: number
  /** the next batch; undefined at the end */
  readonly next: () => Promise<DrawnBatch<Batch> | undefined>
  readonly signal?: { readonly aborted: boolean }
  /** checks each gradient before it is used */
  readonly inspect: Inspection
  /** evaluates the model; undefined if nothing was measured */
  readonly evaluate?: (step: number) => Promise<Readonly<Record<string, number>> | undefined>
  /** whether all processes call `evaluate`, and not rank 0 alone */
  readonly dividesEvaluation?: boolean
  /** steps between evaluations, and between checkpoints; 0 means only at the end */
  readonly evaluateEvery: number
  readonly checkpointEvery: number
  readonly onStep?: (metrics: StepMetrics) => void
  readonly onEvaluation?: (metrics: EvaluationMetrics) => void
  /** called with all metrics, in order */
  readonly record: (line: MetricsLine) => Promise<void>
  /** saves the state after a step */
  readonly save: (step: number) => Promise<void>
  /** the step of the last existing checkpoint */
  readonly saved: number | undefined
  /** goes back to the last checkpoint, if there is one, and returns its step; for learners that update during the backward pass */
  readonly goBack?: () => Promise<number | undefined>
}

/** Advice if a step runs out of memory. */
const lessMemory = ({ ranks, shards }: Pick<Learner<unknown>, 'ranks' | 'shards'>): string => {
  const several = shards ? '' : "divide the optimizer's state among the ranks (shardOptimizer), "
  return `To use less, reduce batchSize, split batches into more parts (accumulate), store less of each block (gradientCheckpointing, checkpointBlocks), ${ranks ? several : 'update during the backward pass (inBackward), '}freeze parts of the model, or use Adafactor or SGD`
}

/** Trains. Returns the total number of updates. */
export async function runLoop<Batch>(loop: Loop<Batch>): Promise<number> {
  const { learner, steps, signal, record, save, onStep, onEvaluation } = loop
  const { ranks } = learner
  const writes = isFirst(ranks)
  let step = loop.from
  let saved = sameSaved(ranks, loop.saved)
  // for the message if a rank does not arrive
  const tell = (phase: string) => {
    if (ranks) ranks.phase = phase
  }
  const keep = async () => {
    tell(`the checkpoint of step ${step}`)
    if (ranks) await requireSameParameters(ranks, learner.objective.model, 'their updates were not rounded alike')
    if (learner.shards) await learner.shards.whole(() => save(step))
    else if (writes) await save(step)
    saved = step
  }
  // every process ends after the same step
  const isStopped = () => (ranks ? ranks.any(signal?.aborted === true) : signal?.aborted)
  const measure = async () => {
    tell(`the evaluation after step ${step}`)
    if (!writes && !loop.dividesEvaluation) return
    const evaluation = await evaluated(loop, step)
    if (!evaluation || !writes) return
    await record(evaluation)
    onEvaluation?.(evaluation)
  }
  // a first step that fails has something to go back to
  if (learner.inBackward && step === 0 && steps > 0 && saved !== 0) await keep()
  let measured: number | undefined
  while (step < steps && !isStopped()) {
    tell(`step ${step + 1}`)
    const metrics = await timed(loop, step + 1).catch(async error => {
      throw advised(learner.inBackward ? await wentBack(loop, step + 1, error) : error, lessMemory(learner))
    })
    if (!metrics) {
      if (measured !== step) await measure()
      break
    }
    step++
    // a step on cpu never returns to the event loop: Ctrl-C or a click would have no effect
    await nextTask()
    if (writes) {
      await record(metrics)
      onStep?.(metrics)
    }
    const isDue = (every: number) => step === steps || (every > 0 && step % every === 0)
    if (isDue(loop.evaluateEvery)) {
      await measure()
      measured = step
    }
    if (isDue(loop.checkpointEvery)) await keep()
  }
  learner.objective.model.eval()
  if (saved !== step) await keep()
  return step
}

/** The step of the last checkpoint, as rank 0 has found it. */
function sameSaved(ranks: Loop<unknown>['learner']['ranks'], saved: number | undefined): number | undefined {
  if (!ranks) return saved
  const found = Float64Array.of(saved ?? -1)
  ranks.broadcast(found)
  return found[0] < 0 ? undefined : found[0]
}

/** Goes back to the last checkpoint after a step that may have updated some parameters. Returns the error of the step. */
async function wentBack<Batch>(
  { goBack, record }: Pick<Loop<Batch>, 'goBack' | 'record'>,
  failed: number,
  error: unknown,
): Promise<unknown> {
  const step = await goBack?.()
  if (step !== undefined) await record({ kind: 'restoration', step, failed, reason: String(error).split('\n')[0] })
  if (!(error instanceof TrainingError)) return error
  const outcome =
    step === undefined
      ? 'some parameters may be updated: a training without a folder has no checkpoint to go back to'
      : `the model and the optimizer are those of the checkpoint of step ${step} again`
  return new TrainingError(failed, error.findings, outcome)
}

/** Runs and times a step; undefined if there is no batch for it. */
async function timed<Batch>({ learner, next, inspect }: Loop<Batch>, step: number): Promise<StepMetrics | undefined> {
  const began = performance.now()
  const { ranks } = learner
  const exchanged = ranks?.seconds ?? 0
  learner.objective.model.train()
  const drawn = await next()
  if (!drawn) return undefined
  // of its own pictures: the wait for those of other processes is in their exchange
  const waited = (performance.now() - began) / 1000 - ((ranks?.seconds ?? 0) - exchanged)
  const { inspected, losses, measures, gradientNorm, ...rates } = await update(learner, drawn.batch, step, inspect)
  const seconds = (performance.now() - began) / 1000 - inspected
  const own = { size: sizeOf(learner.objective, drawn.batch), skipped: drawn.skipped?.() ?? 0, waiting: waited }
  const together = ranks && measuredTogether(ranks, { ...own, seconds: ranks.seconds - exchanged })
  const { size, skipped, waiting } = together ?? own
  return {
    kind: 'step',
    step,
    ...(drawn.epoch !== undefined && { epoch: drawn.epoch }),
    losses,
    measures,
    ...rates,
    gradientNorm,
    ...(size !== undefined && { examplesPerSecond: size / seconds }),
    seconds,
    waiting,
    ...(together && { communication: together.communication }),
    skipped,
  }
}

/** Evaluates without changing the random numbers of training, with the averages of the weights if there are any. */
async function evaluated<Batch>(
  { learner, evaluate }: Loop<Batch>,
  step: number,
): Promise<EvaluationMetrics | undefined> {
  if (!evaluate) return undefined
  const began = performance.now()
  const { position } = defaultGenerator().state
  learner.objective.model.eval()
  const { average } = learner
  const values = await (average ? average.within(() => evaluate(step)) : evaluate(step))
  defaultGenerator().seek(position)
  const seconds = (performance.now() - began) / 1000
  return values && { kind: 'evaluation', step, ...(average && { weights: 'average' }), seconds, values }
}
