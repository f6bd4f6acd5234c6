// The objective of CoCa, the dual encoder and the captioner on images with texts. A contrastive loss compares every image with every
// text, so the gradients of parts cannot simply be added: first the embeddings of all parts are computed, then the loss and its
// gradients with respect to them; finally each part is differentiated from there (Gao et al. 2021, arXiv 2101.06983, "Scaling Deep
// Contrastive Learning Batch Size under Memory Limited Setup"). Where a process has one part, its tape stays open meanwhile; of several
// parts there is memory for one tape, so each is computed again.

import { noGrad, valueAndGrad } from '../../autograd/index.ts'
import type { ImageTextSource, Tokenizer } from '../../data/index.ts'
import {
  captioning,
  type EmbeddingModel,
  isCaptionModel,
  isEmbeddingModel,
  meanLoss,
  retrieval,
} from '../../evaluate/index.ts'
import { batchLoss, batchTensors, equalRows, type LossBatch } from '../../evaluate/inputs.ts'
import type { CoCa, CoCaConfig, ImageTextLoss, ImageTextModel } from '../../models/index.ts'
import type { Communicator } from '../../mpi/index.ts'
import { lossAndGradients, type Module, type Parameter } from '../../nn/index.ts'
import { defaultGenerator, scope, type Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { patchGrid } from '../../tensor/sides.ts'
import type { Losses, LossGradients, Objective } from '../objective.ts'
import { accumulate, type Gathered, inOrderOf, partition, type Reducer, type Steps, type Sums } from '../parallel.ts'
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
    return { ...batchLoss(this.model, batch, { positives: this.#positives }) } as Losses
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
  const { gatherNow } = reducer
  const first = gatherNow ? undefined : yield* firstPass(model, { images, ids, groups }, reducer)
  const { contrastive, part } = scope(() => {
    const of = () => {
      const { image, text, logits } = model.lossInputs(images, ids)
      const pairs = compares(model) && image && text && { image, text }
      const contrast = pairs
        ? (first ?? noGrad(() => gatherNow!(compared(pairs, groups), contrastiveOf(model))))
        : undefined
      const linear = pairs && contrast ? linearized(model as Contrasting, pairs, contrast, reducer.parts) : undefined
      const caption = logits && model.captioning!(logits, ids).mul(own.sum().div(weight))
      return { ...model.weigh(linear, caption), ofAll: contrast?.value.loss }
    }
    const { loss, gradients } = lossAndGradients(model, of, { onGradient: reducer.onGradient })
    const losses: Sums['losses'] = loss.captioning ? { captioning: loss.captioning } : {}
    return { contrastive: loss.ofAll, part: { losses, gradients } }
  })
  const { losses, gradients } = yield* reducer.sum(part)
  return { loss: model.weigh(contrastive, losses.captioning), gradients: new Map(gradients) }
}

/** L_Con of all parts with its gradients, from embeddings that are computed once more later. Random numbers are then drawn again. */
function* firstPass(
  model: ImageTextModel,
  { images, ids, groups }: Part,
  reducer: Reducer,
): Steps<Gathered<Contrast> | undefined> {
  const generator = defaultGenerator()
  const { position } = generator.state
  const pairs = scope(() => noGrad(() => embed(model, images, ids)))
  const contrast = pairs && (yield* reducer.gather(compared(pairs, groups), contrastiveOf(model)))
  generator.seek(position)
  return contrast
}

/** Embeddings, whose rows belong together. */
interface Pairs {
  readonly image: Tensor
  readonly text: Tensor
}

const compared = ({ image, text }: Pairs, groups?: Tensor): readonly Tensor[] => [
  image,
  text,
  ...(groups ? [groups] : []),
]

const compares = (model: ImageTextModel): model is Contrasting =>
  isEmbeddingModel(model) && model.lossWeights.contrastive !== 0

type Contrasting = ImageTextModel & Required<Pick<ImageTextModel, 'contrastive'>> & Contrastive

/** L_Con and its gradients. */
interface Contrast {
  readonly loss: Tensor
  readonly byImage: Tensor
  readonly byText: Tensor
  readonly byLogScale: Tensor
  readonly byBias?: Tensor
}

/** L_Con of all images and texts, and its gradients. */
const contrastiveOf =
  (model: ImageTextModel) =>
  ([image, text, groups]: readonly Tensor[]): Contrast => {
    const { logScale, logitBias, contrastive } = model as Contrasting
    const of = (x: Tensor, y: Tensor, scale: Tensor, bias?: Tensor) =>
      contrastive.call(model, x, y, scale.exp(), { groups, ...(bias && { bias }) })
    if (!logitBias) {
      const [loss, [byImage, byText, byLogScale]] = valueAndGrad(of, { wrt: [0, 1, 2] })(image, text, logScale)
      return { loss, byImage, byText, byLogScale }
    }
    const differentiated = valueAndGrad(of, { wrt: [0, 1, 2, 3] })
    const [loss, [byImage, byText, byLogScale, byBias]] = differentiated(image, text, logScale, logitBias)
    return { loss, byImage, byText, byLogScale, byBias }
  }

/** A function linear in a part's embeddings, with the gradient of L_Con; each part has an equal share of the gradients of scale and bias. */
const linearized = (
  model: Contrasting,
  { image, text }: Pairs,
  { value, rows }: Gathered<Contrast>,
  parts: number,
): Tensor => {
  const linear = image
    .mul(value.byImage.slice(rows))
    .sum()
    .add(text.mul(value.byText.slice(rows)).sum())
    .add(model.logScale.mul(value.byLogScale.div(parts)))
  return model.logitBias && value.byBias ? linear.add(model.logitBias.mul(value.byBias.div(parts))) : linear
}

/** Embeddings of a part, if L_Con needs them. With dropout the decoder also draws random numbers, so it runs as well. */
function embed(model: ImageTextModel, images: Tensor, ids: Tensor): Pairs | undefined {
  if (!compares(model)) return undefined
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
