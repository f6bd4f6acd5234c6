// The losses of a model on images with captions.

import { stack } from '../autograd/index.ts'
import type { ImageTextSource } from '../data/index.ts'
import { shareOf } from '../data/ranks.ts'
import type { ImageTextModel } from '../models/index.ts'
import { NonFiniteError } from '../tensor/index.ts'
import { settle } from '../tensor/options.ts'
import {
  type EvaluateOptions,
  evaluateOptions,
  type ImageBatch,
  imageBatches,
  inEvaluation,
  partOf,
  readOut,
} from './embeddings.ts'
import { NOT_COMPUTED } from './finite.ts'
import { batchLoss, firstCaptions } from './inputs.ts'
import { checkWhole } from './memory.ts'
import { gatheredValues } from './ranks.ts'
import type { TrainedModel } from './trained-model.ts'

/** Means over all images; a loss that the model leaves out is absent. */
export interface MeanLoss {
  /** λ_Con L_Con + λ_Cap L_Cap */
  readonly loss: number
  /** mean of L_Con */
  readonly contrastive?: number
  /** mean of L_Cap */
  readonly captioning?: number
}

/**
 * The size of the batches in which losses are measured: as few batches as `batchSize` allows, of sizes that differ by at most 1, so that
 * every example is in one batch and no small batch is left over. 96 examples in batches of at most 64 are two batches of 48.
 * @returns the size of the largest
 */
export const lossBatchSize = (examples: number, batchSize: number): number =>
  Math.ceil(examples / Math.max(1, Math.ceil(examples / batchSize)))

/**
 * The losses on images and their first captions: means over all images, each of which is used once.
 *
 * L_Con of an image depends on the other images of its batch: the more there are, the larger it is (log n of n pairs that the model cannot
 * tell apart). The batches are those of {@link lossBatchSize}; values are comparable only for equal batches. L_Cap does not depend on
 * them, except that a batch with longer captions counts as much per image as one with shorter ones.
 * @param options.batchSize largest number of images in a batch
 * @throws NonFiniteError naming the images whose loss is not finite
 */
export function meanLoss(
  trained: TrainedModel<ImageTextModel>,
  source: ImageTextSource,
  options?: EvaluateOptions,
): Promise<MeanLoss> {
  const { model } = trained
  const settled = settle('meanLoss(trained, source, options)', options, evaluateOptions)
  return inEvaluation(model, async () => {
    const measured: [name: string, sum: number][] = []
    for await (const batch of evenBatches(trained, source, settled)) {
      const text = firstCaptions(trained, source, batch, settled)
      let names: string[] = []
      const losses = (start: number, stop: number) => {
        const { pixels, shape } = partOf(batch, start, stop)
        const length = text.tokenShape[1]
        const tokens = text.tokens.subarray(start * length, stop * length)
        const tokenShape: [number, number] = [stop - start, length]
        const some = { images: pixels, imageShape: shape, tokens, tokenShape }
        // the total last: a part that is not finite has the better name
        const { total, ...parts } = batchLoss(model, some, { positives: true })
        names = [...Object.keys(parts), 'loss']
        return stack([...Object.values(parts), total])
      }
      checkWhole(model, batch.count, 'losses', losses, size => `Batches of ${size} (batchSize) would fit`)
      const values = await readOut(() => losses(0, batch.count))
      names.forEach((name, i) => {
        checkLoss(name === 'loss' ? name : `${name} loss`, values[i], source, batch)
        measured.push([name, values[i] * batch.count])
      })
    }
    // the sum over all batches in their order, whoever computed them
    const sums = new Map<string, number>()
    for (const [name, value] of gatheredValues(measured, settled.ranks)) sums.set(name, (sums.get(name) ?? 0) + value)
    const mean = (name: string) => (sums.get(name) ?? Number.NaN) / source.length
    const parts = [...sums.keys()].filter(name => name !== 'loss')
    return { loss: mean('loss'), ...Object.fromEntries(parts.map(name => [name, mean(name)])) }
  })
}

/** Every image in one of the batches of {@link lossBatchSize}. */
async function* evenBatches(
  trained: TrainedModel<ImageTextModel>,
  source: ImageTextSource,
  {
    batchSize,
    onProgress,
    signal,
    ranks,
  }: Pick<EvaluateOptions, 'onProgress' | 'signal' | 'ranks'> & { readonly batchSize: number },
): AsyncGenerator<ImageBatch, void, undefined> {
  const { length } = source
  const count = Math.ceil(length / batchSize)
  const edge = (batch: number) => Math.ceil((batch * length) / count)
  const own = shareOf(count, ranks)
  for (let i = own.start; i < own.stop; i++) {
    const [start, stop] = [edge(i), edge(i + 1)]
    const part = { length: stop - start, image: (index: number) => source.image(start + index) }
    for await (const batch of imageBatches(trained, part, { batchSize: stop - start, signal }))
      yield { ...batch, start }
    onProgress?.(stop - edge(own.start), edge(own.stop) - edge(own.start))
  }
}

function checkLoss(name: string, value: number, source: ImageTextSource, batch: ImageBatch): void {
  if (Number.isFinite(value)) return
  const [first, last] = [source.name(batch.start), source.name(batch.start + batch.count - 1)]
  const images = first === last ? first : `${first} to ${last}`
  throw new NonFiniteError(`the ${name} of ${images}`, value, NOT_COMPUTED)
}
