// Reading a run: its settings, its model at a checkpoint, and its training data.

import {
  type ClipDataset,
  IMAGE_PIXELS,
  type ImagePixels,
  type ImageTextDataset,
  type ImageTextSource,
  type MultiImageSource,
  type OnBadSample,
  openClips,
  openData,
  picturesFor,
  QuestionDataset,
  type ShardClipDataset,
  type ShardDataset,
  ShardStream,
} from '../data/index.ts'
import type { Normalized } from '../evaluate/index.ts'
import { VIDEO_FRAMES } from '../models/config.ts'
import { type ClassFamily, type FamilyModels, type FamilyName, familyNames } from '../models/index.ts'
import { listed } from '../tensor/given.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import type { CheckpointFolder, CheckpointWeights } from './checkpoint.ts'
import type { RunConfig, RunModels } from './config.ts'
import type { MetricsLine } from './metrics.ts'
import { unloadedModelOf } from './objectives/families.ts'
import { RunError, RunFolder, type RunSettings } from './run-folder.ts'

/** A run of a family at one of its checkpoints. */
export type Run<F extends FamilyName = 'coca'> = {
  [K in F]: Normalized &
    RunSettings<K> & {
      readonly folder: string
      readonly step: number
      /** the folder that the model was read from */
      readonly checkpoint: string
      /** which weights of the checkpoint the model has */
      readonly weights: CheckpointWeights
      readonly model: FamilyModels[K]
    }
}[F]

/**
 * The settings that a run was started with.
 * @throws RunError if the folder is not a run, RunConfigError or TokenizerError if one of its files is damaged
 */
export const openSettings = (folder: string): Promise<RunSettings> => new RunFolder(folder).settings()

/** The steps with a checkpoint of a run, ascending. */
export const listCheckpoints = (folder: string): Promise<number[]> => new RunFolder(folder).steps()

/**
 * The metrics of a run, in order; empty if training has not begun. An incomplete last line is left out.
 * @throws DataError naming the file and a line that is not JSON
 */
export const readMetrics = (folder: string): Promise<MetricsLine[]> => new RunFolder(folder).metrics()

/** Options of `openRun`. */
export interface OpenRunOptions<F extends FamilyName = FamilyName> {
  /** the step of a checkpoint; default the last one */
  readonly step?: number
  /** the family that is expected, or several; default coca */
  readonly family?: F | readonly F[]
  /** the averages of the weights, or the last weights; default the averages if the run keeps them (`ema`) */
  readonly weights?: CheckpointWeights
}
/** What may be chosen of a checkpoint. */
export const isWeights = is.optional(is.oneOf<CheckpointWeights>('average', 'last'))
export const isFamily = new is.Kind<FamilyName | readonly FamilyName[]>(
  `${listed(
    familyNames.map(name => `'${name}'`),
    'or',
  )}, or a list of them`,
  x => (Array.isArray(x) ? x : [x]).every(name => familyNames.includes(name as FamilyName)),
)
const openRunOptions = {
  step: is.optional(is.number),
  family: is.byDefault<FamilyName | readonly FamilyName[]>('coca', isFamily),
  weights: isWeights,
} satisfies Settings<OpenRunOptions>

/**
 * A run's model, ready to be used, on the current device.
 *
 *     const { model, tokenizer } = await openRun('runs/first')
 *     const { model, classes } = await openRun('runs/classes', { family: 'classifier' })
 *
 * @param options.step the step of a checkpoint; default the last one
 * @param options.family the expected family; default coca
 * @param options.weights 'average' or 'last'; default the averages of the weights if the run keeps them
 * @throws RunError if the folder is not a run, is one of another family, or has no such checkpoint or no averages; CheckpointError if the checkpoint
 *   does not fit; NonFiniteWeightsError if its weights are not finite
 */
export async function openRun<F extends FamilyName = 'coca'>(
  folder: string,
  options?: OpenRunOptions<F>,
): Promise<Run<F>> {
  const files = new RunFolder(folder)
  const { family, step, weights } = settle('openRun(folder, options)', options as OpenRunOptions, openRunOptions)
  const run = await openCheckpoint(files, { step })
  checkFamily(files, run.config, family)
  const checkpoint = files.checkpoint(run.step)
  const chosen = await chooseWeights(checkpoint, weights)
  const model = unloadedModelOf(run.config)
  await checkpoint.openModel(model, chosen)
  return { ...run, weights: chosen, model: model.eval() } as unknown as Run<F>
}

async function chooseWeights(
  checkpoint: CheckpointFolder,
  wanted: CheckpointWeights | undefined,
): Promise<CheckpointWeights> {
  const isAveraged = wanted !== 'last' && (await checkpoint.hasAverage())
  if (wanted === 'average' && !isAveraged)
    throw new RunError("has no averages of the weights: the run was trained without ema; use weights 'last'", {
      file: checkpoint.path,
    })
  return isAveraged ? 'average' : 'last'
}

/** @throws RunError for a run of another family */
export function checkFamily(
  { path }: RunFolder,
  { family }: RunConfig,
  expected: FamilyName | readonly FamilyName[] | undefined,
): void {
  const families = expected === undefined ? familyNames : [expected].flat()
  if (families.includes(family)) return
  throw new RunError(`is a run of a ${family}, not of a ${listed(families, 'or')}`, { file: path })
}

/** A run at one of its checkpoints, whose weights have not been read. @throws RunError as {@link openRun} */
export async function openCheckpoint(
  run: RunFolder,
  options: { readonly step?: number },
): Promise<RunSettings & Normalized & { readonly folder: string; readonly step: number; readonly checkpoint: string }> {
  const settings = await run.settings()
  const step = await chooseStep(run, options.step)
  const { normalize, pixels } = settings.config
  return {
    ...settings,
    folder: run.path,
    normalize,
    ...(pixels && { pixels }),
    step,
    checkpoint: run.checkpoint(step).path,
  }
}

async function chooseStep(run: RunFolder, wanted: number | undefined): Promise<number> {
  const steps = await run.steps()
  if (steps.length === 0) throw new RunError('has no checkpoint yet', { file: run.path })
  const step = wanted ?? steps[steps.length - 1]
  if (!steps.includes(step))
    throw new RunError(`has no checkpoint of step ${step}: there are ${steps.join(', ')}`, { file: run.path })
  return step
}

/** The training examples of a run of each family, when they have not been split. */
export interface FamilyExamples extends Record<Exclude<FamilyName, ClassFamily>, ImageTextDataset | ShardDataset> {
  /** pictures with classes */
  readonly classifier: ImageTextDataset | ShardDataset
  /** clips with classes */
  readonly 'video-classifier': ClipDataset | ShardClipDataset
  /** pictures with questions and answers */
  readonly 'multimodal-classifier': QuestionDataset
}

/** The training examples of a run, and its validation examples. */
export type RunData<F extends FamilyName = FamilyName> = {
  [K in F]: { readonly train: FamilyExamples[K]; readonly validation?: HeldOut<K> }
}[F]

/** The validation examples of a run of a family. */
export type HeldOut<F extends FamilyName> = FamilyExamples[F] extends { readonly imagesPerExample: number }
  ? MultiImageSource
  : ImageTextSource

/** Options for reading the examples of a run. */
export interface OpenExamplesOptions {
  /** number of tars whose samples are shuffled together */
  readonly window?: number
  /** threads that decode images; default: some if the first picture is not small */
  readonly threads?: number
  /** how files become pixels; default 'upright' */
  readonly pixels?: ImagePixels
}
const openExamplesOptions = {
  window: is.optional(is.number),
  threads: is.optional(is.number),
  pixels: is.optional(is.oneOf<ImagePixels>(...IMAGE_PIXELS)),
} satisfies Settings<OpenExamplesOptions>

/**
 * Opens examples in the form that the models of a family take: images with captions or labels; of a video-classifier clips with
 * labels, of a multimodal-classifier questions.
 * @param path a folder, a list or shards
 * @param model the configuration of the model, such as `model.config` or `run.config.model`
 * @throws FileError, DataError naming what is wrong
 */
export async function openExamples<F extends FamilyName>(
  path: string,
  family: F,
  model: RunModels[F],
  options?: OpenExamplesOptions,
): Promise<FamilyExamples[F]> {
  const { window, threads, pixels } = settle('openExamples(path, family, model, options)', options, openExamplesOptions)
  const { image, frames, images } = model as RunModels[FamilyName] & { frames?: number; images?: number }
  const common = { ...picturesFor(image), threads: threads ?? ('auto' as const), ...(pixels && { pixels }) }
  const inWindows = { ...common, ...(window !== undefined && { window }) }
  const openers: { readonly [K in FamilyName]: () => Promise<FamilyExamples[K]> } = {
    coca: pictures,
    'dual-encoder': pictures,
    captioner: pictures,
    classifier: () => pictures(true),
    'video-classifier': () => openClips(path, { ...inWindows, frames: frames ?? VIDEO_FRAMES, labels: true }),
    'multimodal-classifier': () => QuestionDataset.open(path, { ...common, images: images ?? 1 }),
  }
  return (await openers[family]()) as FamilyExamples[F]

  function pictures(labels = false) {
    return openData(path, { ...inWindows, labels })
  }
}

/**
 * The training and validation examples of a run, the same ones in every call.
 * @param onBadSample called for samples in shards that cannot be used; without it they are errors
 * @throws FileError if the images no longer exist, DataError if they cannot be read
 */
export async function openRunData<F extends FamilyName>(
  run: { readonly config: RunConfig<F> },
  onBadSample?: OnBadSample,
): Promise<RunData<F>> {
  return (await openParts(run.config as unknown as RunConfig, onBadSample)) as unknown as RunData<F>
}

async function openParts(config: RunConfig, onBadSample?: OnBadSample): Promise<RunData> {
  const { data, family, model, validation, seed, window, threads, pixels } = config
  const whole = await openExamples(data, family, model, { window, threads, pixels })
  if (validation === 0) return { train: whole } as RunData
  if (!(whole instanceof ShardStream)) return whole.split({ validation, seed }) as RunData
  const parts = whole.split({ validation, seed })
  return { train: parts.train, validation: await parts.validation.all(onBadSample) } as RunData
}
