// The three losses of natural-language supervision (CoCa, section 3.1), and SigLIP's, which compares each pair alone. The reduction is an argument of every loss: the
// weights between losses have a meaning only together with it.

import { concat, crossEntropy, type Reduction, where } from '../autograd/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { arange, full, ShapeError, sameShape, show, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'

/** Options of `classificationLoss`. */
export interface ClassificationOptions {
  /** over the batch; default mean */
  readonly reduction?: Reduction
  /** share of the target spread evenly over all classes; default 0 */
  readonly smoothing?: number
}
const classificationOptions = {
  reduction: is.choice('mean', 'sum', 'none'),
  smoothing: 0,
} satisfies Settings<ClassificationOptions>

/**
 * L_Cls = -p(y) log q(x) (equation 1), q = softmax(logits).
 * @param logits [batch, classes]
 * @param targets class ids int32 [batch], or p(y) [batch, classes]: one-hot, or multi-hot, which is divided by its sum;
 *   a row of zeros has no target, and its loss is 0
 */
export function classificationLoss(logits: Tensor, targets: Tensor, options?: ClassificationOptions): Tensor {
  const call = 'classificationLoss(logits, targets, options)'
  checkArguments(call, [is.tensor, is.indices], [logits, targets])
  const settled = settle(call, options, classificationOptions)
  if (targets.rank !== logits.rank) return crossEntropy(logits, targets, settled)
  const p = targets.cast(logits.dtype)
  const total = p.sum({ axis: -1, keepDims: true })
  return crossEntropy(logits, p.div(where(total.equal(0), 1, total)), settled)
}

/** Options of `contrastiveLoss`. */
export interface ContrastiveOptions {
  /** reduction over the two directions: their sum, as in the paper (equation 2), or their mean, as in CLIP */
  readonly reduction: 'sum' | 'mean'
  /** int32 [batch]: pairs with the same number are positives of each other (for example, a caption that occurs twice in a batch) */
  readonly groups?: Tensor
}
const contrastiveOptions = {
  reduction: is.oneOf('sum', 'mean'),
  groups: is.optional(is.indices),
} satisfies Settings<ContrastiveOptions>

/**
 * L_Con: cross-entropy of every image against all texts, and of every text against all images, each a mean over the batch.
 * @param image embeddings of unit length, [batch, width]
 * @param text embeddings of unit length, [batch, width]; row i belongs to image i
 * @param scale 1 / temperature, a scalar
 */
export function contrastiveLoss(
  image: Tensor,
  text: Tensor,
  scale: Tensor | number,
  options: ContrastiveOptions,
): Tensor {
  const call = 'contrastiveLoss(image, text, scale, options)'
  checkArguments(call, [is.tensor, is.tensor, is.operand], [image, text, scale])
  const { groups, reduction } = settle(call, options, contrastiveOptions)
  checkPairs('contrastiveLoss', image, text)
  const [batch] = image.shape
  const logits = image.matmul(text.transpose()).mul(scale) // [image, text]
  const target = groups ? groups.unsqueeze(1).equal(groups.unsqueeze(0)) : arange(0, batch, 1, { device: image.device })
  const total = classificationLoss(logits, target).add(classificationLoss(logits.transpose(), target))
  return reduction === 'sum' ? total : total.mul(0.5)
}

function checkPairs(call: string, image: Tensor, text: Tensor): void {
  if (!sameShape(image.shape, text.shape) || image.rank !== 2)
    throw new ShapeError(
      `${call}: images ${show(image.shape)} and texts ${show(text.shape)} must both be [batch, width]`,
      image.shape,
      text.shape,
    )
}

/** Options of `sigmoidContrastiveLoss`. */
export interface SigmoidContrastiveOptions {
  /** int32 [batch]: pairs with the same number are positives of each other */
  readonly groups?: Tensor
}
const sigmoidContrastiveOptions = { groups: is.optional(is.indices) } satisfies Settings<SigmoidContrastiveOptions>

/**
 * SigLIP's loss (Zhai et al. 2023, arXiv 2303.15343): -1/n Σ_ij log σ(z_ij (scale · x_i·y_j + bias)), z_ij = 1 if text j belongs to image
 * i and -1 otherwise. n is the number of images, not of pairs.
 * @param image embeddings of unit length, [batch, width]
 * @param text embeddings of unit length, [batch, width]; row i belongs to image i
 * @param scale 1 / temperature, a scalar
 * @param bias a scalar; because most pairs do not belong together, it begins at -10 in the paper
 * @throws ShapeError if the embeddings are not pairs
 */
export function sigmoidContrastiveLoss(
  image: Tensor,
  text: Tensor,
  scale: Tensor | number,
  bias: Tensor | number,
  options?: SigmoidContrastiveOptions,
): Tensor {
  const call = 'sigmoidContrastiveLoss(image, text, scale, bias, options)'
  checkArguments(call, [is.tensor, is.tensor, is.operand, is.operand], [image, text, scale, bias])
  const { groups } = settle(call, options, sigmoidContrastiveOptions)
  checkPairs('sigmoidContrastiveLoss', image, text)
  const [batch] = image.shape
  const logits = image.matmul(text.transpose()).mul(scale).add(bias) // [image, text]
  const of = groups ?? arange(0, batch, 1, { device: image.device })
  const belongs = of.unsqueeze(1).equal(of.unsqueeze(0))
  // -log σ(z x) = softplus(-z x)
  return where(belongs, logits.neg(), logits).softplus().sum().div(batch)
}

/** Options of `captioningLoss`. */
export interface CaptioningOptions {
  /** sum over a caption's tokens, mean over captions, as in the paper (equation 3); or mean over all tokens of the batch */
  readonly reduction: 'sum' | 'mean'
  /** id of padding, which is ignored as a target */
  readonly ignore?: number
}
const captioningOptions = {
  reduction: is.oneOf('sum', 'mean'),
  // no id
  ignore: -1,
} satisfies Settings<CaptioningOptions>

/**
 * L_Cap = -Σ_t log p(y_t | y_<t, x): the logits at position t predict token t + 1.
 * @param logits [batch, tokens, vocabulary]
 * @param tokens int32 [batch, tokens], the ids of the input, not shifted: this function shifts them
 */
export function captioningLoss(logits: Tensor, tokens: Tensor, options: CaptioningOptions): Tensor {
  const call = 'captioningLoss(logits, tokens, options)'
  checkArguments(call, [is.tensor, is.indices], [logits, tokens])
  const { reduction, ignore } = settle(call, options, captioningOptions)
  if (logits.rank !== 3 || !sameShape(logits.shape.slice(0, 2), tokens.shape))
    throw new ShapeError(
      `captioningLoss: logits ${show(logits.shape)} must be [batch, tokens, vocabulary] for tokens ${show(tokens.shape)}`,
      logits.shape,
      tokens.shape,
    )
  const [batch] = tokens.shape
  // the last position predicts nothing: ignoring its target is cheaper than slicing the logits
  const nothing = full([batch, 1], ignore, { dtype: 'int32', device: tokens.device })
  const targets = concat([tokens.slice([{}, { start: 1 }]), nothing], 1)
  const loss = crossEntropy(logits, targets, { ignore, reduction })
  return reduction === 'sum' ? loss.div(batch) : loss
}
