// The gradient of a batch that is larger than memory, in two passes. The contrastive loss compares every image with every text,
// so the gradients of parts cannot simply be added: first the embeddings of all parts are computed, and from them the loss and
// its gradient by each of them; then each part is computed once more and walked back over from there (Gao et al. 2021, arXiv
// 2101.06983, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup").

import { concat, noGrad, valueAndGrad } from '../autograd/index.ts'
import type { CoCa, CoCaLoss } from '../models/index.ts'
import { lossAndGradients } from '../nn/index.ts'
import { defaultGenerator, scope, storagesIn, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'

export interface AccumulationOptions {
  /** how many parts the batch is cut into, as even as can be; memory is needed for one of them */
  readonly parts: number
  /** int32 [batch]: pairs with the same number are positives of each other */
  readonly groups?: Tensor
}
const accumulationOptions = { parts: is.number, groups: is.optional(is.tensor) } satisfies Settings<AccumulationOptions>

/** Some rows of a batch. */
interface Part {
  readonly images: Tensor
  readonly ids: Tensor
  readonly rows: readonly [{ readonly start: number; readonly stop: number }]
}

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
  const [batch] = ids.shape
  if (!Number.isInteger(count) || count < 1 || count > batch)
    throw new RangeError(`accumulateGradients: ${count} parts of a batch of ${batch}`)
  const edge = (i: number) => Math.round((i * batch) / count)
  const parts = Array.from({ length: count }, (_, i): Part => {
    const rows = [{ start: edge(i), stop: edge(i + 1) }] as const
    return { images: images.slice(rows), ids: ids.slice(rows), rows }
  })

  // what is dropped must be the same in both passes
  const generator = defaultGenerator()
  const positions: number[] = []
  const embeddings = parts.map(part => {
    positions.push(generator.state.position)
    return noGrad(() => embed(model, part))
  })
  const whole = contrastiveOf(model, embeddings, groups)

  let sums: Sums = { captioning: [], gradients: new Map() }
  parts.forEach((part, i) => {
    generator.seek(positions[i])
    const { captioning, gradients } = scope(() => {
      const share = shareOf(model, part.ids, ids)
      const found = lossAndGradients(model, () => {
        const { image, text, logits } = model.lossInputs(part.images, part.ids)
        // linear, with the gradient of the contrastive loss; each part has an equal share of that by the scale
        const linear =
          whole &&
          image!
            .mul(whole.byImage.slice(part.rows))
            .sum()
            .add(text!.mul(whole.byText.slice(part.rows)).sum())
            .add(model.logScale.mul(whole.byLogScale.div(count)))
        return model.weigh(linear, logits && model.captioning(logits, part.ids).mul(share))
      })
      const { captioning } = found.loss
      return added(sums, { captioning: captioning ? [captioning] : [], gradients: found.gradients })
    })
    // nothing of a part outlives it but the sums
    const kept = storagesIn([captioning, gradients])
    for (const storage of storagesIn([sums.captioning, sums.gradients]))
      if (!kept.has(storage)) storage.free('the next part of its batch')
    sums = { captioning, gradients }
  })
  return { loss: model.weigh(whole?.loss, sums.captioning[0]), gradients: new Map(sums.gradients) }
}

/** Of the parts so far: the captioning loss, if there were any, and the gradients by name. */
interface Sums {
  readonly captioning: readonly Tensor[]
  readonly gradients: ReadonlyMap<string, Tensor>
}

/** Gradients may lie in one memory, so none is added to in its place. */
const added = (sums: Sums, part: Sums): Sums =>
  noGrad(() => ({
    captioning: part.captioning.map((loss, i) => sums.captioning[i]?.add(loss) ?? loss),
    gradients: new Map(
      [...part.gradients].map(([name, gradient]) => [name, sums.gradients.get(name)?.add(gradient) ?? gradient]),
    ),
  }))

/** Embeddings of a part. With dropout the decoder draws too, and the next part begins after it. */
function embed(model: CoCa, { images, ids }: Part): { image?: Tensor; text?: Tensor } {
  if (model.training && model.config.dropout) {
    const { image, text } = model.lossInputs(images, ids)
    return { image, text }
  }
  if (model.lossWeights.contrastive === 0) return {}
  return { image: model.encodeImage(images), text: model.encodeText(ids) }
}

/** L_Con of a whole batch and its gradients, if the model has this loss. */
function contrastiveOf(model: CoCa, embeddings: readonly { image?: Tensor; text?: Tensor }[], groups?: Tensor) {
  if (model.lossWeights.contrastive === 0) return undefined
  const [loss, [byImage, byText, byLogScale]] = valueAndGrad(
    (image: Tensor, text: Tensor, logScale: Tensor) => model.contrastive(image, text, logScale.exp(), { groups }),
    { wrt: [0, 1, 2] },
  )(concat(embeddings.map(({ image }) => image!)), concat(embeddings.map(({ text }) => text!)), model.logScale)
  return { loss, byImage, byText, byLogScale }
}

/** What a part's captioning loss is of the whole: as many tokens as it predicts of all, or as many captions. */
function shareOf({ settings: { loss, text }, logScale }: CoCa, part: Tensor, all: Tensor): Tensor | number {
  if (loss.captioning.reduction === 'sum' || text.pad === undefined) return part.shape[0] / all.shape[0]
  const [ofPart, ofAll] = [part, all].map(ids => {
    const isTarget = ids.slice([{}, { start: 1 }]).notEqual(text.pad as number)
    return isTarget.cast(logScale.dtype).sum()
  })
  return ofPart.div(ofAll.maximum(1))
}
