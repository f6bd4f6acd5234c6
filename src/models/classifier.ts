// The single encoder: images to classes, with a classification loss (CoCa, section 3.1, equation 1).

import { AttentionalPooler, type ClassificationOptions, classificationLoss, Linear, Module } from '../nn/index.ts'
import type { Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { type ImageClassifierConfig, resolveClassifier } from './config.ts'
import { classifierParts, demandWeights } from './size.ts'
import { VisionTransformer } from './vit.ts'

/** The configuration of a `ClassificationHead`. */
export interface ClassificationHeadConfig {
  /** width of the encoder's tokens */
  readonly width: number
  /** number of heads of the pooler */
  readonly heads: number
  /** number of classes */
  readonly classes: number
}
export const headConfig = {
  width: is.count,
  heads: is.number,
  classes: is.count,
} satisfies Settings<ClassificationHeadConfig>

/** One query over the encoder's tokens and a linear layer; also the head of frozen-feature evaluation (section 4.2). */
export class ClassificationHead extends Module {
  /** tokens → one token, [batch, 1, width] */
  readonly pooler: AttentionalPooler
  /** the pooled token → logits */
  readonly output: Linear

  constructor(config: ClassificationHeadConfig) {
    super()
    const { width, heads, classes } = settle('new ClassificationHead(config)', config, headConfig)
    this.pooler = new AttentionalPooler({ queries: 1, width, heads })
    this.output = new Linear(width, classes)
  }

  /** tokens [batch, tokens, width] → logits [batch, classes] */
  forward(tokens: Tensor): Tensor {
    return this.output.forward(this.pooler.forward(tokens).slice([{}, 0]))
  }
}

/** The classification loss, under the names that every model's loss has. */
export interface ImageClassifierLoss {
  /** what training minimizes */
  readonly total: Tensor
  /** the same tensor */
  readonly classification: Tensor
}

/** Images [batch, channels, height, width] to classes: the single encoder. */
export class ImageClassifier extends Module {
  /** the configuration as it was given */
  readonly config: ImageClassifierConfig
  /** images → tokens */
  readonly encoder: VisionTransformer
  /** tokens → logits */
  readonly head: ClassificationHead

  /** @throws OptionsError, ConfigError naming a setting that is unknown, missing or invalid */
  constructor(config: ImageClassifierConfig) {
    super()
    const { image, classes, activation, dropout } = resolveClassifier(config)
    const { width, heads } = image
    this.config = config
    demandWeights(classifierParts({ image, classes }))
    this.encoder = new VisionTransformer(image, { activation, dropout })
    this.head = new ClassificationHead({ width, heads, classes })
  }

  /** images [batch, channels, height, width] → logits [batch, classes] */
  forward(images: Tensor): Tensor {
    return this.head.forward(this.encoder.forward(images))
  }

  /**
   * L_Cls.
   * @param targets class ids int32 [batch], or probabilities [batch, classes], see {@link classificationLoss}
   */
  loss(images: Tensor, targets: Tensor, options?: ClassificationOptions): ImageClassifierLoss {
    const classification = classificationLoss(this.forward(images), targets, options)
    return { total: classification, classification }
  }
}
