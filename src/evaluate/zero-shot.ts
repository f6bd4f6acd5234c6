// Zero-shot classification: the class whose prompts are nearest to an image in the space of embeddings (CoCa, section 4.2).

import type { Tokenizer } from '../data/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { type ClassLabel, type ClassScoreRow, type ClassScores, scoreClasses } from './class-scores.ts'
import {
  type ClipSource,
  type Embeddings,
  type EvaluateOptions,
  embedImages,
  embedTexts,
  evaluateOptions,
  type ImageSource,
  meansOf,
} from './embeddings.ts'
import { similarityRows } from './retrieval.ts'
import type { EmbeddingModel, TrainedModel } from './trained-model.ts'

/** Options of `zeroShot`. */
export interface ZeroShotOptions extends EvaluateOptions {
  /** names of the classes */
  readonly classes: readonly string[]
  /** the number of every image's class, or a list of the numbers of several */
  readonly labels: ArrayLike<ClassLabel>
  /** sentences in which {} is replaced by a class; default 'a {}' */
  readonly templates?: readonly string[]
}

const zeroShotOptions = {
  ...evaluateOptions,
  classes: is.list as is.Kind<readonly string[]>,
  labels: new is.Kind<ArrayLike<ClassLabel>>('a list of class numbers', x => Array.isArray(x) || ArrayBuffer.isView(x)),
  templates: ['a {}'],
} satisfies Settings<ZeroShotOptions>

/** The result of `zeroShot`. */
export type ZeroShotResult = ClassScores

/**
 * Classification by the nearest class in embedding space. The embedding of a class is the mean of its prompts' embeddings, normalised
 * to unit length (Radford et al. 2021, section 3.1.4). That of a clip is the mean of its frames' embeddings, see {@link embedImages}.
 * @throws RangeError if a label is not one of the classes, or the numbers of labels and images differ
 */
export async function zeroShot(
  trained: TrainedModel<EmbeddingModel>,
  images: ImageSource | ClipSource,
  options: ZeroShotOptions,
): Promise<ZeroShotResult> {
  const settled = settle('zeroShot(trained, images, options)', options, zeroShotOptions)
  const { classes, labels, templates, ...evaluating } = settled
  if (labels.length !== images.length)
    throw new RangeError(`zeroShot: ${labels.length} labels for ${images.length} images`)
  const { batchSize, truncate, signal, ranks } = evaluating
  const prototypes = await embedClasses(trained, classes, { templates, batchSize, truncate, signal, ranks })
  const rows = scoresOf(await embedImages(trained, images, evaluating), prototypes)
  return scoreClasses('zeroShot', { classes, labels, rows })
}

async function* scoresOf(images: Embeddings, classes: Embeddings): AsyncGenerator<ClassScoreRow> {
  for await (const { row, similarities } of similarityRows(images, classes)) yield { row, scores: similarities }
}

/** The words of texts that are not in a tokenizer's vocabulary: all of them become the same id. None of a tokenizer that spells words. */
export function unknownWords(tokenizer: Tokenizer, texts: readonly string[]): string[] {
  const { unknown } = tokenizer
  if (unknown === undefined) return []
  const words = new Set(texts.flatMap(text => text.split(/\s+/)))
  return [...words].filter(word => tokenizer.encode(word).includes(unknown))
}

/** The sentences of each class, in order. */
export const promptsOf = (classes: readonly string[], templates: readonly string[]): string[] =>
  classes.flatMap(name => templates.map(template => template.replaceAll('{}', name)))

/** Options of `embedClasses`. */
export interface ClassPromptOptions extends EvaluateOptions {
  /** sentences in which {} is replaced by a class; default 'a {}' */
  readonly templates?: readonly string[]
}
const classPromptOptions = { ...evaluateOptions, templates: ['a {}'] } satisfies Settings<ClassPromptOptions>

/**
 * For each class the mean of its prompts' embeddings, normalised to unit length (Radford et al. 2021, section 3.1.4).
 * @returns [classes, width]
 */
export async function embedClasses(
  trained: TrainedModel<EmbeddingModel>,
  classes: readonly string[],
  options?: ClassPromptOptions,
): Promise<Embeddings> {
  const call = 'embedClasses(trained, classes, options)'
  const { templates, ...others } = settle(call, options, classPromptOptions)
  return meansOf(await embedTexts(trained, promptsOf(classes, templates), others), templates.length)
}
