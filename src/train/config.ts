// The configuration of a run, a JSON file. Settings that are misspelt, missing or invalid are detected before any data is read,
// and one error lists them all, with the name of the file.

import { z } from 'zod'
import { channelsProblem, IMAGE_PIXELS } from '../data/index.ts'
import { DataError, readJson } from '../io/index.ts'
import { familyConfigs, hasClasses } from '../models/config.ts'
import { presetFor } from '../models/families.ts'
import {
  type ClassFamily,
  type FamilyConfigs,
  type FamilyName,
  familyNames,
  type PresetName,
  presets,
} from '../models/index.ts'
import { ConfigError } from '../nn/index.ts'
import { architectureProblem, openClipArchitectureNames } from '../openclip/index.ts'
import { OptionsError } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'

/** An invalid setting: its path of fields, and the reason. */
export interface ConfigProblem {
  /** path of the setting */
  readonly field: string
  /** what is wrong with it */
  readonly reason: string
}

/** A configuration with mistakes; the message has one line for each. */
export class RunConfigError extends DataError {
  /** all mistakes */
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[], file?: string) {
    const lines = problems.map(({ field, reason }) => (field ? `${field}: ${reason}` : reason))
    super(lines.length === 1 ? lines[0] : `${lines.length} mistakes\n  ${lines.join('\n  ')}`, { file })
    this.problems = problems
  }
}

/** The message of a schema for values that do not fit it. */
const fail = (reason: string) => ({ error: reason })

const count = (least: number, what = least === 0 ? 'an integer, 0 or more' : 'a positive integer') =>
  z.int(fail(`must be ${what}`)).min(least, fail(`must be ${what}`))
const above0 = z.number(fail('must be a number above 0')).positive(fail('must be above 0'))
const atLeast0 = z.number(fail('must be a number')).min(0, fail('must be 0 or more'))
const part = z.number(fail('must be a number')).positive(fail('must be above 0')).max(1, fail('must be at most 1'))
const share = z.number(fail('must be a number')).min(0, fail('must be 0 or more')).lt(1, fail('must be below 1'))
const shares = z
  .tuple([part, part], fail('must be two numbers'))
  .refine(([low, high]) => low <= high, fail('must be in ascending order'))
const settings = <T extends z.ZodRawShape>(shape: T) => z.strictObject(shape, fail('must be an object of settings'))
const flag = z.boolean(fail('must be true or false'))
const oneOf = <const T extends readonly string[]>(...names: T) =>
  z.enum(names, fail(`must be one of ${names.join(', ')}`))
const numbers = (item: z.ZodType<number>) => z.array(item, fail('must be a list of numbers, one for each channel'))

/** The optimizers of runs, with the settings that each has of those that not all have. */
const optimizerSettings = {
  adamw: ['betas', 'epsilon', 'moments'],
  adam: ['betas', 'epsilon', 'moments'],
  adafactor: ['betas', 'epsilon', 'decayRate', 'clipThreshold', 'relativeStep'],
  lion: ['betas', 'moments'],
  rmsprop: ['alpha', 'epsilon', 'momentum', 'centered'],
  adagrad: ['epsilon'],
  muon: ['matrices', 'momentum', 'nesterov', 'iterations', 'scale', 'betas', 'epsilon'],
  sgd: ['momentum', 'nesterov'],
} as const

/** The name of an optimizer in the configuration of a run. */
export type OptimizerName = keyof typeof optimizerSettings

/** The names of all optimizers of runs. */
export const optimizerNames = Object.keys(optimizerSettings) as [OptimizerName, ...OptimizerName[]]

/** The settings of runs of all families. */
const common = {
  /**
   * images and captions, relative to the working directory: a folder, a .jsonl, .csv or .tsv of captions, or tars such as
   * data/{000..099}.tar. Of a video-classifier a folder of clips, of a multimodal-classifier a list of questions
   */
  data: z.string(fail('must be a path')).min(1, fail('must be a path')),
  /** number of tars whose samples are shuffled together */
  window: count(1).default(16),
  /** stop at a sample that cannot be read, instead of recording it in skipped.jsonl and taking another */
  strict: flag.default(false),
  /** threads that decode images; default one less than the number of processors, and none for small pictures */
  threads: count(0).optional(),
  /**
   * a run, or a checkpoint of OpenCLIP, with the initial weights of the model; in a file it also gives the defaults of the
   * model's settings, the tokenizer and the normalisation
   */
  from: z.string(fail('must be a path')).min(1, fail('must be a path')).optional(),
  /**
   * 'encoder': only the image encoder is copied from there, which may then also be a vision transformer of timm or Hugging Face; in a
   * file it gives the defaults of the encoder's settings and of the normalisation
   */
  part: oneOf('encoder').optional(),
  /** OpenCLIP's name for the architecture of a checkpoint without a configuration beside it */
  architecture: z.enum(openClipArchitectureNames, { error: ({ input }) => architectureProblem(input) }).optional(),
  /** parts that are not copied from there: names of modules or parameters, such as contrastivePooler */
  fresh: z.array(z.string(fail('must be a name')), fail('must be a list of names')).default([]),
  /** parts that are not trained: names too, and ranges of layers such as encoder.blocks.0-5 */
  freeze: z.array(z.string(fail('must be a name')), fail('must be a list of names')).default([]),
  /** share of the images that is held out from training */
  validation: share.default(0.1),
  batchSize: count(1).default(64),
  /** number of parts that a batch is split into, to need the memory of one; the gradient is that of the whole batch */
  accumulate: count(1).default(1),
  /**
   * compute the values inside of each transformer block again in the backward pass, instead of storing them: the same numbers in less
   * memory, for about a third more time
   */
  gradientCheckpointing: flag.default(false),
  /** the length of training: steps, of which 0 only save the initial weights, or passes over the data */
  steps: count(0).optional(),
  epochs: count(1).optional(),
  optimizer: settings({
    name: oneOf(...optimizerNames).default('adamw'),
    /** the peak of the schedule */
    learningRate: above0.default(1e-3),
    /** share of a weight that is subtracted, times the learning rate; default that of the optimizer, 0, 0.01 or 0.1 */
    weightDecay: atLeast0.optional(),
    /** of adamw, adam and lion: how moments are stored, float32, or bfloat16 and float8 in 2 bytes and 1 byte a number; default float32 */
    moments: oneOf('float32', 'bfloat16', 'float8').optional(),
    /** decay rates of the moments; of lion the share of the old momentum in the direction, and in the new one */
    betas: z.tuple([share, share], fail('must be two numbers')).optional(),
    /** added to the root of the second moment, of adafactor to squares */
    epsilon: above0.optional(),
    /** of sgd, rmsprop and muon */
    momentum: share.optional(),
    /** Nesterov momentum, of sgd and muon */
    nesterov: flag.optional(),
    /** of rmsprop: the decay rate of the mean of squares */
    alpha: share.optional(),
    /** of rmsprop: whether the square of the mean gradient is subtracted */
    centered: flag.optional(),
    /** of adafactor: the second moment is a mean with β₂ₜ = 1 - t^-decayRate, or betas[1] if this is less */
    decayRate: atLeast0.optional(),
    /** of adafactor: the largest root mean square of an update before the learning rate */
    clipThreshold: above0.optional(),
    /** of adafactor: whether the learning rate is multiplied with the root mean square of a parameter */
    relativeStep: flag.optional(),
    /**
     * of muon: parts whose matrices it orthogonalizes, names as in freeze; adamw moves all other parameters. Default the matrices in lists
     * of layers, such as encoder.blocks
     */
    matrices: z
      .array(z.string(fail('must be a name')), fail('must be a list of names'))
      .min(1, fail('must have a name'))
      .optional(),
    /** of muon: the number of Newton–Schulz iterations */
    iterations: count(1).optional(),
    /** of muon: the size of a step of a matrix; default adamw, so that one learning rate fits all parameters */
    scale: oneOf('original', 'adamw').optional(),
    /** factors of the learning rate of parts: names as in freeze, such as { "encoder": 0.1 }; the most specific one applies */
    rates: z.record(z.string(), above0, fail('must be an object of factors by part')).optional(),
    /** the factor of the learning rate from one layer to the layer below it, such as 0.75 */
    layerDecay: part.optional(),
    /**
     * update each parameter during the backward pass, as soon as its gradient is complete, which is then freed: the same result in less
     * memory. Without clipNorm, accumulate and guard, which need all gradients; a step that fails goes back to the last checkpoint
     */
    inBackward: flag.default(false),
  }).prefault({}),
  /**
   * keep an exponential moving average of the weights with this decay, such as 0.999, and use it in evaluations; default none
   */
  ema: z.number(fail('must be a number')).positive(fail('must be above 0')).lt(1, fail('must be below 1')).optional(),
  /** schedule of the learning rate after the warm-up; linear and cosine end at 0 */
  schedule: oneOf('constant', 'linear', 'cosine').default('cosine'),
  /** steps in which the learning rate grows from 0; default 2 % of all (CoCa, section 4.1) */
  warmup: count(0).optional(),
  /** largest norm of all gradients together; null disables clipping */
  clipNorm: above0.nullable().default(1),
  seed: count(0).default(0),
  device: oneOf('reference', 'cpu', 'gpu').default('cpu'),
  /** steps between evaluations; 0 evaluates only at the end */
  evaluateEvery: count(0).default(0),
  /** maximum number of validation images in an evaluation during training */
  evaluationExamples: count(1).default(256),
  /** steps between checkpoints; the last step always has one */
  checkpointEvery: count(1).default(200),
  /** number of checkpoints that are kept, the newest ones */
  keepLast: count(1).default(3),
  /** also write the metrics as an event file for TensorBoard, beside metrics.jsonl */
  tensorboard: flag.default(false),
  /** checks of the gradient during training, against finite differences of the loss in float64 on reference */
  guard: settings({
    /** steps between checks, the first at step 1; 0 disables them */
    every: count(0).default(500),
    /** maximum number of images of a batch in a check */
    examples: count(1).default(8),
    /** the largest error that counts as rounding */
    bound: above0.default(0.01),
    /** share of the training time that checks may take: a check that would take more is skipped */
    share: above0.default(0.02),
    /** the reaction to a wrong gradient: 'stop' ends the run before the update, 'warn' continues */
    onError: oneOf('stop', 'warn').default('stop'),
  }).prefault({}),
  /**
   * random changes of training images: a crop with these ranges of area (share) and of width / height instead of the centre,
   * mirroring, a shift of at most so many pixels, brightness times 1 ± so much
   */
  augment: settings({
    crop: settings({ scale: shares, ratio: z.tuple([above0, above0], fail('must be two numbers')).optional() }),
    flip: flag,
    shift: count(0),
    brightness: share,
  })
    .partial()
    .default({}),
  /** how files become pixels: 'upright' (the default) or 'openclip', as OpenCLIP prepares images */
  pixels: oneOf(...IMAGE_PIXELS).optional(),
  /** normalisation of the pixels, channel by channel: (x - mean) / std; default 0.5 and 0.5 for each */
  normalize: settings({
    mean: numbers(z.number(fail('must be a number'))).default([0.5, 0.5, 0.5]),
    std: numbers(above0).default([0.5, 0.5, 0.5]),
  }).prefault({}),
}

/** Additional settings of runs of models with texts. */
const texts = {
  /**
   * a tokenizer's file: a tokenizer.json or CLIP's list of merges; default the words of the captions. It determines the
   * model's number of ids
   */
  tokenizer: z.string(fail('must be the path of a file')).min(1, fail('must be the path of a file')).optional(),
  /**
   * the treatment of equal captions in a batch: 'distinct' puts them in different batches, 'positives' counts each as right
   * for the images of all, 'ignore' only for its own image. Without dropout the last two give the same loss: equal texts have
   * equal logits, so sharing a target among them changes nothing.
   */
  equalCaptions: oneOf('distinct', 'positives', 'ignore').default('positives'),
  /** truncate captions that are too long, instead of throwing */
  truncateCaptions: flag.default(false),
}

/** Additional settings of runs of a classifier. */
const classes = {
  /** share of the target that is spread evenly over all classes */
  labelSmoothing: share.default(0),
}

/** Additional settings of runs of a classifier of images or clips. */
const encoded = {
  ...classes,
  /**
   * a folder for the features of the encoder, which must be frozen: they are computed once for an encoder and data, and the head is
   * trained on them instead of on images
   */
  features: z.string(fail('must be a path')).min(1, fail('must be a path')).optional(),
}

/** Additional settings of runs of a classifier of images with texts. */
const questions = { tokenizer: texts.tokenizer, truncateCaptions: texts.truncateCaptions, ...classes }

const own = {
  coca: texts,
  'dual-encoder': texts,
  captioner: texts,
  classifier: encoded,
  'video-classifier': encoded,
  'multimodal-classifier': questions,
} satisfies { readonly [F in FamilyName]: z.ZodRawShape }

const commonSchema = z.strictObject(common)
const ownSchemas = { texts: z.strictObject(texts), classes: z.strictObject(classes) }

type OwnSettings<F extends FamilyName> = z.infer<z.ZodObject<(typeof own)[F]>>

/**
 * The configuration of a run's model: complete; in a file also the name of a preset, or { preset, … } with the settings that
 * differ from it. The number of classes of a classifier defaults to that of its data.
 */
export type RunModels = {
  readonly [F in FamilyName]: F extends ClassFamily
    ? Omit<FamilyConfigs[F], 'classes'> & { readonly classes?: number }
    : FamilyConfigs[F]
}

/** Everything that decides what a run computes. */
export type RunConfig<F extends FamilyName = FamilyName> = {
  [K in F]: z.infer<typeof commonSchema> &
    OwnSettings<K> & {
      /** the family of the model */
      family: K
      model: RunModels[K]
    }
}[F]

/** A configuration as it is written by hand: the model may be a preset, and settings with a default may be omitted. */
export type RunConfigInput = z.input<typeof commonSchema> &
  Partial<z.input<typeof ownSchemas.texts> & z.input<typeof ownSchemas.classes>> & {
    /** default coca */
    readonly family?: FamilyName
    /** the configuration of the model, or the name of a preset */
    readonly model: unknown
  }

/** The family that a configuration names; any family if that is not known. */
export type FamilyIn<T> = T extends { readonly family: infer F }
  ? F extends FamilyName
    ? F
    : FamilyName
  : 'family' extends keyof T
    ? FamilyName
    : unknown extends T
      ? FamilyName
      : 'coca'

/**
 * Checks a configuration and fills in its defaults.
 * @param file its name in an error
 * @throws RunConfigError naming every field that is unknown, missing or invalid
 */
export function checkRunConfig<const T>(json: T, file?: string): RunConfig<FamilyIn<T>> {
  if (!isRecord(json)) throw new RunConfigError([{ field: '', reason: 'must be an object of settings' }], file)
  const { family, model, problems } = checkModel(json)
  const { model: _, family: __, ...others } = json
  const parsed = settings({ ...common, ...own[family] }).safeParse(others, { reportInput: true })
  const found = parsed.error?.issues.flatMap(issue => problemsOf(issue, family)) ?? []
  if (found.length > 0 || !parsed.success) throw new RunConfigError([...problems, ...found], file)
  const channels = channelsOf(model)
  const normalize = normalizeFor(channels, json.normalize, parsed.data.normalize)
  const run = { family, model, ...parsed.data, normalize } as RunConfig
  const all = [
    ...lengthProblems(run),
    ...optimizerProblems(run.optimizer),
    ...inBackwardProblems(run),
    ...problems,
    ...originProblems(run),
    ...channelProblems(normalize, channels),
  ]
  if (all.length > 0) throw new RunConfigError(all, file)
  return run as unknown as RunConfig<FamilyIn<T>>
}

/**
 * A configuration from a file.
 * @throws FileError if the file cannot be read or is not JSON; RunConfigError
 */
export async function readRunConfig(file: string): Promise<RunConfig> {
  return checkRunConfig(await readJson(file), file)
}

/** A family and the configuration of a model of it. */
export type ModelChoice = { [F in FamilyName]: { readonly family: F; readonly model: RunModels[F] } }[FamilyName]

/**
 * A model's configuration on its own: complete, a preset's name, a preset with the settings that differ from it, or the `family`
 * and `model` of a run's settings.
 * @param file its name in an error
 * @throws RunConfigError naming every field that is unknown, missing or invalid
 */
export function checkModelConfig(json: unknown, file?: string): ModelChoice {
  const given = isRecord(json) && json.model !== undefined ? json : { model: json }
  const { family, model, problems } = checkModel(given)
  if (problems.length > 0) throw new RunConfigError(problems, file)
  return { family, model } as ModelChoice
}

/** A value in one short line. */
function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The family of a configuration, its model with the settings of its preset, and the problems of both. */
function checkModel({ family = 'coca', model }: Readonly<Record<string, unknown>>): {
  readonly family: FamilyName
  readonly model: unknown
  readonly problems: readonly ConfigProblem[]
} {
  if (!familyNames.includes(family as FamilyName)) {
    const reason = `must be one of ${familyNames.join(', ')}, not ${show(family)}`
    return { family: 'coca', model, problems: [{ field: 'family', reason }] }
  }
  const known = family as FamilyName
  const { preset, ...differing } = typeof model === 'string' ? { preset: model } : isRecord(model) ? model : {}
  if (preset === undefined) return { family: known, model, problems: modelProblems(known, model) }
  const names = Object.keys(presets)
  if (typeof preset !== 'string' || !names.includes(preset)) {
    const field = typeof model === 'string' ? 'model' : 'model.preset'
    const reason = `${JSON.stringify(preset)} is not a preset; the presets are ${names.join(', ')}`
    return { family: known, model, problems: [{ field, reason }] }
  }
  const whole = mergeSettings(presetFor(known, preset as PresetName), differing)
  return { family: known, model: whole, problems: modelProblems(known, whole) }
}

/** The fields of both; the second takes precedence. A model that is the name of a preset is that preset with the settings of the second. */
export function mergeSettings(base: unknown, own: unknown): unknown {
  if (!isRecord(base) || !isRecord(own)) return own
  // a Map, because an assignment to the field __proto__ would not make a field
  const merged = new Map(Object.entries(base))
  for (const [name, value] of Object.entries(own)) {
    const under = merged.get(name)
    merged.set(name, mergeSettings(name === 'model' && typeof under === 'string' ? { preset: under } : under, value))
  }
  return Object.fromEntries(merged)
}

function problemsOf(issue: z.core.$ZodIssue, family: FamilyName): ConfigProblem[] {
  const path = issue.path.map(String)
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map(key => {
      const isOfOthers = path.length === 0 && Object.values(own).some(shape => key in shape)
      return {
        field: [...path, key].join('.'),
        reason: isOfOthers ? `is not a setting of a ${family}` : 'is not a setting',
      }
    })
  const { input, message } = issue
  return [{ field: path.join('.'), reason: input === undefined ? 'is missing' : `${message}, not ${show(input)}` }]
}

function lengthProblems({ steps, epochs }: RunConfig): ConfigProblem[] {
  if (steps !== undefined && epochs !== undefined)
    return [{ field: 'steps', reason: 'is given together with epochs: give one of them' }]
  if (steps === undefined && epochs === undefined)
    return [{ field: 'steps', reason: 'is missing: give steps or epochs' }]
  return []
}

/** The number of channels of a model's images. */
function channelsOf(model: unknown): number {
  const channels = isRecord(model) && isRecord(model.image) ? model.image.channels : undefined
  return is.count.fits(channels) ? channels : 3
}

type Normalize = RunConfig['normalize']

/** The defaults of a normalisation are those of three channels. */
function normalizeFor(channels: number, given: unknown, { mean, std }: Normalize): Normalize {
  const has = (name: keyof Normalize) => isRecord(given) && given[name] !== undefined
  const first = (values: number[]) => values.slice(0, channels)
  return { mean: has('mean') ? mean : first(mean), std: has('std') ? std : first(std) }
}

/** Channels that files of pictures do not give, or a normalisation of others. */
function channelProblems(normalize: Normalize, channels: number): ConfigProblem[] {
  const reason = channelsProblem(channels)
  if (reason !== undefined) return [{ field: 'model.image.channels', reason }]
  return Object.entries(normalize).flatMap(([name, values]) => {
    const expected = channels === 1 ? 'one number, for the one channel' : `${channels} numbers, one for each channel`
    const wrong = { field: `normalize.${name}`, reason: `must be ${expected}, not ${show(values)}` }
    return values.length === channels ? [] : [wrong]
  })
}

/** Settings that apply only if the weights of another model are copied. */
function originProblems({ from, fresh, part, architecture }: RunConfig): ConfigProblem[] {
  if (from !== undefined) return []
  const given = Object.entries({ fresh: fresh.length > 0, part, architecture }).filter(([, value]) => value)
  return given.map(([field]) => ({ field, reason: 'has no effect without from' }))
}

const ofSomeOptimizers = [...new Set(Object.values(optimizerSettings).flat())]

/** Settings that the optimizer does not have, which would be silently ignored, and those that do not go together. */
function optimizerProblems(optimizer: RunConfig['optimizer']): ConfigProblem[] {
  const { name, momentum, nesterov } = optimizer
  const own: readonly string[] = optimizerSettings[name]
  const foreign = ofSomeOptimizers.filter(field => optimizer[field] !== undefined && !own.includes(field))
  const problems = foreign.map(field => ({ field: `optimizer.${field}`, reason: `is not a setting of ${name}` }))
  if (name === 'sgd' && nesterov && !momentum)
    problems.push({ field: 'optimizer.nesterov', reason: 'needs a momentum above 0: give momentum too' })
  return problems
}

/** Settings that need all gradients of a step together. */
function inBackwardProblems({ optimizer, clipNorm, accumulate, guard }: RunConfig): ConfigProblem[] {
  if (!optimizer.inBackward) return []
  const because = 'with optimizer.inBackward, which frees each gradient as soon as its parameter is updated'
  return [
    {
      field: 'clipNorm',
      reason: `must be null ${because}, before the norm of all is known`,
      isWrong: clipNorm !== null,
    },
    {
      field: 'accumulate',
      reason: `must be 1 ${because}, before those of the other parts are added`,
      isWrong: accumulate > 1,
    },
    { field: 'guard.every', reason: `must be 0 ${because}, before all are checked`, isWrong: guard.every > 0 },
  ].flatMap(({ isWrong, ...problem }) => (isWrong ? [problem] : []))
}

/** The problems of the model's configuration: unknown settings, widths that are not divisible by heads, and the like. */
function modelProblems(family: FamilyName, model: unknown): ConfigProblem[] {
  if (model === undefined) return [{ field: 'model', reason: 'is missing' }]
  // the number of classes comes from the data
  const whole = hasClasses({ family }) && isRecord(model) ? { classes: 1, ...model } : model
  try {
    familyConfigs[family].check(whole as never)
    return []
  } catch (error) {
    if (error instanceof OptionsError)
      return [error, ...error.others].map(({ option, reason }) => ({
        field: option ? `model.${option}` : 'model',
        reason: reason === 'is no option' ? 'is not a setting' : reason,
      }))
    if (!(error instanceof ConfigError)) throw error
    return [{ field: `model.${error.field}`, reason: error.message.slice(`${error.field} = `.length).replace(':', '') }]
  }
}
