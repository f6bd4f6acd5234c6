// Cases of the operations that normalize along an axis.

import * as ops from '../../autograd/index.ts'
import type { Shape } from '../../tensor/index.ts'
import { shape } from '../arbitraries/shapes.ts'
import { alone, drawn, only, withAxis } from './case.ts'

const withRow = only(shape({ minRank: 1 }).map(sizes => [sizes, sizes.slice(-1)]))

const rows = alone(shape({ minRank: 1 }))
/** [batch, channels, ...] and [channels], with a multiple of `groups` channels */
const channels = (groups: number) =>
  shape({ minRank: 2 }).map(([batch, first, ...rest]): [Shape, Shape] => [
    [batch, groups * first, ...rest],
    [groups * first],
  ])
const images = shape({ minRank: 2 })
const withRows = only(channels(1).map(([sizes, row]) => [sizes, row, row]))
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
  rmsNorm: {
    plain: drawn(rows, {}, (_, x) => ops.rmsNorm(x, { epsilon })),
    'with scale': drawn(withRow, {}, (_, x, weight) => ops.rmsNorm(x, { weight, epsilon })),
    'with the usual epsilon': drawn(rows, {}, (_, x) => ops.rmsNorm(x), { order: 0 }),
  },
  groupNorm: {
    'in two groups': drawn(alone(channels(2).map(([sizes]) => sizes)), {}, (_, x) =>
      ops.groupNorm(x, { groups: 2, epsilon }),
    ),
    'with scale and shift': drawn(withRows, {}, (_, x, weight, bias) =>
      ops.groupNorm(x, { groups: 1, weight, bias, epsilon }),
    ),
    'a group for each channel, with the usual epsilon': drawn(
      alone(images),
      {},
      (_, x) => ops.groupNorm(x, { groups: Math.max(1, x.shape[1]) }),
      { order: 0 },
    ),
  },
  batchNorm: {
    'of the batch': drawn(alone(images), {}, (_, x) => ops.batchNorm(x, { epsilon })),
    'with scale and shift': drawn(withRows, {}, (_, x, weight, bias) => ops.batchNorm(x, { weight, bias, epsilon })),
    'with a given mean and variance': drawn(withRows, {}, (_, x, mean, variance) =>
      ops.batchNorm(x, { mean, variance: variance.square(), epsilon }),
    ),
    'with the usual epsilon': drawn(alone(images), {}, (_, x) => ops.batchNorm(x), { order: 0 }),
  },
  normalize: {
    'along an axis': drawn(withAxis, { awayFrom: [0] }, (axis, x) => ops.normalize(x, { axis })),
  },
}
