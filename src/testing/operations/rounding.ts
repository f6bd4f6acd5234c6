// Cases of rounding and of remainders, away from their jumps and, for values alone, at them.

import * as ops from '../../autograd/index.ts'
import type { Operand, Tensor } from '../../tensor/index.ts'
import { broadcastShapes, shape } from '../arbitraries/shapes.ts'
import { alone, drawn, only } from './case.ts'
import { smooth } from './elementwise.ts'

const one = alone(shape())
const two = only(broadcastShapes(2))
const valueOnly = { order: 0 } as const

const rounding = (f: (x: Tensor) => Tensor, jumps: readonly number[]) => ({
  'between the jumps': drawn(one, { awayFrom: jumps }, (_, x) => f(x), smooth),
  'at the jumps too': drawn(one, {}, (_, x) => f(x), valueOnly),
  'of whole numbers': drawn(one, { dtype: 'int32', domain: [-9, 9] }, (_, x) => f(x), { order: 0, result: 'int32' }),
})

const whole = [-2, -1, 0, 1, 2]
const halves = [-1.5, -0.5, 0.5, 1.5]

/** 1/4 or more away from 0 */
const divisor = { awayFrom: [-1 / 8, 0, 1 / 8] }
/** added to the dividend, so that no quotient is whole */
const between = 1 / 16
const integers = { dtype: 'int32', domain: [-9, 9] } as const

const remainder = (f: (x: Operand, y: Operand) => Tensor) => ({
  'two tensors': drawn(two, [{}, divisor], (_, x, y) => f(x.add(between), y), smooth),
  'a number on the right': drawn(one, {}, (_, x) => f(x.add(between), 1.5), smooth),
  'a negative number on the right': drawn(one, {}, (_, x) => f(x.add(between), -0.75), smooth),
  'a number on the left': drawn(one, divisor, (_, y) => f(1.5 + between, y), smooth),
  'where the quotient is whole too': drawn(two, [{}, divisor], (_, x, y) => f(x, y), valueOnly),
  'whole numbers': drawn(two, integers, (_, x, y) => f(x, y), { order: 0, result: 'int32' }),
})

export const roundings = {
  floor: rounding(ops.floor, whole),
  ceil: rounding(ops.ceil, whole),
  trunc: rounding(ops.trunc, whole),
  round: rounding(ops.round, halves),
  fmod: remainder(ops.fmod),
  remainder: remainder(ops.remainder),
}
