// The objective of CoCa, the dual encoder and the captioner on images with texts. A contrastive loss compares every image with every
// text, so the gradients of parts cannot simply be added: first the embeddings of all parts are computed, then each part is
// differentiated with those of the others as constants (Gao et al. 2021, arXiv 2101.06983, "Scaling Deep Contrastive Learning Batch Size
// under Memory Limited Setup"). Each part computes only its own rows of the loss. Where a process has one part, its tape stays open while
// embeddings are exchanged; of several parts there is memory for one tape, so each is computed again.

import { noGrad } from '../../autograd/index.ts'
import type { ImageTextSource, Tokenizer } from '../../data/index.ts'
import {
  captioning,
  type EmbeddingModel,
  isCaptionModel,
  isEmbeddingModel,
  meanLoss,
  retrieval,
} from '../../evaluate/index.ts'
import { batchTensors, equalRows, type LossBatch } from '../../evaluate/inputs.ts'
import type { CoCa, CoCaConfig, ImageTextLoss, ImageTextModel } from '../../models/index.ts'
import type { Communicator } from '../../mpi/index.ts'
import {
  contrastiveRows,
  logSums,
  type Pairs,
  type RowsLoss,
  sigmoidContrastiveRows,
  type WholeBatch,
} from '../../nn/contrastive-rows.ts'
import { lossAndGradients, type Module, type Parameter } from '../../nn/index.ts'
import { defaultGenerator, scope, type Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { patchGrid } from '../../tensor/sides.ts'
import type { Losses, LossGradients, Objective } from '../objective.ts'
import { accumulate, inOrderOf, partition, type Reducer, type Steps, type Sums } from '../parallel.ts'
import { slicePixels } from './rows.ts'

/** Options of an `ImageTextObjective`. */
export interface ImageTextObjectiveOptions {
  /** equal captions are positives of each other's images; default false */
  readonly positives?: boolean
  /** settings of `evaluate`; without them the objective has none */
  readonly evaluation?: {
    readonly tokenizer: Tokenizer
    readonly normalize: { readonly mean: readonly number[]; readonly std: readonly number[] }
    readonly batchSize: number
    readonly truncate: boolean
  }
}
const objectiveOptions = { positives: false, evaluation: undefined } satisfies Settings<ImageTextObjectiveOptions>

/** The loss of images with their texts: λ_Con L_Con + λ_Cap L_Cap for a CoCa (equation 4 of arXiv 2205.01917), one of the two for the others. */
export class ImageTextObjective<Model extends ImageTextModel = ImageTextModel>
  implements Objective<LossBatch, ImageTextSource>
{
  /** the model that is trained */
  readonly model: Model
  readonly rowsPerExample: number
  readonly #positives: boolean
  readonly evaluate?: (examples: ImageTextSource, ranks?: Communicator) => Promise<Record<string, number>>
  readonly dividesEvaluation = true
  readonly measures?: () => Readonly<Record<string, Tensor>>
  readonly embeddings?: (batch: LossBatch) => Readonly<Record<string, Tensor>>

  constructor(model: Model, options?: ImageTextObjectiveOptions) {
    const { positives, evaluation } = settle('new ImageTextObjective(model, options)', options, objectiveOptions)
    this.model = model
    this.#positives = positives
    const { image, text } = model.config
    const [rows, columns] = patchGrid(image.size, image.patch)
    this.rowsPerExample = rows * columns + text.context
    if (evaluation) this.evaluate = (examples, ranks) => evaluatePairs(model, { ...evaluation, ranks }, examples)
    if (isContrastive(model)) {
      // 1 / temperature
      this.measures = () => ({ scale: model.logScale.exp() })
      this.embeddings = batch => {
        const { images, ids } = batchTensors(model, batch, { positives: false })
        return { images: model.encodeImage(images), captions: model.encodeText(ids) }
      }
    }
  }

  loss(batch: LossBatch): Losses {
    return this.lossOfInputs(this.inputs(batch))
  }

  inputs(batch: LossBatch): ReturnType<typeof batchTensors> {
    return batchTensors(this.model, batch, { positives: this.#positives })
  }

  lossOfInputs({ images, ids, groups }: ReturnType<typeof batchTensors>): Losses {
    return { ...this.model.loss(images, ids, { groups }) } as Losses
  }

  *gradients(part: LossBatch, reducer: Reducer): Steps<LossGradients> {
    const inputs = batchTensors(this.model, part, { positives: this.#positives })
    const { loss, gradients } = yield* partGradients(this.model, inputs, reducer)
    return { loss: { ...loss } as Losses, gradients }
  }

  size({ imageShape }: LossBatch): number {
    return imageShape[0]
  }

  /** Equal captions keep the same group numbers in a part. */
  slice({ images, imageShape, tokens, tokenShape, groups }: LossBatch, start: number, stop: number): LossBatch {
    const all = this.#positives ? (groups ?? equalRows(tokens, tokenShape)) : undefined
    return {
      ...slicePixels({ images, imageShape }, start, stop),
      tokens: tokens.slice(start * tokenShape[1], stop * tokenShape[1]),
      tokenShape: [stop - start, tokenShape[1]],
      ...(all && { groups: all.slice(start, stop) }),
    }
  }

  afterUpdate(): void {
    if (isContrastive(this.model)) this.model.constrain()
  }
}

/** The objective of a CoCa. */
export class CoCaObjective extends ImageTextObjective<CoCa> {}

/** A model with a contrastive loss, and its temperature. */
type Contrastive = Module & EmbeddingModel & { readonly logScale: Parameter; constrain(): void }

const isContrastive = (model: Module): model is Contrastive => isEmbeddingModel(model) && 'logScale' in model

/** Losses and, if the model has them, recall at 1 in both directions, and the accuracy of captions. */
async function evaluatePairs(
  model: ImageTextModel,
  {
    tokenizer,
    normalize,
    ...options
  }: NonNullable<ImageTextObjectiveOptions['evaluation']> & { readonly ranks?: Communicator },
  examples: ImageTextSource,
): Promise<Record<string, number>> {
  const trained = { tokenizer, normalize }
  const values: Record<string, number> = { ...(await meanLoss({ ...trained, model }, examples, options)) }
  if (isEmbeddingModel(model)) {
    const { imageToText, textToImage } = await retrieval({ ...trained, model }, examples, options)
    Object.assign(values, { imageToTextR1: imageToText.recall[1], textToImageR1: textToImage.recall[1] })
  }
  if (isCaptionModel(model)) {
    const { exact, tokenAccuracy } = await captioning({ ...trained, model }, examples, options)
    Object.assign(values, { exactCaptions: exact, tokenAccuracy })
  }
  return values
}

/** Options for gradients of a batch in parts. */
export interface AccumulationOptions {
  /** number of parts of nearly equal size that the batch is split into; memory is needed for one of them */
  readonly parts: number
  /** int32 [batch]: pairs with the same number are positives of each other */
  readonly groups?: Tensor
}
const accumulationOptions = { parts: is.number, groups: is.optional(is.tensor) } satisfies Settings<AccumulationOptions>

/**
 * The result of `lossAndGradients(model, () => model.loss(images, ids))`, with the activations of one part of the batch at a time.
 * The gradient is the same up to rounding. With more than one part the encoders need one more forward pass.
 * @param images [batch, channels, height, width]
 * @param ids int32 [batch, tokens]
 * @throws RangeError unless parts is 1 … batch
 */
export function accumulateGradients(
  model: ImageTextModel,
  images: Tensor,
  ids: Tensor,
  options: AccumulationOptions,
): { loss: ImageTextLoss; gradients: Map<string, Tensor> } {
  const call = 'accumulateGradients(model, images, ids, options)'
  const { parts: count, groups } = settle(call, options, accumulationOptions)
  const parts = partition('accumulateGradients', ids.shape[0], count).map(rows => ({
    images: images.slice([rows]),
    ids: ids.slice([rows]),
    groups: groups?.slice([rows]),
  }))
  const { loss, gradients } = accumulate(parts, (part, reducer) => partGradients(model, part, reducer))
  return { loss, gradients: inOrderOf(model, gradients) }
}

/** Some rows of a batch. */
interface Part {
  readonly images: Tensor
  readonly ids: Tensor
  readonly groups?: Tensor
}

function* partGradients(
  model: ImageTextModel,
  { images, ids, groups }: Part,
  reducer: Reducer,
): Steps<{ loss: ImageTextLoss; gradients: Map<string, Tensor> }> {
  const own = scope(() => noGrad(() => captioningWeight(model, ids)))
  const { value: weight } = yield* reducer.gather([own], ([weights]) => weights.sum().maximum(1))
  const { runNow } = reducer
  const first = runNow ? undefined : yield* firstPass(model, { images, ids, groups }, reducer)
  const part = scope(() => {
    const of = () => {
      const { image, text, logits } = model.lossInputs(images, ids)
      const share =
        compares(model) && image && text
          ? shareOf(model, { image, text }, first ?? runNow!(othersOf(model, { image, text }, groups, reducer)))
          : undefined
      const caption = logits && model.captioning!(logits, ids).mul(own.sum().div(weight))
      return { ...model.weigh(share?.differentiated, caption), ...(share && { contrastive: share.loss }) }
    }
    const { loss, gradients } = lossAndGradients(model, of, { onGradient: reducer.onGradient })
    const { total, ...losses } = loss
    return { losses: losses as Sums['losses'], gradients }
  })
  const { losses, gradients } = yield* reducer.sum(part)
  return { loss: model.weigh(losses.contrastive, losses.captioning), gradients: new Map(gradients) }
}

/** What L_Con of a part needs of the others, from embeddings that are computed once more later. Random numbers are then drawn again. */
function* firstPass(model: ImageTextModel, { images, ids, groups }: Part, reducer: Reducer): Steps<Others | undefined> {
  if (!compares(model)) return undefined
  const generator = defaultGenerator()
  const { position } = generator.state
  const pairs = scope(() => noGrad(() => embed(model, images, ids)))
  const others = yield* othersOf(model, pairs, groups, reducer)
  generator.seek(position)
  return others
}

type Contrasting = ImageTextModel & Required<Pick<ImageTextModel, 'contrast'>> & Contrastive

/** @throws TypeError if the model does not say how L_Con is defined */
function compares(model: ImageTextModel): model is Contrasting {
  if (!isEmbeddingModel(model) || model.lossWeights.contrastive === 0) return false
  if (model.contrast) return true
  throw new TypeError(
    `${model.constructor.name} has a contrastive loss, but no field contrast, which says how its rows are computed in a part of a batch: 'sum' or 'mean' of both directions, or 'sigmoid'`,
  )
}

/** What L_Con of a part needs of the whole batch. */
interface Others extends WholeBatch {
  /** of all rows, [batch, 2]; a sigmoid needs none */
  readonly sums?: Tensor
}

function* othersOf(model: Contrasting, pairs: Pairs, groups: Tensor | undefined, reducer: Reducer): Steps<Others> {
  const own = [pairs.image, pairs.text, ...(groups ? [groups] : [])]
  const {
    value: [image, text, ofAll],
    rows: [rows],
  } = yield* reducer.gather(own, all => all)
  const whole = { all: { image, text }, rows, groups: ofAll as Tensor | undefined }
  if (model.contrast === 'sigmoid') return whole
  const ownSums = scope(() => noGrad(() => logSums(pairs, whole, model.logScale.exp())))
  const { value: sums } = yield* reducer.gather([ownSums], ([all]) => all)
  return { ...whole, sums }
}

/** L_Con of the rows of a part. */
function shareOf(model: Contrasting, pairs: Pairs, { sums, ...whole }: Others): RowsLoss {
  const scale = model.logScale.exp()
  if (model.contrast === 'sigmoid') return sigmoidContrastiveRows(pairs, whole, scale, model.logitBias!)
  return contrastiveRows(pairs, whole, scale, sums!, model.contrast)
}

/** The embeddings of a part. With dropout the decoder also draws random numbers, so it runs as well. */
function embed(model: Contrasting, images: Tensor, ids: Tensor): Pairs {
  if (!(model.training && model.config.dropout))
    return { image: model.encodeImage(images), text: model.encodeText(ids) }
  const { image, text } = model.lossInputs(images, ids)
  return { image: image!, text: text! }
}

/** A model with a captioning loss. */
type Captioning = Module & { readonly config: Pick<CoCaConfig, 'loss' | 'text'> }

/** The number of items that the captioning loss of a part is a mean over: predicted tokens, or captions. Shape [1]. */
export function captioningWeight(model: Captioning, ids: Tensor): Tensor {
  const { loss, text } = model.config
  const targets = ids.slice([{}, { start: 1 }])
  const countsCaptions = loss?.captioning?.reduction === 'sum' || text.pad === undefined
  const counted = countsCaptions ? targets.greaterEqual(0).slice([{}, 0]) : targets.notEqual(text.pad as number)
  return counted.cast(model.parameters()[0].dtype).sum().reshape([1])
}
