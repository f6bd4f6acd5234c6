// Reading a run: its settings, its model at a checkpoint, and its training data.

import {
  type ImageTextDataset,
  type ImageTextSource,
  type OnBadSample,
  openData,
  ShardDataset,
  type Tokenizer,
} from '../data/index.ts'
import type { TrainedModel } from '../evaluate/index.ts'
import { unloaded } from '../models/unloaded.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import type { RunConfig } from './config.ts'
import type { MetricsLine } from './metrics.ts'
import { RunError, RunFolder } from './run-folder.ts'

/** A run at one of its checkpoints. */
export interface Run extends TrainedModel {
  readonly folder: string
  readonly config: RunConfig
  readonly step: number
  /** the folder that the model was read from */
  readonly checkpoint: string
}

/**
 * What a run was started with.
 * @throws RunError if the folder is no run, RunConfigError or TokenizerError if a file of it is damaged
 */
export const openSettings = (folder: string): Promise<{ config: RunConfig; tokenizer: Tokenizer }> =>
  new RunFolder(folder).settings()

/** The steps of which a run has checkpoints, ascending. */
export const listCheckpoints = (folder: string): Promise<number[]> => new RunFolder(folder).steps()

/**
 * What a run has measured, in order; none if it has not begun. A last line that was cut off is left out.
 * @throws DataError naming file and line, where one is not JSON
 */
export const readMetrics = (folder: string): Promise<MetricsLine[]> => new RunFolder(folder).metrics()

export interface OpenRunOptions {
  /** of a checkpoint; default the last one */
  readonly step?: number
}
const openRunOptions = { step: is.optional(is.number) } satisfies Settings<OpenRunOptions>

/**
 * A run's model, ready to be used, on the current device.
 * @param options.step of a checkpoint; default the last one
 * @throws RunError if the folder is no run, or has no such checkpoint; CheckpointError if the checkpoint does not fit;
 *   NonFiniteWeightsError if its weights are not finite
 */
export async function openRun(folder: string, options?: OpenRunOptions): Promise<Run> {
  const files = new RunFolder(folder)
  const run = await openCheckpoint(files, settle('openRun(folder, options)', options, openRunOptions))
  const model = unloaded(run.config.model)
  await files.checkpoint(run.step).loadModel(model)
  return { ...run, model: model.eval() }
}

/** A run at one of its checkpoints, whose weights have not been read. @throws RunError as {@link openRun} */
export async function openCheckpoint(run: RunFolder, options: OpenRunOptions): Promise<Omit<Run, 'model'>> {
  const { config, tokenizer } = await run.settings()
  const step = await chooseStep(run, options.step)
  const { normalize } = config
  return { folder: run.path, config, tokenizer, normalize, step, checkpoint: run.checkpoint(step).path }
}

async function chooseStep(run: RunFolder, wanted: number | undefined): Promise<number> {
  const steps = await run.steps()
  if (steps.length === 0) throw new RunError('has no checkpoint yet', { file: run.path })
  const step = wanted ?? steps[steps.length - 1]
  if (!steps.includes(step))
    throw new RunError(`has no checkpoint of step ${step}: there are ${steps.join(', ')}`, { file: run.path })
  return step
}

/** What a run learns from, and what it is judged by. */
export interface RunData {
  readonly train: ImageTextDataset | ShardDataset
  readonly validation?: ImageTextSource
}

/**
 * The images that a run learns from and those that it is judged by: the same ones whenever it is asked.
 * @param onBadSample is told of samples in shards that cannot be used; without it they are errors
 * @throws FileError if the images are not there any more, DataError if they cannot be read
 */
export async function openRunData(
  run: { readonly config: Pick<RunConfig, 'data' | 'validation' | 'seed' | 'model' | 'window' | 'threads'> },
  onBadSample?: OnBadSample,
): Promise<RunData> {
  const { data, validation, seed, model, window, threads = 'auto' } = run.config
  const whole = await openData(data, { imageSize: model.image.size, window, threads })
  if (validation === 0) return { train: whole }
  if (!(whole instanceof ShardDataset)) return whole.split({ validation, seed })
  const parts = whole.split({ validation, seed })
  return { train: parts.train, validation: await parts.validation.all(onBadSample) }
}
