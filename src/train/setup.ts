// The tokenizer and the classes, the optimizer and the learning rates of a configuration.

import {
  type BatchOptions,
  type OnShard,
  readAllCaptions,
  readTokenizer,
  ShardStream,
  type Tokenizer,
  WordTokenizer,
} from '../data/index.ts'
import { hasClasses, hasTexts } from '../models/config.ts'
import type { ClassFamily, TextFamily } from '../models/index.ts'
import { checkpointBlocks, type Module } from '../nn/index.ts'
import { matchesPath } from '../nn/parameter-source.ts'
import { readOpenClipSettings } from '../openclip/checkpoint.ts'
import { openClipTokenizer } from '../openclip/tokenizer.ts'
import {
  Adafactor,
  Adagrad,
  Adam,
  AdamW,
  constant,
  ExponentialMovingAverage,
  LearningRateError,
  Lion,
  learningRateGroups,
  Muon,
  type Optimizer,
  type ParameterGroup,
  type RateOptions,
  RMSprop,
  type Schedule,
  SGD,
  warmupCosine,
  warmupLinear,
} from '../optim/index.ts'
import { firstFew } from '../tensor/first-few.ts'
import { type RunConfig, RunConfigError } from './config.ts'
import type { Naming } from './objectives/families.ts'
import type { RunData } from './run.ts'
import { RunFolder } from './run-folder.ts'

/**
 * The tokenizer and the classes of a run, and its configuration with their numbers. The tokenizer is that of a file, or consists of
 * the words of the captions; the classes are those of the data.
 * @param onShard called after each shard that is listed to find the classes
 * @throws FileError, TokenizerError if the file is not a tokenizer, or the captions have more words than the model has ids;
 *   RunConfigError if the numbers of classes of the model and of the data differ
 */
export async function nameNumbers(
  config: RunConfig,
  data: RunData['train'],
  onShard?: OnShard,
): Promise<{ config: RunConfig; naming: Naming }> {
  const tokenizer = hasTexts(config) ? await tokenizerFor(config, data) : undefined
  const classes = hasClasses(config) ? await classesFor(config, data, onShard) : undefined
  const text = tokenizer &&
    hasTexts(config) && {
      text: { ...config.model.text, vocabulary: tokenizer.vocabularySize, pad: tokenizer.pad },
    }
  const model = { ...config.model, ...text, ...(classes && { classes: classes.length }) }
  return {
    config: { ...config, model } as RunConfig,
    naming: { ...(tokenizer && { tokenizer }), ...(classes && { classes }) },
  }
}

/** The classes of the data; those of shards are collected from all of them. @throws RunConfigError if the model has another number of classes */
async function classesFor(
  { model }: RunConfig<ClassFamily>,
  data: RunData['train'],
  onShard?: OnShard,
): Promise<readonly string[]> {
  const classes = data instanceof ShardStream ? await data.readClasses({ onShard }) : data.classes
  if (model.classes === undefined || model.classes === classes.length) return classes
  const reason = `must be ${classes.length}, the number of classes of the data (${firstFew(classes)}), not ${model.classes}`
  throw new RunConfigError([{ field: 'model.classes', reason }])
}

async function tokenizerFor(config: RunConfig<TextFamily>, data: RunData['train']): Promise<Tokenizer> {
  const { tokenizer, model } = config
  if (tokenizer !== undefined) return readTokenizerFor(tokenizer, config)
  const words = WordTokenizer.fromCaptions(await readAllCaptions(data))
  const { vocabularySize: ids } = words
  if (ids <= model.text.vocabulary) return words
  const reason = `must be at least ${ids}, for the ${words.words.length} words of the captions and ${ids - words.words.length} special ids, not ${model.text.vocabulary}; write {"model": {"preset": "tiny", "text": {"vocabulary": ${ids}}}} to a file for --config, or use --tokenizer with a file of cocagrad tokenizer train`
  throw new RunConfigError([{ field: 'model.text.vocabulary', reason }])
}

/** Reads a tokenizer, with the rows of OpenCLIP for a run that begins from all of a checkpoint of OpenCLIP. */
async function readTokenizerFor(file: string, { from, part, architecture, family, model }: RunConfig<TextFamily>) {
  if (from === undefined || part !== undefined || (await new RunFolder(from).isRun())) return readTokenizer(file)
  const origin = await readOpenClipSettings(from, { family: ['coca', 'dual-encoder'], architecture })
  if (origin.family !== family) return readTokenizer(file)
  return openClipTokenizer(file, { settings: origin.tokenizerSettings, text: model.text })
}

/** The options of batches for texts, if the model has texts. */
export const textOptions = (config: RunConfig): Partial<BatchOptions> =>
  hasTexts(config)
    ? {
        contextLength: config.model.text.context,
        distinctCaptions: 'equalCaptions' in config && config.equalCaptions === 'distinct',
        truncate: config.truncateCaptions,
      }
    : {}

/**
 * The optimizer of a configuration, with the learning rates of its parts, and without decay of biases, scales and the temperature.
 * @throws RunConfigError if the learning rates or the matrices of Muon do not apply to the model
 */
export function optimizerFor(model: Module, { optimizer }: Pick<RunConfig, 'optimizer'>): Optimizer {
  const { name, rates, layerDecay, matrices, inBackward: _, ...others } = optimizer
  const options = { ...withoutUndefined(others), groups: groupsFor(model, { rates, layerDecay }) }
  switch (name) {
    case 'adamw':
      return new AdamW(model, options)
    case 'adam':
      return new Adam(model, options)
    case 'lion':
      return new Lion(model, options)
    case 'rmsprop':
      return new RMSprop(model, options)
    case 'adagrad':
      return new Adagrad(model, options)
    case 'sgd':
      return new SGD(model, options)
    case 'adafactor': {
      const { betas, ...rest } = options
      return new Adafactor(model, betas ? { ...rest, beta1: betas[0], beta2: betas[1] } : rest)
    }
    case 'muon': {
      const chosen = matricesFor(model, matrices)
      // a run has one learning rate
      return new Muon(model, { scale: 'adamw', ...options, matrices: name => chosen.has(name) })
    }
  }
}

/** The parameters that Muon takes as matrices. @throws RunConfigError for a part without one */
function matricesFor(model: Module, paths: readonly string[] | undefined): ReadonlySet<string> {
  const refuse = (reason: string) => new RunConfigError([{ field: 'optimizer.matrices', reason }])
  const parameters = [...model.namedParameters()]
  const chosen = new Set<string>()
  for (const path of paths ?? []) {
    const found = parameters.filter(([name]) => matchesPath(name, path))
    if (found.length === 0) {
      const parts = [...new Set(parameters.map(([name]) => name.split('.')[0]))]
      throw refuse(`${path} matches nothing in this model, which has ${parts.join(', ')}`)
    }
    const matrices = found.filter(([, { rank }]) => rank >= 2)
    if (matrices.length === 0) throw refuse(`${path} has no matrix, only ${firstFew(found.map(([name]) => name))}`)
    for (const [name] of matrices) chosen.add(name)
  }
  if (!paths) for (const [name, { rank }] of parameters) if (rank === 2 && /\.\d+\./.test(name)) chosen.add(name)
  if (!parameters.some(([name, { trainable }]) => trainable && chosen.has(name)))
    throw refuse(
      `muon would orthogonalize no parameter that is trained: ${paths ? 'they are frozen' : 'no list of layers has a matrix that is'}; name other parts, or use adamw`,
    )
  return chosen
}

function groupsFor(model: Module, options: RateOptions): ParameterGroup[] {
  try {
    return learningRateGroups(model, options)
  } catch (error) {
    if (!(error instanceof LearningRateError)) throw error
    throw new RunConfigError([{ field: `optimizer.${error.setting}`, reason: error.reason }])
  }
}

/** A model whose blocks compute their values again in the backward pass, if a configuration says so. */
export const checkpointing = <M extends Module>(
  model: M,
  { gradientCheckpointing }: Pick<RunConfig, 'gradientCheckpointing'>,
): M => (gradientCheckpointing ? checkpointBlocks(model) : model)

/** The average of the weights that a configuration asks for, beginning with the weights that the model has now. */
export const averageFor = (model: Module, { ema }: Pick<RunConfig, 'ema'>): ExponentialMovingAverage | undefined =>
  ema === undefined ? undefined : new ExponentialMovingAverage(model, { decay: ema })

const withoutUndefined = <T extends object>(options: T): T =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T

/**
 * The learning rate of each step, counted from 0.
 * @throws RunConfigError if the warm-up takes all steps
 */
export function scheduleFor(config: RunConfig, total: number): Schedule {
  const { optimizer, schedule } = config
  const warmup = config.warmup ?? Math.max(0, Math.min(Math.ceil(0.02 * total), total - 1))
  if (total > 0 && warmup >= total && warmup > 0)
    throw new RunConfigError([
      { field: 'warmup', reason: `must be less than the ${total} steps of the run, not ${warmup}` },
    ])
  // a run of 0 steps has no use for its schedule
  const options =
    total === 0 ? { peak: optimizer.learningRate, total: 1 } : { peak: optimizer.learningRate, warmup, total }
  if (schedule === 'cosine') return warmupCosine(options)
  if (schedule === 'linear') return warmupLinear(options)
  const steady = constant(optimizer.learningRate)
  return step => (step < warmup ? warmupLinear(options)(step) : steady(step))
}
