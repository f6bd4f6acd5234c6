// What neural networks are made of: linear maps, attention, cross-entropy, normalisation and dropout, as functions.

import {
  allocate,
  arange,
  DTypeError,
  defaultGenerator,
  deviceOf,
  fromData,
  type Generator,
  isFloating,
  ShapeError,
  sameShape,
  show,
  sizeOf,
  type Tensor,
} from '../../tensor/index.ts'
import { announceDraw } from '../tape.ts'
import { logicalAnd, where } from './elementwise.ts'

/** x Wᵀ + b: x [..., in], weight [out, in], bias [out] → [..., out] */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  if (weight.rank !== 2 || x.shape[x.rank - 1] !== weight.shape[1])
    throw new ShapeError(
      `linear: ${show(x.shape)} does not meet a weight [out, in] of ${show(weight.shape)}`,
      x.shape,
      weight.shape,
    )
  const product = x.matmul(weight.transpose())
  return bias ? product.add(bias) : product
}

/** Who may look at whom. */
export interface AttentionOptions {
  /** bool, broadcasting to [..., queries, keys]: true where a query may see a key. A query that sees nothing gets zeros. */
  readonly mask?: Tensor
  /** a query sees keys up to its own place, the last query being at the last key */
  readonly causal?: boolean
  /** what scores are multiplied by; default 1/√width */
  readonly scale?: number
}

/** Large and finite: exp of it is 0, and no ∞ - ∞ arises where everything is masked. */
const hidden = -1e30

/** bool [queries, keys]: true where key ≤ query, counted from the end of both. */
export function causalMask(queries: number, keys: number, like: Tensor): Tensor {
  const options = { device: like.device }
  const last = arange(0, queries, 1, options)
    .add(keys - queries)
    .unsqueeze(1)
  return arange(0, keys, 1, options).lessEqual(last)
}

/**
 * softmax(Q Kᵀ scale) over the keys that a query may see (Vaswani et al. 2017, section 3.2.1).
 * @param q [..., queries, width]
 * @param k [..., keys, width]
 * @returns [..., queries, keys]; rows sum to one, or are zero where a query sees nothing
 */
export function attentionWeights(q: Tensor, k: Tensor, options: AttentionOptions = {}): Tensor {
  const { mask, causal = false, scale = 1 / Math.sqrt(q.shape[q.rank - 1]) } = options
  if (mask && mask.dtype !== 'bool')
    throw new DTypeError(`attention: a mask is bool (true: may be seen), not ${mask.dtype}`, mask.dtype)
  const scores = q.mul(scale).matmul(k.transpose())
  const past = causal ? causalMask(q.shape[q.rank - 2], k.shape[k.rank - 2], q) : undefined
  const visible = mask && past ? logicalAnd(mask, past) : (mask ?? past)
  if (!visible) return scores.softmax()
  return where(visible, where(visible, scores, hidden).softmax(), 0)
}

/** attentionWeights(q, k) v: q [..., queries, width], k [..., keys, width], v [..., keys, size] → [..., queries, size] */
export const attention = (q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor =>
  attentionWeights(q, k, options).matmul(v)

export type Reduction = 'mean' | 'sum' | 'none'

export interface CrossEntropyOptions {
  /** rows with this class id count neither in the loss nor in its mean */
  readonly ignore?: number
  /** share of the target spread evenly over all classes; default 0 */
  readonly smoothing?: number
  /** default mean, over the rows that count; the mean of no rows is 0 */
  readonly reduction?: Reduction
}

/**
 * -Σ target log softmax(logits) over the last axis.
 * @param logits [..., classes]
 * @param target int32 class ids [...], or probabilities [..., classes]
 * @returns a scalar, or [...] with reduction none
 */
export function crossEntropy(logits: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { ignore, smoothing = 0, reduction = 'mean' } = options
  const rows = logits.shape.slice(0, -1)
  const logProbabilities = logits.logSoftmax()
  const spread = smoothing === 0 ? undefined : logProbabilities.mean({ axis: -1 }).neg().mul(smoothing)
  if (isFloating(target.dtype)) {
    if (ignore !== undefined)
      throw new TypeError('crossEntropy: ignore names a class id, and the target holds probabilities')
    if (!sameShape(target.shape, logits.shape))
      throw new ShapeError(
        `crossEntropy: probabilities ${show(target.shape)} for logits ${show(logits.shape)}`,
        target.shape,
        logits.shape,
      )
    const loss = logProbabilities.mul(target).sum({ axis: -1 }).neg()
    return reduceLoss(spread ? loss.mul(1 - smoothing).add(spread.mul(target.sum({ axis: -1 }))) : loss, reduction)
  }
  if (!sameShape(target.shape, rows))
    throw new ShapeError(
      `crossEntropy: class ids ${show(target.shape)} for logits ${show(logits.shape)}`,
      target.shape,
      logits.shape,
    )
  const counts = ignore === undefined ? undefined : target.notEqual(ignore)
  const ids = counts ? where(counts, target, 0) : target
  const picked = logProbabilities.gather(ids.unsqueeze(-1), { axis: -1 }).squeeze(-1).neg()
  const loss = spread ? picked.mul(1 - smoothing).add(spread) : picked
  return reduceLoss(loss, reduction, counts)
}

/** One number from a loss a row, where `counts` is true. */
function reduceLoss(loss: Tensor, reduction: Reduction, counts?: Tensor): Tensor {
  const counted = counts ? where(counts, loss, 0) : loss
  if (reduction === 'none') return counted
  if (reduction === 'sum') return counted.sum()
  return counted.sum().div(counts ? counts.sum().cast(loss.dtype).maximum(1) : Math.max(1, sizeOf(loss.shape)))
}

/** x / max(‖x‖, ε) along an axis (default the last): unit length, and 0 stays 0 */
export const normalize = (
  x: Tensor,
  { axis = -1, epsilon = 1e-12 }: { readonly axis?: number; readonly epsilon?: number } = {},
): Tensor => x.div(x.norm({ axis, keepDims: true }).clamp({ min: epsilon }))

/** x with each element 0 with probability p, the others divided by 1 - p (Srivastava et al. 2014) */
export function dropout(
  x: Tensor,
  p: number,
  { generator = defaultGenerator() }: { readonly generator?: Generator } = {},
): Tensor {
  if (!(p >= 0 && p < 1)) throw new RangeError(`dropout: a probability below 1, not ${p}`)
  if (p === 0) return x
  announceDraw(generator)
  const mask = allocate(x.dtype, x.size)
  for (let i = 0; i < mask.length; i++) mask[i] = generator.uniform() < p ? 0 : 1 / (1 - p)
  return x.mul(fromData(mask, x.shape, deviceOf(x)))
}
