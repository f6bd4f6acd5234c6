// The contrastive losses of some rows of a batch, for processes and parts that each have the others' embeddings as constants. A matrix of
// [own rows, batch] logits takes the place of that of [batch, batch].
//
// An own image changes the loss of its own row, and those of all texts, each of which compares it with the other images. The gradient of the
// loss of text j by its logit z_j with the image is softmax(z)_j = exp(z_j - n_j), n_j = log Σ exp z. With n_j as a constant, the sum of
// exp(z_j - n_j) over all texts has the same gradient. So the gradients of own embeddings need of the other rows two numbers each, n_j of
// both directions, and not the gradients that the other rows have for them.

import { concat, crossEntropy, noGrad, stopGradient, where } from '../autograd/index.ts'
import { arange, type Tensor } from '../tensor/index.ts'

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
}

/** The own rows' share of a loss. */
export interface RowsLoss {
  /** those of all rows add up to the loss */
  readonly loss: Tensor
  /** its gradient by the own embeddings is that of the loss of the batch; its gradients by scale and bias add up to those of it */
  readonly differentiated: Tensor
}

/** log Σ exp of the logits of own rows in both directions, image to text and text to image: [rows, 2]. */
export const logSums = ({ image, text }: Pairs, { all }: WholeBatch, scale: Tensor): Tensor =>
  noGrad(() => {
    const of = (own: Tensor, others: Tensor) =>
      own.matmul(others.transpose()).mul(scale).logSumExp({ axis: 1, keepDims: true })
    return concat([of(image, all.text), of(text, all.image)], 1)
  })

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
  const positives = belongs(whole).cast(image.dtype)
  const target = positives.div(positives.sum({ axis: 1, keepDims: true }))
  const factor = (reduction === 'sum' ? 1 : 0.5) / all.image.shape[0]
  const side = (own: Tensor, others: Tensor, by: Tensor, direction: number) => {
    const logits = own.matmul(others.transpose()).mul(by)
    const loss = crossEntropy(logits, target, { reduction: 'sum' })
    const ofOthers = logits
      .sub(sums.slice([{}, direction]))
      .exp()
      .sum()
      .sub(logits.mul(target).sum())
    return { loss, differentiated: loss.add(ofOthers) }
  }
  // every pair of the batch is once a pair of an own image: scale gets its gradient there
  const [ofImages, ofTexts] = [side(image, all.text, scale, 1), side(text, all.image, stopGradient(scale), 0)]
  return {
    loss: ofImages.loss.add(ofTexts.loss).mul(factor),
    differentiated: ofImages.differentiated.add(ofTexts.differentiated).mul(factor),
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
  const positives = belongs(whole)
  const side = (own: Tensor, others: Tensor, by: Tensor, from: Tensor) => {
    const logits = own.matmul(others.transpose()).mul(by).add(from)
    return where(positives, logits.neg(), logits).softplus().sum().div(all.image.shape[0])
  }
  const loss = side(image, all.text, scale, bias)
  return { loss, differentiated: loss.add(side(text, all.image, stopGradient(scale), stopGradient(bias))) }
}

/** Whether pairs of an own row and any row are positives: [rows, batch]. */
function belongs({ all, groups, rows }: WholeBatch): Tensor {
  const of = groups ?? arange(0, all.image.shape[0], 1, { device: all.image.device })
  return of.slice([rows]).unsqueeze(1).equal(of.unsqueeze(0))
}
