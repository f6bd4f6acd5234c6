// What neural networks are made of: linear maps, cross-entropy, normalisation and dropout, as functions.

import { takes } from '../../tensor/arguments.ts'
import {
  allocate,
  DTypeError,
  defaultGenerator,
  deviceOf,
  fromData,
  Generator,
  isFloating,
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
import { announceDraw } from '../recording.ts'
import { where } from './elementwise.ts'
import { negativeLogLikelihood } from './fused.ts'
import { checkIndices } from './gather.ts'
import { type AxisOptions, lastAxis } from './reduce.ts'

/** [..., n] → [rows, n] */
const asRows = (x: Tensor): Tensor => x.reshape([sizeOf(x.shape.slice(0, -1)), x.shape[x.rank - 1]])

/** Without checks of shapes. */
export const affine = defineFused('linear', {
  definition: (x: Tensor, weight: Tensor, bias?: Tensor) => {
    const product = x.matmul(weight.transpose())
    return bias ? product.add(bias) : product
  },
  kernel: (k, x, weight, bias) => k.linear?.(x, weight, bias),
  rule: (g, _, x, weight) => [() => g.matmul(weight), () => asRows(g).transpose().matmul(asRows(x)), () => g],
})

/**
 * x Wᵀ + b: x [..., in], weight [out, in], bias [out] → [..., out].
 * @throws ShapeError if the sizes do not agree
 */
export const linear: (x: Tensor, weight: Tensor, bias?: Tensor) => Tensor = takes(
  'x.linear(weight, bias)',
  [is.tensor, is.tensor, is.optional(is.tensor)],
  (x: Tensor, weight: Tensor, bias?: Tensor): Tensor => {
    if (weight.rank !== 2 || x.rank === 0 || x.shape[x.rank - 1] !== weight.shape[1])
      throw new ShapeError(
        `linear: ${show(x.shape)} does not meet a weight [out, in] of ${show(weight.shape)}`,
        x.shape,
        weight.shape,
      )
    if (bias && (bias.rank !== 1 || bias.shape[0] !== weight.shape[0]))
      throw new ShapeError(
        `linear: a bias of ${show(bias.shape)} does not meet a weight [out, in] of ${show(weight.shape)}`,
        bias.shape,
        weight.shape,
      )
    return affine(x, weight, bias)
  },
)

export type Reduction = 'mean' | 'sum' | 'none'

export interface CrossEntropyOptions {
  /** rows with this class id count neither in the loss nor in its mean */
  readonly ignore?: number
  /** share of the target spread evenly over all classes; default 0 */
  readonly smoothing?: number
  /** default mean, over the rows that count; the mean of no rows is 0 */
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
 * @param target int32 class ids [...], or probabilities [..., classes]
 * @returns a scalar, the mean over the rows; [...] with the reduction none
 * @throws ShapeError if the target is of another shape, DTypeError for a target of bools, IndexError for an id out of range
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

/** Probabilities are of the logits' shape, class ids of the shape of their rows. */
function checkTarget(logits: Shape, target: Tensor, ignore: number | undefined): void {
  const isOfRows = sameShape(target.shape, logits.slice(0, -1))
  if (isOfRows) checkIndices('crossEntropy', target, 'target')
  const [what, expected] = isFloating(target.dtype) ? ['probabilities', logits] : ['class ids', logits.slice(0, -1)]
  if (!sameShape(target.shape, expected))
    throw new ShapeError(
      `crossEntropy: ${what} ${show(target.shape)} for logits ${show(logits)}: they must be ${show(expected)}`,
      target.shape,
      logits,
    )
  if (ignore !== undefined && isFloating(target.dtype))
    throw new TypeError('crossEntropy: ignore names a class id, and the target holds probabilities')
}

/** One number from a loss a row, where `counts` is true. */
function reduceLoss(loss: Tensor, reduction: Reduction, counts?: Tensor): Tensor {
  const counted = counts ? where(counts, loss, 0) : loss
  if (reduction === 'none') return counted
  if (reduction === 'sum') return counted.sum()
  return counted.sum().div(counts ? counts.sum().cast(loss.dtype).maximum(1) : Math.max(1, sizeOf(loss.shape)))
}

export interface NormalizeOptions extends AxisOptions {
  /** the least length that is divided by; default 1e-12 */
  readonly epsilon?: number
}
const normalizeOptions = { ...lastAxis, epsilon: 1e-12 } satisfies Settings<NormalizeOptions>

/**
 * x / max(‖x‖, ε) along an axis (default the last): vectors of length 1, and 0 stays 0.
 * @throws AxisError if x does not have the axis
 */
export const normalize: (x: Tensor, options?: NormalizeOptions) => Tensor = takes(
  'x.normalize(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: NormalizeOptions): Tensor => {
    const { axis, epsilon } = settle('x.normalize(options)', options, normalizeOptions)
    return x.div(x.norm({ axis, keepDims: true }).clamp({ min: epsilon }))
  },
)

export interface DropoutOptions {
  /** default: the one that `seed` sets */
  readonly generator?: Generator
}
const dropoutOptions = {
  generator: is.optional(is.instance('a Generator', Generator)),
} satisfies Settings<DropoutOptions>

/**
 * x with each element 0 with probability p, and the others divided by 1 - p (Srivastava et al. 2014).
 * @param p in [0, 1)
 * @throws RangeError for another p, DTypeError if x is not floating
 */
export const dropout: (x: Tensor, p: number, options?: DropoutOptions) => Tensor = takes(
  'dropout(x, p, options)',
  [is.tensor, is.number, is.options],
  (x: Tensor, p: number, options?: DropoutOptions): Tensor => {
    const { generator = defaultGenerator() } = settle('dropout(x, p, options)', options, dropoutOptions)
    if (!(p >= 0 && p < 1)) throw new RangeError(`dropout: a probability below 1, not ${p}`)
    if (!isFloating(x.dtype))
      throw new DTypeError(
        `dropout: x is ${x.dtype}, and what stays is divided by ${1 - p}; write x.cast('float32')`,
        x.dtype,
      )
    if (p === 0) return x
    announceDraw(generator)
    const mask = allocate(x.dtype, x.size)
    for (let i = 0; i < mask.length; i++) mask[i] = generator.uniform() < p ? 0 : 1 / (1 - p)
    return x.mul(fromData(mask, x.shape, deviceOf(x)))
  },
)
