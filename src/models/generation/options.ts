// Options and results of generation.

import { defaultGenerator, Generator } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import type { CaptionDecoder } from './decoding.ts'

/** Options of `generate`: how captions are chosen, and where they start and end. */
export interface GenerateOptions {
  /** id that every caption begins with */
  readonly start: number
  /** id that ends a caption; without it all captions have the maximum length */
  readonly end?: number
  /** ids to begin with instead of `start`, one list of any length per image */
  readonly prompts?: readonly (readonly number[])[]
  /** maximum number of tokens, including prompt and end; default the model's context */
  readonly maximumLength?: number
  /** minimum number of tokens, including prompt and end; default 0 */
  readonly minimumLength?: number
  /** sample instead of choosing the most likely token */
  readonly sample?: boolean
  /** divides the logits before sampling; default 1 */
  readonly temperature?: number
  /** sample from the k most likely tokens */
  readonly topK?: number
  /** sample from the most likely tokens whose probabilities add up to this value (Holtzman et al. 2019) */
  readonly topP?: number
  /** multiplies log p of tokens that occurred: above 1 they are less likely (after Keskar et al. 2019); default 1 */
  readonly repetitionPenalty?: number
  /** number of hypotheses in beam search; default 1, which is greedy */
  readonly beams?: number
  /** captions are ranked by log p / length^penalty of the tokens after the prompt; default 0 */
  readonly lengthPenalty?: number
  /** groups of beams that avoid each other's tokens (Vijayakumar et al. 2016); divides beams; default 1 */
  readonly groups?: number
  /** penalty of a token for every earlier group that chose it at the same position; default 0.5 */
  readonly diversity?: number
  /** source of random numbers; default the generator that `seed` sets */
  readonly generator?: Generator
  /** whether to keep keys and values of the text; false computes those of all its tokens again for every token, and keeps the image's; default true */
  readonly cache?: boolean
}
const generateOptions = {
  start: is.number,
  end: is.optional(is.number),
  prompts: is.optional(
    new is.Kind<readonly (readonly number[])[]>(
      'a list with a list of ids for each image',
      x => Array.isArray(x) && x.every(ids => Array.isArray(ids)),
    ),
  ),
  maximumLength: is.optional(is.number),
  minimumLength: 0,
  sample: false,
  temperature: 1,
  topK: is.optional(is.number),
  topP: is.optional(is.number),
  repetitionPenalty: 1,
  beams: 1,
  lengthPenalty: 0,
  groups: 1,
  diversity: 0.5,
  generator: is.optional(is.instance('a Generator', Generator)),
  cache: true,
} satisfies Settings<GenerateOptions>

/** A caption that was generated. */
export interface Caption {
  /** ids, including prompt and end */
  readonly ids: readonly number[]
  /** log p of the tokens after the prompt, without penalties */
  readonly logProbability: number
  /** score of the ranking: log p, with repetitions penalised, over length^penalty */
  readonly score: number
  /** whether the caption has its end */
  readonly finished: boolean
  /** beam search: the other hypotheses, best first */
  readonly alternatives: readonly Caption[]
}

/** A token of a caption, as soon as it is chosen. */
export interface StreamedToken {
  /** its id */
  readonly id: number
  /** log p of the token given the image and the tokens before */
  readonly logProbability: number
  /** log p of every token at this place, [vocabulary], of the model, without penalties */
  readonly logProbabilities: Float64Array
  /** attention of the decoder to each patch, row by row, with sum 1: averaged over layers and heads, through the pooler */
  readonly attention: Float32Array
}

/** An invalid option of generation. */
export class GenerateOptionError extends RangeError {
  override readonly name = 'GenerateOptionError'
  /** name of the option */
  readonly option: string
  /** the value that was given */
  readonly value: unknown
  /** what is wrong with the value, without the name of the option */
  readonly reason: string

  constructor(option: string, value: unknown, reason: string) {
    super(`generate: ${option} = ${JSON.stringify(value)}: ${reason}`)
    this.option = option
    this.value = value
    this.reason = reason
  }
}

/** Options with their defaults, a prompt for every image, and the padding id, which is never generated. */
export type GenerateSettings = Required<Omit<GenerateOptions, 'start' | 'end' | 'topK' | 'topP'>> &
  Pick<GenerateOptions, 'end' | 'topK' | 'topP'> & { readonly pad?: number }

/**
 * @param images their number
 * @param call the call that has the options, for errors
 * @throws OptionsError, GenerateOptionError
 */
export function checkGenerateOptions(
  model: Pick<CaptionDecoder, 'config'>,
  images: number,
  options: GenerateOptions,
  call = 'model.generate(images, options)',
): GenerateSettings {
  const settled = settle(call, options, generateOptions)
  const { vocabulary, context, padIsWord } = model.config.text
  const pad = padIsWord ? undefined : model.config.text.pad
  const { start, end, topK, topP, prompts = Array.from({ length: images }, () => [start]) } = settled
  const { maximumLength = context, minimumLength, lengthPenalty, repetitionPenalty, temperature } = settled
  const { beams, groups, diversity, sample, generator = defaultGenerator() } = settled

  const demand = (fits: boolean, option: keyof GenerateOptions, value: unknown, reason: string) => {
    if (!fits) throw new GenerateOptionError(option, value, reason)
  }
  const isCount = (n: number) => Number.isInteger(n) && n >= 1
  const isId = (id: number) => Number.isInteger(id) && id >= 0 && id < vocabulary
  const ids = `is not among the ${vocabulary} ids`
  demand(end === undefined || isId(end), 'end', end, ids)
  demand(
    isCount(maximumLength) && maximumLength <= context,
    'maximumLength',
    maximumLength,
    `must be 1 to ${context}, the model's context`,
  )
  demand(minimumLength <= maximumLength, 'minimumLength', minimumLength, `is more than the maximum ${maximumLength}`)
  demand(temperature > 0, 'temperature', temperature, 'must be above 0')
  demand(topK === undefined || isCount(topK), 'topK', topK, 'must be a positive integer')
  demand(topP === undefined || (topP > 0 && topP <= 1), 'topP', topP, 'must be in (0, 1]')
  demand(repetitionPenalty > 0, 'repetitionPenalty', repetitionPenalty, 'must be above 0')
  demand(Number.isFinite(lengthPenalty), 'lengthPenalty', lengthPenalty, 'must be finite')
  demand(diversity >= 0, 'diversity', diversity, 'must be 0 or more')
  demand(isCount(beams), 'beams', beams, 'must be a positive integer')
  demand(isCount(groups) && beams % groups === 0, 'groups', groups, `must divide the ${beams} beams`)
  demand(!sample || beams === 1, 'sample', sample, 'beams are searched, not sampled')
  demand(prompts.length === images, 'prompts', prompts, `are ${prompts.length} for ${images} images`)
  for (const prompt of prompts) {
    const option = settled.prompts ? 'prompts' : 'start'
    demand(isCount(prompt.length), option, prompt, 'needs at least one id')
    demand(prompt.length <= maximumLength, option, prompt, `is longer than the maximum of ${maximumLength}`)
    demand(prompt.every(isId), option, prompt, ids)
    demand(pad === undefined || !prompt.includes(pad), option, prompt, `holds padding (${pad}), which is not read`)
  }
  return { ...settled, prompts, pad, maximumLength, generator }
}

/** log p / length^penalty of the tokens after a prompt: the score of a caption. */
export const rank = (sum: number, length: number, { lengthPenalty }: Pick<GenerateSettings, 'lengthPenalty'>): number =>
  sum / Math.max(1, length) ** lengthPenalty
