// Cases of dropout.

import fc from 'fast-check'
import * as ops from '../../autograd/index.ts'
import { Generator } from '../../tensor/index.ts'
import { shape } from '../arbitraries/shapes.ts'
import { drawn } from './case.ts'

export const dropout = {
  dropout: {
    'a generator decides': drawn(
      fc.tuple(shape(), fc.constantFrom(0, 0.25, 0.5)).map(([sizes, p]) => ({ shapes: [sizes], options: p })),
      {},
      (p, x) => ops.dropout(x, p, { generator: new Generator(7) }),
    ),
  },
}
