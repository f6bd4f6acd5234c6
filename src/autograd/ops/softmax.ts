// Softmax, its logarithm, and the losses computed from it: negative log likelihood and cross-entropy.

import { takes } from '../../tensor/arguments.ts'
import {
  floating,
  isFloating,
  normalizeAxis,
  type Shape,
  ShapeError,
  sameShape,
  show,
  sizeOf,
  type Tensor,
} from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { defineFused } from '../op.ts'
import { where } from './elementwise.ts'
import { checkIndices, oneHot } from './gather.ts'
import { type AxisOptions, keptLast, lastAxis } from './reduce.ts'

/** y (g - Σ g y), the gradient of y = softmax(x) */
export const softmaxGradient = defineFused('softmaxGradient', {
  definition: (g: Tensor, y: Tensor) => {
    const gy = g.mul(y)
    return gy.sub(y.mul(gy.sum(keptLast)))
  },
  kernel: (k, g, y) => k.softmaxGradient?.(g, y),
  batching: 'broadcast',
})

const softmaxLast = defineFused('softmax', {
  definition: (x: Tensor) => {
    const e = x.sub(x.max(keptLast).stopGradient()).exp()
    return e.div(e.sum(keptLast))
  },
  kernel: (k, x) => k.softmax?.(x),
  rule: (g, y) => [() => softmaxGradient(g, y)],
  batching: 'broadcast',
  // its Jacobian is symmetric
  jvp: ([tangent], y) => softmaxGradient(tangent!, y),
})

/** g - exp(y) Σ g, the gradient of y = logSoftmax(x) */
const logSoftmaxGradient = defineFused('logSoftmaxGradient', {
  definition: (g: Tensor, y: Tensor) => g.sub(y.exp().mul(g.sum(keptLast))),
  kernel: (k, g, y) => k.logSoftmaxGradient?.(g, y),
  batching: 'broadcast',
})

const logSoftmaxLast = defineFused('logSoftmax', {
  definition: (x: Tensor) => {
    const shifted = x.sub(x.max(keptLast).stopGradient())
    return shifted.sub(shifted.exp().sum(keptLast).log())
  },
  kernel: (k, x) => k.logSoftmax?.(x),
  rule: (g, y) => [() => logSoftmaxGradient(g, y)],
  batching: 'broadcast',
  jvp: ([tangent], y) => tangent!.sub(tangent!.mul(y.exp()).sum(keptLast)),
})

/** Applies a function of the last axis along another axis; a tensor without elements is returned as it is. */
function along(name: string, f: (x: Tensor) => Tensor, x: Tensor, axis: number): Tensor {
  const at = normalizeAxis(name, axis, x.shape)
  if (x.size === 0) return x.cast(floating(x.dtype))
  return at === x.rank - 1 ? f(x) : f(x.transpose(at, -1)).transpose(at, -1)
}

/**
 * eˣ / Σ eˣ along an axis (default the last), computed as exp(x - max x) so that it is finite for every finite x.
 * @throws AxisError if x does not have the axis
 */
export const softmax: (x: Tensor, options?: AxisOptions) => Tensor = takes(
  'x.softmax(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: AxisOptions): Tensor =>
    along('softmax', softmaxLast, x, settle('x.softmax(options)', options, lastAxis).axis),
)

/**
 * x - log Σ eˣ along an axis (default the last), finite for every finite x.
 * @throws AxisError if x does not have the axis
 */
export const logSoftmax: (x: Tensor, options?: AxisOptions) => Tensor = takes(
  'x.logSoftmax(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: AxisOptions): Tensor =>
    along('logSoftmax', logSoftmaxLast, x, settle('x.logSoftmax(options)', options, lastAxis).axis),
)

/** g (softmax(x) - oneHot(ids)), the gradient of negativeLogLikelihood */
const negativeLogLikelihoodGradient = defineFused('negativeLogLikelihoodGradient', {
  definition: (g: Tensor, x: Tensor, ids: Tensor) =>
    x
      .softmax()
      .sub(oneHot(ids, x.shape[x.rank - 1], x.dtype))
      .mul(g.unsqueeze(-1)),
  kernel: (k, g, x, ids) => k.negativeLogLikelihoodGradient?.(g, x, ids),
  batching: (op, batch, g, x, ids) => op(batch.whole(g), batch.whole(x), batch.whole(ids)),
})

/** -log softmax(x)[id] over the last axis: [..., classes], ids int32 [...] → [...] */
export const negativeLogLikelihood = defineFused('negativeLogLikelihood', {
  definition: (x: Tensor, ids: Tensor) => x.logSoftmax().gather(ids.unsqueeze(-1), { axis: -1 }).squeeze(-1).neg(),
  kernel: (k, x, ids) => k.negativeLogLikelihood?.(x, ids),
  rule: (g, _, x, ids) => [() => negativeLogLikelihoodGradient(g, x, ids)],
  batching: (op, batch, x, ids) => op(batch.whole(x), batch.whole(ids)),
  jvp: 'definition',
})

/** How the losses of rows become a result: their mean, their sum, or all of them. */
export type Reduction = 'mean' | 'sum' | 'none'

/** Options of `crossEntropy`. */
export interface CrossEntropyOptions {
  /** class id of rows that count neither in the loss nor in its mean */
  readonly ignore?: number
  /** share of the target spread evenly over all classes; default 0 */
  readonly smoothing?: number
  /** default mean, over the rows that are not ignored; the mean of no rows is 0 */
  readonly reduction?: Reduction
}
const crossEntropyOptions = {
  ignore: is.optional(is.integer),
  smoothing: 0,
  reduction: is.choice('mean', 'sum', 'none'),
} satisfies Settings<CrossEntropyOptions>

/**
 * -Σ target · log softmax(logits) over the last axis.
 * @param logits [..., classes]
 * @param target int32 class ids [...], or probabilities [..., classes], which need not add up to 1. Smoothing spreads its share
 *   of what they add up to, s: the target is (1 - smoothing) p + smoothing s / classes. (PyTorch takes s = 1 for every row.)
 * @returns a scalar, by default the mean over the rows; [...] with the reduction none
 * @throws ShapeError if the target has another shape, DTypeError for a target of bools, IndexError for an id out of range
 */
export const crossEntropy: (logits: Tensor, target: Tensor, options?: CrossEntropyOptions) => Tensor = takes(
  'logits.crossEntropy(target, options)',
  [is.tensor, is.indices, is.options],
  (logits: Tensor, target: Tensor, options?: CrossEntropyOptions): Tensor => {
    const settled = settle('logits.crossEntropy(target, options)', options, crossEntropyOptions)
    const { ignore, smoothing, reduction } = settled
    checkTarget(logits.shape, target, ignore)
    const spread = smoothing === 0 ? undefined : logits.logSoftmax().mean({ axis: -1 }).neg().mul(smoothing)
    if (isFloating(target.dtype)) {
      const loss = logits.logSoftmax().mul(target).sum({ axis: -1 }).neg()
      return reduceLoss(spread ? loss.mul(1 - smoothing).add(spread.mul(target.sum({ axis: -1 }))) : loss, reduction)
    }
    const counts = ignore === undefined ? undefined : target.notEqual(ignore)
    const ids = counts ? where(counts, target, 0) : target
    const picked = negativeLogLikelihood(logits, ids)
    const loss = spread ? picked.mul(1 - smoothing).add(spread) : picked
    return reduceLoss(loss, reduction, counts)
  },
)

/** Checks that probabilities have the shape of the logits, and class ids that shape without the last axis. */
function checkTarget(logits: Shape, target: Tensor, ignore: number | undefined): void {
  const isOfRows = sameShape(target.shape, logits.slice(0, -1))
  if (isOfRows) checkIndices('crossEntropy', target, 'target')
  const [what, expected] = isFloating(target.dtype) ? ['probabilities', logits] : ['class ids', logits.slice(0, -1)]
  if (!sameShape(target.shape, expected))
    throw new ShapeError(
      `crossEntropy: ${what} ${show(target.shape)} must be ${show(expected)} for logits ${show(logits)}`,
      target.shape,
      logits,
    )
  if (ignore !== undefined && isFloating(target.dtype))
    throw new TypeError('crossEntropy: ignore is a class id, but the target holds probabilities; leave ignore out')
}

/** Reduces one loss per row to a number, over the rows where `counts` is true. */
function reduceLoss(loss: Tensor, reduction: Reduction, counts?: Tensor): Tensor {
  const counted = counts ? where(counts, loss, 0) : loss
  if (reduction === 'none') return counted
  if (reduction === 'sum') return counted.sum()
  return counted.sum().div(counts ? counts.sum().cast(loss.dtype).maximum(1) : Math.max(1, sizeOf(loss.shape)))
}

/** The fused operations of this file, with their gradients. */
export const fusedSoftmax = {
  softmax: softmaxLast,
  softmaxGradient,
  logSoftmax: logSoftmaxLast,
  logSoftmaxGradient,
  negativeLogLikelihood,
  negativeLogLikelihoodGradient,
}
