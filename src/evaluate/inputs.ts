// Computes the loss of an image-text model from a batch on the host. Two equal captions in a batch would be false negatives of the
// contrastive loss, so equal captions get the same group number.

import type { Batch, ExampleSource, Tokenizer } from '../data/index.ts'
import type { ImageTextLoss, ImageTextModel, TextConfig } from '../models/index.ts'
import type { Module } from '../nn/index.ts'
import { type Device, device, fromData } from '../tensor/index.ts'

/** The device of a model's parameters, on which its inputs must be. */
export function deviceOfModel(model: Module): Device {
  for (const [, parameter] of model.namedParameters()) return device.get(parameter.device)
  return device.get()
}

/** For every row of ids the index of the first equal row: int32 [batch]. */
export function equalRows(tokens: Int32Array, [batch, length]: readonly [number, number]): Int32Array {
  const first = new Map<string, number>()
  return Int32Array.from({ length: batch }, (_, row) => {
    const key = tokens.subarray(row * length, (row + 1) * length).join()
    const known = first.get(key)
    if (known === undefined) first.set(key, row)
    return known ?? row
  })
}

/** The input of a loss: images as float32, or as float64 on `reference`. */
export interface LossBatch extends Pick<Batch, 'imageShape' | 'tokens' | 'tokenShape'> {
  readonly images: Float32Array | Float64Array
  /** for some rows of a larger batch: int32 numbers that are equal if the captions are; default {@link equalRows} */
  readonly groups?: Int32Array
}

export interface LossOptions {
  /** equal captions are positives of each other's images */
  readonly positives: boolean
}

/** A batch on the model's device. */
export function batchTensors(model: Module, batch: LossBatch, { positives }: LossOptions) {
  const on = deviceOfModel(model)
  const { images, imageShape, tokens, tokenShape, groups: known } = batch
  const groups = positives ? fromData(known ?? equalRows(tokens, tokenShape), [tokenShape[0]], on) : undefined
  return { images: fromData(images, imageShape, on), ids: fromData(tokens, tokenShape, on), groups }
}

/** The loss of a batch. */
export function batchLoss(model: ImageTextModel, batch: LossBatch, options: LossOptions): ImageTextLoss {
  const { images, ids, groups } = batchTensors(model, batch, options)
  return model.loss(images, ids, { groups })
}

/** A model of texts of at most so many tokens. */
interface TextModel {
  readonly config: { readonly text: Pick<TextConfig, 'context'> }
}

/** The ids of the first caption of each example. */
export function firstCaptions(
  { model, tokenizer }: { readonly model: TextModel; readonly tokenizer: Tokenizer },
  source: Pick<ExampleSource, 'captions'>,
  { start, count }: { readonly start: number; readonly count: number },
  { truncate }: { readonly truncate?: boolean },
): { tokens: Int32Array; tokenShape: [number, number] } {
  const texts = Array.from({ length: count }, (_, i) => source.captions(start + i)[0])
  const { context } = model.config.text
  return { tokens: tokenizer.tokenize(texts, context, { truncate }), tokenShape: [count, context] }
}
