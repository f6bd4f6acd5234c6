// Clips to classes: the frames of a clip go through the image encoder one by one, and one query pools all tokens of all frames
// (CoCa, section 4.2, "video action recognition"). A pooler does not see the order of its tokens, so each frame has a learned
// position, which the head adds to all tokens of the frame.

import { type ClassificationOptions, classificationLoss, Module, type Parameter, parameter } from '../nn/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { fromData, ShapeError, sameShape, show, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { ClassificationHead, type ClassificationHeadConfig, headConfig } from './classifier.ts'
import { resolveVideoClassifier, type VideoClassifierConfig } from './config.ts'
import { classifierParts, demandWeights } from './size.ts'
import { VisionTransformer } from './vit.ts'

/** The root mean square of the initial positions. */
const AMPLITUDE = 2

/**
 * Sines and cosines of the number of a frame, [frames, width]: half of the columns each, at frequencies from a quarter of a period
 * in the whole clip to a period of four frames. They differ between neighbouring frames in many columns.
 */
function wavesOfFrames(frames: number, width: number): Tensor {
  const count = Math.floor(width / 2)
  const data = new Float32Array(frames * width)
  const turns = (i: number) => 0.25 + (count > 1 ? (i / (count - 1)) * (Math.max(frames / 4, 0.5) - 0.25) : 0)
  for (let frame = 0; frame < frames; frame++)
    for (let i = 0; i < count; i++) {
      const angle = (2 * Math.PI * turns(i) * (frame + 0.5)) / frames
      data[frame * width + i] = AMPLITUDE * Math.SQRT2 * Math.sin(angle)
      data[frame * width + count + i] = AMPLITUDE * Math.SQRT2 * Math.cos(angle)
    }
  return fromData(data, [frames, width])
}

/** The configuration of a `VideoHead`. */
export interface VideoHeadConfig extends ClassificationHeadConfig {
  /** number of frames of a clip */
  readonly frames: number
}
const videoHeadConfig = { ...headConfig, frames: is.count } satisfies Settings<VideoHeadConfig>

/**
 * Learned positions of frames, one query over the tokens of all frames, and a linear layer. It can be trained on its own, on tokens
 * that a frozen encoder computed once.
 */
export class VideoHead extends ClassificationHead {
  /** learned positions of the frames, [frames, width] */
  readonly framePositions: Parameter

  constructor(config: VideoHeadConfig) {
    const { frames, ...head } = settle('new VideoHead(config)', config, videoHeadConfig)
    super(head)
    const { width } = head
    // initialised with sines as large as the tokens, because positions are slow to learn
    this.framePositions = parameter([frames, width], () => wavesOfFrames(frames, width))
  }

  /** tokens [batch, frames, tokens, width] → logits [batch, classes] */
  override forward(tokens: Tensor): Tensor {
    checkArguments('head.forward(tokens)', [is.tensor], [tokens])
    const [frames, width] = this.framePositions.shape
    if (tokens.rank !== 4 || tokens.shape[1] !== frames || tokens.shape[3] !== width)
      throw new ShapeError(
        `VideoHead: tokens must be [batch, ${frames} frames, tokens, ${width}], not ${show(tokens.shape)}`,
        tokens.shape,
      )
    const [batch, , count] = tokens.shape
    const placed = tokens.add(this.framePositions.unsqueeze(1))
    return super.forward(placed.reshape([batch, frames * count, width]))
  }
}

/** The classification loss, under the names that every model's loss has. */
export interface VideoClassifierLoss {
  /** what training minimizes */
  readonly total: Tensor
  /** the same tensor */
  readonly classification: Tensor
}

/** Clips [batch, frames, channels, height, width] to classes. */
export class VideoClassifier extends Module {
  /** the configuration as it was given */
  readonly config: VideoClassifierConfig
  /** images → tokens, for each frame */
  readonly encoder: VisionTransformer
  /** tokens of all frames → logits */
  readonly head: VideoHead

  /** @throws OptionsError, ConfigError naming a setting that is unknown, missing or invalid */
  constructor(config: VideoClassifierConfig) {
    super()
    const { image, frames, classes, activation, dropout } = resolveVideoClassifier(config)
    const { width, heads } = image
    this.config = config
    demandWeights(classifierParts({ image, classes, frames }))
    this.encoder = new VisionTransformer(image, { activation, dropout })
    this.head = new VideoHead({ width, heads, classes, frames })
  }

  /** number of frames of a clip */
  get frames(): number {
    return this.head.framePositions.shape[0]
  }

  /** clips [batch, frames, channels, height, width] → the encoder's tokens of each frame, [batch, frames, tokens, width] */
  frameTokens(clips: Tensor): Tensor {
    checkArguments('model.frameTokens(clips)', [is.tensor], [clips])
    const { frames } = this
    const { imageShape } = this.encoder.patches
    if (clips.rank !== 5 || !sameShape(clips.shape.slice(1), [frames, ...imageShape]))
      throw new ShapeError(
        `VideoClassifier: clips must be [batch, ${frames} frames, ${imageShape.join(', ')}], not ${show(clips.shape)}`,
        clips.shape,
      )
    const [batch, , ...image] = clips.shape
    const tokens = this.encoder.forward(clips.reshape([batch * frames, ...image]))
    return tokens.reshape([batch, frames, ...tokens.shape.slice(1)])
  }

  /** clips [batch, frames, channels, height, width] → logits [batch, classes] */
  forward(clips: Tensor): Tensor {
    return this.head.forward(this.frameTokens(clips))
  }

  /**
   * L_Cls.
   * @param targets class ids int32 [batch], or probabilities [batch, classes], see {@link classificationLoss}
   */
  loss(clips: Tensor, targets: Tensor, options?: ClassificationOptions): VideoClassifierLoss {
    const classification = classificationLoss(this.forward(clips), targets, options)
    return { total: classification, classification }
  }
}
