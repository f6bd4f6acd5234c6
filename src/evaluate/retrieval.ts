// Retrieval in both directions: images by texts and texts by images (CoCa, section 4.2).

import type { ImageTextSource } from '../data/index.ts'
import { settle } from '../tensor/options.ts'
import {
  type ClipSource,
  type Embeddings,
  type EvaluateOptions,
  embedImages,
  embedTexts,
  evaluateOptions,
  rowsOf,
  similarityMatrix,
} from './embeddings.ts'
import { plain } from './plain.ts'
import type { EmbeddingModel, TrainedModel } from './trained-model.ts'

/** Rows of similarities that are in memory at once. */
const BLOCK = 256

export async function* similarityRows(
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
  /** median of the ranks */
  readonly medianRank: number
  /** rank of each query's first hit, from 1 */
  readonly ranks: Int32Array
}

/** The result of `retrieval`. */
export interface RetrievalResult {
  /** images as queries, texts as the gallery */
  readonly imageToText: Ranking
  /** texts as queries, images as the gallery */
  readonly textToImage: Ranking
  /** sizes of the galleries */
  readonly images: number
  /** number of texts */
  readonly texts: number
}

/** Images with captions, or clips with captions. */
export type CaptionedSource = ImageTextSource | (ClipSource & Pick<ImageTextSource, 'captions'>)

/**
 * Retrieval over a whole gallery by cosine, in both directions, of images or of clips. A caption that equals one of an image's own counts as right,
 * even if it belongs to another image.
 */
export async function retrieval(
  trained: TrainedModel<EmbeddingModel>,
  source: CaptionedSource,
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
