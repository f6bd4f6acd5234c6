// The flags of a command that writes captions, one for every option of `model.generate` and with its name. The checks of
// `model.generate` decide which values are possible; errors.ts names the flag in their messages.

import { type Command, Option } from 'commander'
import type { CaptionModel, TrainedModel } from '../evaluate/index.ts'
import { checkGenerateOptions } from '../models/generation/options.ts'
import type { GenerateOptions } from '../models/index.ts'
import { Generator } from '../tensor/index.ts'
import { flagOf, UsageError } from './errors.ts'
import { anyNumber, positiveInteger, positiveNumber, wholeNumber } from './options.ts'

/** The options with a flag of their own; `--prompt` and `--seed` set two of the others. */
type Flagged = Exclude<keyof GenerateOptions, 'start' | 'end' | 'prompts' | 'generator' | 'cache'>

export type GenerationFlags = Pick<GenerateOptions, Flagged> & { readonly prompt?: string; readonly seed: number }

interface Flag {
  readonly about: string
  /** how its value is shown and read; a flag without one is a switch */
  readonly value?: readonly [shown: string, read: (text: string) => number]
  /** what it has no effect without */
  readonly needs?: { readonly flag: string; readonly isGiven: (flags: GenerationFlags) => boolean }
}

const sampled = { flag: '--sample', isGiven: (flags: GenerationFlags) => flags.sample === true }
const searched = { flag: '--beams 2 or more', isGiven: ({ beams = 1 }: GenerationFlags) => beams > 1 }
const grouped = { flag: '--groups 2 or more', isGiven: ({ groups = 1 }: GenerationFlags) => groups > 1 }

const flags: Readonly<Record<Flagged, Flag>> = {
  maximumLength: {
    about: 'longest caption in tokens, with start, prompt and end (default: the context of the model)',
    value: ['n', positiveInteger],
  },
  minimumLength: {
    about: 'shortest caption in tokens, with start, prompt and end (default: 0)',
    value: ['n', wholeNumber],
  },
  repetitionPenalty: {
    about: 'factor of log p of tokens that occurred; above 1 they are less likely (default: 1)',
    value: ['x', positiveNumber],
  },
  beams: { about: 'number of hypotheses of beam search (default: 1, which is greedy)', value: ['n', positiveInteger] },
  lengthPenalty: {
    about: 'with --beams: rank captions by log p / length^x (default: 0)',
    value: ['x', anyNumber],
    needs: searched,
  },
  groups: {
    about: "with --beams: groups of beams that avoid each other's tokens; divides --beams (default: 1)",
    value: ['n', positiveInteger],
    needs: searched,
  },
  diversity: {
    about: 'with --groups: penalty of a token for each group that chose it before (default: 0.5)',
    value: ['x', anyNumber],
    needs: grouped,
  },
  sample: { about: 'draw tokens at random instead of taking the likeliest' },
  topK: { about: 'with --sample: among the n likeliest', value: ['n', positiveInteger], needs: sampled },
  topP: {
    about: 'with --sample: among the likeliest that together reach probability x',
    value: ['x', positiveNumber],
    needs: sampled,
  },
  temperature: {
    about: 'with --sample: divides the logits; above 1 gives more varied captions (default: 1)',
    value: ['x', positiveNumber],
    needs: sampled,
  },
}
const entries = Object.entries(flags) as [Flagged, Flag][]

/** Short forms of long names. */
const SHORT: Partial<Record<Flagged, string>> = { maximumLength: '--max-length', minimumLength: '--min-length' }

/** Adds the flags of generation. */
export function generationOptions(command: Command): Command {
  for (const [name, { about, value }] of entries) {
    const names = [SHORT[name], flagOf(name)].filter(each => each !== undefined).join(', ')
    const option = new Option(value ? `${names} <${value[0]}>` : names, about)
    command.addOption(value ? option.argParser(value[1]) : option)
  }
  return command.option('--prompt <text>', 'words that every caption begins with')
}

/** The options of `model.generate` for a number of images. */
export type GenerationOf = (images: number, generator: Generator) => Partial<GenerateOptions>

/**
 * The options that flags give, checked for a model before an image is read.
 * @throws UsageError, or GenerateOptionError, whose option is that of a flag
 */
export function generationOf(
  given: GenerationFlags,
  { model, tokenizer }: Pick<TrainedModel<CaptionModel>, 'model' | 'tokenizer'>,
): GenerationOf {
  const { prompt } = given
  if (prompt?.trim() === '') throw new UsageError('--prompt is empty')
  const { start, end } = tokenizer
  const ids = prompt === undefined ? undefined : [start, ...tokenizer.encode(prompt)]
  const { context } = model.config.text
  if (ids && ids.length > (given.maximumLength ?? context))
    throw new UsageError(
      `--prompt '${prompt}' is ${ids.length} tokens with the start: a caption has at most ${given.maximumLength ?? context}`,
    )
  const own = Object.fromEntries(entries.flatMap(([name]) => (given[name] === undefined ? [] : [[name, given[name]]])))
  const options: GenerationOf = (images, generator) => ({
    ...own,
    generator,
    ...(ids && { prompts: Array.from({ length: images }, () => ids) }),
  })
  checkGenerateOptions(model, 1, { start, end, ...options(1, new Generator(given.seed)) })
  return options
}

/** @throws UsageError for a flag that has no effect without another, and for flags that exclude each other */
export function checkGenerationFlags(given: GenerationFlags): void {
  for (const [name, { needs }] of entries)
    if (needs && given[name] !== undefined && !needs.isGiven(given))
      throw new UsageError(`${flagOf(name)} ${given[name]} has no effect without ${needs.flag}`)
  const { sample, beams = 1 } = given
  if (sample && beams > 1) throw new UsageError(`--sample and --beams ${beams}: give one of them`)
}
