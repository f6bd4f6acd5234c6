// Zero-shot classification: the class whose prompts are nearest to an image in the space of embeddings (CoCa, section 4.2).

import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import {
  type Embeddings,
  type EvaluateOptions,
  embedImages,
  embedTexts,
  evaluateOptions,
  type ImageSource,
} from './embeddings.ts'
import { similarityRows } from './retrieval.ts'
import type { EmbeddingModel, TrainedModel } from './trained-model.ts'

export interface ZeroShotOptions extends EvaluateOptions {
  /** names of the classes */
  readonly classes: readonly string[]
  /** the number of every image's class */
  readonly labels: ArrayLike<number>
  /** sentences in which {} is replaced by a class; default 'a {}' */
  readonly templates?: readonly string[]
}

const zeroShotOptions = {
  ...evaluateOptions,
  classes: is.list as is.Kind<readonly string[]>,
  labels: new is.Kind<ArrayLike<number>>('a list of class numbers', x => Array.isArray(x) || ArrayBuffer.isView(x)),
  templates: ['a {}'],
} satisfies Settings<ZeroShotOptions>

export interface ZeroShotResult {
  /** share of images whose class is right */
  readonly accuracy: number
  readonly perClass: readonly { readonly class: string; readonly count: number; readonly accuracy: number }[]
  /** number of images, [true class][predicted class] */
  readonly confusion: readonly (readonly number[])[]
  /** the number of every image's predicted class */
  readonly predictions: Int32Array
}

/**
 * Classification by the nearest class in embedding space. The embedding of a class is the mean of its prompts' embeddings, normalised
 * to unit length (Radford et al. 2021, section 3.1.4).
 * @throws RangeError if a label is not one of the classes, or the numbers of labels and images differ
 */
export async function zeroShot(
  trained: TrainedModel<EmbeddingModel>,
  images: ImageSource,
  options: ZeroShotOptions,
): Promise<ZeroShotResult> {
  const settled = settle('zeroShot(trained, images, options)', options, zeroShotOptions)
  const { classes, labels, templates, ...evaluating } = settled
  if (labels.length !== images.length)
    throw new RangeError(`zeroShot: ${labels.length} labels for ${images.length} images`)
  const { batchSize, truncate, signal } = evaluating
  const prototypes = await embedClasses(trained, classes, { templates, batchSize, truncate, signal })
  const predictions = await nearest(await embedImages(trained, images, evaluating), prototypes)
  return scoreClasses('zeroShot', { predictions, labels, classes })
}

/**
 * The accuracy of predicted classes.
 * @param call the function's name in an error
 * @throws RangeError for a label that is not one of the classes
 */
export function scoreClasses(
  call: string,
  given: Pick<ZeroShotOptions, 'classes' | 'labels'> & { readonly predictions: Int32Array },
): ZeroShotResult {
  const { predictions, labels, classes } = given
  const confusion = classes.map(() => classes.map(() => 0))
  for (let i = 0; i < labels.length; i++) {
    const row = confusion[labels[i]]
    if (!row) throw new RangeError(`${call}: label ${labels[i]} of image ${i} is not one of ${classes.length} classes`)
    row[predictions[i]]++
  }
  const perClass = classes.map((name, i) => {
    const count = confusion[i].reduce((a, b) => a + b, 0)
    return { class: name, count, accuracy: count === 0 ? 0 : confusion[i][i] / count }
  })
  const right = classes.reduce((sum, _, i) => sum + confusion[i][i], 0)
  return { accuracy: right / labels.length, perClass, confusion, predictions }
}

/** The sentences of each class, in order. */
export const promptsOf = (classes: readonly string[], templates: readonly string[]): string[] =>
  classes.flatMap(name => templates.map(template => template.replaceAll('{}', name)))

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

/** Means of every n rows, of unit length. */
function meansOf({ data, count, width }: Embeddings, n: number): Embeddings {
  const means = new Float32Array((count / n) * width)
  for (let row = 0; row < count; row++)
    for (let i = 0; i < width; i++) means[Math.floor(row / n) * width + i] += data[row * width + i]
  for (let start = 0; start < means.length; start += width) {
    const mean = means.subarray(start, start + width)
    const length = Math.hypot(...mean)
    for (let i = 0; i < width; i++) mean[i] /= length || 1
  }
  return { data: means, count: count / n, width }
}

/** For each row the column that is most similar, the first of equal ones. */
async function nearest(rows: Embeddings, columns: Embeddings): Promise<Int32Array> {
  const chosen = new Int32Array(rows.count)
  for await (const { row, similarities } of similarityRows(rows, columns))
    chosen[row] = similarities.reduce((best, x, i) => (x > similarities[best] ? i : best), 0)
  return chosen
}
