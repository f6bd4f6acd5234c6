// The attentional pooler (CoCa, section 3.2; Lee et al. 2019, Set Transformer): learned queries attend to a set of
// tokens. One module covers all uses: many queries for the decoder, one for an embedding, another pooler for each
// further task.

import { checkArguments } from '../tensor/arguments.ts'
import type { Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { type AttendOptions, MultiHeadAttention, ofWeights } from './attention.ts'
import { normal } from './init.ts'
import { type Activation, isActivation, LayerNorm, MLP } from './layers.ts'
import { Module } from './module.ts'
import { type Parameter, parameter } from './parameter.ts'
import { checkTokens } from './tokens.ts'

/** Options of `AttentionalPooler`. */
export interface AttentionalPoolerOptions {
  /** number of learned queries, and of output tokens */
  readonly queries: number
  /** width of queries and results */
  readonly width: number
  /** number of heads, which divides the width */
  readonly heads: number
  /** width of the tokens that are pooled; default the same */
  readonly memoryWidth?: number
  /** normalise the queries; default false */
  readonly queryNorm?: boolean
}
const poolerOptions = {
  queries: is.count,
  width: is.count,
  heads: is.number,
  memoryWidth: is.optional(is.count),
  queryNorm: false,
} satisfies Settings<AttentionalPoolerOptions>

type PoolOptions = Pick<AttendOptions, 'mask' | 'onWeights'>
const poolOptions = {
  mask: is.optional(is.tensor),
  onWeights: is.optional(ofWeights),
} satisfies Settings<PoolOptions>

/** LN(attention(queries, LN tokens)): [batch, tokens, memoryWidth] → [batch, queries, width]; the order of tokens does not matter */
export class AttentionalPooler extends Module {
  /** the learned queries, [queries, width] */
  readonly queries: Parameter
  /** normalises the queries; absent without `queryNorm` */
  readonly queryNorm?: LayerNorm
  /** normalises the tokens */
  readonly memoryNorm: LayerNorm
  /** from the queries to the tokens */
  readonly attention: MultiHeadAttention
  /** normalises the result */
  readonly norm: LayerNorm

  constructor(options: AttentionalPoolerOptions) {
    super()
    const settled = settle('new AttentionalPooler(options)', options, poolerOptions)
    const { queries, width, heads, memoryWidth = width, queryNorm } = settled
    this.queries = parameter([queries, width], normal(1))
    if (queryNorm) this.queryNorm = new LayerNorm(width)
    this.memoryNorm = new LayerNorm(memoryWidth)
    this.attention = new MultiHeadAttention({ width, heads, memoryWidth })
    this.norm = new LayerNorm(width)
  }

  /**
   * The tokens that the queries find.
   * @param tokens [batch, tokens, memoryWidth]
   * @returns [batch, queries, width]
   * @throws ShapeError for tokens of another shape
   */
  forward(tokens: Tensor, options?: PoolOptions): Tensor {
    const call = 'pooler.forward(tokens, options)'
    checkArguments(call, [is.tensor], [tokens])
    const { mask, onWeights } = settle(call, options, poolOptions)
    checkTokens('AttentionalPooler: tokens', tokens, this.attention.key.weight.shape[1])
    const memory = this.memoryNorm.forward(tokens)
    const queries = this.queryNorm?.forward(this.queries) ?? this.queries
    const asked = queries.expand([tokens.shape[0], ...queries.shape])
    return this.norm.forward(this.attention.forward(asked, { memory, mask, onWeights }))
  }
}

/** Options of `LatentPooler`. */
export interface LatentPoolerOptions {
  /** width of the tokens and of the result */
  readonly width: number
  /** number of heads, which divides the width */
  readonly heads: number
  /** width inside the feed-forward layer; default 4 × width */
  readonly hidden?: number
  /** ε of the layer norm; default 1e-5 */
  readonly normEpsilon?: number
  /** of the feed-forward layer; default gelu */
  readonly activation?: Activation
}
const latentPoolerOptions = {
  width: is.count,
  heads: is.number,
  hidden: is.optional(is.count),
  normEpsilon: 1e-5,
  activation: isActivation,
} satisfies Settings<LatentPoolerOptions>

/**
 * The MAP head of vision transformers (multi-head attention pooling; Zhai et al. 2022, arXiv 2106.04560), which SigLIP has: one learned
 * query attends to all tokens, y = attention(query, tokens), and the result is y + MLP(LN y): [batch, tokens, width] → [batch, 1, width].
 * The tokens are not normalised here.
 */
export class LatentPooler extends Module {
  /** the learned query, [1, width] */
  readonly query: Parameter
  /** from the query to the tokens */
  readonly attention: MultiHeadAttention
  /** normalises before the feed-forward layer */
  readonly norm: LayerNorm
  /** the feed-forward layer */
  readonly mlp: MLP

  constructor(options: LatentPoolerOptions) {
    super()
    const settled = settle('new LatentPooler(options)', options, latentPoolerOptions)
    const { width, heads, hidden = 4 * width, normEpsilon, activation } = settled
    this.query = parameter([1, width], normal(width ** -0.5))
    this.attention = new MultiHeadAttention({ width, heads })
    this.norm = new LayerNorm(width, normEpsilon)
    this.mlp = new MLP(width, hidden, activation)
  }

  /**
   * The token that the query finds.
   * @param tokens [batch, tokens, width]
   * @returns [batch, 1, width]
   * @throws ShapeError for tokens of another shape
   */
  forward(tokens: Tensor): Tensor {
    checkArguments('pooler.forward(tokens)', [is.tensor], [tokens])
    checkTokens('LatentPooler: tokens', tokens, this.attention.key.weight.shape[1])
    const query = this.query.expand([tokens.shape[0], ...this.query.shape])
    const y = this.attention.forward(query, { memory: tokens })
    return y.add(this.mlp.forward(this.norm.forward(y)))
  }
}
