// The training of a run, from a step to its end. A checkpoint holds everything that a step depends on, so a run can be stopped
// or killed at any moment, and the resumed run computes the same numbers.

import { BatchIterator, type ImageTextSource, type OnBadSample, ShardDataset, type Tokenizer } from '../data/index.ts'
import { firstOf } from '../evaluate/index.ts'
import type { LossBatch } from '../evaluate/inputs.ts'
import type { CoCa } from '../models/index.ts'
import type { Optimizer, Schedule } from '../optim/index.ts'
import { device } from '../tensor/index.ts'
import type { Settings } from '../tensor/options.ts'
import { augmentation } from './augment.ts'
import type { CheckpointFolder } from './checkpoint.ts'
import type { RunConfig } from './config.ts'
import type { LossProblem } from './guard/directional.ts'
import { guarded } from './guard/inspection.ts'
import { keepIn } from './guard/kept.ts'
import { writeTraining } from './keep.ts'
import { runLoop } from './loop.ts'
import type { EvaluationMetrics, GuardMetrics, StepMetrics } from './metrics.ts'
import type { Objective } from './objective.ts'
import { familyOf } from './objectives/family.ts'
import { provenance, recordProvenance } from './provenance.ts'
import { openRunData, type Run, type RunData } from './run.ts'
import type { RunFolder } from './run-folder.ts'
import { scheduleFor } from './setup.ts'
import { type SkippedSamples, withoutBad } from './skipped.ts'

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
  /** what has changed since the run was started or resumed before, a sentence each: versions, machine, device, data */
  readonly changes: readonly string[]
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

export const trainOptions = {
  signal: undefined,
  onStart: undefined,
  onStep: undefined,
  onEvaluation: undefined,
  onGuard: undefined,
  onBadSample: undefined,
  onCheckpoint: undefined,
  evaluate: undefined,
} satisfies Settings<TrainOptions>

/** A run that was trained. */
export interface TrainResult extends Run {
  /** false if the training was ended by its signal */
  readonly finished: boolean
}

/** What a run is made of, apart from the model. */
export interface Preparation {
  readonly folder: RunFolder
  readonly config: RunConfig
  readonly tokenizer: Tokenizer
  readonly data: RunData
  readonly skipped: SkippedSamples
  readonly batches: BatchIterator
  readonly stepsPerEpoch: number | undefined
  readonly steps: number
  readonly schedule: Schedule
}

/** What a run trains. */
export interface Trained {
  readonly model: CoCa
  readonly objective: Objective<LossBatch, ImageTextSource>
  readonly optimizer: Optimizer
}

/** Epochs of shards need a count of their samples: every shard is listed once. */
export async function openTrainingData(config: RunConfig, { tell }: SkippedSamples): Promise<RunData> {
  const { train, validation } = await openRunData({ config }, config.strict ? undefined : tell)
  if (config.epochs !== undefined && train instanceof ShardDataset) await train.count()
  if (config.strict || !validation) return { train, validation }
  return { train, validation: await withoutBad(validation, config.evaluationExamples, tell) }
}

export function prepare(
  folder: RunFolder,
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

/** Trains from a step to the end. */
export async function advance(
  training: Preparation & Trained,
  from: number,
  options: TrainOptions,
): Promise<TrainResult> {
  const { folder, config, tokenizer, data, model, objective, optimizer, schedule, batches, skipped, steps } = training
  const { signal, onStart, onStep, onEvaluation, onCheckpoint, onGuard, evaluate } = options
  const { validation } = data
  const images = { train: data.train.length, validation: validation?.length ?? 0 }
  await skipped.writeInto(folder.skippedFile)
  const log = await folder.openMetrics()
  const record = (line: Parameters<typeof log.add>[0]) => log.add(line)
  const keep = (problem: LossProblem, at: number) => keepIn(folder, problem, at)
  const learner = {
    objective,
    optimizer,
    schedule,
    maximumNorm: config.clipNorm ?? undefined,
    parts: config.accumulate,
  }
  const saved = (await folder.steps()).at(-1)
  const save = async (step: number): Promise<CheckpointFolder> => {
    await log.flush()
    const state = { step, batches: batches.state }
    const written = await writeTraining(folder, { model, optimizer, state }, config.keepLast)
    onCheckpoint?.({ step, folder: written.path })
    return written
  }
  try {
    const { stepsPerEpoch } = training
    const about = { folder: folder.path, config, model, tokenizer, step: from, steps, stepsPerEpoch, images }
    const changes = await recordProvenance(folder.provenanceFile, provenance(from, data.train.fingerprint))
    onStart?.({ ...about, device: device.description, changes })
    const step = await runLoop({
      learner,
      from,
      steps,
      next: async () => {
        const batch = await batches.next()
        return { batch, epoch: batch.epoch, skipped: () => skipped.count }
      },
      signal,
      inspect: guarded(
        objective,
        { ...config.guard, seed: config.seed, keep },
        { folder: folder.path, record, onGuard },
      ),
      evaluate:
        evaluate || validation
          ? async step =>
              evaluate
                ? evaluate({ model, tokenizer, config, step, validation })
                : objective.evaluate!(firstOf(validation!, config.evaluationExamples))
          : undefined,
      evaluateEvery: config.evaluateEvery,
      checkpointEvery: config.checkpointEvery,
      onStep,
      onEvaluation,
      record,
      save: async step => void (await save(step)),
      saved,
    })
    const checkpoint = folder.checkpoint(step).path
    const { normalize } = config
    return { folder: folder.path, config, tokenizer, normalize, step, checkpoint, model, finished: step >= steps }
  } finally {
    await log.flush()
    await log.close()
  }
}

/**
 * What is measured during training, on the first `evaluationExamples` of the images held back: losses, the share of first
 * ranks in both directions, and captions.
 */
export async function evaluateMoment(moment: TrainingMoment): Promise<Record<string, number>> {
  const { model, tokenizer, config, validation } = moment
  if (!validation) return {}
  const objective = familyOf(config).objective(model, config, tokenizer)
  return { ...(await objective.evaluate?.(firstOf(validation, config.evaluationExamples))) }
}
