// The objective of a classifier on labelled images. Its loss is a mean over the images, so parts of a batch are independent.

import { type Batch, classTargets, type ImageTextSource } from '../../data/index.ts'
import { labelledClassification } from '../../evaluate/index.ts'
import { deviceOfModel } from '../../evaluate/inputs.ts'
import type { ImageClassifier } from '../../models/index.ts'
import { fromData } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import type { Losses, Objective } from '../objective.ts'
import { type Pixels, slicePixels } from './rows.ts'

/** Images and the names of their classes. */
export interface LabelledBatch extends Pixels, Pick<Required<Batch>, 'labels'> {}

export interface ClassifierObjectiveOptions {
  /** the names of all classes, in the order of the model's logits */
  readonly classes: readonly string[]
  /** share of the target that is spread evenly over all classes (Szegedy et al. 2016, arXiv 1512.00567); default 0 */
  readonly smoothing?: number
  /** settings of `evaluate`; without them the objective has none */
  readonly evaluation?: {
    readonly normalize: { readonly mean: readonly number[]; readonly std: readonly number[] }
    readonly batchSize: number
  }
}
const objectiveOptions = {
  classes: is.list as is.Kind<readonly string[]>,
  smoothing: 0,
  evaluation: undefined,
} satisfies Settings<ClassifierObjectiveOptions>

/** L_Cls of images with their classes (equation 1 of arXiv 2205.01917). */
export class ClassifierObjective implements Objective<LabelledBatch, ImageTextSource> {
  readonly model: ImageClassifier
  readonly rowsPerExample: number
  readonly evaluate?: (examples: ImageTextSource) => Promise<Record<string, number>>
  readonly #classes: readonly string[]
  readonly #smoothing: number

  /** @throws RangeError if the number of names is not the model's number of classes */
  constructor(model: ImageClassifier, options: ClassifierObjectiveOptions) {
    const call = 'new ClassifierObjective(model, options)'
    const { classes, smoothing, evaluation } = settle(call, options, objectiveOptions)
    const { image, classes: count } = model.config
    if (classes.length !== count)
      throw new RangeError(`${call}: ${classes.length} names for the ${count} classes of the model`)
    this.model = model
    this.#classes = classes
    this.#smoothing = smoothing
    this.rowsPerExample = (image.size / image.patch) ** 2
    if (evaluation)
      this.evaluate = async examples => {
        const { normalize, batchSize } = evaluation
        const options = { classes, smoothing, batchSize }
        const { loss, accuracy } = await labelledClassification({ model, normalize }, examples, options)
        return { loss, accuracy }
      }
  }

  loss({ images, imageShape, labels }: LabelledBatch): Losses {
    const on = deviceOfModel(this.model)
    const { data, shape } = classTargets(labels, this.#classes)
    return {
      ...this.model.loss(fromData(images, imageShape, on), fromData(data, shape, on), { smoothing: this.#smoothing }),
    }
  }

  size({ imageShape }: LabelledBatch): number {
    return imageShape[0]
  }

  slice({ labels, ...pixels }: LabelledBatch, start: number, stop: number): LabelledBatch {
    return { ...slicePixels(pixels, start, stop), labels: labels.slice(start, stop) }
  }
}
