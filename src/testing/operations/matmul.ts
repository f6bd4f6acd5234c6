// Cases of matrix products and linear maps.

import fc from 'fast-check'
import * as ops from '../../autograd/index.ts'
import { matmulShapes, shape } from '../arbitraries/shapes.ts'
import { drawn, only } from './case.ts'

export const matmul = {
  matmul: {
    'matrices, stacks and vectors': drawn(only(matmulShapes({ maxRank: 4 })), {}, (_, x, y) => ops.matmul(x, y)),
  },
  linear: {
    'with and without a bias': drawn(
      only(
        fc
          .record({
            lead: shape({ maxRank: 2 }),
            width: fc.integer({ min: 1, max: 3 }),
            out: fc.integer({ min: 0, max: 3 }),
            bias: fc.boolean(),
          })
          .map(({ lead, width, out, bias }) => [[...lead, width], [out, width], ...(bias ? [[out]] : [])]),
      ),
      {},
      (_, x, weight, bias) => ops.linear(x, weight, bias),
    ),
  },
}
