// The objective of a classifier of images with texts: the classification loss and, if the model says so, the captioning loss of the
// texts. One is a mean over examples and the other over tokens, so a part of a batch scales each by its own share.

import { classTargets, type ImageTextSource, type MultiImageSource, type Tokenizer } from '../../data/index.ts'
import { labelledClassification } from '../../evaluate/index.ts'
import { deviceOfModel, type LossBatch } from '../../evaluate/inputs.ts'
import type { MultimodalClassifier } from '../../models/index.ts'
import type { Communicator } from '../../mpi/index.ts'
import { lossAndGradients } from '../../nn/index.ts'
import { fromData, full, scope, type Tensor } from '../../tensor/index.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import type { Losses, LossGradients, Objective } from '../objective.ts'
import type { Reducer, Steps } from '../parallel.ts'
import {
  type ClassifierObjectiveOptions,
  checkClassNames,
  classifierObjectiveOptions,
  type LabelledBatch,
} from './classifier.ts'
import { captioningWeight } from './image-text.ts'
import { slicePixels } from './rows.ts'

/** Examples of one or several images, their texts, and the names of their classes. */
export interface QuestionBatch extends LabelledBatch, Pick<LossBatch, 'tokens' | 'tokenShape'> {}

/** Options of a `MultimodalObjective`. */
export interface MultimodalObjectiveOptions extends Omit<ClassifierObjectiveOptions, 'evaluation'> {
  /** settings of `evaluate`; without them the objective has none */
  readonly evaluation?: NonNullable<ClassifierObjectiveOptions['evaluation']> & {
    readonly tokenizer: Tokenizer
    readonly truncate: boolean
  }
}
const objectiveOptions = {
  ...classifierObjectiveOptions,
  evaluation: undefined,
} satisfies Settings<MultimodalObjectiveOptions>

/** A batch on the model's device. */
interface QuestionTensors {
  readonly images: Tensor
  readonly ids: Tensor
  readonly targets: Tensor
}

/** L_Cls + λ_Cap L_Cap of images with a text and a class. */
export class MultimodalObjective implements Objective<QuestionBatch, ImageTextSource | MultiImageSource> {
  /** the model that is trained */
  readonly model: MultimodalClassifier
  readonly rowsPerExample: number
  readonly evaluate?: (
    examples: ImageTextSource | MultiImageSource,
    ranks?: Communicator,
  ) => Promise<Record<string, number>>
  readonly dividesEvaluation = true
  readonly #classes: readonly string[]
  readonly #smoothing: number

  /** @throws RangeError if the number of names is not the model's number of classes */
  constructor(model: MultimodalClassifier, options: MultimodalObjectiveOptions) {
    const call = 'new MultimodalObjective(model, options)'
    const { classes, smoothing, evaluation } = settle(call, options, objectiveOptions)
    checkClassNames(call, classes, model.config.classes)
    this.model = model
    this.#classes = classes
    this.#smoothing = smoothing
    const { text, images } = model.settings
    this.rowsPerExample = images * (model.encoder.patches.patches + text.context)
    if (evaluation)
      this.evaluate = async (examples, ranks) => {
        const { tokenizer, normalize, ...others } = evaluation
        const options = { classes, smoothing, ...others, ranks }
        const { loss, accuracy } = await labelledClassification({ model, tokenizer, normalize }, examples, options)
        return { loss, accuracy }
      }
  }

  loss(batch: QuestionBatch): Losses {
    return this.lossOfInputs(this.inputs(batch))
  }

  lossOfInputs({ images, ids, targets }: QuestionTensors): Losses {
    return { ...this.model.loss(images, ids, targets, { smoothing: this.#smoothing }) } as Losses
  }

  *gradients(part: QuestionBatch, reducer: Reducer): Steps<LossGradients> {
    const { model } = this
    const { images, ids, targets } = this.inputs(part)
    const items = scope(() => {
      const tokens = captioningWeight(model, ids)
      return [full([1], this.size(part), { dtype: tokens.dtype, device: tokens.device }), tokens]
    })
    const sums = (all: readonly Tensor[]) => all.map(each => each.sum().maximum(1))
    const { value: whole } = yield* reducer.gather(items, sums)
    const own = scope(() => {
      const [ofExamples, ofTokens] = items.map((item, i) => item.sum().div(whole[i]))
      const of = () => {
        const { classification, captioning } = model.loss(images, ids, targets, { smoothing: this.#smoothing })
        return model.weigh(classification.mul(ofExamples), captioning?.mul(ofTokens))
      }
      const { loss, gradients } = lossAndGradients(model, of, { onGradient: reducer.onGradient })
      return { losses: { ...loss }, gradients }
    })
    const { losses, gradients } = yield* reducer.sum(own)
    return { loss: losses as unknown as Losses, gradients: new Map(gradients) }
  }

  size({ imageShape }: QuestionBatch): number {
    return imageShape[0]
  }

  slice({ labels, tokens, tokenShape, ...pixels }: QuestionBatch, start: number, stop: number): QuestionBatch {
    const [, length] = tokenShape
    return {
      ...slicePixels(pixels, start, stop),
      tokens: tokens.slice(start * length, stop * length),
      tokenShape: [stop - start, length],
      labels: labels.slice(start, stop),
    }
  }

  inputs({ images, imageShape, tokens, tokenShape, labels }: QuestionBatch): QuestionTensors {
    const on = deviceOfModel(this.model)
    const { data, shape } = classTargets(labels, this.#classes)
    return {
      images: fromData(images, imageShape, on),
      ids: fromData(tokens, tokenShape, on),
      targets: fromData(data, shape, on),
    }
  }
}
