// Training: batch, loss, gradients, update, again. Everything that a step depends on is in a checkpoint, so that a run
// may be stopped or killed at any moment and goes on as if nothing had happened.

import { setImmediate as turn } from 'node:timers/promises'
import { stack } from '../autograd/index.ts'
import { BatchIterator, type ImageTextSource, type OnBadSample, ShardDataset, type Tokenizer } from '../data/index.ts'
import { captioning, firstOf, meanLoss, retrieval } from '../evaluate/index.ts'

import { batchLoss } from '../evaluate/inputs.ts'
import { advised } from '../evaluate/memory.ts'
import { BatchError } from '../io/index.ts'
import { CoCa } from '../models/index.ts'
import { unloaded } from '../models/unloaded.ts'
import { clipGradients, type Optimizer, type Schedule } from '../optim/index.ts'
import { defaultGenerator, device, scope, seed, storagesIn } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { warn } from '../tensor/warn.ts'
import { augmentation } from './augment.ts'
import {
  checkpointFolder,
  type HostTensors,
  loadModel,
  loadOptimizer,
  readState,
  removeLater,
  removeUnfinishedCheckpoints,
  stepsIn,
  toHost,
  writeCheckpoint,
} from './checkpoint.ts'
import type { RunConfig } from './config.ts'
import { diagnose, type Finding, inspect, TrainingError } from './guard/diagnose.ts'
import type { LossProblem } from './guard/directional.ts'
import { describeCheck, GradientGuard, WrongGradientError } from './guard/guard.ts'
import { freezeParts, initializeFrom } from './initialize.ts'
import { batchGradients } from './loss.ts'
import { checkTrainingFits } from './memory.ts'
import { cutMetrics, type EvaluationMetrics, type GuardMetrics, MetricsLog, type StepMetrics } from './metrics.ts'
import { openModel } from './open-model.ts'
import {
  checkFree,
  createRun,
  openRunData,
  openSettings,
  type Run,
  type RunData,
  RunError,
  whileTraining,
  writeConfig,
} from './run-folder.ts'
import { optimizerFor, scheduleFor, tokenizerFor } from './setup.ts'
import { SkippedSamples, withoutBad } from './skipped.ts'

/** What is known before the first step. */
export interface TrainingStart {
  readonly folder: string
  readonly config: RunConfig
  readonly model: CoCa
  readonly tokenizer: Tokenizer
  /** updates made so far: 0, or where the run goes on */
  readonly step: number
  /** updates in all */
  readonly steps: number
  /** unknown of shards that were not counted */
  readonly stepsPerEpoch: number | undefined
  readonly images: { readonly train: number | undefined; readonly validation: number }
  /** what really computes */
  readonly device: string
}

/** A model in the middle of its training, to be looked at. */
export interface TrainingMoment {
  readonly model: CoCa
  readonly tokenizer: Tokenizer
  readonly config: RunConfig
  readonly step: number
  /** the images held back, if any */
  readonly validation?: ImageTextSource
}

export interface TrainOptions {
  /** ends the training after the step in hand, with a checkpoint */
  readonly signal?: AbortSignal
  readonly onStart?: (start: TrainingStart) => void
  readonly onStep?: (metrics: StepMetrics) => void
  readonly onEvaluation?: (metrics: EvaluationMetrics) => void
  /** hears of each check of the gradient; without it a wrong one is a warning of the process */
  readonly onGuard?: (metrics: GuardMetrics) => void
  /** of every sample that cannot be used, once */
  readonly onBadSample?: OnBadSample
  readonly onCheckpoint?: (checkpoint: { readonly step: number; readonly folder: string }) => void
  /** measures something else than {@link evaluateMoment} does; the random numbers of training are not touched by it */
  readonly evaluate?: (moment: TrainingMoment) => Promise<Readonly<Record<string, number>>>
}

const trainOptions = {
  signal: undefined,
  onStart: undefined,
  onStep: undefined,
  onEvaluation: undefined,
  onGuard: undefined,
  onBadSample: undefined,
  onCheckpoint: undefined,
  evaluate: undefined,
} satisfies Settings<TrainOptions>

export interface ResumeOptions extends TrainOptions {
  /** go on from this checkpoint and forget what came later; default the last one */
  readonly step?: number
  /** train until this step, instead of what the run was started with */
  readonly steps?: number
}
const resumeOptions = {
  ...trainOptions,
  step: is.optional(is.number),
  steps: is.optional(is.number),
} satisfies Settings<ResumeOptions>

export interface TrainResult extends Run {
  /** false if the training was ended by its signal */
  readonly finished: boolean
}

/**
 * Starts a run in a folder of its own and trains to its end. Sets the program's device and its random seed.
 * @throws RunError if there is something in the folder; DataError for mistakes in the data; TrainingError where a value is
 *   no finite number, NonFiniteError where an evaluation comes upon one, WrongGradientError where the gradient is wrong and
 *   the guard is to stop then, all with what was measured and the last checkpoint in place
 */
export async function train(folder: string, config: RunConfig, options?: TrainOptions): Promise<TrainResult> {
  const settled = settle('train(folder, config, options)', options, trainOptions)
  await checkFree(folder)
  await device.use(config.device)
  const skipped = new SkippedSamples(settled.onBadSample)
  const data = await openTrainingData(config, skipped)
  const tokenizer = await tokenizerFor(config, data.train)
  const text = { ...config.model.text, vocabulary: tokenizer.vocabularySize, pad: tokenizer.pad }
  const training = prepare(folder, { ...config, model: { ...config.model, text } }, tokenizer, data, skipped)
  const learner = await fresh(training)
  await createRun(folder, training.config, tokenizer)
  return whileTraining(folder, () => advance({ ...training, ...learner }, 0, settled))
}

/**
 * Goes on with a run that was ended or killed, and trains to its end: what it computes is to the bit what it would have
 * computed without the interruption.
 * @throws RunError if the folder is no run; LockedError while another process trains it; CheckpointError if the checkpoint is damaged; BatchError if the data has
 *   changed; and as {@link train}
 */
export async function resumeTraining(folder: string, options?: ResumeOptions): Promise<TrainResult> {
  const settled = settle('resumeTraining(folder, options)', options, resumeOptions)
  const settings = await openSettings(folder)
  return whileTraining(folder, () => goOn(folder, settings, settled))
}

async function goOn(
  folder: string,
  { config: saved, tokenizer }: Awaited<ReturnType<typeof openSettings>>,
  options: ResumeOptions,
): Promise<TrainResult> {
  const config = options.steps === undefined ? saved : { ...saved, steps: options.steps, epochs: undefined }
  const steps = await stepsIn(folder)
  const step = options.step ?? steps.at(-1) ?? 0
  if (step !== 0 && !steps.includes(step))
    throw new RunError(`has no checkpoint of step ${step}: there are ${steps.join(', ') || 'none'}`, { file: folder })
  await device.use(config.device)
  const skipped = new SkippedSamples(options.onBadSample)
  const training = prepare(folder, config, tokenizer, await openTrainingData(config, skipped), skipped)
  const restored = await (steps.includes(step) ? restore(training, step) : fresh(training))
  await removeUnfinishedCheckpoints(folder)
  await removeLater(folder, step)
  await cutMetrics(folder, step)
  if (config !== saved) await writeConfig(folder, config)
  return advance({ ...training, ...restored }, step, options)
}

/** What a run is made of, apart from the model. */
interface Preparation {
  readonly folder: string
  readonly config: RunConfig
  readonly tokenizer: Tokenizer
  readonly data: RunData
  readonly skipped: SkippedSamples
  readonly batches: BatchIterator
  readonly stepsPerEpoch: number | undefined
  readonly steps: number
  readonly schedule: Schedule
}

interface Learner {
  readonly model: CoCa
  readonly optimizer: Optimizer
}

type Training = Preparation & Learner

/** Epochs of shards need a count of their samples: every shard is listed once. */
async function openTrainingData(config: RunConfig, { tell }: SkippedSamples): Promise<RunData> {
  const { train, validation } = await openRunData({ config }, config.strict ? undefined : tell)
  if (config.epochs !== undefined && train instanceof ShardDataset) await train.count()
  if (config.strict || !validation) return { train, validation }
  return { train, validation: await withoutBad(validation, config.evaluationExamples, tell) }
}

function prepare(
  folder: string,
  config: RunConfig,
  tokenizer: Tokenizer,
  data: RunData,
  skipped: SkippedSamples,
): Preparation {
  const batches = new BatchIterator(data.train, tokenizer, {
    batchSize: config.batchSize,
    contextLength: config.model.text.context,
    seed: config.seed,
    distinctCaptions: config.equalCaptions === 'distinct',
    truncate: config.truncateCaptions,
    crop: config.augment.crop,
    augment: augmentation(config.augment),
    onBadSample: config.strict ? undefined : skipped.tell,
    ahead: 2,
    normalize: config.normalize,
  })
  const stepsPerEpoch = batches.batchesPerEpoch
  const steps = config.steps ?? config.epochs! * stepsPerEpoch!
  return {
    folder,
    config,
    tokenizer,
    data,
    skipped,
    batches,
    stepsPerEpoch,
    steps,
    schedule: scheduleFor(config, steps),
  }
}

async function fresh({ config }: Preparation): Promise<Learner> {
  const { from: file, fresh, tokenizer } = config
  unloaded(config.model)
  seed(config.seed)
  const model = new CoCa(config.model)
  if (file !== undefined) initializeFrom(model, (await openModel(file, { tokenizer })).model, { fresh, file })
  freezeParts(model, config.freeze)
  const optimizer = optimizerFor(model, config)
  checkTrainingFits(optimizer)
  return { model, optimizer }
}

async function restore({ folder, config, batches }: Preparation, step: number): Promise<Learner> {
  const checkpoint = checkpointFolder(folder, step)
  const state = await readState(checkpoint)
  try {
    batches.restore(state.batches)
  } catch (error) {
    throw error instanceof BatchError ? new BatchError(error.reason, { file: config.data, cause: error }) : error
  }
  const model = unloaded(config.model)
  await loadModel(checkpoint, model)
  freezeParts(model, config.freeze)
  const optimizer = optimizerFor(model, config)
  checkTrainingFits(optimizer)
  await loadOptimizer(checkpoint, optimizer, state.optimizer)
  seed(state.generator.seed)
  defaultGenerator().seek(state.generator.position)
  return { model, optimizer }
}

/** Trains from a step to the end. */
async function advance(training: Training, from: number, options: TrainOptions): Promise<TrainResult> {
  const { folder, config, tokenizer, data, model, steps, stepsPerEpoch } = training
  const { signal, onStart, onStep, onEvaluation, onCheckpoint } = options
  const onGuard = options.onGuard ?? warner(folder)
  const images = { train: data.train.length, validation: data.validation?.length ?? 0 }
  await training.skipped.writeInto(folder)
  const log = await MetricsLog.open(folder)
  const guard = new GradientGuard(folder, config, model)
  const inspectGradient: Inspection = async (at, problem) => {
    const check = await guard.check(at, problem)
    if (!check) return 0
    await log.add(check)
    onGuard(check)
    if (!check.ok && config.guard.onError === 'stop') throw new WrongGradientError(check, folder)
    return check.seconds
  }
  let step = from
  let saved = (await stepsIn(folder)).at(-1)
  const save = async () => {
    await log.flush()
    const written = await writeTraining(training, step)
    saved = step
    onCheckpoint?.({ step, folder: written })
  }
  try {
    onStart?.({ folder, config, model, tokenizer, step, steps, stepsPerEpoch, images, device: device.description })
    while (step < steps && !signal?.aborted) {
      const metrics = await update(training, step + 1, inspectGradient).catch(error => {
        throw advised(error, LESS_MEMORY)
      })
      step++
      // on cpu nothing above waits for the outside: without a turn of its own, Ctrl-C would not be heard
      await turn()
      await log.add(metrics)
      onStep?.(metrics)
      const isDue = (every: number) => step === steps || (every > 0 && step % every === 0)
      if (isDue(config.evaluateEvery)) {
        const evaluation = await evaluateAt(training, step, options)
        if (evaluation) {
          await log.add(evaluation)
          onEvaluation?.(evaluation)
        }
      }
      if (isDue(config.checkpointEvery)) await save()
    }
    if (saved !== step) await save()
  } finally {
    await log.flush()
    await log.close()
  }
  const checkpoint = checkpointFolder(folder, step)
  const { normalize } = config
  return { folder, config, tokenizer, normalize, step, checkpoint, model: model.eval(), finished: step >= steps }
}

/** Looks at the loss of a step before the parameters move. Returns how many seconds it took. */
type Inspection = (step: number, problem: LossProblem) => Promise<number>

const warner = (folder: string) => (check: GuardMetrics) => {
  if (!check.ok) warn(describeCheck(check, folder), 'GradientWarning')
}

/** What is said where a step finds no memory. */
const LESS_MEMORY =
  'A smaller batchSize needs less, and so do more parts of a batch (accumulate), frozen parts, and Adafactor or SGD instead of AdamW'

/** Stands for no clipping: no norm in float32 can be larger, and a shader can still hold it. */
const NEVER_CLIPPED = 1e30

/** One step: the numbers are read, and found to be numbers, before the parameters move. */
async function update(training: Training, step: number, inspectGradient: Inspection): Promise<StepMetrics> {
  const { config, batches, model, optimizer, schedule } = training
  const began = performance.now()
  model.train()
  const batch = await batches.next()
  const waiting = (performance.now() - began) / 1000
  const { position } = defaultGenerator().state
  const positives = config.equalCaptions === 'positives'
  const parts = config.accumulate
  const computed = scope(() => {
    const { loss, gradients } = batchGradients(model, batch, { positives, parts })
    const clipped = clipGradients(gradients, config.clipNorm ?? NEVER_CLIPPED)
    // a loss that is left out counts as 0
    const { total, contrastive = total.mul(0), captioning = total.mul(0) } = loss
    const report = stack([total, contrastive, captioning, clipped.norm, model.logScale.exp()])
    return { report, gradients: clipped.gradients }
  }, `step ${step}`)
  try {
    const [loss, contrastive, captioning, gradientNorm, scale] = await computed.report.data()
    if (![loss, contrastive, captioning, gradientNorm, scale].every(Number.isFinite)) {
      defaultGenerator().seek(position)
      throw new TrainingError(step, await diagnose(model, () => ({ ...batchLoss(model, batch, { positives }) })))
    }
    const inspected = await inspectGradient(step, { model, batch, positives, parts, position })
    const learningRate = schedule(step - 1)
    optimizer.step(computed.gradients, learningRate)
    model.constrain()
    const seconds = (performance.now() - began) / 1000 - inspected
    return {
      kind: 'step',
      step,
      epoch: batch.epoch,
      loss,
      contrastive,
      captioning,
      learningRate,
      gradientNorm,
      scale,
      imagesPerSecond: batch.indices.length / seconds,
      seconds,
      waiting,
      skipped: training.skipped.count,
    }
  } finally {
    for (const storage of storagesIn(computed)) storage.free(`step ${step}`)
  }
}

async function evaluateAt(
  { model, tokenizer, config, data: { validation } }: Training,
  step: number,
  { evaluate }: TrainOptions,
): Promise<EvaluationMetrics | undefined> {
  if (!evaluate && !validation) return undefined
  const began = performance.now()
  const { position } = defaultGenerator().state
  model.eval()
  const values = await (evaluate ?? evaluateMoment)({ model, tokenizer, config, step, validation })
  defaultGenerator().seek(position)
  return { kind: 'evaluation', step, seconds: (performance.now() - began) / 1000, values }
}

/**
 * What is measured during training, on the first `evaluationExamples` of the images held back: losses, the share of first
 * ranks in both directions, and captions.
 */
export async function evaluateMoment(moment: TrainingMoment): Promise<Record<string, number>> {
  const { model, tokenizer, config, validation } = moment
  if (!validation) return {}
  const trained = { model, tokenizer, normalize: config.normalize }
  const some = firstOf(validation, config.evaluationExamples)
  const options = { batchSize: config.batchSize, truncate: config.truncateCaptions }
  const losses = await meanLoss(trained, some, options)
  const { imageToText, textToImage } = await retrieval(trained, some, options)
  const { exact, tokenAccuracy } = await captioning(trained, some, options)
  const recalls = { imageToTextR1: imageToText.recall[1], textToImageR1: textToImage.recall[1] }
  return { ...losses, ...recalls, exactCaptions: exact, tokenAccuracy }
}

/** Writes a checkpoint, unless a parameter or a moment is no finite number: what cannot be trained on is not worth keeping. */
async function writeTraining({ folder, config, model, optimizer, batches }: Training, step: number): Promise<string> {
  const { tensors, values } = optimizer.stateDict()
  const [parameters, moments] = [await toHost(model.stateDict()), await toHost(tensors)]
  const inspectAll = (kind: Finding['kind'], all: HostTensors) =>
    [...all].flatMap(([name, { shape, data }]) => inspect(kind, name, shape, data))
  const findings = [...inspectAll('parameter', parameters), ...inspectAll('moment', moments)]
  if (findings.length > 0) throw new TrainingError(step, findings)
  const generator = defaultGenerator().state
  const state = { version: 1, step, batches: batches.state, generator, optimizer: values } as const
  return writeCheckpoint(folder, { state, model: parameters, optimizer: moments }, config.keepLast)
}
