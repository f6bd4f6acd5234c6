// The training of a run, from a step to its end. A checkpoint holds everything that a step depends on, so a run can be stopped
// or killed at any moment, and the resumed run computes the same numbers.

import { BatchIterator, type OnBadSample, type OnShard, ShardStream } from '../data/index.ts'
import { isFirst } from '../data/ranks.ts'
import { firstOf } from '../evaluate/index.ts'
import { BatchError } from '../io/index.ts'
import type { FamilyModels, FamilyName, ImageClassifier, VideoClassifier } from '../models/index.ts'
import type { Communicator } from '../mpi/index.ts'
import type { Module } from '../nn/index.ts'
import type { ExponentialMovingAverage, Optimizer, Schedule } from '../optim/index.ts'
import { device } from '../tensor/index.ts'
import type { Settings } from '../tensor/options.ts'
import { requireSameTraining } from './among-ranks.ts'
import { augmentation } from './augment.ts'
import { capturedGradients } from './captured-gradients.ts'
import type { CheckpointFolder } from './checkpoint.ts'
import { type RunConfig, RunConfigError } from './config.ts'
import { type Features, openFeatures } from './features.ts'
import type { LossProblem } from './guard/directional.ts'
import { guarded } from './guard/inspection.ts'
import { keepIn } from './guard/kept.ts'
import type { Initialization } from './initialize.ts'
import { returnTo, writeTraining } from './keep.ts'
import { runLoop } from './loop.ts'
import type { TrainingMemory } from './memory.ts'
import type { EvaluationMetrics, GuardMetrics, MetricsLine, StepMetrics } from './metrics.ts'
import { type Naming, objectiveOf, type RunObjective } from './objectives/families.ts'
import type { OptimizerShards } from './optimizer-shards.ts'
import { provenance, recordProvenance } from './provenance.ts'
import { type HeldOut, openRunData, type Run, type RunData } from './run.ts'
import type { RunFolder, RunSettings } from './run-folder.ts'
import { scheduleFor, textOptions } from './setup.ts'
import { type SkippedSamples, withoutBad } from './skipped.ts'
import { EventLog } from './tensorboard.ts'

/** A run before its first step. */
export type TrainingStart<F extends FamilyName = FamilyName> = {
  [K in F]: RunSettings<K> & {
    readonly folder: string
    readonly model: FamilyModels[K]
    /** updates made so far: 0, or the step that the run resumes from */
    readonly step: number
    /** total number of updates */
    readonly steps: number
    /** undefined for shards that were not counted */
    readonly stepsPerEpoch: number | undefined
    readonly images: { readonly train: number | undefined; readonly validation: number }
    /** description of the device */
    readonly device: string
    /** changes since the run was last started or resumed, one sentence each: versions, machine, device, data */
    readonly changes: readonly string[]
    /** how the parameters were initialized, of a new run that starts from the weights of another model */
    readonly initialization?: Initialization
    /** the memory that a step needs, if it was counted: not on `reference`, and not with features */
    readonly memory?: TrainingMemory
  }
}[F]

/** A model during its training, for an evaluation. */
export type TrainingMoment<F extends FamilyName = FamilyName> = {
  [K in F]: RunSettings<K> & {
    readonly model: FamilyModels[K]
    readonly step: number
    /** the held-out examples, if any */
    readonly validation?: HeldOut<K>
  }
}[F]

/** Options of `train`. */
export interface TrainOptions<F extends FamilyName = FamilyName> {
  /** ends the training after the current step, with a checkpoint */
  readonly signal?: AbortSignal
  /**
   * the processes that divide each batch among them, from `openMpi()`: every process gets the same folder, configuration and data. Rank 0
   * alone writes into the folder, checks the gradient and calls the callbacks, `evaluate` among them. Default: this process has the whole batch
   */
  readonly ranks?: Communicator
  /**
   * whether the state of the optimizer is divided among the ranks (ZeRO stage 1): each has it for its share of the parameters, updates those
   * and sends them to the others. The result is the same, bit for bit. The run does not depend on it: it can be resumed without, or by
   * another number of ranks. Default false
   */
  readonly shardOptimizer?: boolean
  /**
   * whether the kernels of the loss and its gradient run again without JavaScript, see `capture`: the same result, faster for small
   * models, in memory that stays in use between steps. On cpu, without `accumulate`, `optimizer.inBackward` and `ranks`. A warning says why, if it
   * has no effect, as with dropout. Default false
   */
  readonly capture?: boolean
  /** called once, before the first step */
  readonly onStart?: (start: TrainingStart<F>) => void
  /** called after each step */
  readonly onStep?: (metrics: StepMetrics) => void
  /** called after each evaluation */
  readonly onEvaluation?: (metrics: EvaluationMetrics) => void
  /** called after each check of the gradient; default a process warning for a wrong gradient */
  readonly onGuard?: (metrics: GuardMetrics) => void
  /** called for every sample that cannot be used, once */
  readonly onBadSample?: OnBadSample
  /** called after each shard while shards are listed to find the classes, or to count the samples */
  readonly onShard?: OnShard
  /** called after each checkpoint */
  readonly onCheckpoint?: (checkpoint: { readonly step: number; readonly folder: string }) => void
  /** called while the features of a frozen encoder are computed, with the setting `features` */
  readonly onFeatures?: (done: number, total: number) => void
  /** replaces {@link evaluateMoment}; it does not affect the random numbers of training */
  readonly evaluate?: (moment: TrainingMoment<F>) => Promise<Readonly<Record<string, number>>>
}

export const trainOptions = {
  signal: undefined,
  ranks: undefined,
  shardOptimizer: false,
  capture: false,
  onStart: undefined,
  onStep: undefined,
  onEvaluation: undefined,
  onGuard: undefined,
  onBadSample: undefined,
  onShard: undefined,
  onCheckpoint: undefined,
  onFeatures: undefined,
  evaluate: undefined,
} satisfies Settings<TrainOptions>

/** The trained run. If the run keeps an average of its weights, the model has the average, as `openRun` gives it. */
export type TrainResult<F extends FamilyName = FamilyName> = Run<F> & {
  /** false if the training was ended by its signal */
  readonly finished: boolean
}

/** The parts of a run apart from the model. */
export interface Preparation {
  readonly folder: RunFolder
  readonly config: RunConfig
  readonly naming: Naming
  readonly data: RunData
  readonly skipped: SkippedSamples
  readonly batches: BatchIterator<RunData['train']>
  readonly stepsPerEpoch: number | undefined
  readonly steps: number
  readonly schedule: Schedule
}

/** The model of a run, its objective, its optimizer and the average of its weights. */
export interface Trained {
  readonly model: Module
  readonly objective: RunObjective
  readonly optimizer: Optimizer
  /** the optimizer, if ranks divide its state among them */
  readonly shards?: OptimizerShards
  readonly average?: ExponentialMovingAverage
  /** of a new model with the weights of another one */
  readonly initialization?: Initialization
  /** the memory that a step needs, if it was counted */
  readonly memory?: TrainingMemory
}

/** Opens the data. If the length is given in epochs, the samples of shards are counted. */
export async function openTrainingData(
  config: RunConfig,
  { tell }: SkippedSamples,
  { onShard, ranks }: Pick<TrainOptions, 'onShard' | 'ranks'> = {},
): Promise<RunData> {
  const { train, validation } = await openRunData({ config }, config.strict ? undefined : tell)
  if (config.epochs !== undefined && train instanceof ShardStream) await train.count({ onShard })
  if (config.strict || !validation) return { train, validation } as RunData
  return { train, validation: await withoutBad(validation, config.evaluationExamples, tell, ranks) } as RunData
}

/** The batches of a configuration. */
function batchesOf(
  config: RunConfig,
  { tokenizer }: Naming,
  data: RunData['train'],
  skipped: SkippedSamples,
  ranks: Communicator | undefined,
): Preparation['batches'] {
  const options = {
    ...textOptions(config),
    batchSize: config.batchSize,
    seed: config.seed,
    crop: config.augment.crop,
    augment: augmentation(config.augment),
    onBadSample: config.strict ? undefined : skipped.tell,
    ahead: 2,
    normalize: config.normalize,
    ranks,
  }
  return namingData(config, () => new BatchIterator(data, tokenizer, options))
}

/** Adds the path of the training data to an error about batches. */
export function namingData<T>({ data }: RunConfig, f: () => T): T {
  try {
    return f()
  } catch (error) {
    throw error instanceof BatchError ? new BatchError(error.reason, { file: data, cause: error }) : error
  }
}

/**
 * Features of the training examples, if the configuration asks for them.
 * @throws RunConfigError if the encoder is trained, or images are changed at random
 */
async function featuresFor(
  { config, data, model }: Preparation & Trained,
  { signal, ranks, onFeatures }: TrainOptions,
): Promise<Features | undefined> {
  const folder = 'features' in config ? config.features : undefined
  if (folder === undefined) return undefined
  const refuse = (reason: string) => new RunConfigError([{ field: 'features', reason }])
  const { encoder } = model as ImageClassifier | VideoClassifier
  if (encoder.parameters().some(({ trainable }) => trainable))
    throw refuse('needs a frozen encoder: list encoder in freeze')
  if (Object.keys(config.augment).length > 0)
    throw refuse('are computed once, so augment, which changes images at random, has no effect: leave it out')
  if (data.train instanceof ShardStream) throw refuse('needs a folder or a list of images or clips, not tars')
  const { normalize, pixels, batchSize, strict } = config
  const options = { normalize, pixels, batchSize, strict, signal, ranks, onProgress: onFeatures }
  return openFeatures(model as ImageClassifier | VideoClassifier, data.train, folder, options)
}

export function prepare(
  folder: RunFolder,
  config: RunConfig,
  naming: Naming,
  data: RunData,
  skipped: SkippedSamples,
  ranks?: Communicator,
): Preparation {
  const batches = batchesOf(config, naming, data.train, skipped, ranks)
  const stepsPerEpoch = batches.batchesPerEpoch
  const steps = config.steps ?? config.epochs! * stepsPerEpoch!
  return {
    folder,
    config,
    naming,
    data,
    skipped,
    batches,
    stepsPerEpoch,
    steps,
    schedule: scheduleFor(config, steps),
  }
}

/** Trains from a step to the end. */
export async function advance(
  training: Preparation & Trained,
  from: number,
  options: TrainOptions,
): Promise<TrainResult> {
  const { ranks } = options
  const features = await featuresFor(training, options)
  if (!features) return trainFrom(training, from, options)
  try {
    const { config, naming, skipped } = training
    const batches = batchesOf(config, naming, features.source as RunData['train'], skipped, ranks)
    batches.restore(training.batches.state)
    return await trainFrom({ ...training, batches }, from, options)
  } finally {
    await features.close()
  }
}

async function trainFrom(training: Preparation & Trained, from: number, options: TrainOptions): Promise<TrainResult> {
  const { folder, config, naming, data, model, objective, optimizer, shards, average, initialization, memory } =
    training
  const { schedule, batches, skipped, steps } = training
  const { signal, ranks, onStart, onStep, onEvaluation, onCheckpoint, onGuard, evaluate } = options
  const writes = isFirst(ranks)
  const { validation } = data
  const images = { train: data.train.length, validation: validation?.length ?? 0 }
  if (ranks) await requireSame(ranks, training, from)
  if (writes) await skipped.writeInto(folder.skippedFile)
  const log = writes ? await folder.openMetrics() : undefined
  const events = config.tensorboard && writes ? await EventLog.open(folder.path, from) : undefined
  const record = async (line: MetricsLine) => {
    await log?.add(line)
    await events?.add(line)
  }
  const keep = (problem: LossProblem, at: number) => keepIn(folder, problem, at)
  if (options.capture) checkCapture(config, ranks)
  const captured = options.capture ? capturedGradients(objective) : undefined
  const learner = {
    objective,
    optimizer,
    average,
    schedule,
    maximumNorm: config.clipNorm ?? undefined,
    parts: config.accumulate,
    inBackward: config.optimizer.inBackward,
    captured,
    ranks,
    shards,
  }
  const saved = (await folder.steps()).at(-1)
  const save = async (step: number): Promise<CheckpointFolder> => {
    await log?.flush()
    const state = { step, batches: batches.state }
    const parts = { model, optimizer: shards ?? optimizer, average, state }
    const written = await writeTraining(folder, parts, config.keepLast)
    onCheckpoint?.({ step, folder: written.path })
    return written
  }
  const about = { folder: folder.path, config, model, ...naming }
  try {
    const { stepsPerEpoch } = training
    const now = provenance(from, data.train.fingerprint)
    const changes = writes ? await recordProvenance(folder.provenanceFile, now) : []
    const found = { stepsPerEpoch, images, device: device.description, changes, initialization, memory }
    const start = { ...about, step: from, steps, ...found }
    if (writes) onStart?.(start as unknown as TrainingStart)
    const step = await runLoop({
      learner,
      from,
      steps,
      next: async () => {
        const batch = await batches.next()
        return { batch, epoch: batch.epoch, skipped: () => skipped.count }
      },
      signal,
      inspect: writes
        ? guarded(objective, { ...config.guard, seed: config.seed, keep }, { folder: folder.path, record, onGuard })
        : async () => 0,
      evaluate:
        evaluate || validation
          ? async step =>
              evaluate
                ? evaluate({ model, ...naming, config, step, validation } as unknown as TrainingMoment)
                : objective.evaluate!(firstOf(validation!, config.evaluationExamples), ranks)
          : undefined,
      dividesEvaluation: !evaluate,
      evaluateEvery: config.evaluateEvery,
      checkpointEvery: config.checkpointEvery,
      onStep,
      onEvaluation,
      record,
      save: async step => void (await save(step)),
      saved,
      goBack: () => returnTo(folder, { model, optimizer, average }, 'ema in config.json'),
    })
    // rank 0 has written the last checkpoint, which the others may read now
    ranks?.barrier()
    const checkpoint = folder.checkpoint(step).path
    const { normalize, pixels } = config
    average?.swap()
    const weights = average ? 'average' : 'last'
    return {
      ...about,
      normalize,
      ...(pixels && { pixels }),
      step,
      checkpoint,
      weights,
      finished: step >= steps,
    } as unknown as TrainResult
  } finally {
    captured?.release()
    await events?.close()
    await log?.flush()
    await log?.close()
  }
}

/** @throws RunConfigError for settings with which the gradient is not that of a whole batch at once */
function checkCapture({ accumulate, optimizer }: RunConfig, ranks: Communicator | undefined): void {
  const because = 'with capture, which needs whole batches and all gradients at the end'
  const problems = [
    { field: 'accumulate', reason: `must be 1 ${because}`, isWrong: accumulate > 1 },
    { field: 'optimizer.inBackward', reason: `must be false ${because}`, isWrong: optimizer.inBackward },
    { field: 'capture', reason: 'cannot be used by several ranks', isWrong: ranks !== undefined },
  ].flatMap(({ isWrong, ...problem }) => (isWrong ? [problem] : []))
  if (problems.length > 0) throw new RunConfigError(problems)
}

/** @throws RanksDifferError if the processes do not train the same run on the same data; RunConfigError for settings of one process */
async function requireSame(
  ranks: Communicator,
  { config, naming, data, model, shards }: Preparation & Trained,
  from: number,
) {
  if (config.optimizer.inBackward)
    throw new RunConfigError([
      { field: 'optimizer.inBackward', reason: 'updates before the gradients of all ranks are summed: leave it out' },
    ])
  if (config.batchSize < ranks.size)
    throw new RunConfigError([
      { field: 'batchSize', reason: `must be at least ${ranks.size}, the number of ranks, not ${config.batchSize}` },
    ])
  const { cocagrad, node, data: fingerprint } = provenance(from, data.train.fingerprint)
  await requireSameTraining(ranks, model, {
    'the option shardOptimizer': `${shards !== undefined}`,
    'the version': `cocagrad ${cocagrad}, Node ${node}`,
    'the settings': JSON.stringify(config),
    'the data': fingerprint,
    'the tokenizer or the classes': JSON.stringify(naming),
    'the first step': `${from}`,
  })
}

/**
 * The evaluation during training, on the first `evaluationExamples` held-out images: losses and, depending on the model, recall at 1
 * in both directions, the accuracy of captions, or the accuracy of classes.
 */
export async function evaluateMoment(moment: TrainingMoment): Promise<Record<string, number>> {
  const { model, config, validation } = moment
  if (!validation) return {}
  const objective = objectiveOf(model, config, moment)
  return { ...(await objective.evaluate?.(firstOf(validation, config.evaluationExamples))) }
}
