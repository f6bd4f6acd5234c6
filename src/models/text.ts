// The two halves of a decoupled text decoder (CoCa, section 3.2): the lower one sees text only and ends in a learned
// [CLS] that sums the text up, the upper one also looks at the image and predicts the next token.

import { causalMask, concat } from '../autograd/index.ts'
import {
  type Activation,
  Embedding,
  init,
  type KeyValueCache,
  LayerNorm,
  Linear,
  Module,
  type Parameter,
  parameter,
  TransformerBlock,
} from '../nn/index.ts'
import { full, ShapeError, show, type Tensor } from '../tensor/index.ts'

export interface TextConfig {
  /** number of token ids */
  readonly vocabulary: number
  /** most tokens of a text, start and end included, [CLS] not */
  readonly context: number
  readonly width: number
  readonly heads: number
  /** width inside the feed-forward layers; default 4 × width */
  readonly hidden?: number
  /** layers that see text only */
  readonly unimodalLayers: number
  /** layers that look at the image too */
  readonly multimodalLayers: number
  /** id that fills short texts up at their end; without one every id is text */
  readonly pad?: number
}

interface BlockSettings {
  readonly activation?: Activation
  readonly dropout?: number
}

/** What the lower half makes of a text. */
export interface TextFeatures {
  /** [batch, tokens, width], for the upper half */
  readonly tokens: Tensor
  /** what [CLS] has seen, normalised: [batch, width] */
  readonly summary: Tensor
  /** bool [batch, 1, tokens, tokens]: who sees whom; a token sees nothing after it, and no padding */
  readonly mask?: Tensor
}

export class UnimodalDecoder extends Module {
  readonly config: TextConfig
  readonly embedding: Embedding
  readonly classToken: Parameter // [width]
  readonly positions: Parameter // [context + 1, width], the last one for [CLS]
  readonly blocks: TransformerBlock[]
  readonly norm: LayerNorm

  constructor(config: TextConfig, settings: BlockSettings = {}) {
    super()
    const { vocabulary, context, width, heads, hidden, unimodalLayers } = config
    this.config = config
    this.embedding = new Embedding(vocabulary, width, init.normal(0.3))
    this.classToken = parameter([width], init.normal(0.3))
    this.positions = parameter([context + 1, width], init.normal(0.02))
    this.blocks = Array.from(
      { length: unimodalLayers },
      () => new TransformerBlock({ width, heads, hidden, ...settings }),
    )
    this.norm = new LayerNorm(width)
  }

  /** ids int32 [batch, tokens] */
  forward(ids: Tensor): TextFeatures {
    const [batch, length] = this.#check(ids, 0)
    const { context, width } = this.config
    const classToken = this.classToken.add(this.positions.slice([context]))
    let x = concat([this.#embed(ids, 0), classToken.expand([batch, 1, width])], 1) // [batch, tokens + 1, width]
    const mask = this.#mask(ids)
    for (const block of this.blocks) x = block.forward(x, mask ? { mask } : { causal: true })
    const tokens = x.slice([{}, { stop: length }])
    const summary = this.norm.forward(x.slice([{}, length]))
    return { tokens, summary, mask: mask?.slice([{}, {}, { stop: length }, { stop: length }]) }
  }

  /** Only the tokens after the `seen` ones, whose keys and values stand in the caches: [batch, new tokens, width] */
  extend(ids: Tensor, caches: readonly KeyValueCache[], seen: number): Tensor {
    this.#check(ids, seen)
    let x = this.#embed(ids, seen)
    for (const [i, block] of this.blocks.entries()) x = block.forward(x, { causal: true, cache: caches[i] })
    return x
  }

  #embed(ids: Tensor, seen: number): Tensor {
    return this.embedding.forward(ids).add(this.positions.slice([{ start: seen, stop: seen + ids.shape[1] }]))
  }

  /** Over [text, CLS]: everyone sees itself and what comes before, nobody sees padding, and [CLS] comes last. */
  #mask(ids: Tensor): Tensor | undefined {
    const { pad } = this.config
    if (pad === undefined) return undefined
    const [batch, length] = ids.shape
    const classToken = full([batch, 1], 1, { dtype: 'bool', device: ids.device })
    const isText = concat([ids.notEqual(pad), classToken], 1).reshape([batch, 1, 1, length + 1])
    return causalMask(length + 1, length + 1, ids).logicalAnd(isText)
  }

  #check(ids: Tensor, seen: number): readonly number[] {
    if (ids.rank !== 2 || ids.dtype !== 'int32')
      throw new ShapeError(`text: token ids are int32 [batch, tokens], not ${ids.dtype} ${show(ids.shape)}`, ids.shape)
    if (seen + ids.shape[1] > this.config.context)
      throw new ShapeError(
        `text: ${seen + ids.shape[1]} tokens are more than the context of ${this.config.context}`,
        ids.shape,
      )
    return ids.shape
  }
}

export interface MultimodalForwardOptions {
  readonly mask?: Tensor
  /** of the text so far, one a layer */
  readonly caches?: readonly KeyValueCache[]
  /** of the image, one a layer */
  readonly memoryCaches?: readonly KeyValueCache[]
  /** gets each layer's weights over the image tokens, [batch, heads, tokens, image tokens] */
  readonly onMemoryWeights?: (weights: Tensor) => void
}

export class MultimodalDecoder extends Module {
  readonly blocks: TransformerBlock[]
  readonly norm: LayerNorm
  readonly output: Linear // not tied to the embedding

  /** @param memoryWidth width of the image tokens */
  constructor(config: TextConfig, memoryWidth: number, settings: BlockSettings = {}) {
    super()
    const { vocabulary, width, heads, hidden, multimodalLayers } = config
    this.blocks = Array.from(
      { length: multimodalLayers },
      () => new TransformerBlock({ width, heads, hidden, memoryWidth, ...settings }),
    )
    this.norm = new LayerNorm(width)
    this.output = new Linear(width, vocabulary)
  }

  /** tokens [batch, tokens, width], image [batch, image tokens, memoryWidth] → logits [batch, tokens, vocabulary] */
  forward(tokens: Tensor, image: Tensor, options: MultimodalForwardOptions = {}): Tensor {
    const { mask, caches, memoryCaches, onMemoryWeights } = options
    if (tokens.shape[0] !== image.shape[0])
      throw new ShapeError(
        `a text for every image: text tokens ${show(tokens.shape)}, image tokens ${show(image.shape)}`,
        tokens.shape,
        image.shape,
      )
    let x = tokens
    for (const [i, block] of this.blocks.entries()) {
      const sight = mask ? { mask } : { causal: true }
      x = block.forward(x, {
        ...sight,
        memory: image,
        cache: caches?.[i],
        memoryCache: memoryCaches?.[i],
        onMemoryWeights,
      })
    }
    return this.output.forward(this.norm.forward(x))
  }
}
