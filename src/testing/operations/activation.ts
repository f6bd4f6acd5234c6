// Cases of the activation functions, away from their kinks.

import * as ops from '../../autograd/index.ts'
import { drawn, withAxis } from './case.ts'
import { one, smooth, unary } from './elementwise.ts'

/** A shape with an axis that can be halved. */
const withHalves = withAxis.map(({ shapes: [sizes], options: axis }) => ({
  shapes: [sizes.map((size, i) => (i === (axis + sizes.length) % sizes.length ? 2 * size : size))],
  options: axis,
}))

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
  logSigmoid: unary(ops.logSigmoid),
  leakyRelu: {
    'with a hundredth': drawn(one, { awayFrom: [0] }, (_, x) => ops.leakyRelu(x), smooth),
    'with a slope': drawn(one, { awayFrom: [0] }, (_, x) => ops.leakyRelu(x, { negativeSlope: 0.3 }), smooth),
  },
  elu: {
    'with 1': drawn(one, { awayFrom: [0] }, (_, x) => ops.elu(x), smooth),
    'with a factor': drawn(one, { awayFrom: [0] }, (_, x) => ops.elu(x, { alpha: 0.7 }), smooth),
  },
  selu: unary(ops.selu, { awayFrom: [0] }),
  mish: unary(ops.mish),
  hardswish: unary(x => ops.hardswish(x.mul(3)), { awayFrom: [-1, 1] }),
  softsign: unary(ops.softsign, { awayFrom: [0] }),
  glu: { 'of an axis': drawn(withHalves, {}, (axis, x) => ops.glu(x, { axis }), smooth) },
  swiglu: { 'of an axis': drawn(withHalves, {}, (axis, x) => ops.swiglu(x, { axis }), smooth) },
}
