// Defines operations from primitives that work on each element, with the dtypes of operands and results.

import { takes } from '../../tensor/arguments.ts'
import {
  type BinaryName,
  type ComparisonName,
  type DType,
  floating,
  type Operand,
  promote,
  promoteScalar,
  type Tensor,
  type UnaryName,
} from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { asFloating, defineOp } from '../op.ts'

/** A function of each element; its result has the shape of x. */
export type Unary = (x: Tensor) => Tensor
/** A function of pairs of elements; its result has the shape that both broadcast to. */
export type Binary = (x: Operand, y: Operand) => Tensor
type UnaryRule = (gradient: Tensor, result: Tensor, x: Tensor) => Tensor
type BinaryRule = (gradient: Tensor, result: Tensor, x: Operand, y: Operand) => readonly [() => Tensor, () => Tensor]

/** The common dtype of two operands: the wider one; a number adapts to the tensor. */
export function meet(x: Operand, y: Operand): DType {
  if (typeof x === 'number') return typeof y === 'number' ? 'float32' : promoteScalar(y.dtype, x)
  return typeof y === 'number' ? promoteScalar(x.dtype, y) : promote(x.dtype, y.dtype)
}

const keepsIntegers = new Set<string>(['neg', 'abs', 'sign'])

/** Makes an operation of a primitive of one operand and its gradient rule. */
export const unary = (name: UnaryName, rule: UnaryRule) =>
  takes<Unary>(
    `x.${name}()`,
    [is.tensor],
    defineOp(
      name,
      (k, x: Tensor) => k.unary(name, keepsIntegers.has(name) && x.dtype === 'int32' ? x : asFloating(k, x)),
      (g, out, x) => [() => rule(g, out, x)],
    ),
  )

/** The dtype of a result from that of the operands: a quotient of integers is floating, a sum of bools is an integer. */
function resultOf(name: BinaryName, dtype: DType): DType {
  if (name === 'div') return floating(dtype)
  return dtype === 'bool' && (name === 'add' || name === 'sub' || name === 'pow') ? 'int32' : dtype
}

/** Makes an operation of a primitive of two operands and its gradient rule. */
export const binary = (name: BinaryName, rule: BinaryRule) =>
  takes(
    `x.${name}(y)`,
    [is.operand, is.operand],
    defineOp(name, (k, x: Operand, y: Operand) => k.binary(name, x, y, resultOf(name, meet(x, y))), rule),
  )

/** Makes an operation of a comparison, which has no gradient. */
export const comparison = (name: ComparisonName) =>
  takes(
    `x.${name}(y)`,
    [is.operand, is.operand],
    defineOp(name, (k, x: Operand, y: Operand) => k.compare(name, x, y)),
  )
