// The functions of losses.py, here.

import {
  bceWithLogitsLoss,
  cosineEmbeddingLoss,
  focalLoss,
  huberLoss,
  infoNceLoss,
  klDivergenceLoss,
  l1Loss,
  mseLoss,
  nllLoss,
  smoothL1Loss,
  tripletLoss,
} from '../../../src/nn/index.ts'
import type { Functions } from './functions.ts'

export const losses: Functions = {
  mseLoss: (x, y) => mseLoss(x, y),
  l1Loss: (x, y) => l1Loss(x, y, { reduction: 'none' }),
  huberLoss: (x, y) => huberLoss(x, y, { delta: 0.7 }),
  'huberLoss of the target itself': x => huberLoss(x, x.stopGradient()),
  smoothL1Loss: (x, y) => smoothL1Loss(x, y, { beta: 0.7, reduction: 'sum' }),
  bceWithLogitsLoss: (x, y, weight, positive) =>
    bceWithLogitsLoss(x.mul(5), y.sigmoid(), { weight: weight.stopGradient(), positiveWeight: positive.stopGradient() }),
  'bceWithLogitsLoss of bools': (x, y) => bceWithLogitsLoss(x, y),
  focalLoss: (x, y) => focalLoss(x, y, { alpha: 0.25 }),
  nllLoss: (x, ids) => nllLoss(x.logSoftmax(), ids),
  'nllLoss, weighted': (x, ids, weight) => nllLoss(x, ids, { weight: weight.stopGradient().exp(), ignore: 0 }),
  klDivergenceLoss: (p, q) => klDivergenceLoss(p.logSoftmax(), q.logSoftmax()),
  cosineEmbeddingLoss: (x, y, signs) => cosineEmbeddingLoss(x, y, signs, { margin: -0.9, reduction: 'none' }),
  tripletLoss: (x, y, z) => tripletLoss(x, y, z, { margin: 2 }),
  'tripletLoss, swapped': (x, y, z) => tripletLoss(x, y, z, { margin: 2, swap: true, reduction: 'none' }),
  infoNceLoss: (query, key, negatives) => infoNceLoss(query, key, { temperature: 0.2, negatives }),
}
