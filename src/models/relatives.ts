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
import { MultimodalDecoder, type TextConfig, UnimodalDecoder } from './text.ts'
import { VisionTransformer, type VisionTransformerConfig } from './vit.ts'

/** One query over the encoder's tokens and a linear layer; also the head of frozen-feature evaluation (section 4.2). */
export class ClassificationHead extends Module {
  readonly pooler: AttentionalPooler
  readonly output: Linear

  constructor(config: { readonly width: number; readonly heads: number; readonly classes: number }) {
    super()
    this.pooler = new AttentionalPooler({ queries: 1, width: config.width, heads: config.heads })
    this.output = new Linear(config.width, config.classes)
  }

  /** tokens [batch, tokens, width] → logits [batch, classes] */
  forward(tokens: Tensor): Tensor {
    return this.output.forward(this.pooler.forward(tokens).slice([{}, 0]))
  }
}

/** Images to classes: the single encoder. */
export class ImageClassifier extends Module {
  readonly encoder: VisionTransformer
  readonly head: ClassificationHead

  constructor(config: { readonly image: VisionTransformerConfig; readonly classes: number }) {
    super()
    const { width, heads } = config.image
    this.encoder = new VisionTransformer(config.image)
    this.head = new ClassificationHead({ width, heads, classes: config.classes })
  }

  /** images [batch, 3, size, size] → logits [batch, classes] */
  forward(images: Tensor): Tensor {
    return this.head.forward(this.encoder.forward(images))
  }

  loss(images: Tensor, targets: Tensor, options?: ClassificationOptions): Tensor {
    return classificationLoss(this.forward(images), targets, options)
  }
}

/** Images and texts in one space, as CLIP: the dual encoder. */
export class DualEncoder extends Module {
  readonly encoder: VisionTransformer
  readonly pooler: AttentionalPooler
  readonly imageProjection: Linear
  readonly text: UnimodalDecoder
  readonly textProjection: Linear
  readonly logScale: Parameter

  constructor(config: {
    readonly image: VisionTransformerConfig
    readonly text: TextConfig
    readonly embedding: number
  }) {
    super()
    const { image, text, embedding } = config
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

/** Images to texts, every patch open to a decoder that looks at them in all its upper layers: the encoder-decoder. */
export class Captioner extends Module {
  readonly encoder: VisionTransformer
  readonly text: UnimodalDecoder
  readonly decoder: MultimodalDecoder
  readonly pad?: number

  constructor(config: { readonly image: VisionTransformerConfig; readonly text: TextConfig }) {
    super()
    this.encoder = new VisionTransformer(config.image)
    this.text = new UnimodalDecoder(config.text)
    // of the summary, which no caption depends on
    this.text.norm.freeze()
    this.decoder = new MultimodalDecoder(config.text, config.image.width)
    this.pad = config.text.pad
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
