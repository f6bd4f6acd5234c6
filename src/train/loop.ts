// Steps, evaluations and checkpoints in turn, until there are enough steps, no more batches, or a signal. Where measurements and
// checkpoints go is the caller's: a run's folder, or nowhere. Runs in a browser as it is.

import { advised } from '../evaluate/memory.ts'
import { defaultGenerator } from '../tensor/index.ts'
import type { EvaluationMetrics, MetricsLine, StepMetrics } from './metrics.ts'
import { sizeOf } from './objective.ts'
import { type Inspection, type Learner, update } from './step.ts'

/** A batch, and what its source tells of it. */
export interface Drawn<Batch> {
  readonly batch: Batch
  readonly epoch?: number
  /** how many samples could not be used so far */
  readonly skipped?: () => number
}

/** What a loop is made of. */
export interface Loop<Batch> {
  readonly learner: Learner<Batch>
  /** updates made before */
  readonly from: number
  /** updates in all */
  readonly steps: number
  /** the next batch; undefined where there is none */
  readonly next: () => Promise<Drawn<Batch> | undefined>
  readonly signal?: { readonly aborted: boolean }
  /** looks at each gradient before it is used */
  readonly inspect: Inspection
  /** what the model is worth; undefined where nothing was measured */
  readonly evaluate?: (step: number) => Promise<Readonly<Record<string, number>> | undefined>
  /** steps from one evaluation, or checkpoint, to the next; 0 only at the end */
  readonly evaluateEvery: number
  readonly checkpointEvery: number
  readonly onStep?: (metrics: StepMetrics) => void
  readonly onEvaluation?: (metrics: EvaluationMetrics) => void
  /** gets all that was measured, in order */
  readonly record: (line: MetricsLine) => Promise<void>
  /** keeps the state after a step */
  readonly save: (step: number) => Promise<void>
  /** the step of the last checkpoint that there is */
  readonly saved: number | undefined
}

/** What is advised where a step finds no memory. */
const LESS_MEMORY =
  'A smaller batchSize needs less, and so do more parts of a batch (accumulate), frozen parts, and Adafactor or SGD instead of AdamW'

/** Lets what waits from outside happen: on cpu nothing in a step does, and Ctrl-C or a click would not be noticed. */
const turn = (): Promise<void> =>
  new Promise(resolve => {
    if (typeof setImmediate === 'function') setImmediate(resolve)
    else setTimeout(resolve)
  })

/** Trains. Returns the number of updates that were made in all. */
export async function runLoop<Batch>(loop: Loop<Batch>): Promise<number> {
  const { learner, steps, signal, record, save, onStep, onEvaluation } = loop
  let step = loop.from
  let saved = loop.saved
  const keep = async () => {
    await save(step)
    saved = step
  }
  const measure = async () => {
    const evaluation = await evaluated(loop, step)
    if (!evaluation) return
    await record(evaluation)
    onEvaluation?.(evaluation)
  }
  let measured: number | undefined
  while (step < steps && !signal?.aborted) {
    const metrics = await timed(loop, step + 1).catch(error => {
      throw advised(error, LESS_MEMORY)
    })
    if (!metrics) {
      if (measured !== step) await measure()
      break
    }
    step++
    await turn()
    await record(metrics)
    onStep?.(metrics)
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

/** A step with the time it took; undefined where there is no batch for it. */
async function timed<Batch>({ learner, next, inspect }: Loop<Batch>, step: number): Promise<StepMetrics | undefined> {
  const began = performance.now()
  learner.objective.model.train()
  const drawn = await next()
  if (!drawn) return undefined
  const waiting = (performance.now() - began) / 1000
  const { inspected, losses, measures, learningRate, gradientNorm } = await update(learner, drawn.batch, step, inspect)
  const seconds = (performance.now() - began) / 1000 - inspected
  const size = sizeOf(learner.objective, drawn.batch)
  return {
    kind: 'step',
    step,
    ...(drawn.epoch !== undefined && { epoch: drawn.epoch }),
    losses,
    measures,
    learningRate,
    gradientNorm,
    ...(size !== undefined && { examplesPerSecond: size / seconds }),
    seconds,
    waiting,
    skipped: drawn.skipped?.() ?? 0,
  }
}

/** The random numbers of training are not touched. */
async function evaluated<Batch>(
  { learner, evaluate }: Loop<Batch>,
  step: number,
): Promise<EvaluationMetrics | undefined> {
  if (!evaluate) return undefined
  const began = performance.now()
  const { position } = defaultGenerator().state
  learner.objective.model.eval()
  const values = await evaluate(step)
  defaultGenerator().seek(position)
  return values && { kind: 'evaluation', step, seconds: (performance.now() - began) / 1000, values }
}
