// CoCa on images with texts. Its contrastive loss compares every image with every text, so the gradients of parts cannot simply
// be added: first the embeddings of all parts are computed, and from them the loss and its gradient by each of them; then each
// part is computed once more and walked back over from there (Gao et al. 2021, arXiv 2101.06983, "Scaling Deep Contrastive
// Learning Batch Size under Memory Limited Setup").

import { noGrad, valueAndGrad } from '../../autograd/index.ts'
import type { ImageTextSource, Tokenizer } from '../../data/index.ts'
import { captioning, meanLoss, retrieval } from '../../evaluate/index.ts'
import { batchLoss, batchTensors, equalRows, type LossBatch } from '../../evaluate/inputs.ts'
import type { CoCa, CoCaLoss } from '../../models/index.ts'
import { lossAndGradients } from '../../nn/index.ts'
import { defaultGenerator, scope, type Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import type { RunConfig } from '../config.ts'
import type { Gradients, Losses, Objective } from '../objective.ts'
import { accumulate, type Gathered, partition, type Reducer, type Steps } from '../parallel.ts'

export interface CoCaObjectiveOptions {
  /** captions that are equal belong to each other's images; default false */
  readonly positives?: boolean
  /** how the model is evaluated; without it there is no `evaluate` */
  readonly evaluation?: {
    readonly tokenizer: Tokenizer
    readonly normalize: RunConfig['normalize']
    readonly batchSize: number
    readonly truncate: boolean
  }
}
const cocaObjectiveOptions = { positives: false, evaluation: undefined } satisfies Settings<CoCaObjectiveOptions>

/** λ_Con L_Con + λ_Cap L_Cap of images with their texts (equation 4 of arXiv 2205.01917). */
export class CoCaObjective implements Objective<LossBatch, ImageTextSource> {
  readonly model: CoCa
  readonly rowsPerExample: number
  readonly #positives: boolean
  readonly evaluate?: (examples: ImageTextSource) => Promise<Record<string, number>>

  constructor(model: CoCa, options?: CoCaObjectiveOptions) {
    const { positives, evaluation } = settle('new CoCaObjective(model, options)', options, cocaObjectiveOptions)
    this.model = model
    this.#positives = positives
    const { image, text } = model.config
    this.rowsPerExample = (image.size / image.patch) ** 2 + text.context
    if (evaluation) this.evaluate = examples => evaluateCoCa(model, evaluation, examples)
  }

  loss(batch: LossBatch): Losses {
    return { ...batchLoss(this.model, batch, { positives: this.#positives }) } as Losses
  }

  *gradients(part: LossBatch, reducer: Reducer): Steps<Gradients> {
    const inputs = batchTensors(this.model, part, { positives: this.#positives })
    const { loss, gradients } = yield* cocaGradients(this.model, inputs, reducer)
    return { loss: { ...loss } as Losses, gradients }
  }

  size({ imageShape }: LossBatch): number {
    return imageShape[0]
  }

  /** Captions that are equal to those of other examples are so in a part too. */
  slice({ images, imageShape, tokens, tokenShape, groups }: LossBatch, start: number, stop: number): LossBatch {
    const [, channels, height, width] = imageShape
    const pixels = channels * height * width
    const all = this.#positives ? (groups ?? equalRows(tokens, tokenShape)) : undefined
    return {
      images: images.slice(start * pixels, stop * pixels),
      imageShape: [stop - start, channels, height, width],
      tokens: tokens.slice(start * tokenShape[1], stop * tokenShape[1]),
      tokenShape: [stop - start, tokenShape[1]],
      ...(all && { groups: all.slice(start, stop) }),
    }
  }

  /** 1 / temperature */
  measures(): { scale: Tensor } {
    return { scale: this.model.logScale.exp() }
  }

  embeddings(batch: LossBatch): { images: Tensor; captions: Tensor } {
    const { images, ids } = batchTensors(this.model, batch, { positives: false })
    return { images: this.model.encodeImage(images), captions: this.model.encodeText(ids) }
  }

  afterUpdate(): void {
    this.model.constrain()
  }
}

/** Losses, the share of first ranks in both directions, and captions. */
async function evaluateCoCa(
  model: CoCa,
  { tokenizer, normalize, ...options }: NonNullable<CoCaObjectiveOptions['evaluation']>,
  examples: ImageTextSource,
): Promise<Record<string, number>> {
  const trained = { model, tokenizer, normalize }
  const losses = await meanLoss(trained, examples, options)
  const { imageToText, textToImage } = await retrieval(trained, examples, options)
  const { exact, tokenAccuracy } = await captioning(trained, examples, options)
  const recalls = { imageToTextR1: imageToText.recall[1], textToImageR1: textToImage.recall[1] }
  return { ...losses, ...recalls, exactCaptions: exact, tokenAccuracy }
}

export interface AccumulationOptions {
  /** how many parts the batch is cut into, as even as can be; memory is needed for one of them */
  readonly parts: number
  /** int32 [batch]: pairs with the same number are positives of each other */
  readonly groups?: Tensor
}
const accumulationOptions = { parts: is.number, groups: is.optional(is.tensor) } satisfies Settings<AccumulationOptions>

/**
 * What `lossAndGradients(model, () => model.loss(images, ids))` gives, with the activations of one part of the batch at a time.
 * The gradient is the same up to rounding. It costs the encoders one pass forwards more.
 * @param images [batch, 3, size, size]
 * @param ids int32 [batch, tokens]
 * @throws RangeError unless there are 1 … batch parts
 */
export function accumulateGradients(
  model: CoCa,
  images: Tensor,
  ids: Tensor,
  options: AccumulationOptions,
): { loss: CoCaLoss; gradients: Map<string, Tensor> } {
  const call = 'accumulateGradients(model, images, ids, options)'
  const { parts: count, groups } = settle(call, options, accumulationOptions)
  const parts = partition('accumulateGradients', ids.shape[0], count).map(rows => ({
    images: images.slice([rows]),
    ids: ids.slice([rows]),
    groups: groups?.slice([rows]),
  }))
  return accumulate(parts, (part, reducer) => cocaGradients(model, part, reducer))
}

/** Some rows of a batch. */
interface Part {
  readonly images: Tensor
  readonly ids: Tensor
  readonly groups?: Tensor
}

function* cocaGradients(
  model: CoCa,
  { images, ids, groups }: Part,
  reducer: Reducer,
): Steps<{ loss: CoCaLoss; gradients: Map<string, Tensor> }> {
  // what is dropped must be the same in both passes
  const generator = defaultGenerator()
  const { position } = generator.state
  const own = scope(() => noGrad(() => ({ ...embed(model, images, ids), weight: captioningWeight(model, ids) })))
  const { value: weight } = yield* reducer.gather([own.weight], ([weights]) => weights.sum().maximum(1))
  const compared = own.image && own.text && [own.image, own.text, ...(groups ? [groups] : [])]
  const contrast = compared && (yield* reducer.gather(compared, all => contrastiveOf(model, all)))
  generator.seek(position)
  const part = scope(() => {
    const { loss, gradients } = lossAndGradients(model, () => {
      const { image, text, logits } = model.lossInputs(images, ids)
      const linear = contrast && linearized(model, { image: image!, text: text! }, contrast, reducer.parts)
      return model.weigh(linear, logits && model.captioning(logits, ids).mul(own.weight.sum().div(weight)))
    })
    return { losses: { ...(loss.captioning && { captioning: loss.captioning }) }, gradients }
  })
  const { losses, gradients } = yield* reducer.sum(part)
  return { loss: model.weigh(contrast?.value.loss, losses.captioning), gradients: new Map(gradients) }
}

/** L_Con of all images and texts, and its gradients. */
function contrastiveOf(model: CoCa, [image, text, groups]: readonly Tensor[]) {
  const [loss, [byImage, byText, byLogScale]] = valueAndGrad(
    (image: Tensor, text: Tensor, logScale: Tensor) => model.contrastive(image, text, logScale.exp(), { groups }),
    { wrt: [0, 1, 2] },
  )(image, text, model.logScale)
  return { loss, byImage, byText, byLogScale }
}

/** Linear in a part's embeddings, with the gradient of L_Con; each part has an equal share of that by the scale. */
const linearized = (
  model: CoCa,
  { image, text }: { readonly image: Tensor; readonly text: Tensor },
  { value, rows }: Gathered<ReturnType<typeof contrastiveOf>>,
  parts: number,
): Tensor =>
  image
    .mul(value.byImage.slice(rows))
    .sum()
    .add(text.mul(value.byText.slice(rows)).sum())
    .add(model.logScale.mul(value.byLogScale.div(parts)))

/** Embeddings of a part. With dropout the decoder draws too, and the next part begins after it. */
function embed(model: CoCa, images: Tensor, ids: Tensor): { image?: Tensor; text?: Tensor } {
  if (model.training && model.config.dropout) {
    const { image, text } = model.lossInputs(images, ids)
    return { image, text }
  }
  if (model.lossWeights.contrastive === 0) return {}
  return { image: model.encodeImage(images), text: model.encodeText(ids) }
}

/** Over how many things the captioning loss of a part is a mean: the tokens that it predicts, or its captions. Shape [1]. */
function captioningWeight({ config: { loss, text }, logScale }: CoCa, ids: Tensor): Tensor {
  const targets = ids.slice([{}, { start: 1 }])
  const countsCaptions = loss?.captioning?.reduction === 'sum' || text.pad === undefined
  const counted = countsCaptions ? targets.greaterEqual(0).slice([{}, 0]) : targets.notEqual(text.pad as number)
  return counted.cast(logScale.dtype).sum().reshape([1])
}
