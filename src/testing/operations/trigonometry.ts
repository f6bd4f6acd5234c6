// Cases of trigonometric and hyperbolic functions, away from their poles and from the ends of their domains.

import * as ops from '../../autograd/index.ts'
import { binary, pairs, unary } from './elementwise.ts'

const inside = { domain: [-3 / 4, 3 / 4] } as const
const notZero = { awayFrom: [0] }

export const trigonometry = {
  tan: unary(ops.tan, { domain: [-1, 1] }),
  asin: unary(ops.asin, inside),
  acos: unary(ops.acos, inside),
  atan: unary(ops.atan),
  // the angle of a tensor with itself is constant: its differences are only rounding
  atan2: pairs(ops.atan2, notZero, {}),
  hypot: binary(ops.hypot, notZero),
  sinh: unary(ops.sinh),
  cosh: unary(ops.cosh),
  asinh: unary(ops.asinh),
  acosh: unary(ops.acosh, { domain: [5 / 4, 3] }),
  atanh: unary(ops.atanh, inside),
}
