// Features of a frozen encoder, computed once and kept in a folder. Training a head on them needs no image and no pass through the
// encoder, so an epoch takes as long as reading a file. A computation that is stopped or killed continues where it was, and a later
// run with the same encoder and the same data uses what is there.

import { createHash } from 'node:crypto'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import {
  examplePixels,
  exampleShapeOf,
  type ImagePixels,
  type ImageTextSource,
  type MultiImageSource,
  normalizeExample,
  placeOf,
} from '../data/index.ts'
import { isFirst } from '../data/ranks.ts'
import { inEvaluation, readInParts } from '../evaluate/embeddings.ts'
import { deviceOfModel } from '../evaluate/inputs.ts'
import { gatheredParts, gatheredValues, stopTogether } from '../evaluate/ranks.ts'
import { DataError, fileError, LineFile, parseJsonLine } from '../io/index.ts'
import { type ImageClassifier, VideoClassifier } from '../models/index.ts'
import type { Communicator } from '../mpi/index.ts'
import { fromData, type Tensor } from '../tensor/index.ts'

/** Images or clips, with their classes. */
type Examples = ImageTextSource | MultiImageSource

/** Features that belong to other examples, or are damaged. */
export class FeatureError extends DataError {}

export interface FeatureOptions {
  /** mean and standard deviation of the pixels */
  readonly normalize: { readonly mean: readonly number[]; readonly std: readonly number[] }
  /** how files became the pixels of the source; default 'upright' */
  readonly pixels?: ImagePixels
  /** examples that are computed at once */
  readonly batchSize: number
  /** stop at an image that cannot be read */
  readonly strict: boolean
  readonly signal?: AbortSignal
  /** processes that divide the batches among them; rank 0 writes the file */
  readonly ranks?: Communicator
  /** called after each batch, on rank 0; `done` includes examples of an earlier start */
  readonly onProgress?: (done: number, total: number) => void
}

/** The tokens of the encoder for some examples: [batch, tokens, width], or [batch, frames, tokens, width] of clips. */
const encode = (model: ImageClassifier | VideoClassifier, images: Tensor): Tensor =>
  model instanceof VideoClassifier ? model.frameTokens(images) : model.encoder.forward(images)

/** Features of examples. */
export interface Features<Source extends Examples = Examples> {
  /** the same examples, whose numbers are the encoder's tokens instead of pixels; until it is closed */
  readonly source: Source
  close(): Promise<void>
}

/**
 * The features of examples; those that are not known are computed.
 * @param folder where features are kept: a file for each encoder and data
 * @throws FeatureError if a file there is damaged; LockedError while another process computes the same features; the reason of the
 *   signal, after the features so far were kept
 */
export async function openFeatures<Source extends Examples>(
  model: ImageClassifier | VideoClassifier,
  source: Source,
  folder: string,
  options: FeatureOptions,
): Promise<Features<Source>> {
  const shape = exampleShape(model)
  const path = join(folder, `${(await fingerprint(model, source, options)).slice(0, 16)}.f32`)
  options.ranks?.requireSame(
    'the file of the features',
    path,
    'start every rank with the same files, settings and version',
  )
  const unreadable = await compute(path, model, source, shape, options)
  // the file is whole and closed
  options.ranks?.barrier()
  const file = await open(path, 'r')
  const bytes = 4 * shape.reduce((a, b) => a * b)
  const read = async (index: number): Promise<Float32Array> => {
    const reason = unreadable.get(index)
    if (reason !== undefined) throw new DataError(reason, placeOf(source, index))
    const row = new Float32Array(bytes / 4)
    const { bytesRead } = await file.read(new Uint8Array(row.buffer), 0, bytes, index * bytes)
    if (bytesRead < bytes) throw new FeatureError(`ends before example ${index}`, { file: path })
    return row
  }
  const features = {
    length: source.length,
    imageSize: source.imageSize,
    fingerprint: source.fingerprint,
    exampleShape: shape,
    captions: index => source.captions(index),
    ...(source.labels && { labels: (index: number) => source.labels!(index) }),
    name: index => source.name(index),
    ...('images' in source ? { imagesPerExample: source.imagesPerExample, images: read } : { image: read }),
  } satisfies Partial<ImageTextSource & MultiImageSource>
  return { source: features as unknown as Source, close: () => file.close() }
}

function exampleShape(model: ImageClassifier | VideoClassifier): number[] {
  const { tokens, positions } = model.encoder
  const image = [tokens, positions.shape[1]]
  return model instanceof VideoClassifier ? [model.frames, ...image] : image
}

/** SHA-256 of everything that the features depend on; of the files of the examples their sizes and times. */
async function fingerprint(
  model: ImageClassifier | VideoClassifier,
  source: Examples,
  { normalize, pixels = 'upright' }: FeatureOptions,
): Promise<string> {
  const hash = createHash('sha256').update(
    JSON.stringify([model.config.image, exampleShape(model), normalize, source.fingerprint, source.imageSize]),
  )
  if (pixels !== 'upright') hash.update(pixels)
  for (const [name, tensor] of model.encoder.stateDict()) {
    const { buffer, byteOffset, byteLength } = (await tensor.data()) as Float32Array
    hash.update(name).update(new Uint8Array(buffer, byteOffset, byteLength))
  }
  for (let index = 0; index < source.length; index++) {
    const found = await stat(source.name(index)).catch(() => undefined)
    hash.update(`${found?.size} ${found?.mtimeMs} `)
  }
  return hash.digest('hex')
}

interface Entry {
  /** number of examples whose features are in the file */
  readonly done: number
  /** those of them that could not be read, and why */
  readonly unreadable: readonly (readonly [index: number, reason: string])[]
}

const entryForm = z.looseObject({
  done: z.int().nonnegative(),
  unreadable: z.array(z.tuple([z.int().nonnegative(), z.string()])),
})

/** Computes the features that are missing. Returns the examples that cannot be read, by index. */
async function compute(
  path: string,
  model: ImageClassifier | VideoClassifier,
  source: Examples,
  shape: readonly number[],
  { normalize, batchSize, strict, signal, ranks, onProgress }: FeatureOptions,
): Promise<Map<number, string>> {
  const size = shape.reduce((a, b) => a * b)
  const file = isFirst(ranks) ? await FeatureFile.open(path, size) : undefined
  try {
    let [done, unreadable] = gatheredValues(file ? [file.found] : [], ranks)[0]
    if (file && done > 0) onProgress?.(done, source.length)
    const device = deviceOfModel(model)
    while (done < source.length) {
      stopTogether(signal, ranks)
      // each process computes one batch of those that one process computes
      const start = Math.min(source.length, done + (ranks?.rank ?? 0) * batchSize)
      const count = Math.min(batchSize, source.length - start)
      const images: Float32Array[] = []
      const failed: [number, string][] = []
      for (let i = start; i < start + count; i++)
        try {
          images.push(normalizeExample(source, await examplePixels(source, i), normalize))
        } catch (error) {
          if (strict || !(error instanceof DataError)) throw error
          failed.push([i, error.reason])
          images.push(new Float32Array(exampleShapeOf(source).reduce((a, b) => a * b)))
        }
      const features = new Float32Array(count * size)
      await inEvaluation(model, () =>
        readInParts(
          model,
          count,
          'images',
          (start, stop) => {
            const shape = [stop - start, ...exampleShapeOf(source)]
            return encode(model, fromData(joined(images.slice(start, stop)), shape, device))
          },
          (tokens, start) => features.set(tokens, start * size),
        ),
      )
      const all = ranks ? gatheredParts(features, ranks) : [features]
      for (const [rank, failures] of gatheredValues([failed], ranks).entries()) {
        done += all[rank].length / size
        unreadable = [...unreadable, ...failures]
        if (all[rank].length > 0) await file?.append(all[rank], { done, unreadable: failures })
      }
      if (file) onProgress?.(done, source.length)
    }
    return new Map(unreadable)
  } finally {
    await file?.close()
  }
}

/** The file of features while it is written, and the journal of what is in it. */
class FeatureFile {
  /** the number of examples that it had, and those of them that could not be read */
  readonly found: readonly [done: number, unreadable: Entry['unreadable']]
  readonly #path: string
  readonly #rows: FileHandle
  readonly #journal: LineFile

  private constructor(path: string, rows: FileHandle, journal: LineFile, found: FeatureFile['found']) {
    this.#path = path
    this.#rows = rows
    this.#journal = journal
    this.found = found
  }

  /** @param size numbers of each example */
  static async open(path: string, size: number): Promise<FeatureFile> {
    const journal = await LineFile.open(`${path}.jsonl`, { begins: '{"' })
    let rows: FileHandle | undefined
    try {
      const entries = journal.lines.map((line, i) =>
        parseJsonLine(line, entryForm, { file: journal.path, line: i + 1 }),
      )
      const done = entries.at(-1)?.done ?? 0
      rows = await naming(path, () => open(path, 'a'))
      const file = rows
      const written = (await file.stat()).size
      if (written < 4 * size * done)
        throw new FeatureError(`has ${written} bytes, but its journal says ${4 * size * done}: remove both files`, {
          file: path,
        })
      await naming(path, () => file.truncate(4 * size * done))
      return new FeatureFile(path, file, journal, [done, entries.flatMap(({ unreadable }) => unreadable)])
    } catch (error) {
      await rows?.close()
      await journal.close()
      throw error
    }
  }

  async append(features: Float32Array, entry: Entry): Promise<void> {
    await naming(this.#path, async () => {
      await this.#rows.appendFile(new Uint8Array(features.buffer, features.byteOffset, features.byteLength))
      await this.#rows.datasync()
    })
    await this.#journal.append([JSON.stringify(entry)])
  }

  async close(): Promise<void> {
    await this.#rows.close()
    await this.#journal.close()
  }
}

/** Runs an action on a file; its errors name the file. */
async function naming<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    throw fileError(path, error)
  }
}

function joined(rows: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(rows.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const row of rows) {
    all.set(row, at)
    at += row.length
  }
  return all
}
