// Examines a model in memory with any loss, as `cocagrad doctor` examines a run. The optimizer and the metrics of `fit` are examined
// if they are given.

import { checkFinite, toSafetensors } from '../io/index.ts'
import { nameOf } from '../nn/module.ts'
import { Optimizer } from '../optim/index.ts'
import { DeviceError, defaultGenerator, Generator } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { OptionsError, type Settings, settle } from '../tensor/options.ts'
import { toDevice } from '../train/checkpoint.ts'
import type { LossProblem } from '../train/guard/directional.ts'
import { readKeptBatch } from '../train/guard/kept.ts'
import { type MetricsLine, optimizerNames, RunError, RunFolder } from '../train/index.ts'
import { firstExamples, isObjective, type Objective, sizeOf } from '../train/objective.ts'
import { restorer } from '../train/restore.ts'
import { examineActivity } from './activity.ts'
import { conclude, type Examination, FOLLOWED, NOTHING, wordsOf } from './examination.ts'
import { counted, type DoctorFinding, findingsOf } from './finding.ts'
import { examineGradients, type GradientExamination } from './gradients.ts'
import { ENOUGH, examineMetrics } from './metrics.ts'
import { examineMoments, examineParameters, ratesInWords } from './optimizer.ts'
import { fitWords, type Training } from './training.ts'

/** Options of `examine`. */
export interface ExamineObjectiveOptions<Batch> {
  /** the model and its loss: `{ model, loss: batch => … }`; other methods of an objective are optional */
  readonly objective: Objective<Batch>
  /** a batch for `objective.loss`. Gradients are checked on its first 8 examples, activity on the first 64 */
  readonly batch?: Batch
  /**
   * instead of `batch`, a file that the guard of `fit` saved: a batch with a wrong gradient, and the weights of that step. The model has
   * these weights until the examination ends
   */
  readonly kept?: string
  /** the optimizer of the model; default none */
  readonly optimizer?: Optimizer
  /** the folder of `fit`, whose metrics.jsonl is read; default none. The weights of the model are examined, not those in the folder */
  readonly folder?: string
  /** the peak learning rate of the training; default the largest in the metrics, otherwise that of the optimizer */
  readonly learningRate?: number
  /** the number of parts that `fit` splits a batch into; default 1. A saved batch has its own number */
  readonly parts?: number
  /** the largest error of a gradient that counts as rounding of the device; default 0.01 */
  readonly bound?: number
  /** seed of the random directions along which gradients are checked; default 0 */
  readonly seed?: number
}

const examineObjectiveOptions = {
  objective: isObjective,
  batch: undefined,
  kept: is.optional(is.text),
  optimizer: is.optional(
    is.instance('an optimizer of the parameters of the model, such as new AdamW(model)', Optimizer),
  ),
  folder: is.optional(is.text),
  learningRate: is.optional(is.number),
  parts: is.byDefault(1, is.count),
  bound: 0.01,
  seed: is.byDefault(0, is.size),
} satisfies Settings<ExamineObjectiveOptions<never>>

/** The number of examples that gradients are checked on: the default of the guard. */
const CHECKED = 8

/**
 * Examines a model in memory, on the current device:
 *
 * - gradients of the loss, compared with finite differences for each part of the model, in `train` mode;
 * - activity, in `eval` mode: values that are not finite, units that never fire, parameters that no gradient reaches, and, after 100
 *   updates, embeddings that are all alike, if the objective has `embeddings`;
 * - the weights, and the moments of the optimizer;
 * - the metrics of `fit`.
 *
 *     await fit({ objective, batches, optimizer, folder })
 *     const { ok, findings } = await examine({ objective, batch, optimizer, folder })
 *     for (const { severity, title, evidence, advice } of findings) console.log(severity, title, evidence, advice)
 *
 * No parameter is changed, and the modes of the model's modules and the program's random numbers are the same afterwards. The loss may
 * depend on the parameters, the batch and the program's generator, and on no other tensors.
 * @throws RunError if the folder has no metrics; GradientError if the loss depends on no trainable parameter; SafetensorsError or
 *   DataError if a saved batch cannot be read, StateDictError if its weights do not belong to this model
 */
export async function examine<Batch>(options: ExamineObjectiveOptions<Batch>): Promise<Examination> {
  const settled = settle('examine(options)', options as ExamineObjectiveOptions<never>, examineObjectiveOptions)
  const { kept } = settled
  const { objective, batch } = options
  if ((batch === undefined) === (kept === undefined))
    throw new OptionsError(
      `examine: ${batch === undefined ? 'batch is missing: it must be what objective.loss takes' : 'batch and kept are two batches: give one of them'}; write examine({ objective, batch })`,
      'examine',
      {
        option: 'batch',
        value: batch,
        known: Object.keys(examineObjectiveOptions),
        reason: batch === undefined ? 'is missing' : 'is given together with kept',
      },
    )
  if (kept === undefined) {
    const { position } = defaultGenerator().state
    return examineProblem({ objective, batch: batch as Batch, parts: settled.parts, position }, settled)
  }
  const { parameters, step, ...problem } = await readKeptBatch<Batch>(kept)
  checkFinite(parameters, { file: kept })
  const { model } = objective
  const own = await toSafetensors(model.stateDict())
  model.loadStateDict(toDevice(parameters, kept))
  try {
    return await examineProblem({ ...problem, objective }, settled, step)
  } finally {
    model.loadStateDict(toDevice(own, kept))
  }
}

type Looks = Required<Pick<ExamineObjectiveOptions<never>, 'bound' | 'seed'>> &
  Pick<ExamineObjectiveOptions<never>, 'optimizer' | 'folder' | 'learningRate'>

/** @param kept the step of a batch that the guard saved */
async function examineProblem<Batch>(problem: LossProblem<Batch>, looks: Looks, kept?: number): Promise<Examination> {
  const { optimizer, folder, learningRate, bound, seed } = looks
  const { model } = problem.objective
  const metrics = folder === undefined ? [] : await metricsOf(folder)
  const updates = optimizer && Math.max(0, ...Object.values(optimizer.stateDict().values.steps))
  const step = kept ?? updates ?? metrics.at(-1)?.step
  const training: Training = {
    optimizer: {
      name: nameOfOptimizer(optimizer),
      learningRate: learningRate ?? peakOf(metrics) ?? optimizer?.learningRate,
    },
    words: fitWords,
  }
  const weights = await examineParameters(model, fitWords)
  const names = [...model.namedParameters()].flatMap(([name, { trainable }]) => (trainable ? [name] : []))
  const moments = optimizer ? await examineMoments(optimizer, { step: updates ?? 0, names, words: fitWords }) : []
  const behind = folder === undefined || updates === undefined ? [] : await notLoaded(folder, updates)
  const measured = folder === undefined ? [] : examineMetrics(metrics, training, folder)
  const computed =
    weights.length > 0
      ? undefined
      : await examineLoss(problem, { isTrained: (step ?? 0) >= ENOUGH, training, bound, seed })
  const steps = metrics.filter(({ kind }) => kind === 'step').length
  const guards = metrics.filter(({ kind }) => kind === 'guard').length
  return {
    ...conclude(folder ?? nameOf(model), step ?? 0, [
      ...(computed?.gradients?.findings ?? []),
      ...weights,
      ...behind,
      ...moments,
      ...measured,
      ...(computed?.activity ?? []),
    ]),
    looked: {
      gradients: computed?.gradients ? wordsOf(computed.gradients) : NOTHING,
      ...(optimizer && {
        optimizer: `${optimizer.algorithm} and ${counted(model.parameters().length, 'parameter')}, after ${counted(updates ?? 0, 'update')}${ratesInWords(optimizer)}`,
      }),
      ...(folder !== undefined && {
        metrics: `${counted(steps, 'step')} and ${counted(guards, 'check')} by the guard`,
      }),
      activity: computed ? `the forward and backward pass of ${computed.examples}` : NOTHING,
    },
  }
}

interface LossExamination {
  /** whether the embeddings should differ */
  readonly isTrained: boolean
  readonly training: Training
  readonly bound: number
  readonly seed: number
}

/** Examines activity and, if all values are finite, gradients. */
async function examineLoss<Batch>(problem: LossProblem<Batch>, { isTrained, training, bound, seed }: LossExamination) {
  const { objective, batch } = problem
  const restore = restorer(objective.model)
  try {
    const followed = { ...problem, batch: firstExamples(objective, batch, FOLLOWED) }
    const { learningRate } = training.optimizer
    const activity = await examineActivity(followed as LossProblem, isTrained, learningRate, fitWords)
    const isSound = activity.every(({ severity }) => severity !== 'wrong')
    objective.model.train()
    const few = { ...problem, batch: firstExamples(objective, batch, CHECKED) }
    const size = sizeOf(objective, followed.batch)
    return {
      activity,
      gradients: isSound ? await checkGradients(few as LossProblem, bound, seed) : undefined,
      examples: size === undefined ? 'a batch' : counted(size, 'example'),
    }
  } finally {
    restore()
  }
}

async function checkGradients(problem: LossProblem, bound: number, seed: number): Promise<GradientExamination> {
  const generator = new Generator(seed).fork('doctor')
  return examineGradients(problem, { bound, generator }).catch(error => {
    if (!(error instanceof DeviceError)) throw error
    const advice = 'Pass every tensor that the loss needs in the batch, or make it a frozen parameter'
    throw new DeviceError(
      `examine: the gradient cannot be checked, because the loss cannot be computed in float64 on reference: ${error.message}`,
      error.device,
      [advice],
    )
  })
}

/** @throws RunError if `fit` has written no metrics */
async function metricsOf(folder: string): Promise<MetricsLine[]> {
  const metrics = await new RunFolder(folder).metrics()
  if (metrics.length > 0) return metrics
  throw new RunError('has no metrics: pass the folder of fit, after at least one step', { file: folder })
}

/** Finds an optimizer with fewer updates than the last checkpoint of the folder, which was not loaded. */
async function notLoaded(folder: string, updates: number): Promise<DoctorFinding[]> {
  const last = (await new RunFolder(folder).steps()).at(-1) ?? 0
  if (updates >= last) return []
  return [
    findingsOf('optimizer')(
      'suspect',
      'the model is not the one in the folder',
      `the optimizer has made ${counted(updates, 'update')}, but the last checkpoint of ${folder} was written after ${last}`,
      'call fit with this folder first: it loads the last checkpoint into the model and the optimizer. The findings about gradients and activity are for other weights',
    ),
  ]
}

const nameOfOptimizer = (optimizer: Optimizer | undefined) =>
  optimizerNames.find(name => name === optimizer?.algorithm.toLowerCase())

/** The largest learning rate of all steps; undefined if there are no steps. */
function peakOf(metrics: readonly MetricsLine[]): number | undefined {
  const rates = metrics.flatMap(line => (line.kind === 'step' ? [line.learningRate] : []))
  return rates.length === 0 ? undefined : rates.reduce((a, b) => Math.max(a, b))
}
