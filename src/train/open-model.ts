// Opens a trained model: a run, or a released checkpoint in OpenCLIP's format.

import { type ImagePixels, readTokenizer } from '../data/index.ts'
import type { Normalized } from '../evaluate/index.ts'
import { DataError } from '../io/index.ts'
import { hasTexts } from '../models/config.ts'
import { settingsFor } from '../models/families.ts'
import { type FamilyModels, type FamilyName, familyNames } from '../models/index.ts'
import type { Module } from '../nn/index.ts'
import { readOpenClipSettings } from '../openclip/checkpoint.ts'
import {
  type OpenClipArchitecture,
  type OpenClipFamily,
  openClip,
  openClipArchitectureNames,
} from '../openclip/index.ts'
import { listed } from '../tensor/given.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { mergeSettings, type RunModels } from './config.ts'
import { isFamily, isWeights, type OpenRunOptions, openRun } from './run.ts'
import { type Named, RunFolder } from './run-folder.ts'

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
  architecture: is.optional(is.oneOf<OpenClipArchitecture>(...openClipArchitectureNames)),
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
  if (await new RunFolder(path).isRun()) {
    if (architecture)
      throw new DataError(`is a run, whose architecture is known: leave out ${architecture}`, { file: path })
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
  const { model, preprocessing, tokenizerFiles } = opened
  const words = await readTokenizer(tokenizerFile(path, tokenizerFiles, tokenizer))
  if (words.vocabularySize !== model.config.text.vocabulary)
    throw new DataError(
      `the tokenizer has ${words.vocabularySize} ids, but the model has ${model.config.text.vocabulary}`,
      {
        file: path,
      },
    )
  const found = { family: opened.family, model, tokenizer: words, normalize: preprocessing }
  return found as unknown as OpenedModel<F>
}

/** The model of a run or of a checkpoint of OpenCLIP, its family, and the names of its classes if it is a classifier. @throws as {@link openModel} */
export async function openWeights(
  path: string,
): Promise<{ readonly family: FamilyName; readonly model: Module; readonly classes?: readonly string[] }> {
  if (!(await new RunFolder(path).isRun())) return openClip(path, { family: OPENCLIP_FAMILIES })
  const run = await openRun(path, { family: familyNames })
  return { ...run, family: run.config.family }
}

/** The defaults that a run takes from the model that it is finetuned from. */
export interface Origin {
  readonly family: FamilyName
  readonly model: RunModels[FamilyName]
  /** the tokenizer's file, of a model that reads texts */
  readonly tokenizer?: string
  readonly normalize?: { readonly mean: readonly number[]; readonly std: readonly number[] }
  readonly pixels?: ImagePixels
}

export interface OriginOptions {
  /** a tokenizer's file; default the one in the folder */
  readonly tokenizer?: string
  /** whether texts are needed; default true */
  readonly texts?: boolean
}
const originOptions = { tokenizer: is.optional(is.text), texts: true } satisfies Settings<OriginOptions>

/** The settings of a model that {@link openModel} opens, without its weights. */
export async function readOrigin(path: string, options?: OriginOptions): Promise<Origin> {
  const { tokenizer, texts } = settle('readOrigin(path, options)', options, originOptions)
  const run = new RunFolder(path)
  if (await run.isRun()) {
    const { config } = await run.settings()
    const { family, model, normalize, pixels } = config
    const own = hasTexts(config) ? run.tokenizerFile : undefined
    return { family, model, tokenizer: tokenizer ?? own, normalize, pixels }
  }
  const settings = await readOpenClipSettings(path, { family: OPENCLIP_FAMILIES })
  const { family, model, preprocessing, tokenizerFiles } = settings
  const { mean, std } = preprocessing
  const words = texts ? tokenizerFile(path, tokenizerFiles, tokenizer) : undefined
  return { family, model, tokenizer: words, normalize: { mean, std } }
}

/**
 * Settings of a run, with defaults from the model that it is finetuned from, if any. A run of another family takes the settings that
 * its family has.
 * @throws as {@link readOrigin}
 */
export async function withOrigin(json: unknown): Promise<unknown> {
  const { from, model = {}, tokenizer, ...others } = json as Record<string, unknown>
  if (typeof from !== 'string' || from === '') return json
  const texts = !(isFamilyName(others.family) && !hasTexts({ family: others.family }))
  const given = typeof tokenizer === 'string' ? tokenizer : undefined
  const origin = await readOrigin(from, { tokenizer: given, texts })
  const { normalize, pixels } = origin
  const family = others.family ?? origin.family
  if (!isFamilyName(family)) return json
  const words = hasTexts({ family }) ? origin.tokenizer : tokenizer
  return {
    normalize,
    ...(pixels && { pixels }),
    ...others,
    family,
    from,
    ...(words !== undefined && { tokenizer: words }),
    model: mergeSettings(settingsFor(family, origin.model, origin.family), model),
  }
}

const isFamilyName = (name: unknown): name is FamilyName => familyNames.includes(name as FamilyName)

function tokenizerFile(path: string, beside: readonly string[], given: string | undefined): string {
  // of vocab.json and merges.txt the last is enough: the merges determine the ids
  const file = given ?? beside.find(name => /tokenizer\.json$|\.txt\.gz$/.test(name)) ?? beside.at(-1)
  if (file === undefined)
    throw new DataError('has no tokenizer next to its weights: give the file of one with --tokenizer', { file: path })
  return file
}
