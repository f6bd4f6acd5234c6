// Retrieval in both directions: images by texts and texts by images (CoCa, section 4.2).

import type { ImageTextSource } from '../data/index.ts'
import type { Share } from '../data/ranks.ts'
import type { Communicator } from '../mpi/index.ts'
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
import { gathered, ownItems } from './ranks.ts'
import type { EmbeddingModel, TrainedModel } from './trained-model.ts'

/** Rows of similarities that are in memory at once. */
const BLOCK = 256

/** The similarities of some rows with all columns; default of all rows. */
export async function* similarityRows(
  rows: Embeddings,
  columns: Embeddings,
  some: Share = { start: 0, stop: rows.count },
): AsyncGenerator<{ row: number; similarities: Float32Array }> {
  for (let start = some.start; start < some.stop; start += BLOCK) {
    const block = rowsOf(rows, start, Math.min(some.stop, start + BLOCK))
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
  const { batchSize, truncate, signal, ranks } = settled
  const textEmbeddings = await embedTexts(trained, originals, { batchSize, truncate, signal, ranks })
  const imageEmbeddings = await embedImages(trained, source, settled)
  const captions = own.map(list => new Set(list))
  const isPair = (image: number, text: number) => captions[image].has(texts[text])
  return {
    imageToText: await rank(imageEmbeddings, textEmbeddings, isPair, ranks),
    textToImage: await rank(textEmbeddings, imageEmbeddings, (text, image) => isPair(image, text), ranks),
    images: source.length,
    texts: texts.length,
  }
}

/**
 * Ranks a gallery for every query by cosine. A wrong item that is as similar as the best right one is ranked before it, so
 * a model that gives equal embeddings gets no hits.
 * @param ranks processes that divide the queries among them; each gets the whole result
 * @throws NonFiniteError for a cosine that is not finite
 */
export async function rank(
  queries: Embeddings,
  gallery: Embeddings,
  isHit: (query: number, item: number) => boolean,
  ranks?: Communicator,
): Promise<Ranking> {
  const own = ownItems(queries.count, BLOCK, ranks)
  const found = new Int32Array(own.stop - own.start)
  for await (const { row, similarities } of similarityRows(queries, gallery, own)) {
    const hits = similarities.map((_, item) => (isHit(row, item) ? 1 : 0))
    const best = similarities.reduce((most, x, item) => (hits[item] && x > most ? x : most), Number.NEGATIVE_INFINITY)
    found[row - own.start] =
      1 + similarities.reduce((ahead, x, item) => (!hits[item] && x >= best ? ahead + 1 : ahead), 0)
  }
  const places = gathered(found, ranks)
  const within = (k: number) => places.reduce((sum, place) => sum + (place <= k ? 1 : 0), 0) / places.length
  return { recall: { 1: within(1), 5: within(5), 10: within(10) }, medianRank: median(places), ranks: places }
}

function median(values: Int32Array): number {
  const sorted = values.slice().sort()
  const half = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
}
