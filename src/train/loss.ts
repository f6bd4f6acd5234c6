// The loss of a batch and its gradient.

import { batchLoss, batchTensors, type LossBatch, type LossOptions } from '../evaluate/inputs.ts'
import type { CoCa, CoCaLoss } from '../models/index.ts'
import { lossAndGradients } from '../nn/index.ts'
import type { Tensor } from '../tensor/index.ts'
import { accumulateGradients } from './parallel.ts'

/** L of a batch and its gradient, with the activations of one of several parts of it at a time. */
export function batchGradients(
  model: CoCa,
  batch: LossBatch,
  { parts, ...options }: LossOptions & { readonly parts: number },
): { loss: CoCaLoss; gradients: Map<string, Tensor> } {
  if (parts === 1) return lossAndGradients(model, () => batchLoss(model, batch, options))
  const { images, ids, groups } = batchTensors(model, batch, options)
  return accumulateGradients(model, images, ids, { parts: Math.min(parts, ids.shape[0]), groups })
}
