// Optional kernels, for operations that a device can compute faster than by its primitives.

import type { MomentFormat, PackedMoment } from './moments.ts'
import type { Padding } from './primitives.ts'
import type { Shape } from './shape.ts'
import type { Tensor } from './tensor.ts'

/**
 * Kernels that a device may have. Each is defined by other operations and must agree with its definition: those of `linear`,
 * GELU, softmax, normalization, attention, convolution, pooling and topk in autograd/ops/, with `defineFused`; those of gradients and parameters where
 * they are called, in autograd/gradients.ts and in optim/. A kernel that does not support its arguments (such as a gradient of
 * another shape) returns undefined, and the definition runs.
 */
export interface FusedKernels {
  /** exp(x - max) / sum over the last axis. */
  softmax(x: Tensor): Tensor | undefined
  /** y (g - sum(g y)) over the last axis, for y = softmax(x). */
  softmaxGradient(g: Tensor, y: Tensor): Tensor | undefined
  /** x - logSumExp(x) over the last axis. */
  logSoftmax(x: Tensor): Tensor | undefined
  /** g - exp(y) sum(g) over the last axis, for y = logSoftmax(x). */
  logSoftmaxGradient(g: Tensor, y: Tensor): Tensor | undefined
  /** (x - mean) / sqrt(variance + epsilon) over the last axis; scale and shift are applied by the caller. */
  standardize(x: Tensor, epsilon: number): Tensor | undefined
  /** Gradient of standardize, from x. */
  standardizeGradient(g: Tensor, x: Tensor, epsilon: number): Tensor | undefined
  /** x / max(‖x‖, epsilon) over the last axis. */
  normalize(x: Tensor, epsilon: number): Tensor | undefined
  /** Gradient of normalize, from x. */
  normalizeGradient(g: Tensor, x: Tensor, epsilon: number): Tensor | undefined
  /** x Φ(x). */
  gelu(x: Tensor): Tensor | undefined
  /** g (Φ(x) + x φ(x)). */
  geluGradient(g: Tensor, x: Tensor): Tensor | undefined
  /** x weightᵀ + bias: [..., in], [out, in], [out] → [..., out] */
  linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor | undefined
  /** Gradients of weight and bias, gᵀ x and the sum of g over its rows: g [rows, out], x [rows, in] → [out, in], [out] */
  linearGradient(g: Tensor, x: Tensor): readonly [weight: Tensor, bias: Tensor] | undefined
  /** weight (x - mean) / sqrt(variance + epsilon) + bias over the last axis; weight and bias [n]. */
  layerNorm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: number): Tensor | undefined
  /** Gradients of x, weight and bias. */
  layerNormGradient(
    g: Tensor,
    x: Tensor,
    weight: Tensor,
    epsilon: number,
  ): readonly [x: Tensor, weight: Tensor, bias: Tensor] | undefined
  /** softmax(q kᵀ scale) v over the keys that a query may attend to. */
  attention(input: AttentionInput): Tensor | undefined
  /**
   * Gradients of q, k and v, one after the other in a tensor of one axis, each laid out as [batch, tokens, heads, width] for
   * the whole broadcast stack [batch, heads].
   */
  attentionGradient(g: Tensor, input: AttentionInput): Tensor | undefined
  /** log Σ eˣ - x[id] over the last axis: [..., n], ids int32 [...] → [...]. Throws IndexError. */
  negativeLogLikelihood(x: Tensor, ids: Tensor): Tensor | undefined
  /** g (softmax(x) - oneHot(id)): g [...] → [..., n] */
  negativeLogLikelihoodGradient(g: Tensor, x: Tensor, ids: Tensor): Tensor | undefined
  /** x [batch, inputs, sizes…], weight [outputs, inputs / groups, kernel…] → [batch, outputs, counts…] */
  convolution(x: Tensor, weight: Tensor, counts: Shape, steps: ConvolutionSteps): Tensor | undefined
  /** The derivative of a convolution by x: g [batch, outputs, counts…] → [batch, inputs, sizes…] */
  convolutionTransposed(g: Tensor, weight: Tensor, sizes: Shape, steps: ConvolutionSteps): Tensor | undefined
  /** The derivative by the weight: x, g [batch, outputs, counts…] → [outputs, inputs / groups, kernel…] */
  convolutionByWeight(x: Tensor, g: Tensor, kernel: Shape, steps: ConvolutionSteps): Tensor | undefined
  /** The first largest element of every window: [batch, channels, sizes…] → [batch, channels, counts…] */
  maxPool(x: Tensor, counts: Shape, steps: PoolSteps): Tensor | undefined
  /** The gradient of maxPool: g [batch, channels, counts…] → that of x, where the windows overlap their sum. */
  maxPoolGradient(g: Tensor, x: Tensor, steps: PoolSteps): Tensor | undefined
  /** The first `count` positions of `argsort`, from the largest element or from the smallest. */
  topk(x: Tensor, axis: number, count: number, largest: boolean): Tensor | undefined
  /** weight (x - mean) / sqrt(variance + epsilon) + bias over all axes but the second, of which weight and bias [n] are. */
  batchNorm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: number): Tensor | undefined
  /** Gradients of x, weight and bias. */
  batchNormGradient(
    g: Tensor,
    x: Tensor,
    weight: Tensor,
    epsilon: number,
  ): readonly [x: Tensor, weight: Tensor, bias: Tensor] | undefined
  /** Σ x² over all elements of all tensors, a scalar. */
  sumOfSquares(xs: readonly Tensor[]): Tensor | undefined
  /**
   * x ← factor x in place, for float32 tensors that fill their memory; 0 for a factor of 0. The factor is a scalar tensor on a device
   * that cannot be read synchronously. Returns undefined if not supported.
   */
  scaleInPlace(xs: readonly Tensor[], factor: number | Tensor): true | undefined
  /** target += x in place, for float32 tensors of one shape; undefined if not supported. */
  accumulate(target: Tensor, x: Tensor): true | undefined
  /** One step of AdamW, which optim/adamw.ts defines: a new value and new moments, all of one shape and dtype. */
  adamw(x: Tensor, g: Tensor, moments: Moments, numbers: AdamWNumbers): (Moments & { value: Tensor }) | undefined
  /** The same for many parameters at once, in place; undefined if not supported. */
  adamwInPlace(updates: readonly AdamWUpdate[]): true | undefined
  /** The same with moments in a few bits, which moments.ts defines. */
  adamwPackedInPlace(updates: readonly PackedAdamWUpdate[]): true | undefined
  /** A float32 tensor in a few bits, rounded stochastically by a seed, int32 [words]: moments.ts defines it. */
  packMoments(x: Tensor, format: MomentFormat, seed: number): Tensor | undefined
  /** The float32 tensor that words stand for. */
  unpackMoments(packed: PackedMoment): Tensor | undefined
}

/** How the windows over spatial axes lie, one entry for each axis. */
export interface WindowSteps {
  readonly stride: readonly number[]
  /** distance of neighbours in a window */
  readonly dilation: readonly number[]
  /** what is added before and after each axis: zeros, or -∞ where the largest is taken */
  readonly padding: Padding
}

/** The windows of a convolution. */
export interface ConvolutionSteps extends WindowSteps {
  /** parts of the channels that are convolved by themselves */
  readonly groups: number
}

/** The windows of a pooling. */
export interface PoolSteps extends WindowSteps {
  /** sizes of a window */
  readonly kernel: readonly number[]
}

/** The inputs of attention; scores are multiplied by `scale`. */
export interface AttentionInput {
  /** [..., queries, width] */
  readonly q: Tensor
  /** [..., keys, width] */
  readonly k: Tensor
  /** [..., keys, size] */
  readonly v: Tensor
  /** bool, broadcasting to [..., queries, keys]: true where a query may attend to a key */
  readonly mask?: Tensor
  /** a query attends to keys up to its own position; the last query is at the position of the last key */
  readonly causal: boolean
  /** factor of the scores q kᵀ */
  readonly scale: number
}

/** The update of one parameter in a step of AdamW. */
export interface AdamWUpdate extends Moments {
  /** the parameter */
  readonly value: Tensor
  /** of its shape */
  readonly gradient: Tensor
  /** the numbers of this step */
  readonly numbers: AdamWNumbers
}

/** The update of one parameter, with moments in a few bits. */
export interface PackedAdamWUpdate {
  /** the parameter */
  readonly value: Tensor
  /** of its shape */
  readonly gradient: Tensor
  /** m, before the step */
  readonly firstMoment: PackedMoment
  /** v, before the step */
  readonly secondMoment: PackedMoment
  /** the numbers of this step */
  readonly numbers: AdamWNumbers
}

/** The state of Adam for one parameter. */
export interface Moments {
  /** m, the running mean of the gradient */
  readonly firstMoment: Tensor
  /** v, the running mean of its square */
  readonly secondMoment: Tensor
}

/** The numbers of one step: x ← kept x - rate m / (√v / deviation + epsilon) with the new moments m and v. */
export interface AdamWNumbers {
  /** β₁, the share of the old m that a step keeps */
  readonly beta1: number
  /** β₂, the share of the old v that a step keeps */
  readonly beta2: number
  /** ε of the formula */
  readonly epsilon: number
  /** factor that weight decay leaves of the value */
  readonly kept: number
  /** the learning rate over 1 - β₁ᵗ */
  readonly rate: number
  /** √(1 - β₂ᵗ) */
  readonly deviation: number
}
