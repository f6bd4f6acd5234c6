// Attention (Vaswani et al. 2017, section 3.2.1): the weights, and the weights times the values as one operation, which a
// device may compute without storing all weights.

import { takes } from '../../tensor/arguments.ts'
import {
  arange,
  broadcastShapes,
  broadcastsTo,
  DTypeError,
  ShapeError,
  show,
  sizeOf,
  type Tensor,
} from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import type { MappedBatch } from '../batched.ts'
import { defineFused } from '../op.ts'
import { logicalAnd, where } from './elementwise.ts'
import { pack, packedSamples, unpacking } from './packed.ts'
import { softmaxGradient } from './softmax.ts'

/** Which keys each query may attend to, and the scale of the scores. */
export interface AttentionOptions {
  /** bool, broadcasting to [..., queries, keys]: true where a query may attend to a key. A query that may attend to no key gets zeros. */
  readonly mask?: Tensor
  /** a query attends to keys up to its own position; the last query is at the position of the last key */
  readonly causal?: boolean
  /** factor of the scores; default 1/√width */
  readonly scale?: number
}
const attentionOptions = {
  mask: is.optional(is.tensor),
  causal: false,
  scale: is.optional(is.number),
} satisfies Settings<AttentionOptions>

/** Large but finite: its exponential is 0, and ∞ - ∞ does not occur in a row where everything is masked. */
const hidden = -1e30

/** bool [queries, keys]: true where the position of the key is at most that of the query, both counted from the end. */
export const causalMask = takes(
  'causalMask(queries, keys, like)',
  [is.size, is.size, is.tensor],
  (queries: number, keys: number, like: Tensor): Tensor => {
    const options = { device: like.device }
    const last = arange(0, queries, 1, options)
      .add(keys - queries)
      .unsqueeze(1)
    return arange(0, keys, 1, options).lessEqual(last)
  },
)

/**
 * softmax(Q Kᵀ scale) over the keys that a query may attend to (Vaswani et al. 2017, section 3.2.1).
 * @param q [..., queries, width]
 * @param k [..., keys, width]
 * @returns [..., queries, keys]; rows sum to 1, or are 0 if the query may attend to no key
 * @throws ShapeError if the sizes do not agree, DTypeError if the mask is not bool
 */
export const attentionWeights: (q: Tensor, k: Tensor, options?: AttentionOptions) => Tensor = takes(
  'attentionWeights(q, k, options)',
  [is.tensor, is.tensor, is.options],
  (q: Tensor, k: Tensor, options?: AttentionOptions): Tensor => {
    const settled = settle('attentionWeights(q, k, options)', options, attentionOptions)
    const { mask, causal, scale = 1 / Math.sqrt(q.shape[q.rank - 1]) } = settled
    checkMask(mask)
    const scores = q.mul(scale).matmul(k.transpose())
    const past = causal ? causalMask(q.shape[q.rank - 2], k.shape[k.rank - 2], q) : undefined
    const visible = mask && past ? logicalAnd(mask, past) : (mask ?? past)
    if (!visible) return scores.softmax()
    return where(visible, where(visible, scores, hidden).softmax(), 0)
  },
)

function checkMask(mask: Tensor | undefined): void {
  if (mask && mask.dtype !== 'bool')
    throw new DTypeError(
      `attention: the mask must be bool (true: may attend), not ${mask.dtype}; write mask.cast('bool')`,
      mask.dtype,
    )
}

/** Whether attention is causal, and the scale of the scores. */
export interface Sight {
  readonly causal: boolean
  readonly scale: number
}

/** A stack of heads [..., heads, tokens, width] in the order of packing, [..., tokens, heads, width], and back; a matrix is unchanged. */
const exchangeHeads = (x: Tensor): Tensor => (x.rank === 2 ? x : x.transpose(-3, -2))

/** The stack of heads of one sample, and how the stacks of all samples become one of [samples · batch, heads], which kernels take. */
function samplesOf(batch: MappedBatch, ...xs: readonly (Tensor | undefined)[]) {
  const tensors = xs.filter(x => x !== undefined)
  const stack = broadcastShapes('attention', ...tensors.map(x => x.shape.slice(0, -2)))
  const rank = Math.max(3, stack.length + 2)
  const lead = [batch.size, ...stack.slice(0, -1)]
  const all = (x: Tensor): Tensor => {
    const own = batch.has(x) ? batch.aligned(x, rank) : x.rank === 2 ? x.unsqueeze(0) : x
    const last = own.shape.slice(-3)
    return own.expand([...lead, ...last]).reshape([sizeOf(lead), ...last])
  }
  const merge = <T extends Tensor | undefined>(x: T) => (x && (batch.has(x) || x.rank > 3) ? all(x) : x) as T
  return { stack, all, merge }
}

/** Gradients of q, k and v, packed: their common part is computed once. */
const attentionGradient = defineFused('attentionGradient', {
  definition: (g: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | undefined, sight: Sight) => {
    const weights = attentionWeights(q, k, { mask, ...sight })
    const slopes = softmaxGradient(g.matmul(v.transpose()), weights).mul(sight.scale)
    const [gradQ, gradK, gradV] = [slopes.matmul(k), slopes.transpose().matmul(q), weights.transpose().matmul(g)]
    const stack = g.shape.slice(0, -2)
    return pack([gradQ, gradK, gradV].map(part => exchangeHeads(part.expand([...stack, ...part.shape.slice(-2)]))))
  },
  kernel: (kernels, g, q, k, v, mask, sight) => kernels.attentionGradient?.(g, { q, k, v, mask, ...sight }),
  batching: (op, batch, g, q, k, v, mask, sight) => {
    const { stack, all, merge } = samplesOf(batch, q, k, v, mask)
    const sizes = [q, k, v].map(x => sizeOf(stack) * sizeOf(x.shape.slice(-2)))
    const slope = batch
      .whole(g)
      .reshape([batch.size * sizeOf(stack.slice(0, -1)), stack.at(-1) ?? 1, ...g.shape.slice(-2)])
    // the kernel sees in q, k and v how many there are, and they may be the same for all samples
    const packed = op(slope, all(q), merge(k), merge(v), merge(mask), sight)
    return packedSamples(packed, batch.size, sizes)
  },
})

const attend = defineFused('attention', {
  definition: (q: Tensor, k: Tensor, v: Tensor, mask: Tensor | undefined, sight: Sight) =>
    attentionWeights(q, k, { mask, ...sight }).matmul(v),
  kernel: (kernels, q, k, v, mask, sight) => kernels.attention?.({ q, k, v, mask, ...sight }),
  rule: (g, out, q, k, v, mask, sight) => {
    const stack = out.shape.slice(0, -2)
    const [outer, heads] = [stack.slice(0, -1), stack.slice(-1)]
    const shapes = [q, k, v].map(x => [...outer, x.shape[x.rank - 2], ...heads, x.shape[x.rank - 1]])
    const part = unpacking(() => attentionGradient(g, q, k, v, mask, sight), shapes)
    return [() => exchangeHeads(part(0)), () => exchangeHeads(part(1)), () => exchangeHeads(part(2))]
  },
  batching: (op, batch, q, k, v, mask, sight) => {
    const { stack, merge } = samplesOf(batch, q, k, v, mask)
    const result = op(merge(q), merge(k), merge(v), merge(mask), sight)
    return result.reshape([batch.size, ...stack, ...result.shape.slice(-2)])
  },
  jvp: 'definition',
})

/** Checks shapes as the definition would, because kernels do not check their arguments. */
function checkShapes(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | undefined): void {
  const shapes = [q.shape, k.shape, v.shape]
  const listed = `queries ${show(q.shape)}, keys ${show(k.shape)} and values ${show(v.shape)}`
  const [[queries, width], [keys, alsoWidth], [alsoKeys]] = shapes.map(shape => shape.slice(-2))
  if (shapes.some(shape => shape.length < 2) || width !== alsoWidth || keys !== alsoKeys)
    throw new ShapeError(
      `attention: ${listed} must be [..., queries, width], [..., keys, width] and [..., keys, size]`,
      ...shapes,
    )
  broadcastShapes(`attention: ${listed}: leading axes`, ...shapes.map(shape => shape.slice(0, -2)))
  if (mask && !broadcastsTo(mask.shape.slice(-2), [queries, keys]))
    throw new ShapeError(
      `attention: a mask of ${show(mask.shape)} does not broadcast to ${queries} queries and ${keys} keys`,
      mask.shape,
      ...shapes,
    )
}

/**
 * softmax(Q Kᵀ scale) V (Vaswani et al. 2017, section 3.2.1): q [..., queries, width], k [..., keys, width],
 * v [..., keys, size] → [..., queries, size]. A query that may attend to no key gets zeros.
 *
 * queries.attention(keys, values, { causal: true })
 *
 * @throws ShapeError if the sizes do not agree, DTypeError if the mask is not bool
 */
export const attention: (q: Tensor, k: Tensor, v: Tensor, options?: AttentionOptions) => Tensor = takes(
  'q.attention(k, v, options)',
  [is.tensor, is.tensor, is.tensor, is.options],
  (q: Tensor, k: Tensor, v: Tensor, options?: AttentionOptions): Tensor => {
    const settled = settle('q.attention(k, v, options)', options, attentionOptions)
    const { mask, causal, scale = 1 / Math.sqrt(q.shape[q.rank - 1]) } = settled
    checkMask(mask)
    checkShapes(q, k, v, mask)
    return attend(q, k, v, mask, { causal, scale })
  },
)

/** The fused operation of this file and its gradient. */
export const fusedAttention = { attention: attend, attentionGradient }
