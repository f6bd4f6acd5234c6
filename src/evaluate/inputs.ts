// From a batch on the host to CoCa's loss on a device. Two equal captions in a batch would be false negatives of the
// contrastive loss; those that are told apart by nothing get one number.

import type { Batch } from '../data/index.ts'
import type { CoCa, CoCaLoss } from '../models/index.ts'
import { type Device, device, fromData } from '../tensor/index.ts'

/** Where a model's parameters are, and its inputs must be. */
export const deviceOfModel = (model: CoCa): Device => device.get(model.logScale.device)

/** For every row of ids the number of the first row that is equal: int32 [batch]. */
export function equalRows(tokens: Int32Array, [batch, length]: readonly [number, number]): Int32Array {
  const first = new Map<string, number>()
  return Int32Array.from({ length: batch }, (_, row) => {
    const key = tokens.subarray(row * length, (row + 1) * length).join()
    const known = first.get(key)
    if (known === undefined) first.set(key, row)
    return known ?? row
  })
}

/** What a loss is computed from: images as float32, or as float64 on `reference`. */
export interface LossBatch extends Pick<Batch, 'imageShape' | 'tokens' | 'tokenShape'> {
  readonly images: Float32Array | Float64Array
  /** of some rows of a larger batch: int32 numbers that are equal where captions are; default {@link equalRows} */
  readonly groups?: Int32Array
}

export interface LossOptions {
  /** captions that are equal belong to each other's images */
  readonly positives: boolean
}

/** A batch where the model is. */
export function batchTensors(model: CoCa, batch: LossBatch, { positives }: LossOptions) {
  const on = deviceOfModel(model)
  const { images, imageShape, tokens, tokenShape, groups: known } = batch
  const groups = positives ? fromData(known ?? equalRows(tokens, tokenShape), [tokenShape[0]], on) : undefined
  return { images: fromData(images, imageShape, on), ids: fromData(tokens, tokenShape, on), groups }
}

/** L of a batch. */
export function batchLoss(model: CoCa, batch: LossBatch, options: LossOptions): CoCaLoss {
  const { images, ids, groups } = batchTensors(model, batch, options)
  return model.loss(images, ids, { groups })
}
