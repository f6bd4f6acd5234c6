// The evaluation protocols of vision-language models (CoCa, section 4.2), for any images and captions: zero-shot
// classification, retrieval in both directions, and captioning.

import { stack } from '../autograd/index.ts'
import { type ImageTextSource, paraphrases } from '../data/index.ts'
import type { Caption, GenerateOptions, ImageTextModel } from '../models/index.ts'
import { defaultGenerator, fromData, NonFiniteError } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { bleu, cider } from './caption-metrics.ts'
import {
  type Embeddings,
  type EvaluateOptions,
  embedImages,
  embedTexts,
  evaluateOptions,
  type ImageBatch,
  type ImageSource,
  imageBatches,
  imagesOf,
  inEvaluation,
  partOf,
  readOut,
  rowsOf,
  similarityMatrix,
} from './embeddings.ts'
import { NOT_COMPUTED, namingImages } from './finite.ts'
import { batchLoss, deviceOfModel } from './inputs.ts'
import { inParts } from './memory.ts'
import type { CaptionModel, EmbeddingModel, TrainedModel } from './trained-model.ts'

/** Rows of similarities that are in memory at once. */
const BLOCK = 256

export interface ZeroShotOptions extends EvaluateOptions {
  /** names of the classes */
  readonly classes: readonly string[]
  /** the number of every image's class */
  readonly labels: ArrayLike<number>
  /** sentences in which {} is replaced by a class; default 'a {}' */
  readonly templates?: readonly string[]
}
const zeroShotOptions = {
  ...evaluateOptions,
  classes: is.list as is.Kind<readonly string[]>,
  labels: new is.Kind<ArrayLike<number>>('a list of class numbers', x => Array.isArray(x) || ArrayBuffer.isView(x)),
  templates: ['a {}'],
} satisfies Settings<ZeroShotOptions>

export interface ZeroShotResult {
  /** share of images whose class is right */
  readonly accuracy: number
  readonly perClass: readonly { readonly class: string; readonly count: number; readonly accuracy: number }[]
  /** number of images, [true class][predicted class] */
  readonly confusion: readonly (readonly number[])[]
  /** the number of every image's predicted class */
  readonly predictions: Int32Array
}

/**
 * Classification by the nearest class in embedding space. The embedding of a class is the mean of its prompts' embeddings, normalised
 * to unit length (Radford et al. 2021, section 3.1.4).
 * @throws RangeError if a label is not one of the classes, or the numbers of labels and images differ
 */
export async function zeroShot(
  trained: TrainedModel<EmbeddingModel>,
  images: ImageSource,
  options: ZeroShotOptions,
): Promise<ZeroShotResult> {
  const settled = settle('zeroShot(trained, images, options)', options, zeroShotOptions)
  const { classes, labels, templates, ...evaluating } = settled
  if (labels.length !== images.length)
    throw new RangeError(`zeroShot: ${labels.length} labels for ${images.length} images`)
  const prompts = classes.flatMap(name => templates.map(template => template.replaceAll('{}', name)))
  const { batchSize, truncate, signal } = evaluating
  const prototypes = meansOf(await embedTexts(trained, prompts, { batchSize, truncate, signal }), templates.length)
  const predictions = await nearest(await embedImages(trained, images, evaluating), prototypes)
  return scoreClasses('zeroShot', { predictions, labels, classes })
}

/**
 * The accuracy of predicted classes.
 * @param call the function's name in an error
 * @throws RangeError for a label that is not one of the classes
 */
export function scoreClasses(
  call: string,
  given: Pick<ZeroShotOptions, 'classes' | 'labels'> & { readonly predictions: Int32Array },
): ZeroShotResult {
  const { predictions, labels, classes } = given
  const confusion = classes.map(() => classes.map(() => 0))
  for (let i = 0; i < labels.length; i++) {
    const row = confusion[labels[i]]
    if (!row) throw new RangeError(`${call}: label ${labels[i]} of image ${i} is not one of ${classes.length} classes`)
    row[predictions[i]]++
  }
  const perClass = classes.map((name, i) => {
    const count = confusion[i].reduce((a, b) => a + b, 0)
    return { class: name, count, accuracy: count === 0 ? 0 : confusion[i][i] / count }
  })
  const right = classes.reduce((sum, _, i) => sum + confusion[i][i], 0)
  return { accuracy: right / labels.length, perClass, confusion, predictions }
}

/** Means of every n rows, of unit length. */
function meansOf({ data, count, width }: Embeddings, n: number): Embeddings {
  const means = new Float32Array((count / n) * width)
  for (let row = 0; row < count; row++)
    for (let i = 0; i < width; i++) means[Math.floor(row / n) * width + i] += data[row * width + i]
  for (let start = 0; start < means.length; start += width) {
    const mean = means.subarray(start, start + width)
    const length = Math.hypot(...mean)
    for (let i = 0; i < width; i++) mean[i] /= length || 1
  }
  return { data: means, count: count / n, width }
}

/** For each row the column that is most similar, the first of equal ones. */
async function nearest(rows: Embeddings, columns: Embeddings): Promise<Int32Array> {
  const chosen = new Int32Array(rows.count)
  for await (const { row, similarities } of similarityRows(rows, columns))
    chosen[row] = similarities.reduce((best, x, i) => (x > similarities[best] ? i : best), 0)
  return chosen
}

async function* similarityRows(
  rows: Embeddings,
  columns: Embeddings,
): AsyncGenerator<{ row: number; similarities: Float32Array }> {
  for (let start = 0; start < rows.count; start += BLOCK) {
    const block = rowsOf(rows, start, start + BLOCK)
    const similarity = await similarityMatrix(block, columns, start)
    for (let i = 0; i < block.count; i++)
      yield { row: start + i, similarities: similarity.subarray(i * columns.count, (i + 1) * columns.count) }
  }
}

/** The quality of a ranking. */
export interface Ranking {
  /** share of queries with a hit among the first k */
  readonly recall: { readonly 1: number; readonly 5: number; readonly 10: number }
  readonly medianRank: number
  /** rank of each query's first hit, from 1 */
  readonly ranks: Int32Array
}

export interface RetrievalResult {
  readonly imageToText: Ranking
  readonly textToImage: Ranking
  /** sizes of the galleries */
  readonly images: number
  readonly texts: number
}

/**
 * Retrieval over a whole gallery by cosine, in both directions. A caption that equals one of an image's own counts as right,
 * even if it belongs to another image.
 */
export async function retrieval(
  trained: TrainedModel<EmbeddingModel>,
  source: ImageTextSource,
  options?: EvaluateOptions,
): Promise<RetrievalResult> {
  const settled = settle('retrieval(trained, source, options)', options, evaluateOptions)
  const own = Array.from({ length: source.length }, (_, i) => source.captions(i).map(plain))
  const texts = own.flat()
  const originals = Array.from({ length: source.length }, (_, i) => source.captions(i)).flat()
  const { batchSize, truncate, signal } = settled
  const textEmbeddings = await embedTexts(trained, originals, { batchSize, truncate, signal })
  const imageEmbeddings = await embedImages(trained, source, settled)
  const captions = own.map(list => new Set(list))
  return {
    imageToText: await rank(imageEmbeddings, textEmbeddings, (image, text) => captions[image].has(texts[text])),
    textToImage: await rank(textEmbeddings, imageEmbeddings, (text, image) => captions[image].has(texts[text])),
    images: source.length,
    texts: texts.length,
  }
}

/**
 * Ranks a gallery for every query by cosine. A wrong item that is as similar as the best right one is ranked before it, so
 * a model that gives equal embeddings gets no hits.
 * @throws NonFiniteError for a cosine that is not finite
 */
export async function rank(
  queries: Embeddings,
  gallery: Embeddings,
  isHit: (query: number, item: number) => boolean,
): Promise<Ranking> {
  const ranks = new Int32Array(queries.count)
  for await (const { row, similarities } of similarityRows(queries, gallery)) {
    const hits = similarities.map((_, item) => (isHit(row, item) ? 1 : 0))
    const best = similarities.reduce((most, x, item) => (hits[item] && x > most ? x : most), Number.NEGATIVE_INFINITY)
    ranks[row] = 1 + similarities.reduce((ahead, x, item) => (!hits[item] && x >= best ? ahead + 1 : ahead), 0)
  }
  const within = (k: number) => ranks.reduce((sum, place) => sum + (place <= k ? 1 : 0), 0) / ranks.length
  return { recall: { 1: within(1), 5: within(5), 10: within(10) }, medianRank: median(ranks), ranks }
}

function median(values: Int32Array): number {
  const sorted = values.slice().sort()
  const half = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
}

export interface EvaluateCaptionsOptions extends EvaluateOptions {
  /** how captions are generated; default greedy */
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
  const { generator = defaultGenerator() } = options
  const parts = await inParts(model, batch.count, 'captions', async (start, stop) => {
    const { position } = generator.state
    const images = imagesOf(model, partOf(batch, start, stop))
    try {
      return await namingImages(
        image => nameOf(start + image),
        () => model.generate(images, { start: startId, end, ...options }),
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
      const written = await writeCaptions(trained, batch, generate, image => source.name(batch.start + image))
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

function firstCaptions(
  { model, tokenizer }: TrainedModel<ImageTextModel>,
  source: ImageTextSource,
  { start, count }: ImageBatch,
  { truncate }: EvaluateOptions,
): { tokens: Int32Array; tokenShape: [number, number] } {
  const texts = Array.from({ length: count }, (_, i) => source.captions(start + i)[0])
  const { context } = model.config.text
  return { tokens: tokenizer.tokenize(texts, context, { truncate }), tokenShape: [count, context] }
}

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

/** The first images of a source. */
export function firstOf(source: ImageTextSource, count: number): ImageTextSource {
  if (count >= source.length) return source
  return {
    length: count,
    imageSize: source.imageSize,
    fingerprint: `${count} of ${source.fingerprint}`,
    captions: index => source.captions(index),
    ...(source.labels && { labels: (index: number) => source.labels!(index) }),
    name: index => source.name(index),
    image: index => source.image(index),
  }
}

/**
 * A caption in a form for comparison: without capitals, white space and a full stop at the end, and, for captions of two Shapes,
 * independent of which one is named first.
 */
export const plain = (caption: string): string => {
  const words = caption.normalize('NFC').toLowerCase().replace(/\s+/g, ' ').trim()
  return paraphrases(words.replace(/\s*\.$/, ''))[0]
}
