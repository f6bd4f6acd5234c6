// The image encoder: a vision transformer (Dosovitskiy et al. 2020) that hands out all its tokens; what to make of them
// is a pooler's business.

import {
  type Activation,
  gridPositions,
  Module,
  type Parameter,
  PatchEmbedding,
  parameter,
  TransformerBlock,
} from '../nn/index.ts'
import type { Tensor } from '../tensor/index.ts'

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
}

export class VisionTransformer extends Module {
  readonly patches: PatchEmbedding
  readonly positions: Parameter // [patches, width]
  readonly blocks: TransformerBlock[]

  constructor(
    config: VisionTransformerConfig,
    options: { readonly activation?: Activation; readonly dropout?: number } = {},
  ) {
    super()
    const { size, patch, width, layers, heads, hidden } = config
    this.patches = new PatchEmbedding({ imageSize: size, patchSize: patch, width })
    // learned, from sines that outweigh a patch at first: where a thing is takes longest to learn
    this.positions = parameter([this.patches.patches, width], () => gridPositions(size / patch, width, 2))
    this.blocks = Array.from({ length: layers }, () => new TransformerBlock({ width, heads, hidden, ...options }))
  }

  /** images [batch, 3, size, size] → tokens [batch, patches, width] */
  forward(images: Tensor): Tensor {
    let x = this.patches.forward(images).add(this.positions)
    for (const block of this.blocks) x = block.forward(x)
    return x
  }
}
