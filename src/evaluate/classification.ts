// Classification by a classifier of images, of clips or of images with texts: its logits, and its accuracy on examples with known
// classes.

import {
  classTargets,
  type ExampleSource,
  type ImageShape,
  type ImageTextSource,
  type MultiImageShape,
  type MultiImageSource,
} from '../data/index.ts'
import { DataError } from '../io/index.ts'
import { type ImageClassifier, MultimodalClassifier, type VideoClassifier } from '../models/index.ts'
import { classificationLoss } from '../nn/index.ts'
import { firstFew } from '../tensor/first-few.ts'
import { fromData, NonFiniteError, scope, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { type ClassLabel, type ClassScoreRow, type ClassScores, scoreClasses } from './class-scores.ts'
import {
  type ClipSource,
  type EvaluateOptions,
  evaluateOptions,
  type ImageBatch,
  type ImageSource,
  imageBatches,
  imagesOf,
  inEvaluation,
  partOf,
  readInParts,
  readOut,
} from './embeddings.ts'
import { NOT_COMPUTED } from './finite.ts'
import { deviceOfModel, firstCaptions } from './inputs.ts'
import { gathered, ownItems } from './ranks.ts'
import type { Normalized, TrainedModel } from './trained-model.ts'

/** A classifier of images or clips, and its normalisation of pixels. */
export interface TrainedClassifier extends Normalized {
  /** the classifier, with its weights */
  readonly model: ImageClassifier | VideoClassifier
}

/** A classifier of images with texts, its tokenizer and its normalisation of pixels. */
export type TrainedMultimodalClassifier = TrainedModel<MultimodalClassifier>

/** `truncate` applies to a classifier with texts. */
export type ClassLogitsOptions = EvaluateOptions
const logitsOptions = evaluateOptions satisfies Settings<ClassLogitsOptions>

type Examples = ImageSource | ClipSource | ImageTextSource | MultiImageSource

/**
 * The logits of every example, [examples, classes], row by row. A classifier with texts reads the first caption of each example.
 * @throws NonFiniteError naming an example whose logits are not finite; TypeError if a classifier with texts gets examples without
 *   captions
 */
export async function classLogits(
  trained: TrainedClassifier | TrainedMultimodalClassifier,
  examples: Examples,
  options?: ClassLogitsOptions,
): Promise<Float32Array> {
  const { truncate, ...settled } = settle('classLogits(trained, images, options)', options, logitsOptions)
  const { model } = trained
  const { classes } = model.config
  const own = ownItems(examples.length, settled.batchSize, settled.ranks)
  const computed = new Float32Array((own.stop - own.start) * classes)
  await inEvaluation(model, async () => {
    for await (const batch of imageBatches(trained, examples, settled))
      await readInParts(
        model,
        batch.count,
        'images',
        (start, stop) =>
          logitsOf(trained, examples, partOf<ImageShape | MultiImageShape>(batch, start, stop), truncate),
        (predicted, start) => computed.set(predicted, (batch.start - own.start + start) * classes),
      )
  })
  const logits = gathered(computed, settled.ranks)
  const broken = logits.findIndex(x => !Number.isFinite(x))
  if (broken < 0) return logits
  const image = Math.floor(broken / classes)
  throw new NonFiniteError(`a logit of ${examples.name?.(image) ?? `image ${image}`}`, logits[broken], NOT_COMPUTED)
}

function logitsOf(
  trained: TrainedClassifier | TrainedMultimodalClassifier,
  examples: object,
  part: ImageBatch<ImageShape | MultiImageShape>,
  truncate: boolean,
): Tensor {
  if (!isMultimodal(trained)) return trained.model.forward(imagesOf(trained.model, part))
  if (!('captions' in examples))
    throw new TypeError('classLogits: this classifier reads texts, but the images have no captions')
  const { tokens, tokenShape } = firstCaptions(trained, examples as ExampleSource, part, { truncate })
  const { model } = trained
  return model.forward(imagesOf(model, part), fromData(tokens, tokenShape, deviceOfModel(model)))
}

const isMultimodal = (
  trained: TrainedClassifier | TrainedMultimodalClassifier,
): trained is TrainedMultimodalClassifier => trained.model instanceof MultimodalClassifier

/** The logits of each image, as scores of its classes. */
function* scoresOf(logits: Float32Array, classes: number): Generator<ClassScoreRow> {
  for (let row = 0; row * classes < logits.length; row++)
    yield { row, scores: logits.subarray(row * classes, (row + 1) * classes) }
}

/** Options of `classification`. */
export interface ClassifyOptions extends ClassLogitsOptions {
  /** names of the classes, as many as the model has */
  readonly classes: readonly string[]
  /** the number of every image's class, or a list of the numbers of several */
  readonly labels: ArrayLike<ClassLabel>
}
const classifyOptions = {
  ...logitsOptions,
  classes: is.list as is.Kind<readonly string[]>,
  labels: new is.Kind<ArrayLike<ClassLabel>>('a list of class numbers', x => Array.isArray(x) || ArrayBuffer.isView(x)),
} satisfies Settings<ClassifyOptions>

/**
 * Predicts for every image the class with the largest logit, and computes the accuracy.
 * @throws RangeError if a label is not one of the classes, or the numbers of labels and images, or of names and classes, differ
 * @throws NonFiniteError naming an image whose logits are not finite
 */
export async function classification(
  trained: TrainedClassifier | TrainedMultimodalClassifier,
  images: Examples,
  given: ClassifyOptions,
): Promise<ClassScores> {
  const { classes, labels, ...others } = settle('classification(trained, images, options)', given, classifyOptions)
  if (labels.length !== images.length)
    throw new RangeError(`classification: ${labels.length} labels for ${images.length} images`)
  checkNames('classification', trained, classes)
  const rows = scoresOf(await classLogits(trained, images, others), classes.length)
  return scoreClasses('classification', { classes, labels, rows })
}

function checkNames(
  call: string,
  { model }: TrainedClassifier | TrainedMultimodalClassifier,
  classes: readonly string[],
): void {
  if (classes.length === model.config.classes) return
  throw new RangeError(`${call}: ${classes.length} names for the ${model.config.classes} classes of the model`)
}

/** Options of `labelledClassification`. */
export interface LabelledOptions extends ClassLogitsOptions {
  /** names of the classes, as many as the model has */
  readonly classes: readonly string[]
  /** share of the target that is spread evenly over all classes; default 0 */
  readonly smoothing?: number
}
const labelledOptions = {
  ...logitsOptions,
  classes: is.list as is.Kind<readonly string[]>,
  smoothing: 0,
} satisfies Settings<LabelledOptions>

/** The result of `labelledClassification`. */
export interface LabelledResult extends Omit<ClassScores, 'confusion' | 'predictions' | 'ranks'> {
  /** the classification loss, a mean over the images that have a class of the model */
  readonly loss: number
  /** number of images that have no class of the model, and therefore count as wrong; absent if it is 0 */
  readonly unknown?: number
}

/**
 * The loss and the accuracy of a classifier on examples with labels: images, clips, or images with texts. One with several labels counts for each of them.
 * Labels that are not classes of the model do not count, but an image that has no other label counts as wrong, as does an answer outside of the
 * answer set in VQA: it lowers `accuracy`, `top5` and `meanPerClass`, its classes come last in `perClass`, and the loss leaves it out.
 * @throws RangeError for an image without a label; DataError if no image has a class of the model
 * @throws NonFiniteError naming an image whose logits are not finite
 */
export async function labelledClassification(
  trained: TrainedClassifier | TrainedMultimodalClassifier,
  source: ImageTextSource | MultiImageSource,
  options: LabelledOptions,
): Promise<LabelledResult> {
  const call = 'labelledClassification(trained, source, options)'
  const { classes, smoothing, ...others } = settle(call, options, labelledOptions)
  checkNames('labelledClassification', trained, classes)
  const { labels, unknown } = classLabels(source, classes)
  const known = labels.flatMap((_, i) => (unknown.has(i) ? [] : [i]))
  if (known.length === 0) throw new DataError(noneKnown([...unknown.values()].flat(), classes))
  const targets = classTargets(
    known.map(i => labels[i]),
    classes,
  )
  const logits = await classLogits(trained, source, others)
  const rows = [...scoresOf(logits, classes.length)]
  const knownLogits = unknown.size === 0 ? logits : new Float32Array(known.length * classes.length)
  if (unknown.size > 0) for (const [row, i] of known.entries()) knownLogits.set(rows[i].scores, row * classes.length)
  const [loss] = await readOut(() =>
    scope(() =>
      classificationLoss(fromData(knownLogits, [known.length, classes.length]), fromData(targets.data, targets.shape), {
        smoothing,
      }),
    ),
  ).then(Array.from<number>)
  // a class that the model does not have is one whose logit is -∞
  const all = [...classes, ...new Set([...unknown.values()].flat())]
  const none = all.slice(classes.length).map(() => -Infinity)
  const { confusion, predictions, ranks, top5, ...scores } = await scoreClasses('labelledClassification', {
    classes: all,
    labels: labels.map(own => own.map(name => all.indexOf(name))),
    rows: none.length === 0 ? rows : rows.map(({ row, scores }) => ({ row, scores: [...Array.from(scores), ...none] })),
  })
  return { loss, ...scores, ...(classes.length > 5 && { top5 }), ...(unknown.size > 0 && { unknown: unknown.size }) }
}

/**
 * The labels of each example that are classes of the model; those of an example that has none, as they are, and its number in `unknown`.
 * @throws RangeError for an example without a label
 */
export function classLabels(
  source: Pick<ExampleSource, 'length' | 'labels'>,
  classes: readonly string[],
): { labels: (readonly string[])[]; unknown: ReadonlyMap<number, readonly string[]> } {
  const names = new Set(classes)
  const unknown = new Map<number, readonly string[]>()
  const labels = Array.from({ length: source.length }, (_, i) => {
    const given = source.labels?.(i) ?? []
    if (given.length === 0) throw new RangeError(`labelledClassification: image ${i} has no label`)
    const known = given.filter(name => names.has(name))
    if (known.length > 0) return known
    unknown.set(i, given)
    return given
  })
  return { labels, unknown }
}

/** What is wrong with data of which no example has a class of the model. */
export const noneKnown = (labels: readonly string[], classes: readonly string[]): string =>
  `no example has one of the model's classes: the data has ${firstFew([...new Set(labels)])}, the model ${firstFew(classes)}`
