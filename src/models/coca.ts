// CoCa: Contrastive Captioners are Image-Text Foundation Models (Yu et al. 2022, arXiv 2205.01917). One model that is a
// dual encoder and an encoder-decoder at once: both losses come from one pass over the image and one over the text.
//
//        image                                   text [CLS]
//          │                                         │
//    vision transformer                  unimodal decoder (causal)
//          │ patches                        │ tokens        │ [CLS]
//    generative pooler ──────────┐          │               │
//          │ image tokens        └──► multimodal decoder    │
//    contrastive pooler              (causal, attends       │
//          │                          to the image)         │
//          ▼                                ▼               ▼
//   image embedding ◄───── L_Con ───────── │ ─────► text embedding
//                                     L_Cap of logits

import { type AttentionalPooler, captioningLoss, contrastiveLoss, Linear, Module, type Parameter } from '../nn/index.ts'
import type { Tensor } from '../tensor/index.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { type CoCaConfig, type ResolvedCoCa, resolveCoCa } from './config.ts'
import { constrainScale, logScale, type PositivesOptions, positivesOptions } from './contrastive.ts'
import type { CaptionDecoder, DecodingState } from './generation/decoding.ts'
import { generate, stream } from './generation/generate.ts'
import type { Caption, GenerateOptions, StreamedToken } from './generation/options.ts'
import { extendText, patchesOf, startText } from './generation/text-state.ts'
import {
  type ImageTextLoss,
  type ImageTextModel,
  type LossInputs,
  type LossWeights,
  weighLosses,
} from './image-text.ts'
import { imageTokenWidth, makePoolers, type PoolerWeights, pool, poolSummary, poolTokens } from './poolers.ts'
import { cocaParts, demandWeights } from './size.ts'
import { MultimodalDecoder, type TextFeatures, UnimodalDecoder } from './text.ts'
import { VisionTransformer } from './vit.ts'

/** The features of images. */
export interface ImageFeatures {
  /** the vision transformer's tokens, [batch, tokens, image width]: the input of a pooler for a new task */
  readonly patches: Tensor
  /** [batch, queries, pooler width], for the decoder; the patches if there are no queries */
  readonly tokens: Tensor
  /** the vector that the embedding is projected from, [batch, pooler width]; the class token if there is no pooler */
  readonly summary: Tensor
  /** of unit length, [batch, embedding] */
  readonly embedding: Tensor
}

const poolerWeights = { generative: undefined, contrastive: undefined } satisfies Settings<PoolerWeights>

/** What `forward` of a CoCa returns: the embeddings and the logits that both losses need. */
export interface CoCaOutput {
  /** of unit length, [batch, embedding] */
  readonly image: Tensor
  /** of unit length, [batch, embedding] */
  readonly text: Tensor
  /** [batch, tokens, vocabulary]: position t predicts token t + 1 */
  readonly logits: Tensor
  /** 1 / temperature, a scalar */
  readonly scale: Tensor
}

/** λ_Con L_Con + λ_Cap L_Cap, and both losses. */
export type CoCaLoss = ImageTextLoss

/**
 * CoCa (Yu et al. 2022, arXiv 2205.01917): `forward` returns embeddings and logits, `loss` λ_Con L_Con + λ_Cap L_Cap, and `generate`
 * captions. Images are [batch, channels, size, size], texts int32 ids [batch, tokens].
 */
export class CoCa extends Module implements ImageTextModel, CaptionDecoder {
  /** the configuration as it was given */
  readonly config: CoCaConfig
  /** images → tokens [batch, patches, width] */
  readonly encoder: VisionTransformer
  /** absent if `pooler.queries` is 0 */
  readonly generativePooler?: AttentionalPooler
  /** one query for the embedding; absent if the generative pooler or the class token gives it */
  readonly contrastivePooler?: AttentionalPooler
  /** the pooled image → the space that images and texts share, [batch, embedding] */
  readonly imageProjection: Linear
  /** the lower half of the decoder: the text alone */
  readonly unimodal: UnimodalDecoder
  /** the text's [CLS] → the shared space, [batch, embedding] */
  readonly textProjection: Linear
  /** the upper half of the decoder: the text attends to the image tokens, → logits */
  readonly multimodal: MultimodalDecoder
  /** log(1 / temperature) of the contrastive loss, a learned scalar */
  readonly logScale: Parameter
  /** the configuration with every default */
  readonly settings: ResolvedCoCa

  /** @throws OptionsError, ConfigError naming a setting that is unknown, missing or invalid */
  constructor(config: CoCaConfig) {
    super()
    this.settings = resolveCoCa(config)
    const { image, text, pooler, embedding, activation, dropout, temperature } = this.settings
    this.config = config
    demandWeights(cocaParts(this.settings))
    this.encoder = new VisionTransformer(image, { activation, dropout })
    const { generative, contrastive } = makePoolers(this.settings)
    if (generative) this.generativePooler = generative
    if (contrastive) this.contrastivePooler = contrastive
    this.imageProjection = new Linear(pooler.width, embedding, { bias: false })
    this.unimodal = new UnimodalDecoder(text, { activation, dropout })
    this.textProjection = new Linear(text.width, embedding, { bias: false })
    this.multimodal = new MultimodalDecoder(text, imageTokenWidth(this.settings), { activation, dropout })
    this.logScale = logScale(temperature.initial)
    this.freezeUnneeded()
  }

  /** If the weight of a loss is 0, parameters that only this loss needs are not trained. */
  protected freezeUnneeded(): void {
    const { contrastive, captioning } = this.lossWeights
    if (contrastive === 0) {
      for (const part of [this.contrastivePooler, this.imageProjection, this.textProjection, this.unimodal.norm])
        part?.freeze()
      for (const one of [this.unimodal.classToken, this.logScale]) if (one) one.trainable = false
    }
    if (captioning === 0) {
      this.multimodal.freeze()
      if (this.settings.pooler.arrangement === 'parallel') this.generativePooler?.freeze()
    }
  }

  /**
   * images [batch, channels, height, width] → patches, tokens for the decoder, embedding
   * @param onWeights called with the poolers' attention, [batch, heads, queries, patches or, in a cascade, image tokens]
   */
  imageFeatures(images: Tensor, onWeights?: PoolerWeights): ImageFeatures {
    const settled = settle('model.imageFeatures(images, onWeights)', onWeights, poolerWeights)
    const patches = this.encoder.forward(images)
    const { tokens, summary } = pool(this, patches, settled)
    return { patches, tokens, summary, embedding: this.imageProjection.forward(summary).normalize() }
  }

  /** ids int32 [batch, tokens] → tokens for the decoder, and the embedding of the whole text */
  textFeatures(ids: Tensor): TextFeatures & { readonly embedding: Tensor } {
    const features = this.unimodal.forward(ids)
    return { ...features, embedding: this.textProjection.forward(features.summary).normalize() }
  }

  /** images [batch, channels, height, width] → embeddings of unit length, [batch, embedding] */
  encodeImage(images: Tensor): Tensor {
    return this.imageProjection.forward(poolSummary(this, this.encoder.forward(images))).normalize()
  }

  /** ids int32 [batch, tokens] → embeddings of unit length, [batch, embedding] */
  encodeText(ids: Tensor): Tensor {
    return this.textFeatures(ids).embedding
  }

  /** images [batch, channels, height, width] and their texts, int32 [batch, tokens] */
  forward(images: Tensor, ids: Tensor): CoCaOutput {
    const image = this.imageFeatures(images)
    const text = this.textFeatures(ids)
    const logits = this.multimodal.forward(text.tokens, image.tokens, { mask: text.mask })
    return { image: image.embedding, text: text.embedding, logits, scale: this.logScale.exp() }
  }

  /** The outputs of `forward` that losses with a weight other than 0 need. */
  lossInputs(images: Tensor, ids: Tensor): LossInputs {
    const { contrastive, captioning } = this.lossWeights
    if (captioning === 0)
      return { image: this.encodeImage(images), text: this.encodeText(ids), scale: this.logScale.exp() }
    return contrastive === 0 ? { logits: this.logits(images, ids) } : this.forward(images, ids)
  }

  /** The logits of `forward`, [batch, tokens, vocabulary], without the embeddings */
  logits(images: Tensor, ids: Tensor): Tensor {
    const { tokens, mask } = this.unimodal.tokens(ids)
    const image = poolTokens(this, this.encoder.forward(images))
    return this.multimodal.forward(tokens, image, { mask })
  }

  /**
   * L = λ_Con L_Con + λ_Cap L_Cap (equation 4). A loss with λ = 0 is not computed.
   * @param options.groups int32 [batch]: pairs with the same number are positives of each other
   */
  loss(images: Tensor, ids: Tensor, options?: PositivesOptions): CoCaLoss {
    const settled = settle('model.loss(images, ids, options)', options, positivesOptions)
    const { image, text, scale, logits } = this.lossInputs(images, ids)
    const contrastive = image && text && scale && this.contrastive(image, text, scale, settled)
    return this.weigh(contrastive, logits && this.captioning(logits, ids))
  }

  /** L_Con of embeddings, reduced as the configuration says */
  contrastive(image: Tensor, text: Tensor, scale: Tensor, options?: PositivesOptions): Tensor {
    const { groups } = settle('model.contrastive(image, text, scale, options)', options, positivesOptions)
    return contrastiveLoss(image, text, scale, { reduction: this.settings.loss.contrastive.reduction, groups })
  }

  /** how both directions of L_Con are reduced */
  get contrast(): 'sum' | 'mean' {
    return this.settings.loss.contrastive.reduction
  }

  /** L_Cap of logits, reduced as the configuration says */
  captioning(logits: Tensor, ids: Tensor): Tensor {
    const { loss, text } = this.settings
    return captioningLoss(logits, ids, { reduction: loss.captioning.reduction, ignore: text.pad })
  }

  /** λ_Con and λ_Cap */
  get lossWeights(): LossWeights {
    const { contrastive, captioning } = this.settings.loss
    return { contrastive: contrastive.weight, captioning: captioning.weight }
  }

  /**
   * The losses, and their sum with λ_Con and λ_Cap.
   * @param contrastive left out if undefined, like captioning
   * @throws TypeError if both are undefined
   */
  weigh(contrastive: Tensor | undefined, captioning: Tensor | undefined): CoCaLoss {
    return weighLosses(this.lossWeights, contrastive, captioning)
  }

  /** Log-likelihood of each text given its image, log p(y_2 … y_T | y_1, x): [batch] */
  score(images: Tensor, ids: Tensor): Tensor {
    const length = ids.shape[1]
    const loss = this.logits(images, ids)
      .slice([{}, { stop: length - 1 }])
      .crossEntropy(ids.slice([{}, { start: 1 }]), { ignore: this.config.text.pad, reduction: 'none' })
    return loss.sum({ axis: 1 }).neg()
  }

  /** Captions for images [batch, channels, height, width], token by token. */
  generate(images: Tensor, options: GenerateOptions): Promise<Caption[]> {
    return generate(this, images, options)
  }

  /** The tokens of one image's caption as they are chosen, with the decoder's attention. */
  stream(image: Tensor, options: GenerateOptions): AsyncGenerator<StreamedToken> {
    return stream(this, image, options)
  }

  /** Keeps the learned scale within [1, maximum]; the trainer calls it after every update. */
  constrain(): void {
    constrainScale(this.logScale, this.settings.temperature.maximumScale)
  }

  startDecoding(images: Tensor): DecodingState {
    const maps: Tensor[] = []
    const generative = (weights: Tensor) => maps.push(weights.mean({ axis: 1 }))
    const tokens = poolTokens(this, this.encoder.forward(images), { generative })
    // the attention of each image token to the patches: [batch, queries, patches]
    const { arrangement } = this.settings.pooler
    const [pooled = patchesOf(arrangement === 'none' ? {} : this.encoder, tokens)] = maps
    const origin = arrangement === 'shared' ? pooled.slice([{}, { start: 1 }]) : pooled
    return startText(this.unimodal, this.multimodal, tokens, origin)
  }

  decode(ids: Tensor, state: DecodingState, onMemoryWeights?: (weights: Tensor) => void): Tensor {
    return extendText(this.unimodal, this.multimodal, { ids, state, onMemoryWeights })
  }
}
