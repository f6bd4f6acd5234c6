// Cases of the operations that normalize along an axis.

import * as ops from '../../autograd/index.ts'
import { shape } from '../arbitraries/shapes.ts'
import { alone, drawn, only, withAxis } from './case.ts'

const withRow = only(shape({ minRank: 1 }).map(sizes => [sizes, sizes.slice(-1)]))

const rows = alone(shape({ minRank: 1 }))
/** large enough that a row of equal numbers is smooth for finite differences */
const epsilon = 0.25

export const normalization = {
  standardize: { 'over the last axis': drawn(rows, {}, (_, x) => ops.standardize(x, epsilon)) },
  layerNorm: {
    plain: drawn(rows, {}, (_, x) => ops.layerNorm(x, { epsilon })),
    'with scale and shift': drawn(
      only(shape({ minRank: 1 }).map(sizes => [sizes, sizes.slice(-1), sizes.slice(-1)])),
      {},
      (_, x, weight, bias) => ops.layerNorm(x, { weight, bias, epsilon }),
    ),
    'with scale alone': drawn(withRow, {}, (_, x, weight) => ops.layerNorm(x, { weight, epsilon })),
    'with shift alone': drawn(withRow, {}, (_, x, bias) => ops.layerNorm(x, { bias, epsilon })),
    'with the usual epsilon': drawn(rows, {}, (_, x) => ops.layerNorm(x), { order: 0 }),
  },
  normalize: {
    'along an axis': drawn(withAxis, { awayFrom: [0] }, (axis, x) => ops.normalize(x, { axis })),
  },
}
