// The kernels that every device must have. All other operations are composed of these few primitives, or are fused kernels
// that must agree with such a composition. The functions of the reference device define the meaning of each name.

import type { DType } from './dtype.ts'
import type { binaryFunctions, comparisonFunctions, reductionFunctions, unaryFunctions } from './reference/functions.ts'
import type { Shape } from './shape.ts'
import type { Tensor } from './tensor.ts'

/** Functions of one operand, element by element. */
export type UnaryName = keyof typeof unaryFunctions
/** Functions of two operands that broadcast, element by element. */
export type BinaryName = keyof typeof binaryFunctions
/** Comparisons of two operands that broadcast, element by element. */
export type ComparisonName = keyof typeof comparisonFunctions
/** Functions that reduce all elements along some axes to one. */
export type ReductionName = keyof typeof reductionFunctions

/** A tensor, or a JavaScript number that is combined with every element. */
export type Operand = Tensor | number

/** Elements to add before and after each axis. */
export type Padding = readonly (readonly [before: number, after: number])[]

/**
 * Inputs are strided views; results are contiguous. The caller has checked shapes and promoted dtypes as described at each
 * kernel, so a kernel only computes. At least one operand of an elementwise kernel is a tensor.
 */
export interface Primitives {
  /** Elementwise on floating tensors; `neg`, `abs` and `sign` on int32 too. */
  unary(name: UnaryName, x: Tensor): Tensor
  /**
   * Elementwise with broadcasting. Both operands are converted to `dtype`, and the result is of this dtype: a number is rounded to
   * float32 before it is used. int32 is computed modulo 2³².
   */
  binary(name: BinaryName, x: Operand, y: Operand, dtype: DType): Tensor
  /** Elementwise with broadcasting, of both operands in the dtype in which they meet; the result is bool. */
  compare(name: ComparisonName, x: Operand, y: Operand): Tensor
  /** condition ≠ 0 ? x : y, elementwise with broadcasting of all three, as `dtype`; NaN is true. */
  where(condition: Tensor, x: Operand, y: Operand, dtype: DType): Tensor
  /** Reduces the axes and keeps them with size 1; the sum of no elements is 0, and that of int32 is modulo 2³². */
  reduce(name: ReductionName, x: Tensor, axes: readonly number[]): Tensor
  /** Position of the first largest element along an axis, which is kept with size 1; int32. NaN is the largest. */
  argmax(x: Tensor, axis: number): Tensor
  /**
   * The positions along an axis in the order of their elements, from the smallest, or from the largest if `descending`; int32 of
   * the shape of x. Equal elements stay in order, as 0 and -0 do. NaN is the largest.
   */
  argsort(x: Tensor, axis: number, descending: boolean): Tensor
  /**
   * [..., m, k] times [..., k, n] of one dtype, floating or int32, with leading axes of equal rank that broadcast; int32 is
   * computed modulo 2³².
   */
  matmul(a: Tensor, b: Tensor): Tensor
  /** The same values in row-major order, in new memory. */
  copy(x: Tensor): Tensor
  /** Converted: to int32 as JavaScript's `x | 0`, to bool as ≠ 0. */
  cast(x: Tensor, dtype: DType): Tensor
  /** out[…, i, …] = x[…, indices[…, i, …], …]: shapes agree except at the axis. indices int32. */
  gather(x: Tensor, axis: number, indices: Tensor): Tensor
  /** Zeros of `shape` with out[…, indices[…, i, …], …] += updates[…, i, …]. indices int32, of the shape of the updates, which are not bool. */
  scatterAdd(shape: Shape, axis: number, indices: Tensor, updates: Tensor): Tensor
  /** x with margins of a constant value. */
  pad(x: Tensor, padding: Padding, value: number): Tensor
  /** Tensors joined along an axis; they have one dtype and equal sizes on the other axes. */
  concat(xs: readonly Tensor[], axis: number): Tensor
}
