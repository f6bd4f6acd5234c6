// Search in a file of embeddings: rows are read block by block, and names only of the results, so a gallery may be
// larger than memory. `embedPictures` writes the file and documents its format.

import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { z } from 'zod'
import { fileError, openNpy, openSafetensors, parseJsonLine, readJson, shownJson, withFile } from '../io/index.ts'

import { descending, indexOfNonFinite } from '../tensor/index.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { EmbeddingError } from './embedding-journal.ts'
import { type Embeddings, similarityMatrix } from './embeddings.ts'

/** The number of rows that are read at once. */
const BLOCK = 4096

/** The files of the parts of embeddings, by the extension of the main file. */
export type EmbeddingFiles =
  | { readonly format: 'safetensors' }
  | { readonly format: 'npy'; readonly text: string; readonly samples: string; readonly settings: string }

/** @throws EmbeddingError if the name ends in neither .safetensors nor .npy */
export function embeddingFiles(file: string): EmbeddingFiles {
  if (/\.safetensors$/i.test(file)) return { format: 'safetensors' }
  if (!/\.npy$/i.test(file)) throw new EmbeddingError('ends in neither .safetensors nor .npy', { file })
  const stem = file.slice(0, -4)
  return { format: 'npy', text: `${stem}.text.npy`, samples: `${stem}.jsonl`, settings: `${stem}.json` }
}

/** A range of bytes of a file; the end is exclusive. */
interface Place {
  readonly file: string
  readonly begin: number
  readonly end: number
}

const sampleForm = z.looseObject({ name: z.string(), captions: z.array(z.string()) })

/** The description of a row. */
export interface EmbeddedSample {
  /** file name of the picture, or its key in its shard */
  readonly name: string
  /** captions of the picture; there may be none */
  readonly captions: readonly string[]
}

/** A row that a search found. */
export interface Neighbour extends EmbeddedSample {
  /** number of the row, from 0 */
  readonly row: number
  /** cosine of the row and the query, in [-1, 1] */
  readonly cosine: number
}

/** Options to watch and stop a search. */
export interface NearestOptions {
  readonly signal?: AbortSignal
  readonly onProgress?: (done: number) => void
}
const nearestOptions = { signal: undefined, onProgress: undefined } satisfies Settings<NearestOptions>

/** Embeddings of images on disk. */
export class EmbeddingFile {
  /** path of the file */
  readonly path: string
  /** fingerprint of the model that made them */
  readonly model: string
  /** number of images */
  readonly count: number
  /** width of an embedding */
  readonly width: number
  readonly #rows: Place
  readonly #samples: Place

  private constructor(
    path: string,
    model: string,
    [count, width]: readonly number[],
    { rows, samples }: { rows: Place; samples: Place },
  ) {
    this.path = path
    this.model = model
    this.count = count
    this.width = width
    this.#rows = rows
    this.#samples = samples
  }

  /**
   * Opens a file of embeddings.
   * @throws EmbeddingError or DataError naming what is missing or does not fit
   */
  static async open(path: string): Promise<EmbeddingFile> {
    const files = embeddingFiles(path)
    if (files.format === 'npy') {
      const { shape, dataStart } = await openNpy(path)
      const { model, images } = ((await readJson(files.settings)) ?? {}) as { model?: unknown; images?: unknown }
      if (typeof model !== 'string' || images !== shape[0])
        throw new EmbeddingError(
          `does not belong to ${path}: it lists ${shownJson(images)} images, but the file has ${shape[0]}`,
          {
            file: files.settings,
          },
        )
      const rows = { file: path, begin: dataStart, end: dataStart + 4 * shape[0] * shape[1] }
      const { size } = await stat(files.samples).catch(error => {
        throw fileError(files.samples, error)
      })
      return new EmbeddingFile(path, model, shape, { rows, samples: { file: files.samples, begin: 0, end: size } })
    }
    const file = await openSafetensors(path)
    const { dtype, shape } = file.entry('image')
    const model = file.metadata.get('model')
    if (dtype !== 'F32' || shape.length !== 2 || model === undefined)
      throw new EmbeddingError('contains no embeddings written by `embed`', { file: path })
    const place = (name: string): Place => {
      const { begin, end } = file.entry(name)
      const start = file.dataStart + begin
      return { file: path, begin: start, end: start + end - begin }
    }
    return new EmbeddingFile(path, model, shape, { rows: place('image'), samples: place('samples') })
  }

  /** Some rows of images. @throws EmbeddingError naming one that is not finite */
  async rows(start: number, stop: number): Promise<Embeddings> {
    const { file, begin } = this.#rows
    const end = Math.min(stop, this.count)
    const bytes = await withFile(file, ({ read }) =>
      read(begin + 4 * start * this.width, 4 * (end - start) * this.width),
    )
    const data = new Float32Array(bytes.buffer)
    const index = indexOfNonFinite(data)
    if (index >= 0)
      throw new EmbeddingError(
        `row ${start + Math.floor(index / this.width)} contains ${data[index]}: remove the file and embed the pictures again`,
        { file },
      )
    return { data, count: end - start, width: this.width }
  }

  /** The description of every row, in order. */
  async *samples(): AsyncGenerator<EmbeddedSample, void, undefined> {
    const { file, begin, end } = this.#samples
    const decoder = new TextDecoder()
    let rest = ''
    let number = 0
    if (end === begin) return
    for await (const bytes of createReadStream(file, { start: begin, end: end - 1 })) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n')
      rest = lines.pop()!
      for (const line of lines) yield parseJsonLine(line, sampleForm, { file, line: ++number })
    }
  }

  /**
   * The images nearest to a query by cosine, the nearest first; of equal ones the earlier first.
   * @param query one row
   * @throws EmbeddingError if its width differs
   */
  async nearest(query: Embeddings, top: number, options?: NearestOptions): Promise<Neighbour[]> {
    const { signal, onProgress } = settle('file.nearest(query, top, options)', options, nearestOptions)
    if (query.width !== this.width)
      throw new EmbeddingError(`has rows of ${this.width} numbers, but the query has ${query.width}`, {
        file: this.path,
      })
    let best: { row: number; cosine: number }[] = []
    for (let start = 0; start < this.count; start += BLOCK) {
      signal?.throwIfAborted()
      const cosines = await similarityMatrix(query, await this.rows(start, start + BLOCK))
      const bound = best.length < top ? Number.NEGATIVE_INFINITY : best[top - 1].cosine
      for (const [i, cosine] of cosines.entries()) if (cosine > bound) best.push({ row: start + i, cosine })
      best = best.sort((a, b) => descending(a.cosine, b.cosine) || a.row - b.row).slice(0, top)
      onProgress?.(Math.min(start + BLOCK, this.count))
    }
    const found = new Map<number, EmbeddedSample>()
    const wanted = new Set(best.map(({ row }) => row))
    let row = 0
    for await (const sample of this.samples()) {
      if (wanted.has(row)) found.set(row, sample)
      row++
      if (found.size === wanted.size) break
    }
    return best.map(each => ({ ...each, ...this.#known(found.get(each.row), each.row) }))
  }

  #known(sample: EmbeddedSample | undefined, row: number): EmbeddedSample {
    if (sample === undefined) throw new EmbeddingError(`has no line for row ${row}`, { file: this.#samples.file })
    return sample
  }
}
