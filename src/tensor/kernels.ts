// What a device must be able to do. The primitives are few; everything else is made of them, or is a fused kernel that
// must agree with what it is made of.

import type { DType } from './dtype.ts'
import type { Shape } from './shape.ts'
import type { Memory } from './storage.ts'
import type { Tensor } from './tensor.ts'

export type UnaryName =
  | 'neg'
  | 'abs'
  | 'sign'
  | 'exp'
  | 'expm1'
  | 'log'
  | 'log1p'
  | 'sqrt'
  | 'rsqrt'
  | 'sin'
  | 'cos'
  | 'tanh'
  | 'sigmoid'
  | 'erf'

export type BinaryName = 'add' | 'sub' | 'mul' | 'div' | 'pow' | 'maximum' | 'minimum'
export type ComparisonName = 'equal' | 'notEqual' | 'greater' | 'greaterEqual' | 'less' | 'lessEqual'
export type ReductionName = 'sum' | 'max' | 'min'

/** A tensor, or a JavaScript number that meets every element. */
export type Operand = Tensor | number

/** Elements to add before and after each axis. */
export type Padding = readonly (readonly [before: number, after: number])[]

/**
 * Inputs are strided views; results are contiguous. Shapes and dtypes have been checked and promoted by the caller as
 * each line says, so a kernel only computes. At least one operand of an elementwise kernel is a tensor.
 */
export interface Primitives {
  /** Elementwise on floating tensors; `neg`, `abs` and `sign` on int32 too. */
  unary(name: UnaryName, x: Tensor): Tensor
  /** Elementwise with broadcasting, computed in and returned as `dtype`. */
  binary(name: BinaryName, x: Operand, y: Operand, dtype: DType): Tensor
  /** Elementwise with broadcasting; the result is bool. */
  compare(name: ComparisonName, x: Operand, y: Operand): Tensor
  /** condition ? x : y, elementwise with broadcasting of all three, as `dtype`. */
  where(condition: Tensor, x: Operand, y: Operand, dtype: DType): Tensor
  /** Over the axes, which stay as axes of size one; the sum of nothing is 0. */
  reduce(name: ReductionName, x: Tensor, axes: readonly number[]): Tensor
  /** Position of the first largest element along an axis, which stays with size one; int32. NaN is the largest. */
  argmax(x: Tensor, axis: number): Tensor
  /** [..., m, k] times [..., k, n] of one dtype, with leading axes of equal rank that broadcast. */
  matmul(a: Tensor, b: Tensor): Tensor
  /** The same values in row-major order, in new memory. */
  copy(x: Tensor): Tensor
  /** Converted: to int32 truncating, to bool as ≠ 0. */
  cast(x: Tensor, dtype: DType): Tensor
  /** out[…, i, …] = x[…, indices[…, i, …], …]: shapes agree except at the axis. indices int32. */
  gather(x: Tensor, axis: number, indices: Tensor): Tensor
  /** Zeros of `shape` with out[…, indices[…, i, …], …] += updates[…, i, …]. indices int32, shaped like updates, which are no bool. */
  scatterAdd(shape: Shape, axis: number, indices: Tensor, updates: Tensor): Tensor
  /** Surrounded by a constant. */
  pad(x: Tensor, padding: Padding, value: number): Tensor
  /** Joined along an axis; one dtype, equal shapes elsewhere. */
  concat(xs: readonly Tensor[], axis: number): Tensor
}

/**
 * Kernels that a device may have. Each is defined by an operation of the same name in autograd/ops/fused.ts and must
 * agree with it; one that cannot take these arguments (a gradient of another shape, say) returns undefined, and the
 * definition runs.
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
  /** x Φ(x). */
  gelu(x: Tensor): Tensor | undefined
  /** g (Φ(x) + x φ(x)). */
  geluGradient(g: Tensor, x: Tensor): Tensor | undefined
  /** x weightᵀ + bias: [..., in], [out, in], [out] → [..., out] */
  linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor | undefined
  /** weight (x - mean) / sqrt(variance + epsilon) + bias over the last axis; weight and bias [n]. */
  layerNorm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: number): Tensor | undefined
  /** Gradients of x, weight and bias, one after the other in a tensor of one axis. */
  layerNormGradient(g: Tensor, x: Tensor, weight: Tensor, epsilon: number): Tensor | undefined
  /** softmax(q kᵀ scale) v over the keys that a query may see. */
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
  /** Σ x² over all elements of all tensors, a scalar. */
  sumOfSquares(xs: readonly Tensor[]): Tensor | undefined
  /** x ← factor x in the own memory of float32 tensors that are all of theirs, 0 for a factor of 0; undefined where it cannot. */
  scaleInPlace(xs: readonly Tensor[], factor: number): true | undefined
  /** target += x, in the target's own memory, for float32 of one shape; undefined where it cannot. */
  accumulate(target: Tensor, x: Tensor): true | undefined
  /** One step of AdamW, which optim/adamw.ts defines: a new value and new moments, all of one shape and dtype. */
  adamw(x: Tensor, g: Tensor, moments: Moments, numbers: AdamWNumbers): (Moments & { value: Tensor }) | undefined
  /** The same for many parameters at once, in the memory of their values and moments; undefined where it cannot. */
  adamwInPlace(updates: readonly AdamWUpdate[]): true | undefined
}

/** What attention is computed of; scores are multiplied by `scale`. */
export interface AttentionInput {
  /** [..., queries, width] */
  readonly q: Tensor
  /** [..., keys, width] */
  readonly k: Tensor
  /** [..., keys, size] */
  readonly v: Tensor
  /** bool, broadcasting to [..., queries, keys]: true where a query may see a key */
  readonly mask?: Tensor
  /** a query sees keys up to its own place, the last query being at the last key */
  readonly causal: boolean
  readonly scale: number
}

/** One parameter's part in a step of AdamW. */
export interface AdamWUpdate extends Moments {
  readonly value: Tensor
  readonly gradient: Tensor
  readonly numbers: AdamWNumbers
}

/** What Adam remembers of a parameter. */
export interface Moments {
  readonly firstMoment: Tensor
  readonly secondMoment: Tensor
}

/** The numbers of one step: x ← kept x - rate m / (√v / deviation + epsilon) with the new moments m and v. */
export interface AdamWNumbers {
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  /** what weight decay leaves */
  readonly kept: number
  /** the learning rate over 1 - β₁ᵗ */
  readonly rate: number
  /** √(1 - β₂ᵗ) */
  readonly deviation: number
}

export type Kernels = Primitives & Partial<FusedKernels>

/** Bytes and buffers that are alive on a device. */
export interface MemoryUse {
  readonly bytes: number
  readonly buffers: number
}

/** Where tensors live and are computed. */
export interface Device extends Memory {
  /** What really runs, for people: backend, adapter, version. */
  readonly description: string
  readonly dtypes: readonly DType[]
  readonly kernels: Kernels
  memory(): MemoryUse
  /** bytes that it could have in use at most, where that is known */
  readonly memoryLimit?: number
}

/** The device of a tensor. Storage knows only its memory; every memory is part of a device. */
export const deviceOf = (x: Tensor): Device => x.storage.device as Device
