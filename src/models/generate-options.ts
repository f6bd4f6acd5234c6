// What can be asked of generation, and what comes of it.

import { defaultGenerator, type Generator, type Tensor } from '../tensor/index.ts'
import type { CaptionDecoder } from './decoding.ts'

export interface GenerateOptions {
  /** id that every caption begins with */
  readonly start: number
  /** id that ends a caption; without one captions run to their full length */
  readonly end?: number
  /** ids to begin with instead of `start`, one list an image, of any length */
  readonly prompts?: readonly (readonly number[])[]
  /** most tokens, prompt and end included; default the model's context */
  readonly maximumLength?: number
  /** fewest tokens before an end is allowed, prompt included; default 0 */
  readonly minimumLength?: number
  /** sample instead of taking the likeliest token */
  readonly sample?: boolean
  /** divides the logits before sampling; default 1 */
  readonly temperature?: number
  /** sample among the k likeliest */
  readonly topK?: number
  /** sample among the likeliest that together reach this probability (Holtzman et al. 2019) */
  readonly topP?: number
  /** above 1: makes tokens that occurred less likely (Keskar et al. 2019); default 1 */
  readonly repetitionPenalty?: number
  /** hypotheses kept side by side; default 1, which is greedy */
  readonly beams?: number
  /** hypotheses are ranked by log p / length^penalty; default 0 */
  readonly lengthPenalty?: number
  /** groups of beams that avoid each other's tokens (Vijayakumar et al. 2016); divides beams; default 1 */
  readonly groups?: number
  /** what a token loses for every earlier group that took it at the same place; default 0.5 */
  readonly diversity?: number
  readonly generator?: Generator
  /** false recomputes everything for every token; default true */
  readonly cache?: boolean
}

export interface Caption {
  /** prompt and end included */
  readonly ids: readonly number[]
  /** log p of everything after the prompt, under the model itself */
  readonly logProbability: number
  /** what it was ranked by */
  readonly score: number
  /** whether it came to its end */
  readonly finished: boolean
  /** beam search: the other hypotheses, best first */
  readonly alternatives: readonly Caption[]
}

export interface StreamedToken {
  readonly id: number
  readonly logProbability: number
  /** how much the decoder looked at each patch, row by row, summing to 1: over its layers and heads, through the pooler */
  readonly attention: Float32Array
}

/** A setting of generation that cannot be. */
export class GenerateOptionError extends RangeError {
  override readonly name = 'GenerateOptionError'
  readonly option: string

  constructor(option: string, value: unknown, reason: string) {
    super(`generate: ${option} = ${value}: ${reason}`)
    this.option = option
  }
}

/** Options with their defaults filled in. */
export type Settings = Required<Omit<GenerateOptions, 'end' | 'prompts' | 'topK' | 'topP'>> &
  Pick<GenerateOptions, 'end' | 'topK' | 'topP'>

/** @throws GenerateOptionError */
export function settle(model: CaptionDecoder, options: GenerateOptions): Settings {
  const settings: Settings = {
    maximumLength: model.context,
    minimumLength: 0,
    sample: false,
    temperature: 1,
    repetitionPenalty: 1,
    beams: 1,
    lengthPenalty: 0,
    groups: 1,
    diversity: 0.5,
    generator: defaultGenerator(),
    cache: true,
    ...options,
  }
  const refuse = (bad: boolean, option: keyof Settings, reason: string) => {
    if (bad) throw new GenerateOptionError(option, settings[option], reason)
  }
  refuse(settings.maximumLength > model.context, 'maximumLength', `the model's context is ${model.context}`)
  refuse(
    settings.minimumLength > settings.maximumLength,
    'minimumLength',
    `is more than the maximum ${settings.maximumLength}`,
  )
  refuse(!(settings.temperature > 0), 'temperature', 'must be above 0')
  refuse(settings.topK !== undefined && !(settings.topK >= 1), 'topK', 'must be at least 1')
  refuse(settings.topP !== undefined && !(settings.topP > 0 && settings.topP <= 1), 'topP', 'must be in (0, 1]')
  refuse(!(settings.repetitionPenalty > 0), 'repetitionPenalty', 'must be above 0')
  refuse(!Number.isInteger(settings.beams) || settings.beams < 1, 'beams', 'must be a positive integer')
  refuse(
    !Number.isInteger(settings.groups) || settings.groups < 1 || settings.beams % settings.groups !== 0,
    'groups',
    `must divide the ${settings.beams} beams`,
  )
  refuse(settings.sample && settings.beams > 1, 'sample', 'beams are searched, not sampled')
  return settings
}

/** What each image's caption begins with. */
export function promptsFor(images: Tensor, options: GenerateOptions): number[][] {
  const [batch] = images.shape
  const prompts = options.prompts ?? Array.from({ length: batch }, () => [options.start])
  if (prompts.length !== batch || prompts.some(prompt => prompt.length === 0))
    throw new GenerateOptionError(
      'prompts',
      JSON.stringify(prompts),
      `${batch} images need ${batch} prompts of at least one id`,
    )
  return prompts.map(prompt => [...prompt])
}

/** A caption that may still grow. */
export interface Hypothesis {
  readonly ids: readonly number[]
  readonly logProbability: number
  readonly finished: boolean
}

/** A caption ranked by log p / length^penalty, of what follows its prompt. */
export function rank(
  hypothesis: Hypothesis,
  promptLength: number,
  lengthPenalty: number,
  alternatives: readonly Caption[] = [],
): Caption {
  const length = Math.max(1, hypothesis.ids.length - promptLength)
  return { ...hypothesis, score: hypothesis.logProbability / length ** lengthPenalty, alternatives }
}
