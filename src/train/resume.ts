// Resumes a run from one of its checkpoints.

import { isFirst } from '../data/ranks.ts'
import type { FamilyName } from '../models/index.ts'
import { device } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import type { RunConfig } from './config.ts'
import { freezeParts } from './initialize.ts'
import { restoreTraining } from './keep.ts'
import { type Naming, objectiveOf, unloadedModelOf } from './objectives/families.ts'
import { type RankOptions, shardsFor } from './optimizer-shards.ts'
import { checkFamily, isFamily } from './run.ts'
import { RunError, RunFolder } from './run-folder.ts'
import { checkRunFits } from './run-memory.ts'
import { averageFor, checkpointing, optimizerFor } from './setup.ts'
import { SkippedSamples } from './skipped.ts'
import { fresh } from './start.ts'
import {
  advance,
  namingData,
  openTrainingData,
  type Preparation,
  prepare,
  type Trained,
  type TrainOptions,
  type TrainResult,
  trainOptions,
} from './training.ts'

/** Options of `resumeTraining`. */
export interface ResumeOptions<F extends FamilyName = FamilyName> extends TrainOptions<F> {
  /** resume from this checkpoint and discard later steps; default the last one */
  readonly step?: number
  /** train until this step, instead of the length that the run was started with */
  readonly steps?: number
  /** the family that is expected, or several; default any */
  readonly family?: F | readonly F[]
}
const resumeOptions = {
  ...trainOptions,
  step: is.optional(is.number),
  steps: is.optional(is.number),
  family: is.optional(isFamily),
} satisfies Settings<ResumeOptions>

/**
 * Resumes a run that was stopped or killed, and trains to its end. The result is bit for bit the same as without the
 * interruption.
 * @throws RunError if the folder is not a run; LockedError while another process trains it; CheckpointError if the checkpoint is damaged; BatchError if the data has
 *   changed; and as {@link train}
 */
export async function resumeTraining<F extends FamilyName = FamilyName>(
  folder: string,
  options?: ResumeOptions<F>,
): Promise<TrainResult<F>> {
  const settled = settle('resumeTraining(folder, options)', options as unknown as ResumeOptions, resumeOptions)
  const run = new RunFolder(folder)
  const settings = await run.settings()
  checkFamily(run, settings.config, settled.family)
  const train = () => goOn(run, settings, settled)
  return (await (isFirst(settled.ranks) ? run.whileTraining(train) : train())) as unknown as TrainResult<F>
}

async function goOn(
  run: RunFolder,
  { config: saved, ...naming }: { readonly config: RunConfig } & Naming,
  options: ResumeOptions,
): Promise<TrainResult> {
  const config = options.steps === undefined ? saved : { ...saved, steps: options.steps, epochs: undefined }
  const steps = await run.steps()
  const step = options.step ?? steps.at(-1) ?? 0
  if (step !== 0 && !steps.includes(step))
    throw new RunError(`has no checkpoint of step ${step}: there are ${steps.join(', ') || 'none'}`, { file: run.path })
  await device.use(config.device)
  const skipped = new SkippedSamples(options.onBadSample)
  const { ranks, onShard } = options
  const data = await openTrainingData(config, skipped, { onShard, ranks })
  const training = prepare(run, config, naming, data, skipped, ranks)
  const trained = await (steps.includes(step) ? restore(training, step, options) : fresh(training, options))
  if (isFirst(ranks)) {
    // the other ranks read the settings and the checkpoint before these change
    ranks?.barrier()
    await run.goBack(step)
    if (config !== saved) await run.writeConfig(config)
  } else ranks?.barrier()
  return advance({ ...training, ...trained }, step, options)
}

async function restore(
  { folder, config, batches, naming }: Preparation,
  step: number,
  ranks: RankOptions,
): Promise<Trained> {
  const checkpoint = folder.checkpoint(step)
  const state = await checkpoint.readState()
  namingData(config, () => batches.restore(state.batches))
  const memory = checkRunFits(config, naming, ranks)
  const model = checkpointing(unloadedModelOf(config), config)
  await checkpoint.loadModel(model)
  freezeParts(model, config.freeze)
  const optimizer = optimizerFor(model, config)
  // before the checkpoint is read, so that the state of others takes no memory
  const shards = shardsFor(optimizer, ranks)
  const average = averageFor(model, config)
  await restoreTraining(checkpoint, { optimizer, average }, 'ema in config.json')
  return { model, objective: objectiveOf(model, config, naming), optimizer, shards, average, memory }
}
