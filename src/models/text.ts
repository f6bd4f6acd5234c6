// The two halves of a decoupled text decoder (CoCa, section 3.2): the lower half attends to text only and ends in a learned
// [CLS] token that summarises the text, or several; the upper half also attends to the image and predicts the next token.

import { causalMask, concat } from '../autograd/index.ts'
import {
  Embedding,
  init,
  type KeyValueCache,
  LayerNorm,
  Linear,
  Module,
  type Parameter,
  parameter,
  sequence,
  TransformerBlock,
} from '../nn/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { arange, full, ShapeError, show, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { type BlockOptions, blockOptions, type ResolvedText, resolveText, type TextConfig } from './config.ts'

/** The input of the upper half for a text. */
export interface TextTokens {
  /** [batch, tokens, width] */
  readonly tokens: Tensor
  /** bool [batch, 1, tokens, tokens]: attention mask of the upper half, if it is more than causal */
  readonly mask?: Tensor
}

/** The output of the lower half for a text. */
export interface TextFeatures extends TextTokens {
  /** output of [CLS], normalised: [batch, width] */
  readonly summary: Tensor
}

/** Options of attention: the mask if there is one, otherwise causal or not. */
const sightOf = (mask: Tensor | undefined, causal = true) => (mask ? { mask } : { causal })

/**
 * The lower layers of the decoder: causal over the text alone (unless `causal` is false), with a learned [CLS] at its end, whose output is the text embedding
 * before projection. Ids int32 [batch, tokens] → text features.
 */
export class UnimodalDecoder extends Module {
  /** the configuration with every default */
  readonly config: ResolvedText
  /** the embeddings of ids, [vocabulary, width] */
  readonly embedding: Embedding
  /** [width], or [class tokens, width] for more than one; absent if the summary is that of the highest id or the last position */
  readonly classToken?: Parameter
  /** learned positions, [context + class tokens, width], the last ones for [CLS] */
  readonly positions: Parameter
  /** the layers, in their order */
  readonly blocks: TransformerBlock[]
  /** normalises the summary */
  readonly norm: LayerNorm

  constructor(config: TextConfig, options?: BlockOptions) {
    super()
    this.config = resolveText('new UnimodalDecoder(config)', config)
    const { vocabulary, context, width, heads, hidden, unimodalLayers, normEpsilon } = this.config
    const count = this.classTokens
    const common = settle('new UnimodalDecoder(config, options)', options, blockOptions)
    const activation = this.config.activation ?? common.activation
    const block = { width, heads, hidden, normEpsilon, activation, dropout: common.dropout }
    this.embedding = new Embedding(vocabulary, width, init.normal(0.3))
    if (count > 0) this.classToken = parameter(count === 1 ? [width] : [count, width], init.normal(0.3))
    this.positions = parameter([context + count, width], init.normal(0.02))
    this.blocks = Array.from({ length: unimodalLayers }, () => new TransformerBlock(block))
    this.norm = new LayerNorm(width, normEpsilon)
  }

  /** ids int32 [batch, tokens] */
  forward(ids: Tensor): TextFeatures {
    const [batch, length] = this.check(ids)
    const { context, width, classPosition, padMask } = this.config
    const start = classPosition === 'next' ? length : context
    let embedded = this.embed(ids, 0)
    if (this.classToken) {
      const count = this.classTokens
      const classTokens = this.classToken
        .reshape([count, width])
        .add(this.positions.slice([{ start, stop: start + count }]))
      // [batch, tokens + class tokens, width]
      embedded = concat([embedded, classTokens.expand([batch, count, width])], 1)
    }
    const { x, mask } = this.see(embedded, ids)
    const tokens = x.slice([{}, { stop: length }])
    const summary = this.classToken ? this.summary(x, length) : this.norm.forward(this.withoutClass(x, ids))
    if (padMask !== 'both') return { tokens, summary }
    return { tokens, summary, mask: mask?.slice([{}, {}, { stop: length }, { stop: length }]) }
  }

  /** ids int32 [batch, tokens] → as `forward`, without [CLS]: no other token attends to it, so captions do not need it */
  tokens(ids: Tensor): TextTokens {
    this.check(ids)
    const { x, mask } = this.see(this.embed(ids, 0), ids)
    return this.config.padMask === 'both' ? { tokens: x, mask } : { tokens: x }
  }

  /** number of class tokens; 0 if the summary is that of the highest id or the last position */
  protected get classTokens(): number {
    return this.config.summary === 'class' ? this.config.classTokens : 0
  }

  /** The summary of a text without class tokens: x [batch, tokens, width] → [batch, width] */
  protected withoutClass(x: Tensor, ids: Tensor): Tensor {
    return this.config.summary === 'last' ? x.slice([{}, ids.shape[1] - 1]) : atHighest(x, ids)
  }

  /** The normalised output of [CLS], or the mean of several: [batch, width] */
  protected summary(x: Tensor, length: number): Tensor {
    if (this.config.classTokens === 1) return this.norm.forward(x.slice([{}, length]))
    return this.norm.forward(x.slice([{}, { start: length }])).mean({ axis: 1 })
  }

  /** All layers, applied to embedded tokens. */
  protected see(embedded: Tensor, ids: Tensor): { readonly x: Tensor; readonly mask?: Tensor } {
    const length = embedded.shape[1]
    const mask = this.mask(ids, length, length)
    const sight = sightOf(mask, this.config.causal)
    return { x: sequence(embedded, this.blocks, (y, block) => block.forward(y, sight)), mask }
  }

  /** Only the tokens after the first `seen` ids, whose keys and values are in the caches: [batch, new tokens, width] */
  extend(ids: Tensor, caches: readonly KeyValueCache[], seen: number): Tensor {
    const [, length] = this.check(ids)
    const mask = this.config.padIsWord ? this.mask(ids, length - seen, length) : undefined
    const sight = sightOf(mask)
    const x = this.embed(ids.slice([{}, { start: seen }]), seen)
    return sequence(x, this.blocks, (y, block, i) => block.forward(y, { ...sight, cache: caches[i] }))
  }

  /** Embeddings with positions, of ids that follow `seen` others: int32 [batch, tokens] → [batch, tokens, width] */
  protected embed(ids: Tensor, seen: number): Tensor {
    return this.embedding.forward(ids).add(this.positions.slice([{ start: seen, stop: seen + ids.shape[1] }]))
  }

  /** Mask of [text, CLS], causal if the text is and without padding: the last `queries` of the first `keys` positions; class tokens are the last ones. */
  protected mask(ids: Tensor, queries: number, keys: number): Tensor | undefined {
    const { pad, padMask } = this.config
    if (pad === undefined || padMask === 'none') return undefined
    const count = this.classTokens
    const [batch] = ids.shape
    const isText = ids.notEqual(pad)
    const classToken = full([batch, count], 1, { dtype: 'bool', device: ids.device })
    const parts = padMask === 'unimodalLate' ? [classToken, isText] : [isText, classToken]
    const row = count === 0 ? isText : concat(parts, 1)
    const isSeen = row.slice([{}, { stop: keys }]).reshape([batch, 1, 1, keys])
    return this.config.causal
      ? causalMask(queries, keys, ids).logicalAnd(isSeen)
      : isSeen.expand([batch, 1, queries, keys])
  }

  /**
   * The shape of ids.
   * @throws ShapeError unless they are int32 [batch, tokens] with no more tokens than the context
   */
  protected check(ids: Tensor): readonly number[] {
    checkArguments('text.forward(ids)', [is.indices], [ids])
    if (ids.rank !== 2 || ids.dtype !== 'int32')
      throw new ShapeError(`text: token ids are int32 [batch, tokens], not ${ids.dtype} ${show(ids.shape)}`, ids.shape)
    if (ids.shape[1] > this.config.context)
      throw new ShapeError(
        `text: ${ids.shape[1]} tokens are more than the context of ${this.config.context}`,
        ids.shape,
      )
    return ids.shape
  }
}

/** The token with the highest id of each text, the first of several: x [batch, tokens, width] → [batch, width] */
function atHighest(x: Tensor, ids: Tensor): Tensor {
  const [batch, length] = ids.shape
  const places = arange(0, length, 1, { device: ids.device }).unsqueeze(0)
  const isHighest = places.equal(ids.argmax({ axis: 1, keepDims: true })).cast(x.dtype)
  return isHighest.reshape([batch, 1, length]).matmul(x).squeeze(1)
}

/** Options of `forward` of a `MultimodalDecoder`. */
export interface MultimodalForwardOptions {
  /** bool, broadcasting to [batch, heads, tokens, keys]: true where a token may attend to another; default causal */
  readonly mask?: Tensor
  /** caches of the text so far, one per layer */
  readonly caches?: readonly KeyValueCache[]
  /** caches of the image, one per layer */
  readonly memoryCaches?: readonly KeyValueCache[]
  /** is called with each layer's weights over the image tokens, [batch, heads, tokens, image tokens] */
  readonly onMemoryWeights?: (weights: Tensor) => void
  /** number of tokens at the end whose logits are computed; default all */
  readonly last?: number
}
const multimodalForwardOptions = {
  mask: is.optional(is.tensor),
  caches: undefined,
  memoryCaches: undefined,
  onMemoryWeights: undefined,
  last: is.optional(is.count),
} satisfies Settings<MultimodalForwardOptions>

/**
 * The upper layers of the decoder: causal over the text, with cross-attention to the image tokens. Text features and image tokens
 * [batch, image tokens, width] → logits [batch, tokens, vocabulary].
 */
export class MultimodalDecoder extends Module {
  /** the layers, in their order */
  readonly blocks: TransformerBlock[]
  /** normalises before the output */
  readonly norm: LayerNorm
  /** → logits, [batch, tokens, vocabulary]; not tied to the embedding */
  readonly output: Linear

  /** @param memoryWidth width of the image tokens */
  constructor(config: TextConfig, memoryWidth: number, options?: BlockOptions) {
    super()
    const settled = resolveText('new MultimodalDecoder(config)', config)
    checkArguments('new MultimodalDecoder(config, memoryWidth)', [is.anything, is.number], [config, memoryWidth])
    const { vocabulary, width, multimodalLayers, multimodal } = settled
    const { heads, hidden, memoryNorm, selfMlp, outputBias, normEpsilon } = multimodal
    const common = settle('new MultimodalDecoder(config, memoryWidth, options)', options, blockOptions)
    const activation = multimodal.activation ?? common.activation
    const own = { width, heads, hidden, memoryWidth, memoryNorm, selfMlp, normEpsilon }
    const block = { ...own, activation, dropout: common.dropout }
    this.blocks = Array.from({ length: multimodalLayers }, () => new TransformerBlock(block))
    this.norm = new LayerNorm(width, normEpsilon)
    this.output = new Linear(width, vocabulary, { bias: outputBias })
  }

  /** tokens [batch, tokens, width], image [batch, image tokens, memoryWidth] → logits [batch, tokens, vocabulary] */
  forward(tokens: Tensor, image: Tensor, options?: MultimodalForwardOptions): Tensor {
    return this.output.forward(this.states(tokens, image, options))
  }

  /** As `forward`, but the normalised states before the layer of the logits: [batch, tokens, width], the input of a pooler for a new task */
  states(tokens: Tensor, image: Tensor, options?: MultimodalForwardOptions): Tensor {
    const call = 'decoder.forward(tokens, image, options)'
    checkArguments(call, [is.tensor, is.tensor], [tokens, image])
    const { mask, caches, memoryCaches, onMemoryWeights, last } = settle(call, options, multimodalForwardOptions)
    if (tokens.shape[0] !== image.shape[0])
      throw new ShapeError(
        `a text for every image: text tokens ${show(tokens.shape)}, image tokens ${show(image.shape)}`,
        tokens.shape,
        image.shape,
      )
    const sight = sightOf(mask)
    const x = sequence(tokens, this.blocks, (y, block, i) =>
      block.forward(y, {
        ...sight,
        memory: image,
        cache: caches?.[i],
        memoryCache: memoryCaches?.[i],
        onMemoryWeights,
      }),
    )
    return this.norm.forward(last === undefined ? x : x.slice([{}, { start: -last }]))
  }
}
