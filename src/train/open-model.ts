// Opens a trained model: a run, or a released checkpoint in OpenCLIP's format.

import { IMAGE_PIXELS, type ImagePixels, pixelsFor, type Tokenizer } from '../data/index.ts'
import type { Normalized } from '../evaluate/index.ts'
import { DataError } from '../io/index.ts'
import { hasTexts, resolveVisionTransformer } from '../models/config.ts'
import { presetFor, settingsFor } from '../models/families.ts'
import {
  type FamilyModels,
  type FamilyName,
  familyNames,
  type PresetName,
  presets,
  type VisionTransformerConfig,
} from '../models/index.ts'
import type { Module } from '../nn/index.ts'
import { readOpenClipSettings } from '../openclip/checkpoint.ts'
import {
  isArchitecture,
  type OpenClipArchitecture,
  type OpenClipFamily,
  openClip,
  type Preprocessing,
} from '../openclip/index.ts'
import { architectureKind } from '../openclip/opening.ts'
import { openClipTokenizer } from '../openclip/tokenizer.ts'
import { encoderSourceOf, openEncoder, readEncoderSettings } from '../openclip/vision.ts'
import { listed } from '../tensor/given.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { mergeSettings, RunConfigError, type RunModels } from './config.ts'
import { ENCODER_SETTINGS, type InitializedPart } from './initialize.ts'
import { isFamily, isWeights, type OpenRunOptions, openRun } from './run.ts'
import { type Named, RunFolder } from './run-folder.ts'

/** Options of `openModel`. */
export interface OpenModelOptions<F extends FamilyName = FamilyName> extends OpenRunOptions<F> {
  /** a tokenizer's file; default the one in the folder */
  readonly tokenizer?: string
  /** OpenCLIP's name for the architecture of a checkpoint without a configuration, such as coca_ViT-B-32 */
  readonly architecture?: OpenClipArchitecture
}
const openModelOptions = {
  step: is.optional(is.number),
  family: is.byDefault<FamilyName | readonly FamilyName[]>('coca', isFamily),
  weights: isWeights,
  tokenizer: is.optional(is.text),
  architecture: architectureKind,
} satisfies Settings<OpenModelOptions>

const OPENCLIP_FAMILIES = ['coca', 'dual-encoder'] as const
const isOfOpenClip = (family: FamilyName): family is OpenClipFamily =>
  (OPENCLIP_FAMILIES as readonly FamilyName[]).includes(family)

/** A model of a family, its normalisation of pixels, its tokenizer if it reads texts, and its classes if it is a classifier. */
export type OpenedModel<F extends FamilyName = 'coca'> = {
  [K in F]: Normalized & Named<K> & { readonly family: K; readonly model: FamilyModels[K] }
}[F]

/**
 * Opens a run's folder, or the folder or file of a checkpoint of OpenCLIP, which is a CoCa or, of a CLIP, a dual encoder, on the current device.
 * @param options.family the expected family; default coca
 * @throws RunError, CheckpointError, OpenClipError or DataError if a file is missing, damaged or does not fit; a checkpoint
 *   without a tokenizer next to it needs options.tokenizer
 */
export async function openModel<F extends FamilyName = 'coca'>(
  path: string,
  options?: OpenModelOptions<F>,
): Promise<OpenedModel<F>> {
  const given = options as OpenModelOptions | undefined
  const settled = settle('openModel(path, options)', given, openModelOptions)
  const { step, tokenizer, family, weights, architecture } = settled
  if (await isRun(path, architecture)) {
    const run = await openRun(path, { step, family, weights })
    return { ...run, family: run.config.family } as unknown as OpenedModel<F>
  }
  if (step !== undefined) throw new DataError('is not a run, so it has no checkpoints to choose from', { file: path })
  if (weights === 'average') throw new DataError('is not a run, so it has no averages of its weights', { file: path })
  const families = [family].flat().filter(isOfOpenClip)
  if (families.length === 0)
    throw new DataError(`is a checkpoint of a coca or dual-encoder, not of a ${listed([family].flat(), 'or')}`, {
      file: path,
    })
  const opened = await openClip(path, { architecture, family: families })
  const { model, preprocessing, tokenizerFiles, tokenizerSettings: settings } = opened
  const { text } = model.config
  const words = await openClipTokenizer(tokenizerFile(path, tokenizerFiles, tokenizer), { settings, text })
  if (words.vocabularySize !== text.vocabulary)
    throw new DataError(`the tokenizer has ${words.vocabularySize} ids, but the model has ${text.vocabulary}`, {
      file: path,
    })
  const { mean, std } = preprocessing
  const normalize = { mean, std }
  const found = { family: opened.family, model, tokenizer: words, normalize, ...pixelsOf(preprocessing) }
  return found as unknown as OpenedModel<F>
}

/**
 * Opens the tokenizer of a checkpoint of OpenCLIP without its model, and gives the context of the model.
 * @throws OpenClipError, TokenizerError or DataError if a file is missing, damaged or not supported
 */
export async function openTokenizer(
  path: string,
): Promise<{ readonly tokenizer: Tokenizer; readonly context: number }> {
  const { model, tokenizerFiles, tokenizerSettings } = await readOpenClipSettings(path, { family: OPENCLIP_FAMILIES })
  const { text } = model
  const file = tokenizerFile(path, tokenizerFiles, undefined)
  return { tokenizer: await openClipTokenizer(file, { settings: tokenizerSettings, text }), context: text.context }
}

/** What a run's settings have for the preprocessing of a checkpoint of OpenCLIP. */
const pixelsOf = ({ resize }: Preprocessing): { readonly pixels?: ImagePixels } =>
  resize === 'squash' ? { pixels: 'squash' } : {}

/** Whether a path is a run. @throws DataError if the name of an architecture is given for one */
async function isRun(path: string, architecture?: OpenClipArchitecture): Promise<boolean> {
  if (!(await new RunFolder(path).isRun())) return false
  if (architecture)
    throw new DataError(`is a run, whose architecture is known: leave out ${architecture}`, { file: path })
  return true
}

/** Which weights are read, and of what. */
interface WeightsOptions {
  readonly part?: InitializedPart
  readonly architecture?: OpenClipArchitecture
}

/** The source of the weights of a new run. */
export interface Weights {
  /** undefined of an encoder on its own */
  readonly family?: FamilyName
  readonly model: Module
  /** the names of its classes, of a classifier */
  readonly classes?: readonly string[]
  /** names of tensors in its file that the model does not have */
  readonly unused?: readonly string[]
  /** names of tensors in its file that the model has no place for, although they take part in what is computed there */
  readonly dropped?: readonly string[]
}

/** The model of a run or of a checkpoint of OpenCLIP; with `part` also a vision transformer. @throws as {@link openModel} */
export async function openWeights(path: string, { part, architecture }: WeightsOptions = {}): Promise<Weights> {
  if (await isRun(path, architecture)) {
    const run = await openRun(path, { family: familyNames })
    return { ...run, family: run.config.family }
  }
  if (part && !architecture && (await encoderSourceOf(path))) return openEncoder(path)
  return notAnEncoder(path, openClip(path, { family: OPENCLIP_FAMILIES, architecture }))
}

/** What is read as a checkpoint of OpenCLIP, with advice in the error if it is an encoder on its own. */
async function notAnEncoder<T>(path: string, read: Promise<T>): Promise<T> {
  try {
    return await read
  } catch (error) {
    const source = await encoderSourceOf(path).catch(() => undefined)
    if (!source) throw error
    const what =
      source === 'clip'
        ? 'has the image tower of a CLIP of Hugging Face'
        : 'is a vision transformer, which is only an encoder'
    const reason = `${what}: copy it with --part encoder, or the setting part`
    throw new DataError(reason, { file: path, cause: error })
  }
}

/** The defaults that a run takes from the model that it is finetuned from. */
export interface Origin {
  /** the family of the model */
  readonly family: FamilyName
  /** the configuration of the model */
  readonly model: RunModels[FamilyName]
  /** the tokenizer's file, of a model that reads texts */
  readonly tokenizer?: string
  /** mean and standard deviation of the channels that the model was trained with, in 0 … 1 */
  readonly normalize?: { readonly mean: readonly number[]; readonly std: readonly number[] }
  /** how files become pixels */
  readonly pixels?: ImagePixels
}

/** Options of `readOrigin`. */
export interface OriginOptions {
  /** a tokenizer's file; default the one in the folder */
  readonly tokenizer?: string
  /** whether texts are needed; default true */
  readonly texts?: boolean
  /** OpenCLIP's name for the architecture of a checkpoint without a configuration */
  readonly architecture?: OpenClipArchitecture
}
const originOptions = {
  tokenizer: is.optional(is.text),
  texts: true,
  architecture: openModelOptions.architecture,
} satisfies Settings<OriginOptions>

/** The settings of a model that {@link openModel} opens, without its weights. */
export async function readOrigin(path: string, options?: OriginOptions): Promise<Origin> {
  const { tokenizer, texts, architecture } = settle('readOrigin(path, options)', options, originOptions)
  if (await isRun(path, architecture)) {
    const run = new RunFolder(path)
    const { config } = await run.settings()
    const { family, model, normalize, pixels } = config
    const own = hasTexts(config) ? run.tokenizerFile : undefined
    return { family, model, tokenizer: tokenizer ?? own, normalize, pixels }
  }
  const settings = await notAnEncoder(path, readOpenClipSettings(path, { family: OPENCLIP_FAMILIES, architecture }))
  const { family, model, preprocessing, tokenizerFiles } = settings
  const { mean, std } = preprocessing
  const words = texts ? tokenizerFile(path, tokenizerFiles, tokenizer) : undefined
  return { family, model, tokenizer: words, normalize: { mean, std }, ...pixelsOf(preprocessing) }
}

/**
 * Settings of a run, with defaults from the model that it is finetuned from, if any. A run of another family takes the settings that
 * its family has. With `part: 'encoder'` only the settings of the encoder and of the pixels come from there.
 * @throws as {@link readOrigin}; RunConfigError naming settings of an encoder that must be those of the other one
 */
export async function withOrigin(json: unknown): Promise<unknown> {
  const { from, model = {}, tokenizer, ...others } = json as Record<string, unknown>
  const { architecture: name, part } = others
  if (typeof from !== 'string' || from === '') return json
  const architecture = name as OpenClipArchitecture | undefined
  if (name !== undefined && !isArchitecture(name)) return json
  if (part !== undefined)
    return part === 'encoder' ? withEncoder(json as Record<string, unknown>, from, architecture) : json
  const texts = !(isFamilyName(others.family) && !hasTexts({ family: others.family }))
  const given = typeof tokenizer === 'string' ? tokenizer : undefined
  const origin = await readOrigin(from, { tokenizer: given, texts, architecture })
  const { normalize, pixels } = origin
  const family = others.family ?? origin.family
  if (!isFamilyName(family)) return json
  const words = hasTexts({ family }) ? origin.tokenizer : tokenizer
  const rule = IMAGE_PIXELS.includes(others.pixels as ImagePixels)
    ? pixelsFor(others.pixels as ImagePixels, pixels)
    : (others.pixels ?? pixels)
  return {
    normalize,
    ...others,
    ...(rule !== undefined && { pixels: rule }),
    family,
    from,
    ...(words !== undefined && { tokenizer: words }),
    model: mergeSettings(settingsFor(family, origin.model, origin.family), model),
  }
}

/** Settings of a run, with those of the encoder that it starts from as defaults. */
async function withEncoder(
  json: Record<string, unknown>,
  from: string,
  architecture?: OpenClipArchitecture,
): Promise<unknown> {
  const { family = 'coca', model } = json
  if (!isFamilyName(family)) return json
  const { preset, ...own } = (typeof model === 'string' ? { preset: model } : (model ?? {})) as Record<string, unknown>
  if (preset !== undefined && !(typeof preset === 'string' && Object.hasOwn(presets, preset))) return json
  const { image, ...pixels } = await readEncoder(from, architecture)
  refuseOthers(own.image, image, from)
  const whole = preset === undefined ? {} : presetFor(family, preset as PresetName)
  return { ...pixels, ...json, model: mergeSettings({ ...whole, image }, own) }
}

/** @throws RunConfigError naming the settings that were written and that are not those of the encoder */
function refuseOthers(written: unknown, image: VisionTransformerConfig, from: string): void {
  if (typeof written !== 'object' || written === null) return
  const there = resolveVisionTransformer('withOrigin(settings)', image)
  const given = written as VisionTransformerConfig
  const problems = ENCODER_SETTINGS.filter(name => given[name] !== undefined && given[name] !== there[name])
  if (problems.length === 0) return
  throw new RunConfigError(
    problems.map(name => {
      const [is, was] = [there[name], given[name]].map(value => JSON.stringify(value))
      return { field: `model.image.${name}`, reason: `must be ${is}, as in the encoder of ${from}, not ${was}` }
    }),
  )
}

/** The settings of an encoder and of its pixels. */
interface EncoderOrigin extends Pick<Origin, 'normalize' | 'pixels'> {
  /** with the activation of its model */
  readonly image: VisionTransformerConfig
}

async function readEncoder(path: string, architecture?: OpenClipArchitecture): Promise<EncoderOrigin> {
  const isOne = !architecture && !(await isRun(path)) && (await encoderSourceOf(path)) !== undefined
  if (isOne) {
    const { image, normalize } = await readEncoderSettings(path)
    return { image, ...(normalize && { normalize }) }
  }
  const { model, normalize, pixels } = await readOrigin(path, { texts: false, architecture })
  const image = { ...model.image, activation: model.image.activation ?? model.activation ?? 'gelu' }
  return { image, ...(normalize && { normalize }), ...(pixels && { pixels }) }
}

const isFamilyName = (name: unknown): name is FamilyName => familyNames.includes(name as FamilyName)

function tokenizerFile(path: string, beside: readonly string[], given: string | undefined): string {
  // of vocab.json and merges.txt the last is enough: the merges determine the ids
  const file = given ?? beside.find(name => /tokenizer\.json$|\.txt\.gz$/.test(name)) ?? beside.at(-1)
  if (file === undefined)
    throw new DataError('has no tokenizer next to its weights: give the file of one with --tokenizer', { file: path })
  return file
}
