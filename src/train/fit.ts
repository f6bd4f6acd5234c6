// Trains any module with a loss, from a two-layer perceptron to CoCa: the loop, metrics, checks of the gradient, callbacks for
// progress, and an abort signal. Runs in a browser; fit-folder.ts adds saving to a folder.

import { isFirst } from '../data/ranks.ts'
import type { FileStore } from '../io/browser.ts'
import { BatchError } from '../io/errors.ts'
import type { Communicator } from '../mpi/index.ts'
import { ExponentialMovingAverage, type Optimizer, type Schedule } from '../optim/index.ts'
import { defaultGenerator } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { OptionsError, optionalGroup, type Settings, settle } from '../tensor/options.ts'
import { ownPart, requireSameTraining } from './among-ranks.ts'
import { type Batches, BatchSource, type SavedBatches } from './batches.ts'
import { capturedGradients } from './captured-gradients.ts'
import { type FitStore, openFitStore } from './fit-store.ts'
import type { LossProblem } from './guard/directional.ts'
import type { GuardSettings } from './guard/guard.ts'
import { type Guarded, guarded } from './guard/inspection.ts'
import { History } from './history.ts'
import { runLoop } from './loop.ts'
import { checkTrainingFits } from './memory.ts'
import type { EvaluationMetrics, GuardMetrics, MetricsLine, StepMetrics } from './metrics.ts'
import { isObjective, type Objective } from './objective.ts'
import { type OptimizerShards, shardsFor } from './optimizer-shards.ts'
import type { Inspection } from './step.ts'

/** Options of `fit`. */
export interface FitOptions<Batch, Examples = unknown> {
  /** the module and its loss: `{ model, loss: batch => … }`, and optional members */
  readonly objective: Objective<Batch, Examples>
  /**
   * the arguments of `objective.loss`, one after the other: an array, a generator, a data loader. An iterable that can be iterated
   * again is restarted at its end; without `steps` there is one pass. A resumed training continues at the position of a source that
   * has `state()`, with the `epoch` and `batch` of the next batch, and `load(state)`, such as a DataLoader; of others it takes and
   * leaves out the batches that were trained on
   */
  readonly batches: Batches<Batch>
  /** an optimizer of the model's parameters */
  readonly optimizer: Optimizer
  /**
   * an average of the model's weights, which is updated after each step. Evaluations use it; afterwards the model has the last
   * weights: call `average.swap()` or `average.within(…)`. Default none
   */
  readonly average?: ExponentialMovingAverage
  /** the learning rate of each step, counted from 0; default the optimizer's own */
  readonly schedule?: Schedule
  /** total number of updates; default one for each batch */
  readonly steps?: number
  /** largest norm of all gradients together; default none */
  readonly maximumNorm?: number
  /** number of parts that each batch is split into, to need the memory of one; default 1 */
  readonly parts?: number
  /**
   * whether each parameter is updated during the backward pass, as soon as its gradient is complete, which is then freed: the same result
   * in less memory. Not with `maximumNorm`, `parts` and `guard`, which need all gradients: set guard to false. A step that fails
   * cannot be undone: the training goes back to the last checkpoint of its folder before it throws. Default false
   */
  readonly inBackward?: boolean
  /**
   * whether the kernels of the loss and its gradient run again without JavaScript, see `capture`: the same result, faster for small
   * models. The loss must depend on the batch and the values of parameters alone. On cpu, without `parts`, `inBackward` and `ranks`. Its memory
   * stays in use between steps. A warning says why, if it has no effect. Default false
   */
  readonly capture?: boolean
  /**
   * the processes that divide each batch among them, from `openMpi()`: every process gets the same options and the same batches, and takes
   * its examples of each. Losses and gradients are those of the whole batch. Rank 0 alone checks the gradient, writes into `folder`, calls
   * the callbacks and evaluates, unless the objective divides that too. On cpu and reference. Default: this process has the whole batch
   */
  readonly ranks?: Communicator
  /**
   * whether the state of the optimizer is divided among the ranks (ZeRO stage 1, Rajbhandari et al. 2020): each has it for its share of the
   * parameters, updates those and sends them to the others. The result is the same, bit for bit; a checkpoint has the whole state. Afterwards
   * the optimizer of each process has its share alone. No effect with one process. Default false
   */
  readonly shardOptimizer?: boolean
  /**
   * at intervals, compare the gradient with finite differences of the loss, in float64 on reference. The loss may depend on the
   * parameters, the batch and the default generator, but not on other tensors. False disables the checks
   */
  readonly guard?: boolean | Partial<GuardSettings>
  /** the argument of `objective.evaluate`, which runs at the end and every `evaluateEvery` steps; default none */
  readonly examples?: Examples
  /** steps between evaluations; default 0, only at the end */
  readonly evaluateEvery?: number
  /** the folder for checkpoints and metrics.jsonl, in Node; if it contains some, training resumes. Default none */
  readonly folder?: string
  /**
   * the files for checkpoints and metrics.jsonl where there is no folder, such as `await openBrowserStore('my run')` in a page; if they
   * contain some, training resumes. Default none
   */
  readonly store?: FileStore
  /** whether the metrics are also written to the folder as an event file for TensorBoard; default false */
  readonly tensorboard?: boolean
  /** steps between checkpoints; default 200, and one at the end */
  readonly checkpointEvery?: number
  /** number of checkpoints that are kept, the newest ones; default 3 */
  readonly keepLast?: number
  /**
   * the maximum number of steps, evaluations and checks of the gradient in `metrics` of the result, the last ones, so that a long
   * training does not fill the memory; default 10,000, Infinity keeps all. onStep and metrics.jsonl always get all of them
   */
  readonly history?: number
  /** an AbortSignal; ends the training after the current step, with a checkpoint */
  readonly signal?: { readonly aborted: boolean }
  /** called after each step */
  readonly onStep?: (metrics: StepMetrics) => void
  /** called after each evaluation */
  readonly onEvaluation?: (metrics: EvaluationMetrics) => void
  /** called after each check of the gradient; default a process warning for a wrong gradient */
  readonly onGuard?: (metrics: GuardMetrics) => void
  /** called after each checkpoint */
  readonly onCheckpoint?: (checkpoint: { readonly step: number; readonly folder: string }) => void
}

const member = <T>(expected: string, name: string): is.Kind<T> =>
  new is.Kind<T>(expected, x => typeof x === 'object' && x !== null && name in x)

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
  average: is.optional(
    is.instance(
      'an average of the weights of the model, such as new ExponentialMovingAverage(model)',
      ExponentialMovingAverage,
    ),
  ),
  schedule: is.optional(is.callback) as is.Kind<Schedule | undefined>,
  steps: is.optional(is.size),
  maximumNorm: is.optional(is.number),
  parts: is.byDefault(1, is.count),
  inBackward: false,
  capture: false,
  ranks: is.optional(member<Communicator>('the processes that openMpi() returns', 'allGather')),
  shardOptimizer: false,
  guard: optionalGroup(guardSettings),
  examples: undefined,
  evaluateEvery: is.byDefault(0, is.size),
  folder: is.optional(is.text),
  store: is.optional(member<FileStore>("a store of files, such as await openBrowserStore('my run')", 'list')),
  tensorboard: false,
  checkpointEvery: is.byDefault(200, is.size),
  keepLast: is.byDefault(3, is.count),
  history: is.byDefault(10_000, sizeOrAll),
  signal: undefined,
  onStep: undefined,
  onEvaluation: undefined,
  onGuard: undefined,
  onCheckpoint: undefined,
} satisfies Settings<Omit<FitOptions<never>, 'guard'> & { readonly guard?: Partial<GuardSettings> }>

/** What `fit` did. */
export interface FitResult {
  /** total number of updates */
  readonly step: number
  /** false if the training was ended by its signal */
  readonly finished: boolean
  /**
   * the metrics of this call, in the form and order of metrics.jsonl: the last `history` steps, evaluations and checks of the
   * gradient
   */
  readonly metrics: readonly MetricsLine[]
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
 * Does not set the device or the seed. In a browser, which has no `folder`, import it from `cocagrad/fit`. With a `store`, a second call
 * resumes from its last checkpoint: give it the same batches; the result is the same as without the interruption.
 * @throws CheckpointError if the checkpoint in the store does not fit the model or the optimizer; FileError if there is no space left;
 *   TrainingError if a value is not finite, WrongGradientError if the gradient is wrong and guard.onError is 'stop', with the
 *   parameters as they were before the step; with inBackward, some may be updated
 */
export async function fit<Batch, Examples = unknown>(options: FitOptions<Batch, Examples>): Promise<FitResult> {
  const { folder, store, optimizer, average, keepLast, ...settled } = settledFit(options)
  if (folder !== undefined)
    throw new Error(
      "fit: the option folder needs Node: import { fit } from 'cocagrad/train'. In a browser give a store: await openBrowserStore('my run')",
    )
  const shards = shardsFor(optimizer, settled)
  if (!store) return fitInto(undefined, options, shards)
  const { model } = options.objective
  return fitInto(await openFitStore(store, { model, optimizer, average }, keepLast), options)
}

/** The options with their defaults; `guard` is undefined if it is disabled. @throws OptionsError */
export function settledFit<Batch, Examples>(options: FitOptions<Batch, Examples>) {
  const { guard = true } = options ?? {}
  const settings = guard === true ? {} : guard === false ? undefined : guard
  const given = options && { ...(options as FitOptions<never>), guard: settings }
  const settled = settle('fit(options)', given, fitOptions)
  if (settled.tensorboard && settled.folder === undefined)
    throw new OptionsError('fit: tensorboard needs a folder for the event files; give folder too', 'fit', {
      option: 'tensorboard',
      value: true,
      known: Object.keys(fitOptions),
      reason: 'needs a folder',
    })
  if (settled.store !== undefined && settled.folder !== undefined)
    throw new OptionsError('fit: folder and store are given together; give one of them', 'fit', {
      option: 'store',
      value: settled.store,
      known: Object.keys(fitOptions),
      reason: 'is given together with folder',
    })
  if (settled.store !== undefined && settled.ranks !== undefined)
    throw new OptionsError('fit: a store belongs to one process; with ranks give a folder', 'fit', {
      option: 'store',
      value: settled.store,
      known: Object.keys(fitOptions),
      reason: 'is given together with ranks',
    })
  if (settled.inBackward) checkInBackward(settled)
  if (settled.capture) checkCapture(settled)
  return settled
}

/** @throws OptionsError for an option that needs all gradients of a step together */
function checkInBackward({
  maximumNorm,
  parts,
  guard,
  ranks,
}: Pick<FitOptions<never>, 'maximumNorm' | 'parts' | 'guard' | 'ranks'>) {
  const refuse = (option: string, value: unknown, advice: string) => {
    const reason = 'needs all gradients of a step, but inBackward frees each as soon as its parameter is updated'
    throw new OptionsError(`fit: ${option} ${reason}; ${advice}`, 'fit', {
      option,
      value,
      known: Object.keys(fitOptions),
      reason,
    })
  }
  if (maximumNorm !== undefined) refuse('maximumNorm', maximumNorm, 'leave maximumNorm out')
  if (parts !== undefined && parts > 1) refuse('parts', parts, 'leave parts out')
  if (ranks !== undefined) refuse('ranks', 'given', 'leave inBackward out')
  if (guard !== undefined) refuse('guard', guard, 'set guard: false')
}

/** @throws OptionsError for an option with which the gradient is not that of a whole batch at once */
function checkCapture({ parts, inBackward, ranks }: Pick<FitOptions<never>, 'parts' | 'inBackward' | 'ranks'>) {
  const values = { parts: parts !== undefined && parts > 1 && parts, inBackward, ranks: ranks && 'given' }
  for (const [option, value] of Object.entries(values)) {
    if (!value) continue
    const reason = 'is given together with capture, which needs whole batches and all gradients at the end'
    throw new OptionsError(`fit: ${option} ${reason}; leave one of the two out`, 'fit', {
      option,
      value,
      known: Object.keys(fitOptions),
      reason,
    })
  }
}

/**
 * Trains, and saves to a store if one is given.
 * @param shards the optimizer, if it is divided among processes
 */
export async function fitInto<Batch, Examples>(
  store: FitStore | undefined,
  options: FitOptions<Batch, Examples>,
  shards?: OptimizerShards,
): Promise<FitResult> {
  const { objective, batches, examples } = options
  const {
    optimizer,
    average,
    schedule,
    maximumNorm,
    parts,
    inBackward,
    capture,
    guard,
    ranks,
    store: _,
    ...settled
  } = settledFit(options)
  const from = store?.from ?? 0
  const history = new History(settled.history)
  const record = async (line: MetricsLine) => {
    history.add(line)
    await store?.record(line)
  }
  const source = new BatchSource(batches, settled.steps !== undefined)
  const captured = capture ? capturedGradients(objective) : undefined
  try {
    if (store?.batches) await continued(source, store.batches, store.path)
    const isEvaluated = objective.evaluate !== undefined && examples !== undefined
    const steps = settled.steps ?? Number.POSITIVE_INFINITY
    const learner = {
      objective,
      optimizer,
      average,
      schedule: schedule ?? (() => optimizer.learningRate),
      maximumNorm,
      parts,
      inBackward,
      captured,
      ranks,
      shards,
    }
    if (ranks) await requireSameTraining(ranks, objective.model, commonTo(learner, { ...settled, from, steps }))
    const guardExamples = guard === undefined || guard.every === 0 ? 0 : guard.examples
    let isChecked = false
    const step = await runLoop({
      learner,
      from,
      steps,
      async next() {
        const drawn = await source.next()
        if (!drawn) return undefined
        const batch = ownPart(objective, drawn.batch, ranks)
        if (!isChecked)
          checkTrainingFits({ ...learner, batch, guardExamples }, { ranks, shardOptimizer: shards !== undefined })
        isChecked = true
        return { ...drawn, batch }
      },
      signal: settled.signal,
      inspect:
        guard === undefined || !isFirst(ranks) ? unseen : inspection(objective, guard, { store, record, ...settled }),
      evaluate: isEvaluated
        ? async () => objective.evaluate!(examples, objective.dividesEvaluation ? ranks : undefined)
        : undefined,
      dividesEvaluation: objective.dividesEvaluation,
      evaluateEvery: settled.evaluateEvery,
      checkpointEvery: settled.checkpointEvery,
      onStep: settled.onStep,
      onEvaluation: settled.onEvaluation,
      record,
      async save(step) {
        const folder = await store?.save(step, source.saved(step))
        if (folder !== undefined) settled.onCheckpoint?.({ step, folder })
      },
      saved: inBackward ? store?.saved : from,
      goBack: store && (() => store.goBack()),
    })
    const isAborted = settled.signal?.aborted === true
    const wasStopped = ranks ? ranks.any(isAborted) : isAborted
    return { step, finished: step >= steps || !wasStopped, metrics: history.lines }
  } finally {
    captured?.release()
    await source.close()
  }
}

/** What must be the same in every process, as texts. */
const commonTo = (
  {
    optimizer,
    maximumNorm,
    shards,
  }: Pick<FitOptions<never>, 'optimizer' | 'maximumNorm'> & { readonly shards?: OptimizerShards },
  {
    from,
    steps,
    evaluateEvery,
    checkpointEvery,
  }: Readonly<Record<'from' | 'steps' | 'evaluateEvery' | 'checkpointEvery', number>>,
) => ({
  'the first step': `${from}`,
  'the options': JSON.stringify([
    optimizer.constructor.name,
    optimizer.learningRate,
    maximumNorm,
    shards !== undefined,
    `${steps}`,
    evaluateEvery,
    checkpointEvery,
  ]),
})

/** Continues with the batches after those that were trained on. */
async function continued(source: BatchSource<unknown>, saved: SavedBatches, folder: string): Promise<void> {
  try {
    await source.resume(saved)
  } catch (error) {
    if (!(error instanceof BatchError)) throw error
    throw new BatchError(`the training there cannot continue with these batches: ${error.reason}`, {
      file: folder,
      cause: error,
    })
  }
}

const unseen: Inspection = async () => 0

/** The guard's inspection, whose random numbers depend on the default generator's seed. */
function inspection(
  objective: Objective,
  settings: GuardSettings,
  { store, record, onGuard }: Pick<Guarded, 'record' | 'onGuard'> & { readonly store?: FitStore },
): Inspection {
  const { seed } = defaultGenerator().state
  const keep = store?.keep && ((problem: LossProblem, step: number) => store.keep!(problem, step))
  return guarded(objective, { ...settings, seed, keep }, { folder: store?.path, record, onGuard, look, explain })
}

const look = (folder: string, file: string): string => `await examine({ objective, kept: '${folder}/${file}' })`

const explain = (error: unknown, step: number): Error =>
  new Error(
    `fit: the gradient of step ${step} cannot be checked, because the loss cannot be computed in float64 on reference: ${(error as Error).message}. Pass every tensor that the loss needs in the batch, or set guard: false`,
    { cause: error },
  )
