// A trained model, wherever it comes from: a run of one's own, or a released checkpoint in OpenCLIP's format.

import { readTokenizer } from '../data/index.ts'
import type { TrainedModel } from '../evaluate/index.ts'
import { DataError } from '../io/index.ts'
import type { CoCaConfig } from '../models/index.ts'
import { readOpenClipSettings } from '../openclip/checkpoint.ts'
import { openClip } from '../openclip/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { merge } from './config.ts'
import { openRun } from './run.ts'
import { RunFolder } from './run-folder.ts'

export interface OpenModelOptions {
  /** of a run: which checkpoint; default the last one */
  readonly step?: number
  /** a tokenizer's file; default the one that the folder holds */
  readonly tokenizer?: string
}
const openModelOptions = {
  step: is.optional(is.number),
  tokenizer: is.optional(is.text),
} satisfies Settings<OpenModelOptions>

/**
 * Opens a run's folder, or the folder or file of a checkpoint of OpenCLIP, on the current device.
 * @throws RunError, CheckpointError, OpenClipError or DataError where a file is missing, is damaged or does not fit; a checkpoint
 *   without a tokenizer beside it needs one given
 */
export async function openModel(path: string, options?: OpenModelOptions): Promise<TrainedModel> {
  const { step, tokenizer } = settle('openModel(path, options)', options, openModelOptions)
  if (await new RunFolder(path).isRun()) return openRun(path, { step })
  if (step !== undefined) throw new DataError('is no run, and has no checkpoints to choose from', { file: path })
  const { model, preprocessing, tokenizerFiles } = await openClip(path)
  const words = await readTokenizer(tokenizerFile(path, tokenizerFiles, tokenizer))
  if (words.vocabularySize !== model.config.text.vocabulary)
    throw new DataError(`the tokenizer has ${words.vocabularySize} ids, the model ${model.config.text.vocabulary}`, {
      file: path,
    })
  return { model, tokenizer: words, normalize: preprocessing }
}

/** What a run that begins with a model's weights takes from it, unless it says otherwise. */
export interface Origin {
  readonly model: CoCaConfig
  /** the tokenizer's file */
  readonly tokenizer: string
  readonly normalize?: { readonly mean: readonly number[]; readonly std: readonly number[] }
}

/** The settings of a model that {@link openModel} opens, without its weights. */
export async function readOrigin(path: string, tokenizer?: string): Promise<Origin> {
  const run = new RunFolder(path)
  if (await run.isRun()) {
    const { config } = await run.settings()
    return { model: config.model, tokenizer: tokenizer ?? run.tokenizerFile, normalize: config.normalize }
  }
  const { model, preprocessing, tokenizerFiles } = await readOpenClipSettings(path)
  const { mean, std } = preprocessing
  return { model, tokenizer: tokenizerFile(path, tokenizerFiles, tokenizer), normalize: { mean, std } }
}

/**
 * Settings of a run with what it leaves open taken from the model that it begins with, if it does so.
 * @throws as {@link readOrigin}
 */
export async function withOrigin(json: unknown): Promise<unknown> {
  const { from, model = {}, tokenizer, ...others } = json as Record<string, unknown>
  if (typeof from !== 'string' || from === '') return json
  const origin = await readOrigin(from, typeof tokenizer === 'string' ? tokenizer : undefined)
  const { normalize } = origin
  return { normalize, ...others, from, tokenizer: origin.tokenizer, model: merge(origin.model, model) }
}

function tokenizerFile(path: string, beside: readonly string[], given: string | undefined): string {
  // of vocab.json and merges.txt the last is enough: the merges say what the ids are
  const file = given ?? beside.find(name => /tokenizer\.json$|\.txt\.gz$/.test(name)) ?? beside.at(-1)
  if (file === undefined)
    throw new DataError('has no tokenizer beside its weights: give the file of one, as --tokenizer', { file: path })
  return file
}
