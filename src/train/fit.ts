// Trains any module with a loss, from a two-layer perceptron to CoCa: the loop, measurements, checks of the gradient, progress,
// an end by signal. Runs in a browser as it is; where a training is kept in a folder, that is added in fit-folder.ts.

import type { Optimizer, Schedule } from '../optim/index.ts'
import { defaultGenerator } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { optionalGroup, type Settings, settle } from '../tensor/options.ts'
import { type Batches, BatchSource } from './batches.ts'
import type { LossProblem } from './guard/directional.ts'
import type { GuardSettings } from './guard/guard.ts'
import { type Guarded, guarded } from './guard/inspection.ts'
import { History } from './history.ts'
import { runLoop } from './loop.ts'
import type { EvaluationMetrics, GuardMetrics, MetricsLine, StepMetrics } from './metrics.ts'
import { isObjective, type Objective } from './objective.ts'
import type { Inspection } from './step.ts'

export interface FitOptions<Batch, Examples = unknown> {
  /** the module and its loss: `{ model, loss: batch => … }`, or more than that */
  readonly objective: Objective<Batch, Examples>
  /**
   * what `objective.loss` takes, one after the other: an array, a generator, a data loader. What can be iterated again begins anew
   * at its end; without `steps` it is passed once.
   */
  readonly batches: Batches<Batch>
  /** of the parameters of the model */
  readonly optimizer: Optimizer
  /** the learning rate of every step, the first being step 0; default the optimizer's own */
  readonly schedule?: Schedule
  /** updates in all; default one for each batch */
  readonly steps?: number
  /** largest norm of all gradients together; default none */
  readonly maximumNorm?: number
  /** into how many parts each batch is cut, to need the memory of one of them; default 1 */
  readonly parts?: number
  /**
   * the gradient is compared with finite differences of the loss, in float64 on reference, now and then. The loss may depend on
   * the parameters, the batch and the program's generator, and on no other tensors. False leaves it out
   */
  readonly guard?: boolean | Partial<GuardSettings>
  /** what `objective.evaluate` gets, at the end and every so many steps; default none */
  readonly examples?: Examples
  /** steps from one evaluation to the next; default 0, at the end only */
  readonly evaluateEvery?: number
  /** where checkpoints and metrics.jsonl are kept, in Node; a folder that has some is gone on with. Default nowhere */
  readonly folder?: string
  /** steps from one checkpoint to the next; default 200, and there is one at the end */
  readonly checkpointEvery?: number
  /** how many checkpoints stay, the newest ones; default 3 */
  readonly keepLast?: number
  /**
   * how much of what was measured `metrics` of the result has: the last so many steps, evaluations and checks of the gradient, so that
   * a long training does not fill the memory; default 10,000, Infinity keeps all. onStep and metrics.jsonl always have all of it
   */
  readonly history?: number
  /** an AbortSignal; ends the training after the step in hand, with a checkpoint */
  readonly signal?: { readonly aborted: boolean }
  readonly onStep?: (metrics: StepMetrics) => void
  readonly onEvaluation?: (metrics: EvaluationMetrics) => void
  /** hears of each check of the gradient; without it a wrong one is a warning of the process */
  readonly onGuard?: (metrics: GuardMetrics) => void
  readonly onCheckpoint?: (checkpoint: { readonly step: number; readonly folder: string }) => void
}

const member = <T>(says: string, name: string): is.Kind<T> =>
  new is.Kind<T>(says, x => typeof x === 'object' && x !== null && name in x)

const guardSettings = {
  every: is.byDefault(500, is.size),
  examples: is.byDefault(8, is.count),
  bound: 0.01,
  share: 0.02,
  onError: is.choice<'stop' | 'warn'>('stop', 'warn'),
} satisfies Settings<Partial<GuardSettings>>

const isIterable = (x: unknown): boolean =>
  typeof x === 'object' && x !== null && (Symbol.iterator in x || Symbol.asyncIterator in x)

const sizeOrAll = new is.Kind<number>(
  'a whole number, 0 or more, or Infinity',
  x => is.size.fits(x) || x === Number.POSITIVE_INFINITY,
)

const fitOptions = {
  objective: isObjective,
  batches: new is.Kind<Batches<never>>('an iterable of batches', isIterable),
  optimizer: member<Optimizer>('an optimizer of the parameters of the model, such as new AdamW(model)', 'minimize'),
  schedule: is.optional(is.callback) as is.Kind<Schedule | undefined>,
  steps: is.optional(is.size),
  maximumNorm: is.optional(is.number),
  parts: is.byDefault(1, is.count),
  guard: optionalGroup(guardSettings),
  examples: undefined,
  evaluateEvery: is.byDefault(0, is.size),
  folder: is.optional(is.text),
  checkpointEvery: is.byDefault(200, is.size),
  keepLast: is.byDefault(3, is.count),
  history: is.byDefault(10_000, sizeOrAll),
  signal: undefined,
  onStep: undefined,
  onEvaluation: undefined,
  onGuard: undefined,
  onCheckpoint: undefined,
} satisfies Settings<Omit<FitOptions<never>, 'guard'> & { readonly guard?: Partial<GuardSettings> }>

export interface FitResult {
  /** updates made in all */
  readonly step: number
  /** false if the training was ended by its signal */
  readonly finished: boolean
  /**
   * what was measured in this call, as metrics.jsonl has it and in its order: of the last `history` steps, evaluations and checks of the
   * gradient
   */
  readonly metrics: readonly MetricsLine[]
}

/** Where a training is kept. */
export interface FitStore {
  /** updates made before this call, of which model and optimizer know */
  readonly from: number
  readonly path: string
  record(line: MetricsLine): Promise<void>
  /** Returns the folder of the checkpoint. */
  save(step: number): Promise<string>
  keep(problem: LossProblem, step: number): Promise<string>
}

/**
 * Trains a model.
 *
 *     const model = new Linear(2, 1)
 *     await fit({
 *       objective: { model, loss: ({ x, y }) => model.forward(x).sub(y).square().mean() },
 *       batches: [{ x, y }],
 *       optimizer: new AdamW(model),
 *       steps: 100,
 *       onStep: ({ step, losses }) => console.log(step, losses.total),
 *     })
 *
 * Sets no device and no seed. In a browser, where there is no `folder`, import it from `cocagrad/fit`.
 * @throws TrainingError where a value is no finite number, WrongGradientError where the gradient is wrong and the guard is to stop
 *   then, with the parameters as they were before the step
 */
export async function fit<Batch, Examples = unknown>(options: FitOptions<Batch, Examples>): Promise<FitResult> {
  if (settledFit(options).folder !== undefined)
    throw new Error("fit: a folder needs files, which Node has: import { fit } from 'cocagrad/train'")
  return fitInto(undefined, options)
}

/** The options with their defaults; no guard where there is none. @throws OptionsError */
export function settledFit<Batch, Examples>(options: FitOptions<Batch, Examples>) {
  const { guard = true } = options ?? {}
  const settings = guard === true ? {} : guard === false ? undefined : guard
  return settle('fit(options)', options && { ...(options as FitOptions<never>), guard: settings }, fitOptions)
}

/** Trains, and tells a store, if there is one. */
export async function fitInto<Batch, Examples>(
  store: FitStore | undefined,
  options: FitOptions<Batch, Examples>,
): Promise<FitResult> {
  const { objective, batches, examples } = options
  const { optimizer, schedule, maximumNorm, parts, guard, ...settled } = settledFit(options)
  const from = store?.from ?? 0
  const history = new History(settled.history)
  const record = async (line: MetricsLine) => {
    history.add(line)
    await store?.record(line)
  }
  const source = new BatchSource(batches, settled.steps !== undefined)
  try {
    await source.skip(from)
    const isEvaluated = objective.evaluate !== undefined && examples !== undefined
    const steps = settled.steps ?? Number.POSITIVE_INFINITY
    const step = await runLoop({
      learner: { objective, optimizer, schedule: schedule ?? (() => optimizer.learningRate), maximumNorm, parts },
      from,
      steps,
      next: () => source.next(),
      signal: settled.signal,
      inspect: guard === undefined ? unseen : inspection(objective, guard, { store, record, ...settled }),
      evaluate: isEvaluated ? async () => objective.evaluate!(examples) : undefined,
      evaluateEvery: settled.evaluateEvery,
      checkpointEvery: settled.checkpointEvery,
      onStep: settled.onStep,
      onEvaluation: settled.onEvaluation,
      record,
      async save(step) {
        const folder = await store?.save(step)
        if (folder !== undefined) settled.onCheckpoint?.({ step, folder })
      },
      saved: from,
    })
    return { step, finished: step >= steps || !settled.signal?.aborted, metrics: history.lines }
  } finally {
    await source.close()
  }
}

const unseen: Inspection = async () => 0

/** The guard's inspection, with its random numbers from the program's seed. */
function inspection(
  objective: Objective,
  settings: GuardSettings,
  { store, record, onGuard }: Pick<Guarded, 'record' | 'onGuard'> & { readonly store?: FitStore },
): Inspection {
  const { seed } = defaultGenerator().state
  const keep = store && ((problem: LossProblem, step: number) => store.keep(problem, step))
  return guarded(objective, { ...settings, seed, keep }, { folder: store?.path, record, onGuard, look, explain })
}

const look = (folder: string, file: string): string => `await examine({ objective, kept: '${folder}/${file}' })`

const explain = (error: unknown, step: number): Error =>
  new Error(
    `fit: the gradient of step ${step} cannot be checked, because the loss cannot be computed in float64 on reference: ${(error as Error).message}. Pass every tensor that the loss needs in the batch, or guard: false`,
    { cause: error },
  )
