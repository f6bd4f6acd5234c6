// The image encoder: a vision transformer (Dosovitskiy et al. 2020) that returns all its tokens, which poolers reduce.

import { concat } from '../autograd/index.ts'
import {
  gridPositions,
  init,
  LayerNorm,
  Module,
  type Parameter,
  PatchEmbedding,
  parameter,
  sequence,
  TransformerBlock,
} from '../nn/index.ts'
import type { Tensor } from '../tensor/index.ts'
import { settle } from '../tensor/options.ts'
import { type BlockOptions, blockOptions, resolveVisionTransformer, type VisionTransformerConfig } from './config.ts'

/**
 * A vision transformer (Dosovitskiy et al. 2020) without a head: images [batch, channels, height, width] → all tokens
 * [batch, tokens, width].
 */
export class VisionTransformer extends Module {
  /** images → patches, [batch, patches, width] */
  readonly patches: PatchEmbedding
  /** a learned token before the patches, [width]; absent without one */
  readonly classToken?: Parameter
  /** positions of the tokens, [tokens, width] */
  readonly positions: Parameter
  /** normalises before the first block; absent without one */
  readonly inputNorm?: LayerNorm
  /** the layers, in their order */
  readonly blocks: TransformerBlock[]
  /** normalises after the last block; absent without one */
  readonly outputNorm?: LayerNorm

  constructor(config: VisionTransformerConfig, options?: BlockOptions) {
    super()
    const settled = resolveVisionTransformer('new VisionTransformer(config)', config)
    const { size, patch, channels, width, layers, heads, hidden, normEpsilon, cropToPatches } = settled
    const common = settle('new VisionTransformer(config, options)', options, blockOptions)
    const activation = settled.activation ?? common.activation
    const block = { width, heads, hidden, normEpsilon, activation, dropout: common.dropout }
    const { patchBias: bias, classToken, inputNorm, outputNorm } = settled
    this.patches = new PatchEmbedding({ imageSize: size, patchSize: patch, channels, width, bias, cropToPatches })
    if (classToken) this.classToken = parameter([width], init.normal(0.02))
    // learned, initialised with sines that are larger than an embedded patch, because positions are slow to learn
    const grid = () => gridPositions(this.patches.grid, width, 2)
    this.positions = parameter([this.tokens, width], () =>
      classToken
        ? grid().pad([
            [1, 0],
            [0, 0],
          ])
        : grid(),
    )
    if (inputNorm) this.inputNorm = new LayerNorm(width, normEpsilon)
    this.blocks = Array.from({ length: layers }, () => new TransformerBlock(block))
    if (outputNorm) this.outputNorm = new LayerNorm(width, normEpsilon)
  }

  /** Number of tokens of an image: its patches, and the class token if there is one. */
  get tokens(): number {
    return this.patches.patches + (this.classToken ? 1 : 0)
  }

  /** images [batch, channels, height, width] → tokens [batch, tokens, width] */
  forward(images: Tensor): Tensor {
    let x = this.patches.forward(images)
    const [batch, , width] = x.shape
    if (this.classToken) x = concat([this.classToken.expand([batch, 1, width]), x], 1)
    x = x.add(this.positions)
    if (this.inputNorm) x = this.inputNorm.forward(x)
    x = sequence(x, this.blocks, (y, block) => block.forward(y))
    return this.outputNorm ? this.outputNorm.forward(x) : x
  }
}
