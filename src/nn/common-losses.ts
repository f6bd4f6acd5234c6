// The losses of regression, of yes-or-no questions, of distributions, of embeddings and of masks. A prediction and its target must
// have equal shapes, because broadcasting one against the other is nearly always a mistake. The mean over nothing is 0, as in
// `crossEntropy` (PyTorch gives NaN).

import { concat, crossEntropy, type Reduction, where } from '../autograd/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { arange, broadcastsTo, DTypeError, ShapeError, sameShape, show, type Tensor, zeros } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'

/** How the losses of a batch become a result. */
export interface ReductionOptions {
  /** over all losses; default mean */
  readonly reduction?: Reduction
}
const lossOptions = { reduction: is.choice('mean', 'sum', 'none') } satisfies Settings<ReductionOptions>

/** @param weight of the losses in their mean; default 1 for each */
function reduced(loss: Tensor, reduction: Reduction, weight?: Tensor): Tensor {
  if (reduction === 'none') return loss
  if (reduction === 'sum') return loss.sum()
  if (!weight) return loss.sum().div(Math.max(1, loss.size))
  const total = weight.sum()
  return loss.sum().div(where(total.equal(0), 1, total))
}

/** Checks that two tensors of a loss have one shape. */
function checkSame(call: string, x: Tensor, y: Tensor, names: readonly [string, string]): void {
  if (sameShape(x.shape, y.shape)) return
  const advice =
    x.size === y.size ? `; write ${names[1]}.reshape([${x.shape.join(', ')}]) if they are the same numbers` : ''
  throw new ShapeError(
    `${call}: ${names[0]} ${show(x.shape)} and ${names[1]} ${show(y.shape)} must have the same shape${advice}`,
    x.shape,
    y.shape,
  )
}

/** Checks that weights broadcast to what they weigh. */
function checkBroadcast(call: string, name: string, weight: Tensor | number | undefined, x: Tensor): void {
  if (weight === undefined || typeof weight === 'number' || broadcastsTo(weight.shape, x.shape)) return
  throw new ShapeError(
    `${call}: the ${name} ${show(weight.shape)} must broadcast to the logits ${show(x.shape)}`,
    weight.shape,
    x.shape,
  )
}

/** Checks a setting that must be a finite number above a limit, or at it. */
function checkAtLeast(call: string, name: string, value: number, least: number, isOpen = false): void {
  if (Number.isFinite(value) && (isOpen ? value > least : value >= least)) return
  throw new RangeError(`${call}: ${name} must be ${isOpen ? 'above' : 'at least'} ${least} and finite, not ${value}`)
}

/** A loss of the difference of each element of a prediction and its target. */
function ofDifference(
  name: string,
  x: Tensor,
  target: Tensor,
  reduction: Reduction,
  loss: (difference: Tensor) => Tensor,
): Tensor {
  checkSame(name, x, target, ['the prediction', 'target'])
  return reduced(loss(x.sub(target)), reduction)
}

/**
 * (x - target)², the squared error of each element.
 * @param x any shape
 * @param target of the same shape
 * @returns a scalar, or the shape of x with the reduction none
 * @throws ShapeError if the shapes differ
 */
export function mseLoss(x: Tensor, target: Tensor, options?: ReductionOptions): Tensor {
  const call = 'mseLoss(x, target, options)'
  checkArguments(call, [is.tensor, is.tensor], [x, target])
  const { reduction } = settle(call, options, lossOptions)
  return ofDifference('mseLoss', x, target, reduction, d => d.square())
}

/**
 * |x - target|, the absolute error of each element; its derivative at 0 is 0.
 * @param x any shape
 * @param target of the same shape
 * @returns a scalar, or the shape of x with the reduction none
 * @throws ShapeError if the shapes differ
 */
export function l1Loss(x: Tensor, target: Tensor, options?: ReductionOptions): Tensor {
  const call = 'l1Loss(x, target, options)'
  checkArguments(call, [is.tensor, is.tensor], [x, target])
  const { reduction } = settle(call, options, lossOptions)
  return ofDifference('l1Loss', x, target, reduction, d => d.abs())
}

/** d² / 2 up to |d| = δ, and δ (|d| - δ / 2) beyond, written so that no square of a large d is computed. */
function huber(d: Tensor, delta: number): Tensor {
  const near = d.clamp({ min: -delta, max: delta })
  return near.mul(d.sub(near.mul(0.5)))
}

/** Options of `huberLoss`. */
export interface HuberOptions extends ReductionOptions {
  /** δ, the error from which on the loss is linear, above 0; default 1 */
  readonly delta?: number
}
const huberOptions = { ...lossOptions, delta: 1 } satisfies Settings<HuberOptions>

/**
 * With d = x - target of each element: d² / 2 where |d| ≤ δ, and δ (|d| - δ / 2) elsewhere (Huber 1964), so that an outlier has a
 * gradient of ±δ and no more.
 * @param x any shape
 * @param target of the same shape
 * @returns a scalar, or the shape of x with the reduction none
 * @throws ShapeError if the shapes differ, RangeError unless δ is above 0
 */
export function huberLoss(x: Tensor, target: Tensor, options?: HuberOptions): Tensor {
  const call = 'huberLoss(x, target, options)'
  checkArguments(call, [is.tensor, is.tensor], [x, target])
  const { reduction, delta } = settle(call, options, huberOptions)
  checkAtLeast('huberLoss', 'delta', delta, 0, true)
  return ofDifference('huberLoss', x, target, reduction, d => huber(d, delta))
}

/** Options of `smoothL1Loss`. */
export interface SmoothL1Options extends ReductionOptions {
  /** β, the error from which on the loss is linear, at least 0; default 1; 0 gives `l1Loss` */
  readonly beta?: number
}
const smoothL1Options = { ...lossOptions, beta: 1 } satisfies Settings<SmoothL1Options>

/**
 * With d = x - target of each element: d² / (2 β) where |d| ≤ β, and |d| - β / 2 elsewhere (Girshick 2015): the Huber loss
 * divided by β, so that an outlier has a gradient of ±1 for every β.
 * @param x any shape
 * @param target of the same shape
 * @returns a scalar, or the shape of x with the reduction none
 * @throws ShapeError if the shapes differ, RangeError if β is below 0
 */
export function smoothL1Loss(x: Tensor, target: Tensor, options?: SmoothL1Options): Tensor {
  const call = 'smoothL1Loss(x, target, options)'
  checkArguments(call, [is.tensor, is.tensor], [x, target])
  const { reduction, beta } = settle(call, options, smoothL1Options)
  checkAtLeast('smoothL1Loss', 'beta', beta, 0)
  return ofDifference('smoothL1Loss', x, target, reduction, d => (beta === 0 ? d.abs() : huber(d, beta).div(beta)))
}

/** Options of `bceWithLogitsLoss`. */
export interface BinaryCrossEntropyOptions extends ReductionOptions {
  /** factor of each loss, a tensor that broadcasts to the logits; the mean is still over the number of losses */
  readonly weight?: Tensor
  /** factor of the losses of positives, such as negatives / positives for rare positives: a number, or one for each class, [classes] */
  readonly positiveWeight?: Tensor | number
}
const binaryCrossEntropyOptions = {
  ...lossOptions,
  weight: is.optional(is.tensor),
  positiveWeight: is.optional(is.operand),
} satisfies Settings<BinaryCrossEntropyOptions>

/**
 * -weight (positiveWeight y log σ(x) + (1 - y) log(1 - σ(x))) of each logit x and its target y, computed from
 * softplus(∓x) = -log σ(±x), which is finite and exact for every finite logit. In PyTorch: binary_cross_entropy_with_logits.
 * @param logits any shape
 * @param targets of the same shape: probabilities in [0, 1], or bool
 * @returns a scalar, or the shape of the logits with the reduction none
 * @throws ShapeError if the shapes differ, or a weight does not broadcast to the logits
 */
export function bceWithLogitsLoss(logits: Tensor, targets: Tensor, options?: BinaryCrossEntropyOptions): Tensor {
  const call = 'bceWithLogitsLoss(logits, targets, options)'
  checkArguments(call, [is.tensor, is.tensor], [logits, targets])
  const { reduction, weight, positiveWeight } = settle(call, options, binaryCrossEntropyOptions)
  checkSame('bceWithLogitsLoss', logits, targets, ['the logits', 'targets'])
  checkBroadcast('bceWithLogitsLoss', 'weight', weight, logits)
  checkBroadcast('bceWithLogitsLoss', 'positiveWeight', positiveWeight, logits)
  const y = targets.cast(logits.dtype)
  const positive = y.mul(logits.neg().softplus())
  const negative = y.neg().add(1).mul(logits.softplus())
  const loss = (positiveWeight === undefined ? positive : positive.mul(positiveWeight)).add(negative)
  return reduced(weight ? loss.mul(weight) : loss, reduction)
}

/** Options of `focalLoss`. */
export interface FocalOptions extends ReductionOptions {
  /** γ, at least 0: how much less an easy example counts; default 2; 0 gives `bceWithLogitsLoss` */
  readonly gamma?: number
  /** α in [0, 1]: factor of the positives, and 1 - α that of the negatives; default none */
  readonly alpha?: number
}
const focalOptions = { ...lossOptions, gamma: 2, alpha: is.optional(is.number) } satisfies Settings<FocalOptions>

/**
 * -α y (1 - p)^γ log p - (1 - α) (1 - y) p^γ log(1 - p), p = σ(x), of each logit x and its target y (Lin et al. 2017, arXiv
 * 1708.02002): examples that are already right count little. Without α, both factors are 1. Powers are computed as
 * exp(-γ softplus(±x)), so that both orders of gradients are finite for every finite logit. For targets of 0 and 1 it is
 * torchvision's sigmoid_focal_loss; one in between weighs the losses of both answers.
 * @param logits any shape
 * @param targets of the same shape: 0, 1 or in between, or bool
 * @returns a scalar, or the shape of the logits with the reduction none
 * @throws ShapeError if the shapes differ, RangeError if γ is below 0 or α is not in [0, 1]
 */
export function focalLoss(logits: Tensor, targets: Tensor, options?: FocalOptions): Tensor {
  const call = 'focalLoss(logits, targets, options)'
  checkArguments(call, [is.tensor, is.tensor], [logits, targets])
  const { reduction, gamma, alpha } = settle(call, options, focalOptions)
  checkAtLeast('focalLoss', 'gamma', gamma, 0)
  if (alpha !== undefined && !(alpha >= 0 && alpha <= 1))
    throw new RangeError(`focalLoss: alpha must be in [0, 1], not ${alpha}`)
  checkSame('focalLoss', logits, targets, ['the logits', 'targets'])
  const y = targets.cast(logits.dtype)
  const [of1, of0] = [logits.neg().softplus(), logits.softplus()]
  const positive = y.mul(of0.mul(-gamma).exp().mul(of1))
  const negative = y.neg().add(1).mul(of1.mul(-gamma).exp().mul(of0))
  const loss = alpha === undefined ? positive.add(negative) : positive.mul(alpha).add(negative.mul(1 - alpha))
  return reduced(loss, reduction)
}

/** Options of `nllLoss`. */
export interface NllOptions extends ReductionOptions {
  /** factor of the losses of each class, [classes]; the mean is divided by the sum of the factors */
  readonly weight?: Tensor
  /** class id of rows that count neither in the loss nor in its mean */
  readonly ignore?: number
}
const nllOptions = {
  ...lossOptions,
  weight: is.optional(is.tensor),
  ignore: is.optional(is.integer),
} satisfies Settings<NllOptions>

/**
 * -weight[id] · logProbabilities[…, id], the negative log likelihood of a class id a row. `crossEntropy` takes logits and is
 * faster; this is for log-probabilities that are computed otherwise. The mean is weighted: Σ losses / Σ weight[id].
 * @param logProbabilities [..., classes]; classes are the last axis here, and the second in PyTorch
 * @param ids int32 [...]
 * @returns a scalar, or [...] with the reduction none
 * @throws ShapeError if the ids or the weight have another shape, DTypeError unless the ids are int32, IndexError for an id out of
 *   range
 */
export function nllLoss(logProbabilities: Tensor, ids: Tensor, options?: NllOptions): Tensor {
  const call = 'nllLoss(logProbabilities, ids, options)'
  checkArguments(call, [is.tensor, is.indices], [logProbabilities, ids])
  const { reduction, weight, ignore } = settle(call, options, nllOptions)
  const { shape, rank } = logProbabilities
  if (rank === 0 || !sameShape(shape.slice(0, -1), ids.shape))
    throw new ShapeError(
      `nllLoss: ids ${show(ids.shape)} must be ${show(shape.slice(0, -1))} for log-probabilities ${show(shape)}`,
      ids.shape,
      shape,
    )
  if (ids.dtype !== 'int32')
    throw new DTypeError(`nllLoss: ids must be int32, not ${ids.dtype}; write ids.cast('int32')`, ids.dtype)
  if (weight && !sameShape(weight.shape, shape.slice(-1)))
    throw new ShapeError(
      `nllLoss: the weight must be ${show(shape.slice(-1))}, one number a class, not ${show(weight.shape)}`,
      weight.shape,
      shape,
    )
  const counts = ignore === undefined ? undefined : ids.notEqual(ignore)
  const known = counts ? where(counts, ids, 0) : ids
  const surprise = logProbabilities.gather(known.unsqueeze(-1), { axis: -1 }).squeeze(-1).neg()
  const factors = weight?.take(known)
  const loss = factors ? surprise.mul(factors) : surprise
  if (!counts) return reduced(loss, reduction, factors)
  const counted = where(counts, factors ?? 1, 0).cast(loss.dtype)
  return reduced(where(counts, loss, 0), reduction, counted)
}

/**
 * D(P ‖ Q) = Σ p (log p - log q) over the last axis, the Kullback-Leibler divergence of Q from P, both given as log-probabilities;
 * where p is 0 the term is 0, with a gradient of 0.
 *
 * P comes first, as in the formula. PyTorch's kl_div(input, target) has them the other way around: its input is log q, and
 * D(P ‖ Q) is kl_div(logQ, logP, log_target=True). Its reduction batchmean is the mean here, which is over the distributions and
 * not over their elements.
 * @param logP [..., classes], for a student that learns from a teacher that of the teacher
 * @param logQ [..., classes], that of the student
 * @returns a scalar, or [...] with the reduction none
 * @throws ShapeError if the shapes differ, or have no axis
 */
export function klDivergenceLoss(logP: Tensor, logQ: Tensor, options?: ReductionOptions): Tensor {
  const call = 'klDivergenceLoss(logP, logQ, options)'
  checkArguments(call, [is.tensor, is.tensor], [logP, logQ])
  const { reduction } = settle(call, options, lossOptions)
  checkSame('klDivergenceLoss', logP, logQ, ['logP', 'logQ'])
  if (logP.rank === 0) throw new ShapeError('klDivergenceLoss: logP must be [..., classes], not a scalar', logP.shape)
  const isNever = logP.equal(-Infinity)
  // its gradient must not meet the ratio where that is infinite or NaN
  const p = where(isNever, 0, logP).exp()
  return reduced(where(isNever, 0, p.mul(logP.sub(logQ))).sum({ axis: -1 }), reduction)
}

/** Options of `cosineEmbeddingLoss`. */
export interface CosineEmbeddingOptions extends ReductionOptions {
  /** the similarity that pairs which do not belong together may have, from -1 to 1; default 0 */
  readonly margin?: number
}
const cosineEmbeddingOptions = { ...lossOptions, margin: 0 } satisfies Settings<CosineEmbeddingOptions>

/**
 * With the cosine c = x · y / (‖x‖ ‖y‖) of each pair: 1 - c where they belong together, and max(0, c - margin) where they do not.
 * The cosine with a vector of zeros is 0. (PyTorch adds 1e-12 to the square of each length.)
 * @param x [..., width], of any length
 * @param y [..., width]
 * @param together [...]: true or above 0 for pairs that belong together, false or -1 for the others
 * @returns a scalar, or [...] with the reduction none
 * @throws ShapeError if the shapes differ, RangeError unless the margin is in [-1, 1]
 */
export function cosineEmbeddingLoss(x: Tensor, y: Tensor, together: Tensor, options?: CosineEmbeddingOptions): Tensor {
  const call = 'cosineEmbeddingLoss(x, y, together, options)'
  checkArguments(call, [is.tensor, is.tensor, is.tensor], [x, y, together])
  const { reduction, margin } = settle(call, options, cosineEmbeddingOptions)
  if (!(margin >= -1 && margin <= 1))
    throw new RangeError(`cosineEmbeddingLoss: the margin must be in [-1, 1], not ${margin}`)
  checkSame('cosineEmbeddingLoss', x, y, ['x', 'y'])
  if (x.rank === 0 || !sameShape(x.shape.slice(0, -1), together.shape))
    throw new ShapeError(
      `cosineEmbeddingLoss: together ${show(together.shape)} must be ${show(x.shape.slice(0, -1))} for x ${show(x.shape)}`,
      together.shape,
      x.shape,
    )
  const cosine = x.normalize().mul(y.normalize()).sum({ axis: -1 })
  return reduced(where(together.greater(0), cosine.neg().add(1), cosine.sub(margin).relu()), reduction)
}

/** Options of `tripletLoss`. */
export interface TripletOptions extends ReductionOptions {
  /** by how much the negative must be farther than the positive; default 1 */
  readonly margin?: number
  /** order of the norm that is the distance: those of `norm`; default 2 */
  readonly p?: number
  /** whether the distance of the negative is the smaller of those to the anchor and to the positive (Balntas et al. 2016); default false */
  readonly swap?: boolean
  /** added to each difference, as in PyTorch, so that the distance of equal vectors has derivatives; default 1e-6 */
  readonly epsilon?: number
}
const tripletOptions = {
  ...lossOptions,
  margin: 1,
  p: 2,
  swap: false,
  epsilon: 1e-6,
} satisfies Settings<TripletOptions>

/**
 * max(0, d(anchor, positive) - d(anchor, negative) + margin), with the distance d(x, y) = ‖x - y + ε‖ₚ over the last axis
 * (Schroff et al. 2015, without the square of the distance). In PyTorch: triplet_margin_loss.
 * @param anchor [..., width]
 * @param positive [..., width], what belongs to the anchor
 * @param negative [..., width], what does not
 * @returns a scalar, or [...] with the reduction none
 * @throws ShapeError if the shapes differ, RangeError if the margin or ε is below 0, or for an order that `norm` does not have
 */
export function tripletLoss(anchor: Tensor, positive: Tensor, negative: Tensor, options?: TripletOptions): Tensor {
  const call = 'tripletLoss(anchor, positive, negative, options)'
  checkArguments(call, [is.tensor, is.tensor, is.tensor], [anchor, positive, negative])
  const { reduction, margin, p, swap, epsilon } = settle(call, options, tripletOptions)
  checkAtLeast('tripletLoss', 'margin', margin, 0)
  checkAtLeast('tripletLoss', 'epsilon', epsilon, 0)
  checkSame('tripletLoss', anchor, positive, ['the anchor', 'positive'])
  checkSame('tripletLoss', anchor, negative, ['the anchor', 'negative'])
  if (anchor.rank === 0)
    throw new ShapeError('tripletLoss: the anchor must be [..., width], not a scalar', anchor.shape)
  const distance = (x: Tensor, y: Tensor) => x.sub(y).add(epsilon).norm({ axis: -1, order: p })
  const apart = distance(anchor, negative)
  const nearest = swap ? apart.minimum(distance(positive, negative)) : apart
  return reduced(distance(anchor, positive).sub(nearest).add(margin).relu(), reduction)
}

/** Options of `infoNceLoss`. */
export interface InfoNceOptions extends ReductionOptions {
  /** what similarities are divided by, above 0; default 0.1 */
  readonly temperature?: number
  /** embeddings that belong to no query: [n, width] for all queries, or [batch, n, width]. Default: the keys of the other queries */
  readonly negatives?: Tensor
}
const infoNceOptions = {
  ...lossOptions,
  temperature: 0.1,
  negatives: is.optional(is.tensor),
} satisfies Settings<InfoNceOptions>

/**
 * InfoNCE (van den Oord et al. 2018, arXiv 1807.03748): the cross-entropy of choosing the key of each query among its negatives,
 * -log exp(q·k / T) / (exp(q·k / T) + Σₙ exp(q·n / T)). Without `negatives`, those of query i are the keys of all others. It is one
 * direction; `contrastiveLoss` has both.
 * @param query embeddings of unit length (`normalize()`), [batch, width]
 * @param key embeddings of unit length, [batch, width]; row i belongs to query i
 * @returns a scalar, or [batch] with the reduction none
 * @throws ShapeError if the shapes do not fit, RangeError unless the temperature is above 0
 */
export function infoNceLoss(query: Tensor, key: Tensor, options?: InfoNceOptions): Tensor {
  const call = 'infoNceLoss(query, key, options)'
  checkArguments(call, [is.tensor, is.tensor], [query, key])
  const { reduction, temperature, negatives } = settle(call, options, infoNceOptions)
  checkAtLeast('infoNceLoss', 'temperature', temperature, 0, true)
  checkSame('infoNceLoss', query, key, ['the query', 'key'])
  if (query.rank !== 2)
    throw new ShapeError(`infoNceLoss: the query must be [batch, width], not ${show(query.shape)}`, query.shape)
  const [batch, width] = query.shape
  const { device } = query
  if (!negatives) {
    const logits = query.matmul(key.transpose()).div(temperature)
    return crossEntropy(logits, arange(0, batch, 1, { device }), { reduction })
  }
  const n = negatives.shape[negatives.rank - 2]
  if (!sameShape(negatives.shape, [n, width]) && !sameShape(negatives.shape, [batch, n, width]))
    throw new ShapeError(
      `infoNceLoss: negatives must be [n, ${width}] or [${batch}, n, ${width}], not ${show(negatives.shape)}`,
      negatives.shape,
      query.shape,
    )
  const own = query.mul(key).sum({ axis: -1, keepDims: true })
  const others =
    negatives.rank === 2
      ? query.matmul(negatives.transpose())
      : query.unsqueeze(1).matmul(negatives.transpose(-2, -1)).squeeze(1)
  const logits = concat([own, others], 1).div(temperature)
  return crossEntropy(logits, zeros([batch], { dtype: 'int32', device }), { reduction })
}

/** Options of `diceLoss`. */
export interface DiceOptions extends ReductionOptions {
  /** s, added to both sides of the fraction, so that an empty mask has a loss and a gradient; default 1 */
  readonly smooth?: number
  /** the axes of a mask, over which it is summed; default all but the first, the batch */
  readonly axis?: number | readonly number[]
}
const diceOptions = { ...lossOptions, smooth: 1, axis: is.optional(is.axes) } satisfies Settings<DiceOptions>

/**
 * 1 - (2 Σ p y + s) / (Σ p + Σ y + s), one minus the Dice coefficient of each mask (Milletari et al. 2016, with sums in place of
 * sums of squares), which counts a small object as much as a large one.
 *
 *     diceLoss(logits.sigmoid(), masks)
 *     diceLoss(logits.sigmoid(), masks, { axis: [-2, -1] }) // each class by itself: [batch, classes, height, width]
 *
 * @param probabilities [batch, ...]
 * @param targets of the same shape, 0 or 1, or bool
 * @returns a scalar, or one number a mask with the reduction none
 * @throws ShapeError if the shapes differ, RangeError if s is below 0
 */
export function diceLoss(probabilities: Tensor, targets: Tensor, options?: DiceOptions): Tensor {
  const call = 'diceLoss(probabilities, targets, options)'
  checkArguments(call, [is.tensor, is.tensor], [probabilities, targets])
  const { reduction, smooth, axis } = settle(call, options, diceOptions)
  checkAtLeast('diceLoss', 'smooth', smooth, 0)
  checkSame('diceLoss', probabilities, targets, ['the probabilities', 'targets'])
  const y = targets.cast(probabilities.dtype)
  const over = { axis: axis ?? probabilities.shape.map((_, i) => i).slice(1) }
  const both = probabilities.mul(y).sum(over).mul(2).add(smooth)
  const each = probabilities.add(y).sum(over).add(smooth)
  return reduced(both.div(each).neg().add(1), reduction)
}
