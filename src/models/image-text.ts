// The common interface of CoCa, the dual encoder and the captioner: one pass over images and texts gives the inputs of their losses,
// and the loss that is minimized is the weighted sum of these. Training in parts and evaluation use only this interface.

import type { Module, Parameter } from '../nn/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import type { Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import type { BlockOptions, CoCaConfig } from './config.ts'
import type { ContrastOptions, PositivesOptions } from './contrastive.ts'

/** The inputs of the losses. Those that no computed loss needs are absent. */
export interface LossInputs {
  /** of unit length, [batch, embedding] */
  readonly image?: Tensor
  /** of unit length, [batch, embedding] */
  readonly text?: Tensor
  /** 1 / temperature, a scalar */
  readonly scale?: Tensor
  /** [batch, tokens, vocabulary]: position t predicts token t + 1 */
  readonly logits?: Tensor
}

/** L = λ_Con L_Con + λ_Cap L_Cap, and its terms. */
export interface ImageTextLoss {
  /** what training minimizes */
  readonly total: Tensor
  /** L_Con; absent if λ_Con is 0 */
  readonly contrastive?: Tensor
  /** L_Cap; absent if λ_Cap is 0 */
  readonly captioning?: Tensor
}

/** λ_Con and λ_Cap. */
export interface LossWeights {
  /** λ_Con */
  readonly contrastive: number
  /** λ_Cap */
  readonly captioning: number
}

/** A model of images [batch, channels, height, width] and texts, int32 ids [batch, tokens]. */
export interface ImageTextModel extends Module {
  /** the configuration as it was given */
  readonly config: BlockOptions & Pick<CoCaConfig, 'image' | 'text' | 'loss'>
  /** the factors of both losses */
  readonly lossWeights: LossWeights
  /** bias of the logits of SigLIP's loss, a scalar */
  readonly logitBias?: Parameter
  /**
   * What the losses need: embeddings and scale, logits, or all of them.
   * @param images [batch, channels, height, width]
   * @param ids int32 [batch, tokens]
   */
  lossInputs(images: Tensor, ids: Tensor): LossInputs
  /**
   * The loss of images [batch, channels, height, width] with their texts, int32 ids [batch, tokens], and its terms.
   * @param options.groups int32 [batch]: pairs with the same number are positives of each other
   */
  loss(images: Tensor, ids: Tensor, options?: PositivesOptions): ImageTextLoss
  /** λ_Con L_Con + λ_Cap L_Cap of the given losses */
  weigh(contrastive: Tensor | undefined, captioning: Tensor | undefined): ImageTextLoss
  /** L_Con of embeddings [batch, embedding], if λ_Con is not 0 */
  contrastive?(image: Tensor, text: Tensor, scale: Tensor, options?: ContrastOptions): Tensor
  /** how `contrastive` is defined: the sum or the mean of both directions, or SigLIP's loss. Training in parts computes its rows */
  readonly contrast?: 'sum' | 'mean' | 'sigmoid'
  /** L_Cap of logits [batch, tokens, vocabulary], if λ_Cap is not 0 */
  captioning?(logits: Tensor, ids: Tensor): Tensor
}

/**
 * λ_Con L_Con + λ_Cap L_Cap of the given losses.
 * @throws TypeError if neither is given
 */
export function weighLosses(weights: LossWeights, contrastive?: Tensor, captioning?: Tensor): ImageTextLoss {
  const kinds = [is.optional(is.tensor), is.optional(is.tensor)]
  checkArguments('model.weigh(contrastive, captioning)', kinds, [contrastive, captioning])
  const first = contrastive && times(contrastive, weights.contrastive)
  const second = captioning && times(captioning, weights.captioning)
  const total = first && second ? first.add(second) : (first ?? second)
  if (!total) throw new TypeError('model.weigh: neither loss is given')
  return { total, ...(contrastive && { contrastive }), ...(captioning && { captioning }) }
}

const times = (loss: Tensor, weight: number): Tensor => (weight === 1 ? loss : loss.mul(weight))
