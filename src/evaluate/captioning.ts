// Captions that a model writes, compared with references (CoCa, section 4.2).

import { stack } from '../autograd/index.ts'
import type { ImageTextSource } from '../data/index.ts'
import type { Caption, GenerateOptions } from '../models/index.ts'
import { defaultGenerator, fromData, NonFiniteError } from '../tensor/index.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { bleu, cider } from './caption-metrics.ts'
import {
  type EvaluateOptions,
  evaluateOptions,
  type ImageBatch,
  imageBatches,
  imagesOf,
  inEvaluation,
  partOf,
  readOut,
} from './embeddings.ts'
import { NOT_COMPUTED, namingImages } from './finite.ts'
import { deviceOfModel, firstCaptions } from './inputs.ts'
import { inParts } from './memory.ts'
import { plain } from './plain.ts'
import type { CaptionModel, TrainedModel } from './trained-model.ts'

export interface EvaluateCaptionsOptions extends EvaluateOptions {
  /** how captions are generated; default greedy; `prompts` has a prompt for each image of the source */
  readonly generate?: Partial<GenerateOptions>
}

const captioningOptions = { ...evaluateOptions, generate: undefined } satisfies Settings<EvaluateCaptionsOptions>

export interface CaptioningResult {
  /** share of images whose caption has the same meaning as one of its references */
  readonly exact: number
  /** whether this holds, for each image */
  readonly right: readonly boolean[]
  /** share of tokens, the end included, that are the most likely ones given the right tokens before; over first references */
  readonly tokenAccuracy: number
  /** `bleu` of the captions against all references; it compares words, so that a caption of the same meaning may score low */
  readonly bleu4: number
  /** `cider` of the captions against all references */
  readonly ciderD: number
  readonly captions: readonly string[]
}

/**
 * A caption for every image of a batch, fewer at a time if memory is short.
 * @param options options of `model.generate`; `prompts` has a prompt for each image of the batch
 * @param nameOf the name of an image of the batch; default its number
 * @throws NonFiniteError naming an image for which the model's logits are not finite
 */
export async function writeCaptions(
  { model, tokenizer }: TrainedModel<CaptionModel>,
  batch: ImageBatch,
  options: Partial<GenerateOptions> = {},
  nameOf: (image: number) => string = image => `image ${batch.start + image}`,
): Promise<Caption[]> {
  const { start: startId, end } = tokenizer
  const { generator = defaultGenerator(), prompts } = options
  const parts = await inParts(model, batch.count, 'captions', async (start, stop) => {
    const { position } = generator.state
    const images = imagesOf(model, partOf(batch, start, stop))
    try {
      return await namingImages(
        image => nameOf(start + image),
        () => model.generate(images, { start: startId, end, ...options, prompts: prompts?.slice(start, stop) }),
      )
    } catch (error) {
      // a repeated attempt draws the same words
      generator.seek(position)
      throw error
    } finally {
      images.storage.free('its captions')
    }
  })
  return parts.flat()
}

/**
 * Generates a caption for every image and compares it with the references.
 * @throws NonFiniteError naming an image for which the model's logits are not finite
 */
export function captioning(
  trained: TrainedModel<CaptionModel>,
  source: ImageTextSource,
  options?: EvaluateCaptionsOptions,
): Promise<CaptioningResult> {
  const settled = settle('captioning(trained, source, options)', options, captioningOptions)
  const { generate, ...evaluating } = settled
  const { model, tokenizer } = trained
  return inEvaluation(model, async () => {
    const captions: string[] = []
    const tokens = { right: 0, all: 0 }
    for await (const batch of imageBatches(trained, source, evaluating)) {
      const prompts = generate?.prompts?.slice(batch.start, batch.start + batch.count)
      const how = { ...generate, prompts }
      const written = await writeCaptions(trained, batch, how, image => source.name(batch.start + image))
      captions.push(...written.map(({ ids }) => tokenizer.decode(ids)))
      await inParts(model, batch.count, 'captions', async (start, stop) => {
        const { right, all } = await countTokens(trained, source, partOf(batch, start, stop), evaluating)
        tokens.right += right
        tokens.all += all
      })
    }
    const references = captions.map((_, i) => source.captions(i))
    const right = captions.map((caption, i) => references[i].map(plain).includes(plain(caption)))
    const exact = right.filter(each => each).length / source.length
    const [{ score: bleu4 }, { score: ciderD }] = [bleu(captions, references), cider(captions, references)]
    return { exact, right, tokenAccuracy: tokens.right / tokens.all, bleu4, ciderD, captions }
  })
}

async function countTokens(
  trained: TrainedModel<CaptionModel>,
  source: ImageTextSource,
  batch: ImageBatch,
  options: EvaluateOptions,
): Promise<{ right: number; all: number }> {
  const { model, tokenizer } = trained
  const { tokens, tokenShape } = firstCaptions(trained, source, batch, options)
  const ids = () => fromData(tokens, tokenShape, deviceOfModel(model))
  // for every token the most likely next one, and a number that is finite if its logits are
  const read = await readOut(() => {
    const logits = model.logits(imagesOf(model, batch), ids())
    return stack([logits.argmax({ axis: -1 }).cast(logits.dtype), logits.logSumExp({ axis: -1 })])
  })
  const counts = { right: 0, all: 0 }
  for (let i = 0; i < tokens.length; i++) {
    const isLast = (i + 1) % tokenShape[1] === 0
    if (isLast || tokens[i + 1] === tokenizer.pad) continue
    const logSum = read[tokens.length + i]
    if (!Number.isFinite(logSum)) {
      const name = source.name(batch.start + Math.floor(i / tokenShape[1]))
      throw new NonFiniteError(
        `${name}: log Σ exp of the logits for token ${(i % tokenShape[1]) + 1}`,
        logSum,
        NOT_COMPUTED,
      )
    }
    counts.all++
    if (read[i] === tokens[i + 1]) counts.right++
  }
  return counts
}
