// The losses of a model on images with captions.

import { stack } from '../autograd/index.ts'
import type { ImageTextSource } from '../data/index.ts'
import type { ImageTextModel } from '../models/index.ts'
import { NonFiniteError } from '../tensor/index.ts'
import { settle } from '../tensor/options.ts'
import {
  type EvaluateOptions,
  evaluateOptions,
  type ImageBatch,
  imageBatches,
  inEvaluation,
  readOut,
} from './embeddings.ts'
import { NOT_COMPUTED } from './finite.ts'
import { batchLoss, firstCaptions } from './inputs.ts'
import type { TrainedModel } from './trained-model.ts'

/** Means over batches; a loss that the model leaves out is absent. */
export interface MeanLoss {
  /** λ_Con L_Con + λ_Cap L_Cap */
  readonly loss: number
  readonly contrastive?: number
  readonly captioning?: number
}

/**
 * The losses on images and their first captions: means over full batches, or over the only batch.
 * @throws NonFiniteError naming the images whose loss is not finite
 */
export function meanLoss(
  trained: TrainedModel<ImageTextModel>,
  source: ImageTextSource,
  options?: EvaluateOptions,
): Promise<MeanLoss> {
  const { model } = trained
  const settled = settle('meanLoss(trained, source, options)', options, evaluateOptions)
  const { batchSize } = settled
  return inEvaluation(model, async () => {
    const sums = new Map<string, number>()
    let batches = 0
    for await (const batch of imageBatches(trained, source, settled)) {
      if (batch.count < batchSize && batches > 0) break
      const text = firstCaptions(trained, source, batch, settled)
      const images = { images: batch.pixels, imageShape: batch.shape }
      let names: string[] = []
      const values = await readOut(() => {
        // the total last: a part that is not finite has the better name
        const { total, ...parts } = batchLoss(model, { ...images, ...text }, { positives: true })
        names = [...Object.keys(parts), 'loss']
        return stack([...Object.values(parts), total])
      })
      names.forEach((name, i) => {
        checkLoss(name === 'loss' ? name : `${name} loss`, values[i], source, batch)
        sums.set(name, (sums.get(name) ?? 0) + values[i])
      })
      batches++
    }
    const mean = (name: string) => (sums.get(name) ?? Number.NaN) / batches
    const parts = [...sums.keys()].filter(name => name !== 'loss')
    return { loss: mean('loss'), ...Object.fromEntries(parts.map(name => [name, mean(name)])) }
  })
}

function checkLoss(name: string, value: number, source: ImageTextSource, batch: ImageBatch): void {
  if (Number.isFinite(value)) return
  const [first, last] = [source.name(batch.start), source.name(batch.start + batch.count - 1)]
  throw new NonFiniteError(`the ${name} of ${first} to ${last}`, value, NOT_COMPUTED)
}
