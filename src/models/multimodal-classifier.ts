// Images with a text to classes: visual question answering over a fixed set of answers, entailment, and statements about a pair of
// images (CoCa, section 4.2, "multimodal understanding"). It consists of CoCa's parts without the contrastive ones, under the
// same names, and of a new query that pools the outputs of the decoder.
//
//   images ─ encoder ─ generative pooler ─┐
//   text ─ unimodal decoder ──────────────┴─ multimodal decoder ─ states ─ head: one query, linear layer ─ logits
//
// With two images the text is read with each of them, and the two pooled states are joined before the linear layer.

import {
  AttentionalPooler,
  type ClassificationOptions,
  captioningLoss,
  classificationLoss,
  Linear,
  Module,
} from '../nn/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { ShapeError, sameShape, show, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { type ClassificationHeadConfig, headConfig } from './classifier.ts'
import { type MultimodalClassifierConfig, resolveMultimodalClassifier } from './config.ts'
import { imageTokenWidth, makeGenerativePooler, poolTokens } from './poolers.ts'
import { demandWeights, multimodalClassifierParts } from './size.ts'
import { MultimodalDecoder, UnimodalDecoder } from './text.ts'
import { VisionTransformer } from './vit.ts'

/** The configuration of a `MultimodalHead`. */
export interface MultimodalHeadConfig extends ClassificationHeadConfig {
  /** number of images that a text is about; default 1 */
  readonly images?: number
}
const multimodalHeadConfig = {
  ...headConfig,
  images: is.byDefault(1, is.count),
} satisfies Settings<MultimodalHeadConfig>

/**
 * One query over the states of a decoder, and a linear layer over the pooled states of all images. It can be trained on its own, on
 * states that a frozen model computed once.
 */
export class MultimodalHead extends Module {
  /** number of images that a text is about */
  readonly images: number
  /** states of the decoder → one token, for each image */
  readonly pooler: AttentionalPooler
  /** the pooled tokens of all images → logits */
  readonly output: Linear

  constructor(config: MultimodalHeadConfig) {
    super()
    const { width, heads, classes, images } = settle('new MultimodalHead(config)', config, multimodalHeadConfig)
    this.images = images
    this.pooler = new AttentionalPooler({ queries: 1, width, heads })
    this.output = new Linear(images * width, classes)
  }

  /**
   * states [batch, images, tokens, width] → logits [batch, classes]
   * @param mask bool [batch, tokens]: the tokens that are not padding; default all
   */
  forward(states: Tensor, mask?: Tensor): Tensor {
    const kinds = [is.tensor, is.optional(is.tensor)]
    checkArguments('head.forward(states, mask)', kinds, [states, mask])
    if (states.rank !== 4 || states.shape[1] !== this.images)
      throw new ShapeError(
        `MultimodalHead: states must be [batch, ${this.images}, tokens, width], not ${show(states.shape)}`,
        states.shape,
      )
    const [batch, images, tokens, width] = states.shape
    if (mask && !(mask.rank === 2 && mask.shape[0] === batch && mask.shape[1] === tokens))
      throw new ShapeError(
        `MultimodalHead: mask must be [${batch}, ${tokens}], the tokens of every text, not ${show(mask.shape)}`,
        mask.shape,
      )
    const isText = mask && ofEachImage(mask, images).reshape([batch * images, 1, 1, tokens])
    const pooled = this.pooler.forward(states.reshape([batch * images, tokens, width]), { mask: isText })
    return this.output.forward(pooled.reshape([batch, images * width]))
  }
}

/** Rows of a text, once for each of its images: [batch, …] → [batch · images, …] */
function ofEachImage(x: Tensor, images: number): Tensor {
  if (images === 1) return x
  const [batch, ...rest] = x.shape
  return x
    .unsqueeze(1)
    .expand([batch, images, ...rest])
    .reshape([batch * images, ...rest])
}

/** L_Cls + λ_Cap L_Cap, and its terms. */
export interface MultimodalClassifierLoss {
  /** what training minimizes */
  readonly total: Tensor
  /** L_Cls */
  readonly classification: Tensor
  /** the captioning loss of the text; absent if λ_Cap is 0 */
  readonly captioning?: Tensor
}

/** Images [batch, images, channels, height, width] with a text, int32 ids [batch, tokens], to classes. */
export class MultimodalClassifier extends Module {
  /** the configuration as it was given */
  readonly config: MultimodalClassifierConfig
  /** images → tokens */
  readonly encoder: VisionTransformer
  /** absent if `pooler.queries` is 0 */
  readonly generativePooler?: AttentionalPooler
  /** the lower half of the decoder: the text alone */
  readonly unimodal: UnimodalDecoder
  /** the upper half of the decoder: the text attends to the image tokens */
  readonly multimodal: MultimodalDecoder
  /** states of the decoder → logits */
  readonly head: MultimodalHead
  /** the configuration with every default */
  readonly settings: ReturnType<typeof resolveMultimodalClassifier>

  /** @throws OptionsError, ConfigError naming a setting that is unknown, missing or invalid */
  constructor(config: MultimodalClassifierConfig) {
    super()
    this.settings = resolveMultimodalClassifier(config)
    const { image, text, images, classes, activation, dropout } = this.settings
    this.config = config
    demandWeights(multimodalClassifierParts(this.settings))
    this.encoder = new VisionTransformer(image, { activation, dropout })
    const generative = makeGenerativePooler(this.settings)
    if (generative) this.generativePooler = generative
    this.unimodal = new UnimodalDecoder(text, { activation, dropout })
    this.multimodal = new MultimodalDecoder(text, imageTokenWidth(this.settings), { activation, dropout })
    this.head = new MultimodalHead({ width: text.width, heads: text.multimodal.heads, classes, images })
    // only the summary of a text needs these
    this.unimodal.norm.freeze()
    if (this.unimodal.classToken) this.unimodal.classToken.trainable = false
    if (this.captioningWeight === 0) this.multimodal.output.freeze()
  }

  /** λ_Cap */
  get captioningWeight(): number {
    return this.settings.loss.captioning.weight
  }

  /**
   * The decoder's states of every image with its text, [batch, images, tokens, width].
   * @param images [batch, images, channels, height, width]; of one image also [batch, channels, height, width]
   * @param ids int32 [batch, tokens]
   */
  states(images: Tensor, ids: Tensor): Tensor {
    checkArguments('model.states(images, ids)', [is.tensor, is.indices], [images, ids])
    const { images: count } = this.settings
    const shape = images.rank === 4 && count === 1 ? [images.shape[0], 1, ...images.shape.slice(1)] : images.shape
    const { imageShape } = this.encoder.patches
    if (shape.length !== 5 || !sameShape(shape.slice(1), [count, ...imageShape]))
      throw new ShapeError(
        `MultimodalClassifier: images must be [batch, ${count}, ${imageShape.join(', ')}], not ${show(images.shape)}`,
        images.shape,
      )
    const [batch, , ...image] = shape
    const tokens = poolTokens(this, this.encoder.forward(images.reshape([batch * count, ...image])))
    const text = this.unimodal.tokens(ids)
    const mask = text.mask && ofEachImage(text.mask, count)
    const states = this.multimodal.states(ofEachImage(text.tokens, count), tokens, { mask })
    return states.reshape([batch, count, ...states.shape.slice(1)])
  }

  /** bool [batch, tokens]: the tokens that are not padding; undefined if no id is padding */
  textMask(ids: Tensor): Tensor | undefined {
    const { pad } = this.settings.text
    return pad === undefined ? undefined : ids.notEqual(pad)
  }

  /** images [batch, images, channels, height, width], ids int32 [batch, tokens] → logits [batch, classes] */
  forward(images: Tensor, ids: Tensor): Tensor {
    return this.head.forward(this.states(images, ids), this.textMask(ids))
  }

  /**
   * L_Cls + λ_Cap L_Cap. With λ_Cap = 0 the captioning loss is not computed. With two images, L_Cap is the mean over both.
   * @param targets class ids int32 [batch], or probabilities [batch, classes], see {@link classificationLoss}
   */
  loss(images: Tensor, ids: Tensor, targets: Tensor, options?: ClassificationOptions): MultimodalClassifierLoss {
    const states = this.states(images, ids)
    const classification = classificationLoss(this.head.forward(states, this.textMask(ids)), targets, options)
    return this.weigh(classification, this.captioningWeight === 0 ? undefined : this.captioning(states, ids))
  }

  /** The losses, and their sum with λ_Cap. @param captioning left out if undefined */
  weigh(classification: Tensor, captioning?: Tensor): MultimodalClassifierLoss {
    if (!captioning) return { total: classification, classification }
    return { total: classification.add(captioning.mul(this.captioningWeight)), classification, captioning }
  }

  /** L_Cap of states [batch, images, tokens, width], reduced as the configuration says */
  protected captioning(states: Tensor, ids: Tensor): Tensor {
    const { loss, text, images } = this.settings
    const [batch, , tokens, width] = states.shape
    const logits = this.multimodal.output.forward(states.reshape([batch * images, tokens, width]))
    const { reduction } = loss.captioning
    return captioningLoss(logits, ofEachImage(ids, images), { reduction, ignore: text.pad })
  }
}
