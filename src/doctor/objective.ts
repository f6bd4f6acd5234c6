// Examines a model in memory, whatever its loss is: what `cocagrad doctor` does to a run, as far as it applies. Of an optimizer and of
// the metrics that `fit` has written it looks at what it is given.

import { checkFinite } from '../io/index.ts'
import { nameOf } from '../nn/module.ts'
import { Optimizer } from '../optim/index.ts'
import { DeviceError, defaultGenerator, Generator } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { OptionsError, type Settings, settle } from '../tensor/options.ts'
import { toDevice, toHost } from '../train/checkpoint.ts'
import type { LossProblem } from '../train/guard/directional.ts'
import { readKeptBatch } from '../train/guard/kept.ts'
import { type MetricsLine, RunError, RunFolder } from '../train/index.ts'
import { firstExamples, isObjective, type Objective, sizeOf } from '../train/objective.ts'
import { restorer } from '../train/restore.ts'
import { examineActivity } from './activity.ts'
import { conclude, type Examination, FOLLOWED, NOTHING, wordsOf } from './examination.ts'
import { counted, type DoctorFinding, findingsOf } from './finding.ts'
import { examineGradients, type GradientExamination } from './gradients.ts'
import { ENOUGH, examineMetrics } from './metrics.ts'
import { examineMoments, examineParameters } from './optimizer.ts'
import { fitWords, type Training } from './training.ts'

export interface ExamineObjectiveOptions<Batch> {
  /** the module and its loss: `{ model, loss: batch => … }`, or more than that */
  readonly objective: Objective<Batch>
  /** what `objective.loss` takes, such as a batch of the training. Gradients are checked on its first 8 examples, the rest on 64 */
  readonly batch?: Batch
  /**
   * instead of a batch, the file of one whose gradient the guard of `fit` found wrong, with the weights of that step. The model has these
   * weights until the examination ends
   */
  readonly kept?: string
  /** that trains the model; default none */
  readonly optimizer?: Optimizer
  /** that `fit` was given, whose metrics.jsonl is read; default none. The weights are those of the model, not those in the folder */
  readonly folder?: string
  /** what the model is trained with, at its peak; default the largest in the metrics, or else the optimizer's */
  readonly learningRate?: number
  /** into how many parts a batch of the training is cut, as for `fit`; default 1. A kept batch is cut as it was */
  readonly parts?: number
  /** the largest error of a gradient that is taken for the rounding of a device; default 0.01 */
  readonly bound?: number
  /** of the random directions along which gradients are checked; default 0 */
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

/** Of a batch, on `reference` in float64: as many as the guard looks at unless it is told otherwise. */
const CHECKED = 8

/**
 * Examines a model in memory, on the current device:
 *
 * - gradients: those of the loss against finite differences, part by part of the model, in `train` mode;
 * - activity, in `eval` mode: values that are not finite, units that never fire, parameters that no gradient reaches, and after 100
 *   updates embeddings that are all alike, where the objective gives some;
 * - weights, and the moments of the optimizer;
 * - metrics that `fit` has written.
 *
 *     await fit({ objective, batches, optimizer, folder })
 *     const { ok, findings } = await examine({ objective, batch, optimizer, folder })
 *     for (const { severity, title, evidence, advice } of findings) console.log(severity, title, evidence, advice)
 *
 * No parameter is changed, and the modes of the model's modules and the program's random numbers are the same afterwards. The loss may
 * depend on the parameters, the batch and the program's generator, and on no other tensors.
 * @throws RunError if the folder has no metrics, GradientError where the loss depends on no trainable parameter; SafetensorsError or
 *   DataError if a kept batch cannot be read, StateDictError if its weights are not of this model
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
  const own = await toHost(model.stateDict())
  model.loadStateDict(toDevice(parameters, kept))
  try {
    return await examineProblem({ ...problem, objective }, settled, step)
  } finally {
    model.loadStateDict(toDevice(own, kept))
  }
}

type Looks = Required<Pick<ExamineObjectiveOptions<never>, 'bound' | 'seed'>> &
  Pick<ExamineObjectiveOptions<never>, 'optimizer' | 'folder' | 'learningRate'>

/** @param kept the step of a batch that was kept */
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
        optimizer: `${optimizer.algorithm} and ${counted(model.parameters().length, 'parameter')}, after ${counted(updates ?? 0, 'update')}`,
      }),
      ...(folder !== undefined && {
        metrics: `${counted(steps, 'step')} and ${counted(guards, 'check')} by the guard`,
      }),
      activity: computed ? `${computed.examples} on their way through the model and back` : NOTHING,
    },
  }
}

interface LossExamination {
  /** whether embeddings should differ by now */
  readonly isTrained: boolean
  readonly training: Training
  readonly bound: number
  readonly seed: number
}

/** What a model computes of a batch, and its gradients; none where it computes values that are not finite. */
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
    const advice = 'Pass every tensor that the loss needs in the batch, or make it a parameter that is frozen'
    throw new DeviceError(
      `examine: the gradient cannot be checked, because the loss cannot be computed in float64 on reference: ${error.message}`,
      error.device,
      [advice],
    )
  })
}

/** @throws RunError where `fit` has written none */
async function metricsOf(folder: string): Promise<MetricsLine[]> {
  const metrics = await new RunFolder(folder).metrics()
  if (metrics.length > 0) return metrics
  throw new RunError('has no metrics: name the folder that fit was given, after it has made a step', { file: folder })
}

/** Weights that are not those of the folder: nobody has read them. */
async function notLoaded(folder: string, updates: number): Promise<DoctorFinding[]> {
  const last = (await new RunFolder(folder).steps()).at(-1) ?? 0
  if (updates >= last) return []
  return [
    findingsOf('optimizer')(
      'suspect',
      'the model is not the one that the folder has',
      `the optimizer has made ${counted(updates, 'update')}, and the last checkpoint of ${folder} was written after ${last}`,
      'call fit with this folder first: it reads the last checkpoint into the model and the optimizer. What is found here in gradients and activity is of other weights',
    ),
  ]
}

const NAMES = ['adamw', 'adafactor', 'sgd'] as const

const nameOfOptimizer = (optimizer: Optimizer | undefined) =>
  NAMES.find(name => name === optimizer?.algorithm.toLowerCase())

/** The largest learning rate of all steps. */
function peakOf(metrics: readonly MetricsLine[]): number | undefined {
  const rates = metrics.flatMap(line => (line.kind === 'step' ? [line.learningRate] : []))
  return rates.length === 0 ? undefined : rates.reduce((a, b) => Math.max(a, b))
}
