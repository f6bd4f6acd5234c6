// An operation of one's own, and its tests. `describeOperation` checks its gradients against finite differences, the laws
// that every gradient obeys, and the cpu device against the reference. Run it with a test runner:
//
//     npx tsx --conditions=source --test examples/own-operation.ts

import { defineOp, type Tensor } from 'cocagrad'
import { describeOperation } from 'cocagrad/testing'

/**
 * x / √(1 + x²), element by element. The forward computation is written with kernels of the device; the rule is written with
 * differentiable operations, so it has a gradient too: g / (1 + x²)^(3/2).
 */
const softStep = defineOp(
  'softStep',
  (k, x: Tensor) => {
    const squares = k.binary('mul', x, x, x.dtype)
    return k.binary('mul', x, k.unary('rsqrt', k.binary('add', squares, 1, x.dtype)), x.dtype)
  },
  (g, _, x) => [() => g.mul(x.square().add(1).pow(-1.5))],
)

describeOperation(softStep, { order: 3 })
