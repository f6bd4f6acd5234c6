// The three families that the paper sets CoCa against (section 3.1), made of the same parts: a single encoder with a
// classification loss, a dual encoder with a contrastive loss, an encoder-decoder with a captioning loss.

import {
  AttentionalPooler,
  type ClassificationOptions,
  captioningLoss,
  classificationLoss,
  contrastiveLoss,
  init,
  Linear,
  Module,
  type Parameter,
  parameter,
} from '../nn/index.ts'
import type { Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { group, type Settings, settle } from '../tensor/options.ts'
import { MultimodalDecoder, type TextConfig, textConfig, UnimodalDecoder } from './text.ts'
import { VisionTransformer, type VisionTransformerConfig, visionTransformerConfig } from './vit.ts'

export interface ClassificationHeadConfig {
  /** of the encoder's tokens */
  readonly width: number
  readonly heads: number
  readonly classes: number
}
const headConfig = {
  width: is.count,
  heads: is.number,
  classes: is.count,
} satisfies Settings<ClassificationHeadConfig>

/** One query over the encoder's tokens and a linear layer; also the head of frozen-feature evaluation (section 4.2). */
export class ClassificationHead extends Module {
  readonly pooler: AttentionalPooler
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

export interface ImageClassifierConfig {
  readonly image: VisionTransformerConfig
  readonly classes: number
}
const classifierConfig = {
  image: group(visionTransformerConfig),
  classes: is.count,
} satisfies Settings<ImageClassifierConfig>

/** Images to classes: the single encoder. */
export class ImageClassifier extends Module {
  readonly encoder: VisionTransformer
  readonly head: ClassificationHead

  constructor(config: ImageClassifierConfig) {
    super()
    const { image, classes } = settle('new ImageClassifier(config)', config, classifierConfig)
    const { width, heads } = image
    this.encoder = new VisionTransformer(image)
    this.head = new ClassificationHead({ width, heads, classes })
  }

  /** images [batch, 3, size, size] → logits [batch, classes] */
  forward(images: Tensor): Tensor {
    return this.head.forward(this.encoder.forward(images))
  }

  loss(images: Tensor, targets: Tensor, options?: ClassificationOptions): Tensor {
    return classificationLoss(this.forward(images), targets, options)
  }
}

export interface DualEncoderConfig {
  readonly image: VisionTransformerConfig
  readonly text: TextConfig
  /** width of the space that images and texts share */
  readonly embedding: number
}
const dualEncoderConfig = {
  image: group(visionTransformerConfig),
  text: group(textConfig),
  embedding: is.count,
} satisfies Settings<DualEncoderConfig>

/** Images and texts in one space, as CLIP: the dual encoder. */
export class DualEncoder extends Module {
  readonly encoder: VisionTransformer
  readonly pooler: AttentionalPooler
  readonly imageProjection: Linear
  readonly text: UnimodalDecoder
  readonly textProjection: Linear
  readonly logScale: Parameter

  constructor(config: DualEncoderConfig) {
    super()
    const { image, text, embedding } = settle('new DualEncoder(config)', config, dualEncoderConfig)
    this.encoder = new VisionTransformer(image)
    this.pooler = new AttentionalPooler({ queries: 1, width: image.width, heads: image.heads })
    this.imageProjection = new Linear(image.width, embedding, { bias: false })
    this.text = new UnimodalDecoder(text)
    this.textProjection = new Linear(text.width, embedding, { bias: false })
    this.logScale = parameter([], init.constant(-Math.log(0.07)))
  }

  encodeImage(images: Tensor): Tensor {
    const summary = this.pooler.forward(this.encoder.forward(images)).slice([{}, 0])
    return this.imageProjection.forward(summary).normalize()
  }

  encodeText(ids: Tensor): Tensor {
    return this.textProjection.forward(this.text.forward(ids).summary).normalize()
  }

  /** The mean of both directions. */
  loss(images: Tensor, ids: Tensor): Tensor {
    return contrastiveLoss(this.encodeImage(images), this.encodeText(ids), this.logScale.exp(), { reduction: 'mean' })
  }
}

export interface CaptionerConfig {
  readonly image: VisionTransformerConfig
  readonly text: TextConfig
}
const captionerConfig = {
  image: group(visionTransformerConfig),
  text: group(textConfig),
} satisfies Settings<CaptionerConfig>

/** Images to texts, every patch open to a decoder that looks at them in all its upper layers: the encoder-decoder. */
export class Captioner extends Module {
  readonly encoder: VisionTransformer
  readonly text: UnimodalDecoder
  readonly decoder: MultimodalDecoder
  readonly pad?: number

  constructor(config: CaptionerConfig) {
    super()
    const { image, text } = settle('new Captioner(config)', config, captionerConfig)
    this.encoder = new VisionTransformer(image)
    this.text = new UnimodalDecoder(text)
    // of the summary, which no caption depends on
    this.text.norm.freeze()
    this.decoder = new MultimodalDecoder(text, image.width)
    this.pad = text.pad
  }

  /** logits [batch, tokens, vocabulary] */
  forward(images: Tensor, ids: Tensor): Tensor {
    const { tokens, mask } = this.text.forward(ids)
    return this.decoder.forward(tokens, this.encoder.forward(images), { mask })
  }

  /** The mean over all tokens. */
  loss(images: Tensor, ids: Tensor): Tensor {
    return captioningLoss(this.forward(images, ids), ids, { reduction: 'mean', ignore: this.pad })
  }
}
