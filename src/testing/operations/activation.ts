// Cases of the activation functions, away from their kinks.

import * as ops from '../../autograd/index.ts'
import { drawn } from './case.ts'
import { one, smooth, unary } from './elementwise.ts'

export const activation = {
  sigmoid: unary(ops.sigmoid),
  relu: unary(ops.relu, { awayFrom: [0] }),
  softplus: unary(ops.softplus),
  silu: unary(ops.silu),
  quickGelu: unary(ops.quickGelu),
  gelu: {
    exact: drawn(one, {}, (_, x) => ops.gelu(x), smooth),
    'approximated by tanh': drawn(one, {}, (_, x) => ops.gelu(x, { approximate: 'tanh' }), smooth),
  },
}
