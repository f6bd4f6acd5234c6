// The dual encoder: images and texts in one space, trained with the contrastive loss only, like CLIP (CoCa, section 3.1, equation
// 2) or SigLIP. It consists of CoCa's parts.

import {
  AttentionalPooler,
  contrastiveLoss,
  init,
  LatentPooler,
  Linear,
  Module,
  type Parameter,
  parameter,
  sigmoidContrastiveLoss,
} from '../nn/index.ts'
import type { Tensor } from '../tensor/index.ts'
import { settle } from '../tensor/options.ts'
import { type DualEncoderConfig, resolveDualEncoder } from './config.ts'
import {
  type ContrastOptions,
  constrainScale,
  contrastOptions,
  logScale,
  type PositivesOptions,
  positivesOptions,
} from './contrastive.ts'
import type { ImageTextModel } from './image-text.ts'
import { demandWeights, dualEncoderParts } from './size.ts'
import { UnimodalDecoder } from './text.ts'
import { VisionTransformer } from './vit.ts'

/** The contrastive loss, under the names that every model's loss has. */
export interface DualEncoderLoss {
  /** what training minimizes */
  readonly total: Tensor
  /** the same tensor */
  readonly contrastive: Tensor
}

/** The dual encoder: images and texts in one space, like CLIP. Images are [batch, channels, height, width], texts int32 ids [batch, tokens]. */
export class DualEncoder extends Module implements ImageTextModel {
  /** the configuration as it was given */
  readonly config: DualEncoderConfig
  /** images → tokens [batch, patches, width] */
  readonly encoder: VisionTransformer
  /** absent if the summary of an image is the class token */
  readonly pooler?: AttentionalPooler | LatentPooler
  /** absent with `projection.image: false` */
  readonly imageProjection?: Linear
  /** ids → text features */
  readonly text: UnimodalDecoder
  /** the text's summary → the space that images and texts share */
  readonly textProjection: Linear
  /** log(1 / temperature), a learned scalar */
  readonly logScale: Parameter
  /** bias of the logits; only with `contrast: 'sigmoid'` */
  readonly logitBias?: Parameter
  /** the largest 1 / temperature, to which `constrain` limits it */
  protected readonly maximumScale: number

  /** @throws OptionsError, ConfigError naming a setting that is unknown, missing or invalid */
  constructor(config: DualEncoderConfig) {
    super()
    const settings = resolveDualEncoder(config)
    const { image, text, summary, projection, embedding, activation, dropout, temperature } = settings
    this.config = config
    demandWeights(dualEncoderParts(settings))
    this.encoder = new VisionTransformer(image, { activation, dropout })
    if (summary === 'pooler')
      this.pooler = new AttentionalPooler({ queries: 1, width: image.width, heads: image.heads })
    if (summary === 'latent') {
      const { width, heads, hidden, normEpsilon } = image
      const own = image.activation ?? activation
      this.pooler = new LatentPooler({ width, heads, hidden, normEpsilon, activation: own })
    }
    if (projection.image) this.imageProjection = new Linear(image.width, embedding, { bias: false })
    this.text = new UnimodalDecoder(text, { activation, dropout })
    this.textProjection = new Linear(text.width, embedding, { bias: projection.textBias })
    this.logScale = logScale(temperature.initial)
    if (settings.contrast === 'sigmoid') this.logitBias = parameter([], init.constant(settings.initialBias))
    this.maximumScale = temperature.maximumScale
  }

  /** images [batch, channels, height, width] → embeddings of unit length, [batch, embedding] */
  encodeImage(images: Tensor): Tensor {
    const tokens = this.encoder.forward(images)
    const summary = (this.pooler?.forward(tokens) ?? tokens).slice([{}, 0])
    return (this.imageProjection?.forward(summary) ?? summary).normalize()
  }

  /** ids int32 [batch, tokens] → embeddings of unit length, [batch, embedding] */
  encodeText(ids: Tensor): Tensor {
    return this.textProjection.forward(this.text.forward(ids).summary).normalize()
  }

  /** The tensors that the loss is computed from. */
  lossInputs(images: Tensor, ids: Tensor): { readonly image: Tensor; readonly text: Tensor; readonly scale: Tensor } {
    return { image: this.encodeImage(images), text: this.encodeText(ids), scale: this.logScale.exp() }
  }

  /**
   * L_Con, the mean of both directions, or SigLIP's loss.
   * @param options.groups int32 [batch]: pairs with the same number are positives of each other
   */
  loss(images: Tensor, ids: Tensor, options?: PositivesOptions): DualEncoderLoss {
    const settled = settle('model.loss(images, ids, options)', options, positivesOptions)
    const { image, text, scale } = this.lossInputs(images, ids)
    return this.weigh(this.contrastive(image, text, scale, settled))
  }

  /** L_Con of embeddings [batch, embedding], the mean of both directions, or SigLIP's loss with the model's bias or the given one */
  contrastive(image: Tensor, text: Tensor, scale: Tensor, options?: ContrastOptions): Tensor {
    const call = 'model.contrastive(image, text, scale, options)'
    const { groups, bias = this.logitBias } = settle(call, options, contrastOptions)
    if (this.logitBias && bias) return sigmoidContrastiveLoss(image, text, scale, bias, { groups })
    return contrastiveLoss(image, text, scale, { reduction: 'mean', groups })
  }

  /** the mean of both directions, or SigLIP's loss */
  get contrast(): 'mean' | 'sigmoid' {
    return this.logitBias ? 'sigmoid' : 'mean'
  }

  /** λ_Con, and λ_Cap = 0, because there is no captioning loss */
  get lossWeights() {
    return { contrastive: 1, captioning: 0 } as const
  }

  /** The loss, with the same tensor as total. */
  weigh(contrastive: Tensor): DualEncoderLoss {
    return { total: contrastive, contrastive }
  }

  /** Keeps the learned scale within [1, maximum]; call it after every update. */
  constrain(): void {
    constrainScale(this.logScale, this.maximumScale)
  }
}
