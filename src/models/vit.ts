// The image encoder: a vision transformer (Dosovitskiy et al. 2020) that hands out all its tokens; what to make of them
// is a pooler's business.

import { concat } from '../autograd/index.ts'
import {
  type Activation,
  gridPositions,
  init,
  isActivation,
  LayerNorm,
  Module,
  type Parameter,
  PatchEmbedding,
  parameter,
  sequence,
  TransformerBlock,
} from '../nn/index.ts'
import type { Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'

export interface VisionTransformerConfig {
  /** side of the square image, pixels */
  readonly size: number
  /** side of a patch, pixels */
  readonly patch: number
  readonly width: number
  readonly layers: number
  readonly heads: number
  /** width inside the feed-forward layers; default 4 × width */
  readonly hidden?: number
  /** a learned token before the patches; default false */
  readonly classToken?: boolean
  /** normalise the tokens before the first block; default false */
  readonly inputNorm?: boolean
  /** of the layer that patches go through; default true */
  readonly patchBias?: boolean
}
export const visionTransformerConfig = {
  size: is.number,
  patch: is.number,
  width: is.number,
  layers: is.number,
  heads: is.number,
  hidden: is.optional(is.number),
  classToken: false,
  inputNorm: false,
  patchBias: true,
} satisfies Settings<VisionTransformerConfig>

/** What all blocks of a transformer have in common. */
export interface BlockOptions {
  /** default gelu */
  readonly activation?: Activation
  /** default 0 */
  readonly dropout?: number
}
export const blockOptions = { activation: isActivation, dropout: 0 } satisfies Settings<BlockOptions>

/**
 * A vision transformer (Dosovitskiy et al. 2020) without a head: images [batch, channels, size, size] → all tokens
 * [batch, tokens, width].
 */
export class VisionTransformer extends Module {
  readonly patches: PatchEmbedding
  readonly classToken?: Parameter // [width]
  readonly positions: Parameter // [tokens, width]
  readonly inputNorm?: LayerNorm
  readonly blocks: TransformerBlock[]

  constructor(config: VisionTransformerConfig, options?: BlockOptions) {
    super()
    const settled = settle('new VisionTransformer(config)', config, visionTransformerConfig)
    const { size, patch, width, layers, heads, hidden, classToken, inputNorm, patchBias } = settled
    const block = settle('new VisionTransformer(config, options)', options, blockOptions)
    this.patches = new PatchEmbedding({ imageSize: size, patchSize: patch, width, bias: patchBias })
    if (classToken) this.classToken = parameter([width], init.normal(0.02))
    // learned, from sines that outweigh a patch at first: where a thing is takes longest to learn
    const grid = () => gridPositions(size / patch, width, 2)
    this.positions = parameter([this.tokens, width], () =>
      classToken
        ? grid().pad([
            [1, 0],
            [0, 0],
          ])
        : grid(),
    )
    if (inputNorm) this.inputNorm = new LayerNorm(width)
    this.blocks = Array.from({ length: layers }, () => new TransformerBlock({ width, heads, hidden, ...block }))
  }

  /** Number of tokens of an image: its patches, after the class token where there is one. */
  get tokens(): number {
    return this.patches.patches + (this.classToken ? 1 : 0)
  }

  /** images [batch, 3, size, size] → tokens [batch, tokens, width] */
  forward(images: Tensor): Tensor {
    let x = this.patches.forward(images)
    const [batch, , width] = x.shape
    if (this.classToken) x = concat([this.classToken.expand([batch, 1, width]), x], 1)
    x = x.add(this.positions)
    if (this.inputNorm) x = this.inputNorm.forward(x)
    return sequence(x, this.blocks, (y, block) => block.forward(y))
  }
}
