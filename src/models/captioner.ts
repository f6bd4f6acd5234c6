// The encoder-decoder: images to texts, trained with the captioning loss only (CoCa, section 3.1, equation 3). It consists of
// CoCa's parts, without poolers: the decoder attends to every patch.

import { captioningLoss, Module } from '../nn/index.ts'
import type { Tensor } from '../tensor/index.ts'
import { type CaptionerConfig, resolveCaptioner } from './config.ts'
import type { CaptionDecoder, DecodingState } from './generation/decoding.ts'
import { generate, stream } from './generation/generate.ts'
import type { Caption, GenerateOptions, StreamedToken } from './generation/options.ts'
import { extendText, patchesOf, startText } from './generation/text-state.ts'
import type { ImageTextModel } from './image-text.ts'
import { captionerParts, demandWeights } from './size.ts'
import { MultimodalDecoder, UnimodalDecoder } from './text.ts'
import { VisionTransformer } from './vit.ts'

/** The captioning loss, under the names that every model's loss has. */
export interface CaptionerLoss {
  /** what training minimizes */
  readonly total: Tensor
  /** the same tensor */
  readonly captioning: Tensor
}

/** The encoder-decoder: images [batch, channels, height, width] to texts, int32 ids [batch, tokens]. */
export class Captioner extends Module implements ImageTextModel, CaptionDecoder {
  /** the configuration as it was given */
  readonly config: CaptionerConfig
  /** images → tokens */
  readonly encoder: VisionTransformer
  /** the lower layers of the decoder, over the text alone */
  readonly text: UnimodalDecoder
  /** its upper layers, which also attend to the image tokens */
  readonly decoder: MultimodalDecoder
  /** id of padding, which does not count in the loss; absent if there is none */
  readonly pad?: number

  /** @throws OptionsError, ConfigError naming a setting that is unknown, missing or invalid */
  constructor(config: CaptionerConfig) {
    super()
    const { image, text, activation, dropout } = resolveCaptioner(config)
    this.config = config
    demandWeights(captionerParts({ image, text }))
    this.encoder = new VisionTransformer(image, { activation, dropout })
    this.text = new UnimodalDecoder(text, { activation, dropout })
    // only the summary needs these, and captions do not depend on it
    this.text.norm.freeze()
    if (this.text.classToken) this.text.classToken.trainable = false
    this.decoder = new MultimodalDecoder(text, image.width, { activation, dropout })
    this.pad = text.pad
  }

  /** logits [batch, tokens, vocabulary]: position t predicts token t + 1 */
  forward(images: Tensor, ids: Tensor): Tensor {
    const { tokens, mask } = this.text.tokens(ids)
    return this.decoder.forward(tokens, this.encoder.forward(images), { mask })
  }

  /** Same as `forward`. */
  logits(images: Tensor, ids: Tensor): Tensor {
    return this.forward(images, ids)
  }

  /** The tensors that the loss is computed from. */
  lossInputs(images: Tensor, ids: Tensor): { readonly logits: Tensor } {
    return { logits: this.forward(images, ids) }
  }

  /** λ_Cap, and λ_Con = 0, because there is no contrastive loss */
  get lossWeights() {
    return { contrastive: 0, captioning: 1 } as const
  }

  /** L_Cap, the mean over all tokens. */
  loss(images: Tensor, ids: Tensor): CaptionerLoss {
    return this.weigh(undefined, this.captioning(this.forward(images, ids), ids))
  }

  /** The loss, with the same tensor as total. */
  weigh(_contrastive: undefined, captioning: Tensor): CaptionerLoss {
    return { total: captioning, captioning }
  }

  /** L_Cap of logits [batch, tokens, vocabulary], the mean over all tokens */
  captioning(logits: Tensor, ids: Tensor): Tensor {
    return captioningLoss(logits, ids, { reduction: 'mean', ignore: this.pad })
  }

  /** Captions for images [batch, channels, height, width], token by token. */
  generate(images: Tensor, options: GenerateOptions): Promise<Caption[]> {
    return generate(this, images, options)
  }

  /** The tokens of one image's caption as they are chosen, with the decoder's attention. */
  stream(image: Tensor, options: GenerateOptions): AsyncGenerator<StreamedToken> {
    return stream(this, image, options)
  }

  startDecoding(images: Tensor): DecodingState {
    const tokens = this.encoder.forward(images)
    return startText(this.text, this.decoder, tokens, patchesOf(this.encoder, tokens))
  }

  decode(ids: Tensor, state: DecodingState, onMemoryWeights?: (weights: Tensor) => void): Tensor {
    return extendText(this.text, this.decoder, { ids, state, onMemoryWeights })
  }
}
