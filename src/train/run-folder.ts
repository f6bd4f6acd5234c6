// A run is a folder. Whoever has it has everything: what was asked for, the words the model knows, what was measured,
// and the model at several moments.
//
//     config.json      tokenizer.json      metrics.jsonl
//     checkpoints/step-000200/{model.safetensors, optimizer.safetensors, state.json}
//     guard/step-000501.safetensors, where the gradient of a step was wrong

import { join } from 'node:path'
import {
  type ImageTextDataset,
  type ImageTextSource,
  type OnBadSample,
  openData,
  readTokenizer,
  ShardDataset,
  type Tokenizer,
} from '../data/index.ts'
import type { TrainedModel } from '../evaluate/index.ts'
import { DataError, makeFolder, namesIn, whileLocked, writeAtomically } from '../io/index.ts'

import { unloaded } from '../models/unloaded.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { checkpointFolder, loadModel, stepsIn } from './checkpoint.ts'
import { type RunConfig, readRunConfig } from './config.ts'

/** A folder that is no run, or a run that lacks something. */
export class RunError extends DataError {}

/** A run at one of its checkpoints. */
export interface Run extends TrainedModel {
  readonly folder: string
  readonly config: RunConfig
  readonly step: number
  /** the folder that the model was read from */
  readonly checkpoint: string
}

const CONFIG = 'config.json'
const TOKENIZER = 'tokenizer.json'

/**
 * Makes the folder of a new run.
 * @throws RunError if there is something in it already
 */
export async function createRun(folder: string, config: RunConfig, tokenizer: Tokenizer): Promise<void> {
  await checkFree(folder)
  await makeFolder(folder, async unfinished => {
    await writeAtomically(join(unfinished, TOKENIZER), json(tokenizer))
    await writeAtomically(join(unfinished, CONFIG), json(config))
  })
}

/** @throws RunError if a folder holds anything */
export async function checkFree(folder: string): Promise<void> {
  const names = await namesIn(folder)
  if (names.includes(CONFIG))
    throw new RunError('holds a run already: resume it, or name another folder', { file: folder })
  if (names.length > 0)
    throw new RunError(`is not empty: it holds ${names.slice(0, 3).join(', ')}${names.length > 3 ? ', …' : ''}`, {
      file: folder,
    })
}

/** Replaces a run's configuration. */
export async function writeConfig(folder: string, config: RunConfig): Promise<void> {
  await writeAtomically(join(folder, CONFIG), json(config))
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`

/** Trains a run with no other process at it: two would take each other's checkpoints for remains. @throws LockedError */
export const whileTraining = <T>(folder: string, train: () => Promise<T>): Promise<T> =>
  whileLocked(join(folder, 'training'), train)

/**
 * What a run was started with.
 * @throws RunError if the folder is no run, RunConfigError or TokenizerError if a file of it is damaged
 */
export async function openSettings(folder: string): Promise<{ config: RunConfig; tokenizer: Tokenizer }> {
  const names = await namesIn(folder)
  for (const name of [CONFIG, TOKENIZER])
    if (!names.includes(name)) throw new RunError(`is no run: it has no ${name}`, { file: folder })
  const config = await readRunConfig(join(folder, CONFIG))
  const tokenizer = await readTokenizer(join(folder, TOKENIZER))
  const { vocabulary } = config.model.text
  if (tokenizer.vocabularySize !== vocabulary)
    throw new RunError(`has ${tokenizer.vocabularySize} ids, and model.text.vocabulary of ${CONFIG} is ${vocabulary}`, {
      file: join(folder, TOKENIZER),
    })
  return { config, tokenizer }
}

/** Whether a path is the folder of a run, whatever state it is in. */
export async function isRun(path: string): Promise<boolean> {
  const names: readonly string[] = await namesIn(path).catch(() => [])
  return names.includes(CONFIG) && names.includes(TOKENIZER) && names.includes('checkpoints')
}

/** The file of a run's tokenizer. */
export const tokenizerOf = (folder: string): string => join(folder, TOKENIZER)

/** The steps of which a run has checkpoints, ascending. */
export const listCheckpoints = (folder: string): Promise<number[]> => stepsIn(folder)

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
  const run = await openCheckpoint(folder, settle('openRun(folder, options)', options, openRunOptions))
  const model = unloaded(run.config.model)
  await loadModel(run.checkpoint, model)
  return { ...run, model: model.eval() }
}

/** A run at one of its checkpoints, whose weights have not been read. @throws RunError as {@link openRun} */
export async function openCheckpoint(folder: string, options: OpenRunOptions): Promise<Omit<Run, 'model'>> {
  const { config, tokenizer } = await openSettings(folder)
  const step = await chooseStep(folder, options.step)
  return { folder, config, tokenizer, normalize: config.normalize, step, checkpoint: checkpointFolder(folder, step) }
}

async function chooseStep(folder: string, wanted: number | undefined): Promise<number> {
  const steps = await stepsIn(folder)
  if (steps.length === 0) throw new RunError('has no checkpoint yet', { file: folder })
  const step = wanted ?? steps[steps.length - 1]
  if (!steps.includes(step))
    throw new RunError(`has no checkpoint of step ${step}: there are ${steps.join(', ')}`, { file: folder })
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
