// Defines operations from primitives that work on each element, with the dtypes of operands and results.

import { takes } from '../../tensor/arguments.ts'
import { INT32, meet } from '../../tensor/dtype.ts'
import {
  type BinaryName,
  broadcastShapes,
  type ComparisonName,
  type Device,
  type DType,
  floating,
  full,
  isFloating,
  type Operand,
  type Tensor,
  type UnaryName,
} from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { commonDevice } from '../checks.ts'
import { asFloating, defineOp } from '../op.ts'

/** A function of each element; its result has the shape of x. */
export type Unary = (x: Tensor) => Tensor
/** A function of pairs of elements; its result has the shape that both broadcast to. */
export type Binary = (x: Operand, y: Operand) => Tensor
type UnaryRule = (gradient: Tensor, result: Tensor, x: Tensor) => Tensor
type BinaryRule = (gradient: Tensor, result: Tensor, x: Operand, y: Operand) => readonly [() => Tensor, () => Tensor]

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
      'broadcast',
      'elementwise',
    ),
  )

/** The dtype of a result from that of the operands: a quotient of integers is floating, a sum of bools is an integer. */
function resultOf(name: BinaryName, dtype: DType): DType {
  if (name === 'div') return floating(dtype)
  return dtype === 'bool' && ['add', 'sub', 'pow', 'fmod'].includes(name) ? 'int32' : dtype
}

/** Makes an operation of a primitive of two operands and its gradient rule. */
export const binary = (name: BinaryName, rule: BinaryRule) =>
  takes(
    `x.${name}(y)`,
    [is.operand, is.operand],
    defineOp(
      name,
      (k, x: Operand, y: Operand) => k.binary(name, x, y, resultOf(name, meet(x, y))),
      rule,
      'broadcast',
      'elementwise',
    ),
  )

/** A tensor in its own dtype if that is floating, else as float32; as `asFloating`, with gradients. */
export const asFloats = (x: Tensor): Tensor => (isFloating(x.dtype) ? x : x.cast(floating(x.dtype)))

/**
 * Checks that operands of a composed operation meet, in the name of the operation.
 * @throws TypeError if both are numbers, ShapeError if the shapes do not broadcast
 */
export function checkMeeting(name: string, x: Operand, y: Operand): Device {
  const device = commonDevice(name, [x, y])
  if (typeof x !== 'number' && typeof y !== 'number') broadcastShapes(name, x.shape, y.shape)
  return device
}

/**
 * Two operands as tensors of the floating dtype in which they meet.
 * @throws as checkMeeting does
 */
export function bothFloating(name: string, x: Operand, y: Operand): [Tensor, Tensor] {
  const { name: device } = checkMeeting(name, x, y)
  const dtype = floating(meet(x, y))
  const asTensor = (z: Operand) => {
    if (typeof z === 'number') return full([], z, { dtype, device })
    return z.dtype === dtype ? z : z.cast(dtype)
  }
  return [asTensor(x), asTensor(y)]
}

/** Zeros of the shape of a gradient, for the rule of a function that is constant between its jumps. */
export const noSlope = (g: Tensor): Tensor => full([], 0, { dtype: g.dtype, device: g.device }).expand(g.shape)

/** Makes an operation of a comparison, which has no gradient. */
export const comparison = (name: ComparisonName) =>
  takes(
    `x.${name}(y)`,
    [is.operand, is.operand],
    defineOp(
      name,
      (k, x: Operand, y: Operand) => {
        if (typeof y === 'number' && typeof x !== 'number' && !isFloating(x.dtype)) {
          const whole = asWhole(name, y)
          return k.compare(whole.name, x, whole.limit)
        }
        if (typeof x === 'number' && typeof y !== 'number' && !isFloating(y.dtype)) {
          const whole = asWhole(turned[name], x)
          return k.compare(whole.name, y, whole.limit)
        }
        return k.compare(name, x, y)
      },
      undefined,
      'broadcast',
    ),
  )

/** x < y is y > x. */
const turned: Record<ComparisonName, ComparisonName> = {
  equal: 'equal',
  notEqual: 'notEqual',
  greater: 'less',
  greaterEqual: 'lessEqual',
  less: 'greater',
  lessEqual: 'greaterEqual',
}

/** For integers on the left, a comparison with any number as one with a number of int32 that has the same result. */
function asWhole(name: ComparisonName, limit: number): { readonly name: ComparisonName; readonly limit: number } {
  const always = { name: 'lessEqual', limit: INT32.max } as const
  const never = { name: 'greater', limit: INT32.max } as const
  if (Number.isNaN(limit)) return name === 'notEqual' ? always : never
  if (limit > INT32.max) return name === 'less' || name === 'lessEqual' || name === 'notEqual' ? always : never
  if (limit < INT32.min) return name === 'greater' || name === 'greaterEqual' || name === 'notEqual' ? always : never
  if (Number.isInteger(limit)) return { name, limit }
  if (name === 'equal') return never
  if (name === 'notEqual') return always
  return { name, limit: name === 'greater' || name === 'lessEqual' ? Math.floor(limit) : Math.ceil(limit) }
}
