// Embeddings of images and texts in their shared space, batch by batch, for zero-shot classification and retrieval.
// Embeddings are stored on the host, so a gallery may be larger than the memory of a device.

import { noGrad } from '../autograd/index.ts'
import { type ImageShape, type MultiImageShape, normalize } from '../data/index.ts'
import type { CoCa } from '../models/index.ts'
import type { Communicator } from '../mpi/index.ts'
import type { Module } from '../nn/index.ts'
import { fromData, indexOfNonFinite, keep, NonFiniteError, scope, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { checkRows } from './finite.ts'
import { deviceOfModel } from './inputs.ts'
import { inParts, type Work } from './memory.ts'
import { gathered, ownItems } from './ranks.ts'
import { type EmbeddingModel, type ImageModel, imagesFor, type Normalized, type TrainedModel } from './trained-model.ts'

/** Numbered images; an ImageTextSource is one. */
export interface ImageSource {
  /** number of images */
  readonly length: number
  /** its name in an error; default its number */
  name?(index: number): string
  /** [channels, height, width] in 0 … 1; the caller may change it */
  image(index: number): Promise<Float32Array>
}

/** Numbered examples with several images each, such as the frames of clips; a MultiImageSource is one. */
export interface ClipSource {
  /** number of examples */
  readonly length: number
  /** number of images, or frames, of every example */
  readonly imagesPerExample: number
  /** its name in an error; default its number */
  name?(index: number): string
  /** the frames of a clip, [imagesPerExample, channels, height, width] in 0 … 1; the caller may change them */
  images(index: number): Promise<Float32Array>
}

/** Whether the examples of a source are clips. */
export const isClipSource = <S extends object>(source: S): source is Extract<S, { images: unknown }> =>
  'images' in source

/** Options of every evaluation. */
export interface EvaluateOptions {
  /** default 64 */
  readonly batchSize?: number
  /** truncate texts that are too long, instead of throwing; default false */
  readonly truncate?: boolean
  /** called after each batch, with the number of examples so far and of all; with ranks of those of this process */
  readonly onProgress?: (done: number, total: number) => void
  /** aborting stops between batches and throws the signal's reason */
  readonly signal?: AbortSignal
  /**
   * processes that divide the batches among them, from `openMpi()`: all of them make the same call, and each gets the whole result, which is
   * that of one process. A process that stops, by an error or its `signal`, leaves the others waiting until it exits. Default: this process
   * computes everything
   */
  readonly ranks?: Communicator
}
export const evaluateOptions = {
  batchSize: is.byDefault(64, is.count),
  truncate: false,
  onProgress: undefined,
  signal: undefined,
  ranks: undefined,
} satisfies Settings<EvaluateOptions>

/** Rows of unit length, [count, width]. */
export interface Embeddings {
  /** [count, width], row by row */
  readonly data: Float32Array
  /** number of rows */
  readonly count: number
  /** width of an embedding */
  readonly width: number
}

/** Some images, or examples of several images, in the form that the model takes. */
export interface ImageBatch<Shape extends ImageShape | MultiImageShape = ImageShape> {
  /** number of the first one */
  readonly start: number
  /** number of images, or examples */
  readonly count: number
  /** normalised, [count, channels, height, width] or [count, images, channels, height, width] */
  readonly pixels: Float32Array
  /** shape of `pixels` */
  readonly shape: Shape
}

/** Decodes and normalises images, a batch at a time and in order; with ranks the batches of this process. */
export async function* imageBatches<Source extends ImageSource | ClipSource>(
  trained: Normalized & { readonly model: ImageModel },
  images: Source,
  options?: EvaluateOptions,
): AsyncGenerator<ImageBatch<Source extends ClipSource ? MultiImageShape : ImageShape>, void, undefined> {
  const call = 'imageBatches(trained, images, options)'
  const { batchSize, onProgress, signal, ranks } = settle(call, options, evaluateOptions)
  const { shape, mean, std } = imagesFor(trained)
  const own = ownItems(images.length, batchSize, ranks)
  const several = 'images' in images ? [images.imagesPerExample] : []
  const one = shape.reduce((a, b) => a * b)
  const each = one * (several[0] ?? 1)
  for (let start = own.start; start < own.stop; start += batchSize) {
    signal?.throwIfAborted()
    const count = Math.min(batchSize, own.stop - start)
    const pixels = new Float32Array(count * each)
    const decode = async (i: number) => {
      const read = await ('images' in images ? images.images(start + i) : images.image(start + i))
      for (let at = 0; at < read.length; at += one)
        pixels.set(normalize(read.subarray(at, at + one), mean, std), i * each + at)
    }
    await Promise.all(Array.from({ length: count }, (_, i) => decode(i)))
    yield { start, count, pixels, shape: [count, ...several, ...shape] as never }
    onProgress?.(start + count - own.start, own.stop - own.start)
  }
}

/** Some images of a batch. */
export const partOf = <Shape extends ImageShape | MultiImageShape>(
  { start, pixels, shape }: ImageBatch<Shape>,
  from: number,
  to: number,
): ImageBatch<Shape> => {
  const [, ...example] = shape
  const size = example.reduce((a, b) => a * b)
  const count = to - from
  const part = [count, ...example] as Shape
  return { start: start + from, count, pixels: pixels.subarray(from * size, to * size), shape: part }
}

/** A batch as a tensor on the model's device. */
export const imagesOf = (
  model: Module,
  { pixels, shape }: Pick<ImageBatch<ImageShape | MultiImageShape>, 'pixels' | 'shape'>,
): Tensor => fromData(pixels, shape, deviceOfModel(model))

/** Runs `f` with the model in evaluation mode, and restores its mode. */
export async function inEvaluation<T>(model: Module, f: () => Promise<T>): Promise<T> {
  const { training } = model
  model.eval()
  try {
    return await f()
  } finally {
    model.train(training)
  }
}

/** Computes a tensor without recording, reads it and frees it, with all that was made for it. */
export async function readOut(f: () => Tensor): Promise<ArrayLike<number>> {
  const result = noGrad(() => keep(scope(f)))
  const data = await result.data()
  result.storage.free('its evaluation')
  return data
}

/**
 * Computes tensors of items 0 … count - 1 in order and reads them, fewer items at a time if memory is short.
 * @param compute the tensor of items start … stop - 1
 * @param take gets its values
 * @throws OutOfMemoryError if memory is too small for one item
 */
export async function readInParts(
  model: Module,
  count: number,
  work: Work,
  compute: (start: number, stop: number) => Tensor,
  take: (values: ArrayLike<number>, start: number, stop: number) => void,
): Promise<void> {
  const read = async (start: number, stop: number) => take(await readOut(() => compute(start, stop)), start, stop)
  await inParts(model, count, work, read, compute)
}

/**
 * Embeddings of images or clips, each of length 1, in their order. The embedding of a clip is the mean of its frames' embeddings,
 * normalised to unit length (CoCa, section 4.2.2): it does not depend on the order of the frames.
 * @param options.batchSize number of images or frames; frames of several clips share a batch
 * @throws NonFiniteError naming an image or a clip whose embedding is not finite
 */
export async function embedImages(
  trained: TrainedModel<EmbeddingModel>,
  images: ImageSource | ClipSource,
  options?: EvaluateOptions,
): Promise<Embeddings> {
  if (isClipSource(images)) return embedClips(trained, images, options)
  const settled = settle('embedImages(trained, images, options)', options, evaluateOptions)
  const width = trained.model.config.embedding
  const own = ownItems(images.length, settled.batchSize, settled.ranks)
  const data = new Float32Array((own.stop - own.start) * width)
  for await (const batch of imageBatches(trained, images, settled)) {
    const rows = await embedBatch(trained, batch, i => nameIn(images, batch.start + i))
    data.set(rows.data, (batch.start - own.start) * width)
  }
  return { data: gathered(data, settled.ranks), count: images.length, width }
}

async function embedClips(
  trained: TrainedModel<EmbeddingModel>,
  clips: ClipSource,
  options?: EvaluateOptions,
): Promise<Embeddings> {
  const settled = settle('embedImages(trained, images, options)', options, evaluateOptions)
  const { batchSize, onProgress, signal, ranks } = settled
  const { length, imagesPerExample: frames } = clips
  const width = trained.model.config.embedding
  const together = Math.max(1, Math.floor(batchSize / frames))
  const own = ownItems(length, together, ranks)
  const data = new Float32Array((own.stop - own.start) * width)
  for (let first = own.start; first < own.stop; first += together) {
    signal?.throwIfAborted()
    const count = Math.min(together, own.stop - first)
    const pixels = await Promise.all(Array.from({ length: count }, (_, i) => clips.images(first + i)))
    const size = pixels[0].length / frames
    const stills: ImageSource = {
      length: count * frames,
      name: i => `frame ${(i % frames) + 1} of ${nameIn(clips, first + Math.floor(i / frames))}`,
      image: async i => pixels[Math.floor(i / frames)].subarray((i % frames) * size, ((i % frames) + 1) * size),
    }
    // one batch of whole clips, in parts if memory is short; of a clip with more frames than a batch, several
    const rows = await embedImages(trained, stills, { batchSize, signal })
    data.set(meansOf(rows, frames).data, (first - own.start) * width)
    onProgress?.(first + count - own.start, own.stop - own.start)
  }
  return { data: gathered(data, ranks), count: length, width }
}

/** Means of every n rows, of unit length. */
export function meansOf({ data, count, width }: Embeddings, n: number): Embeddings {
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

/** An image's name in messages. */
const nameIn = (images: Pick<ImageSource, 'name'>, index: number): string => images.name?.(index) ?? `image ${index}`

/**
 * Embeddings of the images of one batch, fewer at a time if memory is short.
 * @param nameOf the name of an image of the batch; default its number
 * @throws NonFiniteError naming an image whose embedding is not finite
 */
export async function embedBatch(
  { model }: { readonly model: EmbeddingModel },
  batch: ImageBatch,
  nameOf: (image: number) => string = image => `image ${batch.start + image}`,
): Promise<Embeddings> {
  const rows = await embedRows(model, batch.count, 'images', (start, stop) =>
    model.encodeImage(imagesOf(model, partOf(batch, start, stop))),
  )
  checkRows(rows.data, rows.width, image => `the embedding of ${nameOf(image)}`)
  return rows
}

/**
 * Embeddings of texts, each of length 1, in the order of the texts.
 * @throws TokenizerError naming a text that is too long, NonFiniteError naming one whose embedding is not finite
 */
export async function embedTexts(
  { model, tokenizer }: TrainedModel<EmbeddingModel>,
  texts: readonly string[],
  options?: EvaluateOptions,
): Promise<Embeddings> {
  const call = 'embedTexts(trained, texts, options)'
  const { batchSize, truncate, onProgress, signal, ranks } = settle(call, options, evaluateOptions)
  const { context } = model.config.text
  const width = model.config.embedding
  const ids = tokenizer.tokenize(texts, context, { truncate })
  const own = ownItems(texts.length, batchSize, ranks)
  const data = new Float32Array((own.stop - own.start) * width)
  for (let first = own.start; first < own.stop; first += batchSize) {
    signal?.throwIfAborted()
    const count = Math.min(batchSize, own.stop - first)
    const rows = await embedRows(model, count, 'texts', (start, stop) => {
      const part = ids.subarray((first + start) * context, (first + stop) * context)
      return model.encodeText(fromData(part, [stop - start, context], deviceOfModel(model)))
    })
    checkRows(rows.data, width, text => `the embedding of '${texts[first + text]}'`)
    data.set(rows.data, (first - own.start) * width)
    onProgress?.(first + count - own.start, own.stop - own.start)
  }
  return { data: gathered(data, ranks), count: texts.length, width }
}

/** Rows 0 … count - 1 of an embedding, in evaluation mode; `embed` computes rows start … stop - 1. */
function embedRows(
  model: EmbeddingModel,
  count: number,
  work: 'images' | 'texts',
  embed: (start: number, stop: number) => Tensor,
): Promise<Embeddings> {
  const width = model.config.embedding
  return inEvaluation(model, async () => {
    const data = new Float32Array(count * width)
    await readInParts(model, count, work, embed, (rows, start) => data.set(rows, start * width))
    return { data, count, width }
  })
}

/** Some rows of embeddings. */
export function rowsOf({ data, count, width }: Embeddings, start: number, stop = count): Embeddings {
  const end = Math.min(stop, count)
  return { data: data.subarray(start * width, end * width), count: end - start, width }
}

/**
 * Cosines of every row with every column, [rows, columns], on the current device.
 * @param from number of the first row
 * @throws NonFiniteError for a cosine that is not finite
 */
export async function similarityMatrix(rows: Embeddings, columns: Embeddings, from = 0): Promise<Float32Array> {
  const product = scope(() => {
    const [a, b] = [rows, columns].map(({ data, count, width }) => fromData(data, [count, width]))
    return a.matmul(b.transpose())
  })
  const data = await product.data()
  product.storage.free('its evaluation')
  const index = indexOfNonFinite(data)
  if (index >= 0) {
    const [row, column] = [from + Math.floor(index / columns.count), index % columns.count]
    throw new NonFiniteError(
      `the similarity of row ${row} and column ${column}`,
      data[index],
      'one of the two embeddings is not finite, or both are too large',
    )
  }
  return data as Float32Array
}

/**
 * The attention of the contrastive embedding to the patches of each image: [batch, patches], rows sum to 1. Means
 * over heads; if the contrastive pooler reads the output of the generative one, the product of both.
 * @param images normalised, [batch, channels, height, width]
 * @throws TypeError if the model has no pooler
 */
export function poolerAttention(model: CoCa, images: Tensor): Tensor {
  const { arrangement } = model.settings.pooler
  if (arrangement === 'none')
    throw new TypeError(
      "poolerAttention(model, images): the model has no pooler, because its pooler.arrangement is 'none'",
    )
  return noGrad(() => {
    const seen: { generative?: Tensor; contrastive?: Tensor } = {}
    model.imageFeatures(images, {
      generative: weights => {
        seen.generative = weights.mean({ axis: 1 }) // [batch, queries, patches]
      },
      contrastive: weights => {
        seen.contrastive = weights.mean({ axis: 1 }) // [batch, 1, queries or patches]
      },
    })
    const { generative, contrastive } = seen as Required<typeof seen>
    if (arrangement === 'shared') return generative.slice([{}, 0])
    return (arrangement === 'cascade' ? contrastive.matmul(generative) : contrastive).squeeze(1)
  })
}
