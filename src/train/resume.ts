// Resumes a run from one of its checkpoints.

import { BatchError } from '../io/index.ts'
import { device } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { freezeParts } from './initialize.ts'
import { restoreOptimizer } from './keep.ts'
import { checkTrainingFits } from './memory.ts'
import { familyOf } from './objectives/family.ts'
import { RunError, RunFolder } from './run-folder.ts'
import { optimizerFor } from './setup.ts'
import { SkippedSamples } from './skipped.ts'
import { fresh } from './start.ts'
import {
  advance,
  openTrainingData,
  type Preparation,
  prepare,
  type Trained,
  type TrainOptions,
  type TrainResult,
  trainOptions,
} from './training.ts'

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

/**
 * Goes on with a run that was ended or killed, and trains to its end: what it computes is to the bit what it would have
 * computed without the interruption.
 * @throws RunError if the folder is no run; LockedError while another process trains it; CheckpointError if the checkpoint is damaged; BatchError if the data has
 *   changed; and as {@link train}
 */
export async function resumeTraining(folder: string, options?: ResumeOptions): Promise<TrainResult> {
  const settled = settle('resumeTraining(folder, options)', options, resumeOptions)
  const run = new RunFolder(folder)
  const settings = await run.settings()
  return run.whileTraining(() => goOn(run, settings, settled))
}

async function goOn(
  run: RunFolder,
  { config: saved, tokenizer }: Awaited<ReturnType<RunFolder['settings']>>,
  options: ResumeOptions,
): Promise<TrainResult> {
  const config = options.steps === undefined ? saved : { ...saved, steps: options.steps, epochs: undefined }
  const steps = await run.steps()
  const step = options.step ?? steps.at(-1) ?? 0
  if (step !== 0 && !steps.includes(step))
    throw new RunError(`has no checkpoint of step ${step}: there are ${steps.join(', ') || 'none'}`, { file: run.path })
  await device.use(config.device)
  const skipped = new SkippedSamples(options.onBadSample)
  const training = prepare(run, config, tokenizer, await openTrainingData(config, skipped), skipped)
  const trained = await (steps.includes(step) ? restore(training, step) : fresh(training))
  await run.goBack(step)
  if (config !== saved) await run.writeConfig(config)
  return advance({ ...training, ...trained }, step, options)
}

async function restore({ folder, config, batches, tokenizer }: Preparation, step: number): Promise<Trained> {
  const checkpoint = folder.checkpoint(step)
  const state = await checkpoint.readState()
  try {
    batches.restore(state.batches)
  } catch (error) {
    throw error instanceof BatchError ? new BatchError(error.reason, { file: config.data, cause: error }) : error
  }
  const family = familyOf(config)
  const model = family.unloaded(config)
  await checkpoint.loadModel(model)
  freezeParts(model, config.freeze)
  const optimizer = optimizerFor(model, config)
  checkTrainingFits(optimizer)
  await restoreOptimizer(checkpoint, optimizer)
  return { model, objective: family.objective(model, config, tokenizer), optimizer }
}
