// Classification by a classifier: its accuracy over images whose classes are known.

import type { ImageClassifier } from '../models/index.ts'
import { device, fromData, NonFiniteError, scope } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { type EvaluateOptions, evaluateOptions, type ImageSource, imageBatches, readOut } from './embeddings.ts'
import { scoreClasses, type ZeroShotResult } from './evaluate.ts'
import { NOT_COMPUTED } from './finite.ts'
import type { Normalized } from './trained-model.ts'

export interface ClassifyOptions extends Omit<EvaluateOptions, 'truncate'> {
  /** names of the classes, as many as the model has */
  readonly classes: readonly string[]
  /** the class of every image, by number */
  readonly labels: ArrayLike<number>
}
const { truncate: _, ...evaluating } = evaluateOptions
const options = {
  ...evaluating,
  classes: is.list as is.Kind<readonly string[]>,
  labels: new is.Kind<ArrayLike<number>>('a list of class numbers', x => Array.isArray(x) || ArrayBuffer.isView(x)),
} satisfies Settings<ClassifyOptions>

/**
 * The class of every image with the largest logit, and how often it is right.
 * @throws RangeError if a label is none of the classes, or labels and images, or names and classes of the model, are not as many
 * @throws NonFiniteError naming an image whose logits are not finite
 */
export async function classification(
  trained: Normalized & { readonly model: ImageClassifier },
  images: ImageSource,
  given: ClassifyOptions,
): Promise<ZeroShotResult> {
  const { classes, labels, ...others } = settle('classification(trained, images, options)', given, options)
  const { model } = trained
  if (labels.length !== images.length)
    throw new RangeError(`classification: ${labels.length} labels for ${images.length} images`)
  if (classes.length !== model.config.classes)
    throw new RangeError(`classification: ${classes.length} names for the ${model.config.classes} classes of the model`)
  const on = device.get(model.head.output.weight.device)
  const predictions = new Int32Array(images.length)
  const { training } = model
  model.eval()
  try {
    for await (const { start, count, pixels, shape } of imageBatches(trained, images, others)) {
      const logits = Array.from(await readOut(() => scope(() => model.forward(fromData(pixels, shape, on)))))
      for (let i = 0; i < count; i++) {
        const row = logits.slice(i * classes.length, (i + 1) * classes.length)
        const broken = row.find(x => !Number.isFinite(x))
        if (broken !== undefined)
          throw new NonFiniteError(
            `a logit of ${images.name?.(start + i) ?? `image ${start + i}`}`,
            broken,
            NOT_COMPUTED,
          )
        predictions[start + i] = row.indexOf(Math.max(...row))
      }
    }
  } finally {
    model.train(training)
  }
  return scoreClasses('classification', { predictions, labels, classes })
}
