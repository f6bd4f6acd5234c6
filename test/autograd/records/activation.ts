// Records of the activation functions.

import { erfSeries } from '../plain.ts'
import { each, unary } from './elementwise.ts'
import { type OperationRecord, record } from './record.ts'

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))

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
]
