// Multi-head attention (Vaswani et al. 2017, section 3.2.2), for self and cross attention, with a cache for decoding.

import { attention, attentionWeights, concat } from '../autograd/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { isPlain } from '../tensor/given.ts'
import type { Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { Dropout, Linear } from './layers.ts'
import { Module } from './module.ts'
import { checkTokens } from './tokens.ts'

/** Widths or numbers of heads that do not fit each other, found when a module or model is made. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  /** path of the setting */
  readonly field: string
  /** the value that was given */
  readonly value: unknown

  constructor(field: string, value: unknown, reason: string) {
    super(`${field} = ${JSON.stringify(value)}: ${reason}`)
    this.field = field
    this.value = value
  }
}

/** Keys and values of the tokens so far, [batch, heads, tokens, size] each; attention fills it. */
export interface KeyValueCache {
  /** absent before the first use */
  keys?: Tensor
  /** absent before the first use */
  values?: Tensor
}

/** Options of `MultiHeadAttention`. */
export interface MultiHeadAttentionOptions {
  /** width of the queries and of the result */
  readonly width: number
  /** number of heads, which divides the width */
  readonly heads: number
  /**
   * number of heads of keys and values, which divides that of the queries: as many heads of queries as each stands for share them (Ainslie et
   * al. 2023); default: as many as heads
   */
  readonly keyHeads?: number
  /** width of the memory; default: the same as the queries */
  readonly memoryWidth?: number
  /** probability of dropping an attention weight; default 0 */
  readonly dropout?: number
}
const multiHeadAttentionOptions = {
  width: is.count,
  heads: is.number,
  keyHeads: is.optional(is.number),
  memoryWidth: is.optional(is.count),
  dropout: 0,
} satisfies Settings<MultiHeadAttentionOptions>

/** Options of `forward` of `MultiHeadAttention`. */
export interface AttendOptions {
  /** the tokens to attend to, [batch, keys, memoryWidth]; default: the queries themselves */
  readonly memory?: Tensor
  /** bool, broadcasting to [batch, heads, queries, keys]: true where a query may attend to a key */
  readonly mask?: Tensor
  /** a query does not attend to positions after its own */
  readonly causal?: boolean
  /** self-attention appends its keys and values here and attends to all of them; cross-attention computes them once */
  readonly cache?: KeyValueCache
  /** is called with the weights, [batch, heads, queries, keys] */
  readonly onWeights?: (weights: Tensor) => void
}
export const isCache = new is.Kind<KeyValueCache>('an object for keys and values, empty at first', isPlain)
/** A function that is called with attention weights. */
export const ofWeights = is.callback as is.Kind<(weights: Tensor) => void>
const attendOptions = {
  memory: is.optional(is.tensor),
  mask: is.optional(is.tensor),
  causal: false,
  cache: is.optional(isCache),
  onWeights: is.optional(ofWeights),
} satisfies Settings<AttendOptions>

/**
 * Multi-head attention (Vaswani et al. 2017, section 3.2.2): x [batch, queries, width] → the same shape, attending to itself or to a
 * memory [batch, keys, memoryWidth].
 */
export class MultiHeadAttention extends Module {
  /** x → queries of all heads */
  readonly query: Linear
  /** the memory → keys of all heads */
  readonly key: Linear
  /** the memory → values of all heads */
  readonly value: Linear
  /** the heads' results, side by side → the result */
  readonly output: Linear
  /** of the attention weights; absent with dropout 0 */
  readonly dropout?: Dropout
  /** number of heads */
  readonly heads: number
  /** number of heads of keys and values */
  readonly keyHeads: number

  constructor(options: MultiHeadAttentionOptions) {
    super()
    const settled = settle('new MultiHeadAttention(options)', options, multiHeadAttentionOptions)
    const { width, heads, keyHeads = heads, memoryWidth = width, dropout } = settled
    if (!Number.isInteger(heads) || heads < 1 || width % heads !== 0)
      throw new ConfigError('heads', heads, `does not divide the width ${width}`)
    if (!Number.isInteger(keyHeads) || keyHeads < 1 || heads % keyHeads !== 0)
      throw new ConfigError('keyHeads', keyHeads, `does not divide the ${heads} heads of the queries`)
    const keyWidth = (width / heads) * keyHeads
    this.heads = heads
    this.keyHeads = keyHeads
    this.query = new Linear(width, width)
    this.key = new Linear(memoryWidth, keyWidth)
    this.value = new Linear(memoryWidth, keyWidth)
    this.output = new Linear(width, width)
    if (dropout > 0) this.dropout = new Dropout(dropout)
  }

  /**
   * output(softmax(Q Kᵀ / √size) V), where Q = query(x), K = key(memory), V = value(memory), for each head of width
   * size.
   * @param x queries, [batch, queries, width]
   * @returns [batch, queries, width]
   */
  forward(x: Tensor, options?: AttendOptions): Tensor {
    const call = 'attention.forward(x, options)'
    checkArguments(call, [is.tensor], [x])
    const { memory, mask, causal, cache, onWeights } = settle(call, options, attendOptions)
    checkTokens('MultiHeadAttention: x', x, this.query.weight.shape[1])
    if (memory) checkTokens('MultiHeadAttention: memory', memory, this.key.weight.shape[1])
    const q = split(this.query.forward(x), this.heads)
    const [keys, values] = keysAndValues(this, x, memory, cache).map(y => repeat(y, this.heads / this.keyHeads))
    const observe = observers.get(this)
    if (!onWeights && !observe && !this.dropout)
      return this.output.forward(join(attention(q, keys, values, { mask, causal })))
    const weights = attentionWeights(q, keys, { mask, causal })
    onWeights?.(weights)
    observe?.(weights)
    const seen = this.dropout ? this.dropout.forward(weights) : weights
    return this.output.forward(join(seen.matmul(values)))
  }
}

/** Who is shown the weights of a module, besides `onWeights`. */
const observers = new WeakMap<MultiHeadAttention, (weights: Tensor) => void>()

/** Whether someone is shown the weights of a module. */
export const showsWeights = (module: MultiHeadAttention): boolean => observers.has(module)

/** Shows the weights of a module to a function until the result is called. */
export function observeWeights(module: MultiHeadAttention, f: (weights: Tensor) => void): () => void {
  const outer = observers.get(module)
  observers.set(module, weights => {
    outer?.(weights)
    f(weights)
  })
  return () => {
    if (outer) observers.set(module, outer)
    else observers.delete(module)
  }
}

/** [batch, keyHeads, keys, size] each */
function keysAndValues(
  { key, value, keyHeads }: MultiHeadAttention,
  x: Tensor,
  memory: Tensor | undefined,
  cache: KeyValueCache | undefined,
): [Tensor, Tensor] {
  if (memory && cache?.keys && cache.values) return [cache.keys, cache.values]
  let keys = split(key.forward(memory ?? x), keyHeads)
  let values = split(value.forward(memory ?? x), keyHeads)
  if (cache) {
    if (!memory && cache.keys && cache.values) {
      keys = concat([cache.keys, keys], 2)
      values = concat([cache.values, values], 2)
    }
    cache.keys = keys
    cache.values = values
  }
  return [keys, values]
}

/** [batch, tokens, width] → [batch, heads, tokens, width / heads] */
function split(x: Tensor, heads: number): Tensor {
  const [batch, tokens, width] = x.shape
  return x.reshape([batch, tokens, heads, width / heads]).permute([0, 2, 1, 3])
}

/** [batch, heads, tokens, size] → [batch, tokens, heads · size] */
function join(x: Tensor): Tensor {
  const [batch, heads, tokens, size] = x.shape
  return x.permute([0, 2, 1, 3]).reshape([batch, tokens, heads * size])
}

/** Each head as many times as heads of queries share it: [batch, heads, keys, size] → [batch, times · heads, keys, size] */
function repeat(x: Tensor, times: number): Tensor {
  if (times === 1) return x
  const [batch, heads, keys, size] = x.shape
  return x
    .unsqueeze(2)
    .expand([batch, heads, times, keys, size])
    .reshape([batch, heads * times, keys, size])
}
