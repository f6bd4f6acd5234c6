// Records of trigonometric and hyperbolic functions.

import * as ops from '../../../src/autograd/index.ts'
import { binary, pairs, refusesOf, unary } from './elementwise.ts'
import { type OperationRecord, record } from './record.ts'

export const trigonometry: readonly OperationRecord[] = [
  record('tan', unary(Math.tan)),
  record('asin', unary(Math.asin)),
  record('acos', unary(Math.acos)),
  record(
    'atan',
    unary(x => Math.asin(x / Math.sqrt(1 + x * x))),
  ),
  record('atan2', pairs(Math.atan2), refusesOf('atan2', ops.atan2)),
  record(
    'hypot',
    binary((x, y) => Math.sqrt(x * x + y * y)),
    refusesOf('hypot', ops.hypot),
  ),
  record(
    'sinh',
    unary(x => (Math.exp(x) - Math.exp(-x)) / 2),
  ),
  record(
    'cosh',
    unary(x => (Math.exp(x) + Math.exp(-x)) / 2),
  ),
  record(
    'asinh',
    unary(x => Math.log(x + Math.sqrt(x * x + 1))),
  ),
  record(
    'acosh',
    unary(x => Math.log(x + Math.sqrt(x * x - 1))),
  ),
  record(
    'atanh',
    unary(x => Math.log((1 + x) / (1 - x)) / 2),
  ),
]
