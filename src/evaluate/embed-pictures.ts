// Embeds all pictures of a folder, a file of captions or shards, and their captions, into a file. Memory does not grow
// with the data.
//
//     FILE.safetensors: tensors image [images, width] and text [texts, width], and samples, the bytes of JSON lines
//     FILE.npy: image; FILE.text.npy: text; FILE.jsonl: the lines; FILE.json: the settings
//
// Line i describes row i of `image`: {"name", "captions"}. All captions in order are the rows of `text`.

import { createHash } from 'node:crypto'
import { rename, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { OnBadSample, Pictures } from '../data/index.ts'
import { isFirst } from '../data/ranks.ts'
import { DataError, fileError, npyHead, safetensorsHead, syncFolder, writeAtomically } from '../io/index.ts'
import type { Communicator } from '../mpi/index.ts'
import type { Module } from '../nn/index.ts'
import { valuesOf } from '../nn/parameter.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { type EmbeddingFiles, embeddingFiles } from './embedding-file.ts'
import { type EmbeddedBatch, EmbeddingError, EmbeddingJournal } from './embedding-journal.ts'
import { embedBatch, embedTexts } from './embeddings.ts'
import { type PictureBatch, type PictureOptions, pictureBatches, pictureOptions } from './picture-batches.ts'
import { gatheredParts, gatheredValues, stopTogether } from './ranks.ts'
import type { EmbeddingModel, TrainedModel } from './trained-model.ts'

/** Options of `embedPictures`. */
export interface EmbedOptions extends Omit<PictureOptions, 'from' | 'without' | 'ranks'> {
  /**
   * processes that divide the pictures among them, from `openMpi()`: all of them make the same call; rank 0 writes the file and calls the
   * callbacks. Default: this process embeds all pictures
   */
  readonly ranks?: Communicator
  /** path of the pictures, which is written to the file */
  readonly source: string
  /** truncate captions that are too long, instead of throwing; default false */
  readonly truncate?: boolean
  /** called for each picture that is left out, once */
  readonly onBadSample?: OnBadSample
  /** called with the number of processed samples, including those of an earlier start */
  readonly onProgress?: (done: number) => void
}
const embedOptions = {
  batchSize: pictureOptions.batchSize,
  strict: false,
  signal: undefined,
  source: is.text,
  truncate: false,
  onBadSample: undefined,
  onProgress: undefined,
  ranks: undefined,
} satisfies Settings<EmbedOptions>

/** What `embedPictures` wrote. */
export interface EmbedResult {
  /** number of pictures */
  readonly images: number
  /** number of captions */
  readonly texts: number
  /** width of an embedding */
  readonly width: number
  /** pictures that could not be read */
  readonly skipped: number
}

/**
 * Embeds pictures and their captions into a file; until all are done they are in a folder next to it, FILE.parts. If it is
 * stopped, the same call continues and writes the same bytes as without the interruption.
 * @param file ends in .safetensors or .npy
 * @throws EmbeddingError if the file exists already, or was started with another model or other pictures
 */
export async function embedPictures(
  trained: TrainedModel<EmbeddingModel>,
  pictures: Pictures,
  file: string,
  options: EmbedOptions,
): Promise<EmbedResult> {
  const files = embeddingFiles(file)
  const settled = settle('embedPictures(trained, pictures, file, options)', options, embedOptions)
  const { source, onBadSample, onProgress, truncate, ranks, signal, ...batching } = settled
  const [model, width] = [await modelFingerprint(trained), trained.model.config.embedding]
  const advice = 'start every rank with the same files, settings and version'
  const all = JSON.stringify([model, pictures.fingerprint, batching, truncate])
  ranks?.requireSame('the model, the pictures or the options', all, advice)
  const journal = isFirst(ranks) ? await openJournal() : undefined
  try {
    const from = Float64Array.of(journal?.count.position ?? 0)
    ranks?.broadcast(from)
    if (journal) onProgress?.(from[0])
    for await (const batch of pictureBatches(trained, pictures, { ...batching, ranks, from: from[0] })) {
      stopTogether(signal, ranks)
      const own = {
        position: batch.stop,
        image: (await embedBatch(trained, batch, image => batch.samples[image].name)).data,
        text: await textRows(trained, batch, settled),
        lines: batch.samples.map(({ name, captions }) => JSON.stringify({ name, captions })),
        skipped: batch.skipped,
      }
      for (const entry of entriesOf(own, ranks)) {
        if (!journal) continue
        for (const bad of await journal.append(entry)) onBadSample?.(bad)
        onProgress?.(entry.position)
      }
    }
    const written = journal ? [await finish(journal)] : []
    return gatheredValues(written, ranks)[0]
  } finally {
    await journal?.close()
  }

  async function openJournal(): Promise<EmbeddingJournal> {
    const parts = `${file}.parts`
    if (!(await exists(join(parts, 'journal.jsonl'))))
      for (const path of files.format === 'npy' ? [file, files.text, files.samples, files.settings] : [file])
        if (await exists(path)) throw new EmbeddingError('already exists', { file: path })
    return EmbeddingJournal.open(parts, { model, source, data: pictures.fingerprint, width })
  }

  async function finish(journal: EmbeddingJournal): Promise<EmbedResult> {
    const { images, texts } = journal.count
    if (images === 0) throw new EmbeddingError('contains no pictures that can be read', { file: source })
    await writeWhole(journal, file, files)
    await journal.remove()
    return { images, texts, width, skipped: journal.skipped }
  }
}

/** What the processes have computed in a round, in the order of the pictures. */
function entriesOf(own: EmbeddedBatch, ranks: Communicator | undefined): readonly EmbeddedBatch[] {
  if (!ranks) return [own]
  const { image, text, ...others } = own
  const [images, texts] = [image, text].map(rows => gatheredParts(rows, ranks))
  return gatheredValues([others], ranks)
    .map((each, rank) => ({ ...each, image: images[rank], text: texts[rank] }))
    .filter(({ lines, skipped }) => lines.length > 0 || skipped.length > 0)
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/** SHA-256 of everything that determines the embedding of a picture or a text. */
export async function modelFingerprint({
  model,
  tokenizer,
  normalize,
  pixels = 'upright',
}: TrainedModel<Module & { readonly config: object }>): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([model.config, normalize ?? null, tokenizer.toJSON()]))
  if (pixels !== 'upright') hash.update(pixels)
  for (const [name, tensor] of model.stateDict()) {
    hash.update(JSON.stringify([name, tensor.shape]))
    for await (const { buffer, byteOffset, byteLength } of valuesOf(tensor))
      hash.update(new Uint8Array(buffer, byteOffset, byteLength))
  }
  return hash.digest('hex')
}

async function textRows(
  trained: TrainedModel<EmbeddingModel>,
  { samples }: PictureBatch,
  { truncate, batchSize }: EmbedOptions,
): Promise<Float32Array> {
  const { context } = trained.model.config.text
  for (const { name, captions } of truncate ? [] : samples)
    try {
      trained.tokenizer.tokenize(captions, context)
    } catch (error) {
      if (!(error instanceof DataError)) throw error
      throw new DataError(`${error.reason} (--truncate cuts it)`, { file: name, cause: error })
    }
  const texts = samples.flatMap(({ captions }) => captions)
  return (await embedTexts(trained, texts, { truncate, batchSize })).data
}

/** Joins the parts into files with temporary names, which are renamed when all of them are written; the images last. */
async function writeWhole(journal: EmbeddingJournal, file: string, files: EmbeddingFiles): Promise<void> {
  const { settings, count, skipped } = journal
  const { images, texts, bytes } = count
  const rows = (n: number) => [n, settings.width] as const
  const whole = new Map<string, AsyncGenerator<Uint8Array>>()
  if (files.format === 'npy') {
    if (texts > 0) whole.set(files.text, after(npyHead(rows(texts)), 'text'))
    whole.set(files.samples, journal.read('samples'))
    whole.set(
      files.settings,
      after(Buffer.from(`${JSON.stringify({ ...settings, images, texts, skipped }, null, 2)}\n`)),
    )
    whole.set(file, after(npyHead(rows(images)), 'image'))
  } else {
    const { head, names } = safetensorsHead(
      new Map([
        ['image', { dtype: 'F32', shape: rows(images) }],
        ...(texts > 0 ? ([['text', { dtype: 'F32', shape: rows(texts) }]] as const) : []),
        ['samples', { dtype: 'U8', shape: [bytes] }],
      ]),
      { model: settings.model, source: settings.source, data: settings.data, skipped: String(skipped) },
    )
    whole.set(file, after(head, ...(names as ('image' | 'text' | 'samples')[])))
  }
  const written = [...whole].map(([path, pieces], i) => ({ path, pieces, beside: join(journal.folder, `whole-${i}`) }))
  for (const { beside, pieces } of written) await writeAtomically(beside, pieces)
  for (const { path, beside } of written)
    await rename(beside, path).catch(error => {
      throw fileError(path, error)
    })
  await syncFolder(dirname(file))

  async function* after(head: Uint8Array, ...parts: readonly ('image' | 'text' | 'samples')[]) {
    yield head
    for (const part of parts) yield* journal.read(part)
  }
}
