// Records of the activation functions.

import * as ops from '../../../src/autograd/index.ts'
import { AxisError, ShapeError, zeros } from '../../../src/tensor/index.ts'
import type { Refusal } from '../../../src/testing/index.ts'
import { erfSeries, make, type Plain, read } from '../plain.ts'
import { each, unary } from './elementwise.ts'
import { type OperationRecord, record } from './record.ts'

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))

const halved =
  (f: (a: number, b: number) => number) =>
  (axis: number, x: Plain): Plain => {
    const own = (axis + x.shape.length) % x.shape.length
    const n = x.shape[own] / 2
    return make(x.shape.with(own, n), at => f(read(x, at), read(x, at.with(own, at[own] + n))))
  }

const refusesOdd = (name: string, f: typeof ops.glu): readonly Refusal[] => [
  [() => f(zeros([2, 3])), ShapeError, `${name}: axis -1 of [2, 3] cannot be halved: 3 is odd`],
  [() => f(zeros([2, 4]), { axis: 2 }), AxisError, `${name}: [2, 4] has no axis 2`],
]

export const activation: readonly OperationRecord[] = [
  record('sigmoid', unary(sigmoid)),
  record(
    'relu',
    unary(x => Math.max(x, 0)),
  ),
  record(
    'softplus',
    unary(x => Math.log(1 + Math.exp(x))),
  ),
  record(
    'silu',
    unary(x => x * sigmoid(x)),
  ),
  record(
    'quickGelu',
    unary(x => x * sigmoid(1.702 * x)),
  ),
  record('gelu', {
    exact: each(x => (x * (1 + erfSeries(x / Math.sqrt(2)))) / 2),
    'approximated by tanh': each(x => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))),
  }),
  record(
    'logSigmoid',
    unary(x => Math.log(sigmoid(x))),
  ),
  record('leakyRelu', {
    'with a hundredth': each(x => Math.max(x, 0.01 * x)),
    'with a slope': each(x => Math.max(x, 0.3 * x)),
  }),
  record('elu', {
    'with 1': each(x => (x > 0 ? x : Math.exp(x) - 1)),
    'with a factor': each(x => (x > 0 ? x : 0.7 * (Math.exp(x) - 1))),
  }),
  record(
    'selu',
    unary(x => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * (Math.exp(x) - 1))),
  ),
  record(
    'mish',
    unary(x => x * Math.tanh(Math.log(1 + Math.exp(x)))),
  ),
  // of 3 x: its kinks are at 1 and -1
  record(
    'hardswish',
    unary(x => (3 * x * Math.min(Math.max(3 * x + 3, 0), 6)) / 6),
  ),
  record(
    'softsign',
    unary(x => x / (1 + Math.abs(x))),
  ),
  record('glu', { 'of an axis': halved((a, b) => a * sigmoid(b)) }, refusesOdd('glu', ops.glu)),
  record('swiglu', { 'of an axis': halved((a, b) => a * sigmoid(a) * b) }, refusesOdd('swiglu', ops.swiglu)),
]
