// Examines a run and reports what is wrong: its gradients, optimizer, metrics, activity and data.

import { BatchIterator, type ImageTextSource, type MultiImageSource, ShardStream } from '../data/index.ts'
import { checkFinite } from '../io/index.ts'
import { withoutAllocation } from '../nn/index.ts'
import { Generator, seed } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { toDevice } from '../train/checkpoint.ts'
import type { LossProblem } from '../train/guard/directional.ts'
import { readKeptBatch } from '../train/guard/kept.ts'
import { freezeParts, openRunData, type RunConfig, type RunData, RunFolder } from '../train/index.ts'
import { firstExamples, sizeOf } from '../train/objective.ts'
import { modelOf, type Naming, objectiveOf, type RunBatch, type RunObjective } from '../train/objectives/families.ts'
import { openCheckpoint } from '../train/run.ts'
import { optimizerFor, textOptions } from '../train/setup.ts'
import { examineActivity } from './activity.ts'
import { examineData } from './data.ts'
import { conclude, type Examination, FOLLOWED, NOTHING, wordsOf } from './examination.ts'
import { counted } from './finding.ts'
import { examineGradients, type GradientExamination } from './gradients.ts'
import { ENOUGH, examineMetrics } from './metrics.ts'
import { examineOptimizer, examineWeights, ratesInWords } from './optimizer.ts'
import { trainingOf } from './training.ts'

export type { Examination } from './examination.ts'
export type { DoctorFinding, Severity } from './finding.ts'
export type { PartAgreement } from './gradients.ts'
export { type ExamineObjectiveOptions, examine } from './objective.ts'

/** Options of `examineRun`. */
export interface ExamineOptions {
  /** the step of a checkpoint; default the last one */
  readonly step?: number
  /** called after each image that was read */
  readonly onProgress?: (done: number, total: number) => void
  /** aborting ends the examination with the signal's reason */
  readonly signal?: AbortSignal
}
const examineOptions = {
  step: is.optional(is.number),
  onProgress: undefined,
  signal: undefined,
} satisfies Settings<ExamineOptions>

/**
 * Examines a run at a checkpoint, on the current device. If the weights are not finite, gradients and activity are not computed.
 * @throws RunError if the folder is not a run or has no such checkpoint; CheckpointError, SafetensorsError or DataError if a file
 *   cannot be read
 */
export async function examineRun(folder: string, options?: ExamineOptions): Promise<Examination> {
  const settled = settle('examineRun(folder, options)', options, examineOptions)
  const files = new RunFolder(folder)
  const run = await openCheckpoint(files, { step: settled.step })
  const { step } = run
  const { config, ...naming }: { readonly config: RunConfig } & Naming = run
  const checkpoint = files.checkpoint(step)
  const model = withoutAllocation(() => modelOf(config))
  const weights = await examineWeights(checkpoint, model)
  const optimizer = await examineOptimizer(checkpoint, model, config)
  const metrics = (await files.metrics()).filter(line => line.step <= step)
  const measured = examineMetrics(metrics, trainingOf(config), folder)
  const data = await openRunData(run)
  const { batches } = await checkpoint.readState()
  const { onProgress, signal } = settled
  const train = await knownPart(data.train, config.seed)
  const isChanged = batches.fingerprint !== data.train.fingerprint
  const seen = await examineData({ ...data, train, isChanged, ...naming, config, onProgress, signal })
  const computed =
    weights.length > 0 ? undefined : await examineModel(run, naming, objectiveOf(model, config, naming), train)
  const steps = metrics.filter(({ kind }) => kind === 'step').length
  const guards = metrics.filter(({ kind }) => kind === 'guard').length
  return {
    ...conclude(folder, step, [
      ...(computed?.gradients?.findings ?? []),
      ...weights,
      ...optimizer,
      ...measured,
      ...(computed?.activity ?? []),
      ...seen,
    ]),
    looked: {
      gradients: computed?.gradients ? wordsOf(computed.gradients) : NOTHING,
      optimizer: `${config.optimizer.name} and ${counted(model.parameters().length, 'parameter')} of checkpoint ${step}${ratesInWords(optimizerFor(model, config))}`,
      metrics: `${counted(steps, 'step')} and ${counted(guards, 'check')} by the guard`,
      activity: computed ? `the forward and backward pass of ${counted(computed.images, 'image')}` : NOTHING,
      data: `${counted(train.length, 'training image')}${train === data.train ? '' : ' of the first shards'}, ${data.validation?.length ? counted(data.validation.length, 'held-out image') : 'no held-out images'}`,
    },
  }
}

/** Examines activity and, if all values are finite, gradients. */
async function examineModel(
  { config, step }: { readonly config: RunConfig; readonly step: number },
  { tokenizer }: Naming,
  objective: RunObjective,
  train: ImageTextSource | MultiImageSource,
) {
  const iterator = new BatchIterator(train, tokenizer, {
    ...textOptions(config),
    distinctCaptions: false,
    truncate: true,
    batchSize: Math.min(FOLLOWED, train.length),
    seed: config.seed,
    normalize: config.normalize,
  })
  const batch = await iterator.next()
  seed(config.seed)
  objective.model.eval()
  const followed = { objective, batch, parts: config.accumulate, position: 0 }
  const activity = await examineActivity(followed, step >= ENOUGH, config.optimizer.learningRate)
  const isSound = activity.every(({ severity }) => severity !== 'wrong')
  const few = { ...followed, batch: firstExamples(objective, batch, config.guard.examples) }
  return {
    activity,
    gradients: isSound ? await partByPart(few, config, step) : undefined,
    images: sizeOf(objective, batch) ?? 0,
  }
}

/** The images to examine: all of a folder, or the first window of shards, where bad samples are skipped without a message. */
const knownPart = async (data: RunData['train'], seed: number): Promise<ImageTextSource | MultiImageSource> =>
  data instanceof ShardStream ? data.open(0, 0, { seed, shuffle: false, onBadSample: () => {} }) : data

/**
 * Examines the gradient of a batch that the guard saved, with the weights of that step, on the current device.
 * @throws SafetensorsError or DataError if the file is damaged or no guard wrote it; StateDictError if the weights do not belong to
 *   the run's model, NonFiniteWeightsError if they are not finite
 */
export async function examineKeptBatch(folder: string, file: string): Promise<Examination> {
  const { config, ...naming }: { readonly config: RunConfig } & Naming = await new RunFolder(folder).settings()
  const { parameters, step, ...problem } = await readKeptBatch<RunBatch>(file)
  const model = withoutAllocation(() => modelOf(config))
  checkFinite(parameters, { file })
  model.loadStateDict(toDevice(parameters, file))
  seed(config.seed)
  const gradients = await partByPart({ ...problem, objective: objectiveOf(model, config, naming) }, config, step)
  return { ...conclude(folder, step, gradients.findings), looked: { gradients: wordsOf(gradients) } }
}

function partByPart(
  problem: LossProblem,
  config: Pick<RunConfig, 'guard' | 'freeze' | 'seed'>,
  step: number,
): Promise<GradientExamination> {
  freezeParts(problem.objective.model, config.freeze)
  problem.objective.model.train()
  return examineGradients(problem, {
    bound: config.guard.bound,
    generator: new Generator(config.seed).fork(`doctor ${step}`),
  })
}
