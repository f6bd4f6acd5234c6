// Captions that a model writes, compared with references (CoCa, section 4.2).

import { stack } from '../autograd/index.ts'
import type { ImageTextSource } from '../data/index.ts'
import type { Caption, GenerateOptions } from '../models/index.ts'
import { defaultGenerator, fromData, NonFiniteError, scope } from '../tensor/index.ts'
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
  readInParts,
} from './embeddings.ts'
import { NOT_COMPUTED, namingImages } from './finite.ts'
import { deviceOfModel, firstCaptions } from './inputs.ts'
import { inParts } from './memory.ts'
import { plain } from './plain.ts'
import { gatheredValues } from './ranks.ts'
import type { CaptionModel, TrainedModel } from './trained-model.ts'

/** Options of `captioning`. */
export interface EvaluateCaptionsOptions extends EvaluateOptions {
  /** how captions are generated; default greedy; `prompts` has a prompt for each image of the source */
  readonly generate?: Partial<GenerateOptions>
}

const captioningOptions = { ...evaluateOptions, generate: undefined } satisfies Settings<EvaluateCaptionsOptions>

/** The result of `captioning`. */
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
  /** the caption that was written for each image */
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
  const write = async (start: number, stop: number) => {
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
  }
  // later tokens need little more than the first
  const first = (start: number, stop: number) => {
    const ids = fromData(new Int32Array(stop - start).fill(startId), [stop - start, 1], deviceOfModel(model))
    const state = scope(() => model.startDecoding(imagesOf(model, partOf(batch, start, stop))))
    return scope(() => model.decode(ids, state))
  }
  return (await inParts(model, batch.count, 'captions', write, first)).flat()
}

/**
 * Generates a caption for every image and compares it with the references.
 * @throws TypeError for captions that are drawn at random by several processes: the words depend on those that were drawn before
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
  const { ranks } = evaluating
  if (ranks && generate?.sample)
    throw new TypeError(
      'captioning: generate.sample draws the words of each image after those of the one before, so ranks cannot divide the images: leave ranks out',
    )
  return inEvaluation(model, async () => {
    const own: string[] = []
    const counts: Awaited<ReturnType<typeof countTokens>>[] = []
    for await (const batch of imageBatches(trained, source, evaluating)) {
      const prompts = generate?.prompts?.slice(batch.start, batch.start + batch.count)
      const how = { ...generate, prompts }
      const written = await writeCaptions(trained, batch, how, image => source.name(batch.start + image))
      own.push(...written.map(({ ids }) => tokenizer.decode(ids)))
      counts.push(await countTokens(trained, source, batch, evaluating))
    }
    const captions = gatheredValues(own, ranks)
    const tokens = { right: 0, all: 0 }
    for (const { right, all } of gatheredValues(counts, ranks)) {
      tokens.right += right
      tokens.all += all
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
  const [, length] = tokenShape
  const counts = { right: 0, all: 0 }
  // for every token the most likely next one, and a number that is finite if its logits are
  const predict = (start: number, stop: number) => {
    const ids = fromData(tokens.subarray(start * length, stop * length), [stop - start, length], deviceOfModel(model))
    const logits = model.logits(imagesOf(model, partOf(batch, start, stop)), ids)
    return stack([logits.argmax({ axis: -1 }).cast(logits.dtype), logits.logSumExp({ axis: -1 })])
  }
  await readInParts(model, batch.count, 'captions', predict, (read, start, stop) => {
    const count = (stop - start) * length
    for (let i = 0; i < count; i++) {
      const next = tokens[start * length + i + 1]
      const isLast = (i + 1) % length === 0
      if (isLast || next === tokenizer.pad) continue
      const logSum = read[count + i]
      if (!Number.isFinite(logSum)) {
        const name = source.name(batch.start + start + Math.floor(i / length))
        throw new NonFiniteError(`${name}: log Σ exp of the logits for token ${(i % length) + 1}`, logSum, NOT_COMPUTED)
      }
      counts.all++
      if (read[i] === next) counts.right++
    }
  })
  return counts
}
