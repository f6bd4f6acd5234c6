// How a primitive that works on each element becomes an operation: which dtype its operands take, and which the result has.

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
/** A function of pairs of elements; its result has the shape to which both broadcast. */
export type Binary = (x: Operand, y: Operand) => Tensor
type UnaryRule = (gradient: Tensor, result: Tensor, x: Tensor) => Tensor
type BinaryRule = (gradient: Tensor, result: Tensor, x: Operand, y: Operand) => readonly [() => Tensor, () => Tensor]

/** The dtype in which two operands meet: the wider one; a number adapts to its tensor. */
export function meet(x: Operand, y: Operand): DType {
  if (typeof x === 'number') return typeof y === 'number' ? 'float32' : promoteScalar(y.dtype, x)
  return typeof y === 'number' ? promoteScalar(x.dtype, y) : promote(x.dtype, y.dtype)
}

const keepsIntegers = new Set<string>(['neg', 'abs', 'sign'])

/** A primitive of one operand and the rule of its gradient as an operation. */
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

/** What an operation makes of operands that meet in a dtype: a quotient is no integer, a sum of truths is a count. */
function resultOf(name: BinaryName, dtype: DType): DType {
  if (name === 'div') return floating(dtype)
  return dtype === 'bool' && (name === 'add' || name === 'sub' || name === 'pow') ? 'int32' : dtype
}

/** A primitive of two operands and the rule of its gradients as an operation. */
export const binary = (name: BinaryName, rule: BinaryRule) =>
  takes(
    `x.${name}(y)`,
    [is.operand, is.operand],
    defineOp(name, (k, x: Operand, y: Operand) => k.binary(name, x, y, resultOf(name, meet(x, y))), rule),
  )

/** A primitive that compares as an operation, which has no gradient. */
export const comparison = (name: ComparisonName) =>
  takes(
    `x.${name}(y)`,
    [is.operand, is.operand],
    defineOp(name, (k, x: Operand, y: Operand) => k.compare(name, x, y)),
  )
