// The objective of a classifier on labelled images or clips. Its loss is a mean over these, so parts of a batch are independent.

import { type Batch, classTargets, type ImageTextSource, type MultiImageSource } from '../../data/index.ts'
import { labelledClassification } from '../../evaluate/index.ts'
import { deviceOfModel } from '../../evaluate/inputs.ts'
import { type ImageClassifier, VideoClassifier } from '../../models/index.ts'
import type { Communicator } from '../../mpi/index.ts'
import { classificationLoss } from '../../nn/index.ts'
import { fromData, type Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import type { Losses, Objective } from '../objective.ts'
import { type Pixels, slicePixels } from './rows.ts'

/** Images, or examples of several images, and the names of their classes. */
export interface LabelledBatch extends Pixels, Pick<Required<Batch>, 'labels'> {}

/** Options of a `ClassifierObjective`. */
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
export const classifierObjectiveOptions = {
  classes: is.list as is.Kind<readonly string[]>,
  smoothing: 0,
  evaluation: undefined,
} satisfies Settings<ClassifierObjectiveOptions>

/** L_Cls of images or clips with their classes (equation 1 of arXiv 2205.01917). */
export class ClassifierObjective implements Objective<LabelledBatch, ImageTextSource | MultiImageSource> {
  /** the model that is trained */
  readonly model: ImageClassifier | VideoClassifier
  readonly rowsPerExample: number
  readonly evaluate?: (
    examples: ImageTextSource | MultiImageSource,
    ranks?: Communicator,
  ) => Promise<Record<string, number>>
  readonly dividesEvaluation = true
  readonly #classes: readonly string[]
  readonly #smoothing: number

  /** @throws RangeError if the number of names is not the model's number of classes */
  constructor(model: ImageClassifier | VideoClassifier, options: ClassifierObjectiveOptions) {
    const call = 'new ClassifierObjective(model, options)'
    const { classes, smoothing, evaluation } = settle(call, options, classifierObjectiveOptions)
    checkClassNames(call, classes, model.config.classes)
    this.model = model
    this.#classes = classes
    this.#smoothing = smoothing
    const frames = model instanceof VideoClassifier ? model.frames : 1
    this.rowsPerExample = frames * model.encoder.patches.patches
    if (evaluation)
      this.evaluate = async (examples, ranks) => {
        const { normalize, batchSize } = evaluation
        const options = { classes, smoothing, batchSize, ranks }
        const { loss, accuracy } = await labelledClassification({ model, normalize }, examples, options)
        return { loss, accuracy }
      }
  }

  loss(batch: LabelledBatch): Losses {
    return this.lossOfInputs(this.inputs(batch))
  }

  inputs({ images, imageShape, labels }: LabelledBatch): { readonly images: Tensor; readonly targets: Tensor } {
    const on = deviceOfModel(this.model)
    const { data, shape } = classTargets(labels, this.#classes)
    return { images: fromData(images, imageShape, on), targets: fromData(data, shape, on) }
  }

  lossOfInputs({ images, targets }: { readonly images: Tensor; readonly targets: Tensor }): Losses {
    const options = { smoothing: this.#smoothing }
    if (!this.#areFeatures(images.shape)) return { ...this.model.loss(images, targets, options) }
    const classification = classificationLoss(this.model.head.forward(images), targets, options)
    return { total: classification, classification }
  }

  /** Whether a batch has the encoder's tokens instead of images: [batch, tokens, width], or [batch, frames, tokens, width] of clips. */
  #areFeatures(shape: readonly number[]): boolean {
    return shape.length === (this.model instanceof VideoClassifier ? 4 : 3)
  }

  size({ imageShape }: LabelledBatch): number {
    return imageShape[0]
  }

  slice({ labels, ...pixels }: LabelledBatch, start: number, stop: number): LabelledBatch {
    return { ...slicePixels(pixels, start, stop), labels: labels.slice(start, stop) }
  }
}

/** @throws RangeError if the number of names is not the model's number of classes */
export function checkClassNames(call: string, names: readonly string[], count: number): void {
  if (names.length === count) return
  throw new RangeError(`${call}: ${names.length} names for the ${count} classes of the model`)
}
