// The contrastive losses of some rows of a batch, for processes and parts that each have the others' embeddings as constants. A matrix of
// [own rows, batch] logits takes the place of that of [batch, batch].
//
// An own image changes the loss of its own row, and those of all texts, each of which compares it with the other images. The gradient of the
// loss of text j by its logit z_j with the image is softmax(z)_j = exp(z_j - n_j), n_j = log Σ exp z. With n_j as a constant, the sum of
// exp(z_j - n_j) over all texts has the same gradient. So the gradients of own embeddings need of the other rows two numbers each, n_j of
// both directions, and not the gradients that the other rows have for them.
//
// The gradient by the logits has a formula, so no tape keeps matrices: some rows at a time give their loss and their gradient, and what is
// recorded is a term that is linear in the own embeddings, with that gradient.

import { add, concat, crossEntropy, noGrad, where } from '../autograd/index.ts'
import { arange, scope, type Tensor } from '../tensor/index.ts'

/** Embeddings of unit length, whose rows belong together: [rows, width] each. */
export interface Pairs {
  readonly image: Tensor
  readonly text: Tensor
}

/** A batch, of which some rows are differentiated. */
export interface WholeBatch {
  /** all embeddings, constants: [batch, width] */
  readonly all: Pairs
  /** int32 [batch]: pairs with the same number are positives of each other */
  readonly groups?: Tensor
  /** the rows of the batch that are the own ones */
  readonly rows: { readonly start: number; readonly stop: number }
  /** the most elements of a matrix of some of these rows and all columns; at least one row is computed at a time. Default 2²² */
  readonly elements?: number
}

/** The own rows' share of a loss. */
export interface RowsLoss {
  /** those of all rows add up to the loss */
  readonly loss: Tensor
  /**
   * its gradient by the own embeddings is that of the loss of the batch; its gradients by scale and bias add up to those of it. Its own
   * value is of no use
   */
  readonly differentiated: Tensor
}

/** Some of the own rows: their embeddings on one side, and whether each pair with a column is a positive. */
interface SomeRows {
  readonly own: Tensor
  /** bools [rows, batch] */
  readonly positives: () => Tensor
}

/** Computes some of the own rows at a time, without a tape. */
function inRows<T>(own: Tensor, whole: WholeBatch, of: (rows: SomeRows) => T): T[] {
  const batch = whole.all.image.shape[0]
  const [count] = own.shape
  const atOnce = Math.max(1, Math.floor((whole.elements ?? 2 ** 22) / batch))
  return Array.from({ length: Math.ceil(count / atOnce) }, (_, i) => {
    const [start, stop] = [i * atOnce, Math.min(count, (i + 1) * atOnce)]
    const positives = () => belongs(whole, whole.rows.start + start, whole.rows.start + stop)
    return scope(() => noGrad(() => of({ own: own.slice([{ start, stop }]), positives })))
  })
}

/** log Σ exp of the logits of own rows in both directions, image to text and text to image: [rows, 2]. */
export const logSums = ({ image, text }: Pairs, whole: WholeBatch, scale: Tensor): Tensor =>
  noGrad(() => {
    const { all } = whole
    const side = (own: Tensor, others: Tensor) =>
      concat(
        inRows(own, whole, rows =>
          rows.own.matmul(others.transpose()).mul(scale).logSumExp({ axis: 1, keepDims: true }),
        ),
      )
    return concat([side(image, all.text), side(text, all.image)], 1)
  })

/** A loss of some rows of logits, and its gradient by them. */
interface OfLogits {
  /** a scalar */
  readonly loss: Tensor
  /** [rows, batch] */
  readonly gradient: Tensor
}

/** One direction of a loss: a sum over the own rows, and its gradients by them, by the scale and by the bias. */
function side(
  own: Tensor,
  others: Tensor,
  { whole, scale, bias }: { readonly whole: WholeBatch; readonly scale: Tensor; readonly bias?: Tensor },
  of: (logits: Tensor, positives: Tensor) => OfLogits,
) {
  const parts = inRows(own, whole, ({ own, positives }) => {
    const scaled = own.matmul(others.transpose()).mul(scale)
    const { loss, gradient } = of(bias ? scaled.add(bias) : scaled, positives())
    const byProducts = gradient.matmul(others)
    return { loss, own: byProducts.mul(scale), scale: byProducts.mul(own).sum(), bias: gradient.sum() }
  })
  const sumOf = (name: 'loss' | 'scale' | 'bias') => parts.map(part => part[name]).reduce((a, b) => add(a, b))
  return noGrad(() => ({
    loss: sumOf('loss'),
    gradients: { own: concat(parts.map(part => part.own)), scale: sumOf('scale'), bias: sumOf('bias') },
  }))
}

/**
 * The share of `contrastiveLoss`.
 * @param sums `logSums` of all rows, a constant: [batch, 2]
 */
export function contrastiveRows(
  { image, text }: Pairs,
  whole: WholeBatch,
  scale: Tensor,
  sums: Tensor,
  reduction: 'sum' | 'mean',
): RowsLoss {
  const { all } = whole
  const factor = (reduction === 'sum' ? 1 : 0.5) / all.image.shape[0]
  const of = (direction: number) => (logits: Tensor, isPositive: Tensor) => {
    const positives = isPositive.cast(logits.dtype)
    const target = positives.div(positives.sum({ axis: 1, keepDims: true }))
    const byOthers = logits.sub(sums.slice([{}, direction])).exp()
    return {
      loss: crossEntropy(logits, target, { reduction: 'sum' }),
      gradient: logits.softmax().add(byOthers).sub(target.mul(2)),
    }
  }
  const ofImages = side(image, all.text, { whole, scale }, of(1))
  const ofTexts = side(text, all.image, { whole, scale }, of(0))
  return {
    loss: ofImages.loss.add(ofTexts.loss).mul(factor),
    // every pair of the batch is once a pair of an own image: scale gets its gradient there
    differentiated: image
      .mul(ofImages.gradients.own)
      .sum()
      .add(text.mul(ofTexts.gradients.own).sum())
      .add(scale.mul(ofImages.gradients.scale))
      .mul(factor),
  }
}

/** The share of `sigmoidContrastiveLoss`, in which pairs do not depend on each other. */
export function sigmoidContrastiveRows(
  { image, text }: Pairs,
  whole: WholeBatch,
  scale: Tensor,
  bias: Tensor,
): RowsLoss {
  const { all } = whole
  const of = (logits: Tensor, positives: Tensor) => {
    const wrong = where(positives, logits.neg(), logits)
    const slope = wrong.sigmoid()
    return { loss: wrong.softplus().sum(), gradient: where(positives, slope.neg(), slope) }
  }
  const ofImages = side(image, all.text, { whole, scale, bias }, of)
  const ofTexts = side(text, all.image, { whole, scale, bias }, of)
  const batch = all.image.shape[0]
  return {
    loss: ofImages.loss.div(batch),
    differentiated: image
      .mul(ofImages.gradients.own)
      .sum()
      .add(text.mul(ofTexts.gradients.own).sum())
      .add(scale.mul(ofImages.gradients.scale))
      .add(bias.mul(ofImages.gradients.bias))
      .div(batch),
  }
}

/** Whether pairs of the rows from `start` to `stop` of the batch and any row are positives: [rows, batch]. */
function belongs({ all, groups }: WholeBatch, start: number, stop: number): Tensor {
  const of = groups ?? arange(0, all.image.shape[0], 1, { device: all.image.device })
  return of.slice([{ start, stop }]).unsqueeze(1).equal(of.unsqueeze(0))
}
