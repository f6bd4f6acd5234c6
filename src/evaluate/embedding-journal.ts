// A file of embeddings while it is written: rows and names are appended to files in a folder next to it, and a journal
// records after each batch how much of them is valid. After a kill, anything beyond that is cut off, and writing
// continues from there.

import { createReadStream } from 'node:fs'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { BadSample } from '../data/index.ts'
import { DataError, fileError, LineFile, parseJsonLine } from '../io/index.ts'

/** Embeddings that were started with another model or other pictures, or are damaged. */
export class EmbeddingError extends DataError {}

/** Settings that must be the same when writing continues. */
export interface EmbeddingSettings {
  /** fingerprint of the model */
  readonly model: string
  /** path of the pictures */
  readonly source: string
  /** fingerprint of the pictures */
  readonly data: string
  /** width of a row */
  readonly width: number
}

/** The progress so far. */
export interface EmbeddingCount {
  /** number of processed samples */
  readonly position: number
  /** rows of the images, and of the texts */
  readonly images: number
  readonly texts: number
  /** bytes of the names */
  readonly bytes: number
}

interface Entry extends EmbeddingCount {
  readonly skipped: readonly BadSample[]
}

const count = z.int().nonnegative()
const settingsForm = z.looseObject({ model: z.string(), source: z.string(), data: z.string(), width: count })
const badSample = z.looseObject({ file: z.string(), key: z.string().optional(), reason: z.string() })
const entryForm = z.looseObject({
  position: count,
  images: count,
  texts: count,
  bytes: count,
  skipped: z.array(badSample),
})

/** Some samples: the rows of their images and texts, and for each a line that describes it. */
export interface EmbeddedBatch {
  readonly position: number
  readonly image: Float32Array
  readonly text: Float32Array
  readonly lines: readonly string[]
  readonly skipped: readonly BadSample[]
}

const PARTS = ['image', 'text', 'samples'] as const
type Part = (typeof PARTS)[number]

const keyOf = ({ file, key, reason }: BadSample) => JSON.stringify([file, key, reason])

export class EmbeddingJournal {
  readonly folder: string
  readonly settings: EmbeddingSettings
  readonly #journal: LineFile
  readonly #files: Readonly<Record<Part, FileHandle>>
  readonly #skipped = new Set<string>()
  #count: EmbeddingCount = { position: 0, images: 0, texts: 0, bytes: 0 }

  private constructor(
    folder: string,
    settings: EmbeddingSettings,
    journal: LineFile,
    files: Readonly<Record<Part, FileHandle>>,
  ) {
    this.folder = folder
    this.settings = settings
    this.#journal = journal
    this.#files = files
  }

  /**
   * Starts, or continues from an existing folder.
   * @throws EmbeddingError naming the setting that differs
   */
  static async open(folder: string, settings: EmbeddingSettings): Promise<EmbeddingJournal> {
    const journal = await LineFile.open(join(folder, 'journal.jsonl'), { begins: '{"' })
    const opened: { close(): Promise<void> }[] = [journal]
    try {
      const [first, ...others] = journal.lines
      const entries = others.map((line, i) => parseJsonLine(line, entryForm, { file: journal.path, line: i + 2 }))
      if (first === undefined) await journal.append([JSON.stringify(settings)])
      else checkSame(folder, parseJsonLine(first, settingsForm, { file: journal.path, line: 1 }), settings)
      const files: Partial<Record<Part, FileHandle>> = {}
      for (const part of PARTS) {
        files[part] = await open(join(folder, part), 'a')
        opened.push(files[part])
      }
      const result = new EmbeddingJournal(folder, settings, journal, files as Record<Part, FileHandle>)
      for (const entry of entries) result.#note(entry)
      await result.#cut()
      return result
    } catch (error) {
      await Promise.all(opened.map(file => file.close()))
      throw error
    }
  }

  get count(): EmbeddingCount {
    return this.#count
  }

  /** The number of samples that were left out. */
  get skipped(): number {
    return this.#skipped.size
  }

  /** Writes a batch. Returns those of its skipped samples that were not reported before. */
  async append({ position, image, text, lines, skipped }: EmbeddedBatch): Promise<readonly BadSample[]> {
    const names = Buffer.from(lines.map(line => `${line}\n`).join(''))
    await this.#write('image', bytesOf(image))
    await this.#write('text', bytesOf(text))
    await this.#write('samples', names)
    const { width } = this.settings
    const entry: Entry = {
      position,
      images: this.#count.images + image.length / width,
      texts: this.#count.texts + text.length / width,
      bytes: this.#count.bytes + names.length,
      skipped: skipped.filter(sample => !this.#skipped.has(keyOf(sample))),
    }
    await this.#journal.append([JSON.stringify(entry)])
    this.#note(entry)
    return entry.skipped
  }

  /** The bytes of a part, as a stream. */
  async *read(part: Part): AsyncGenerator<Uint8Array, void, undefined> {
    const length = this.#bytes(part)
    if (length > 0) yield* createReadStream(join(this.folder, part), { end: length - 1, highWaterMark: 1 << 20 })
  }

  async close(): Promise<void> {
    await Promise.all([this.#journal, ...Object.values(this.#files)].map(file => file.close()))
  }

  /** Removes the folder, the journal first: without it nothing can be continued. */
  async remove(): Promise<void> {
    await rm(this.#journal.path)
    await rm(this.folder, { recursive: true, force: true })
  }

  #bytes(part: Part): number {
    const { images, texts, bytes } = this.#count
    return part === 'samples' ? bytes : 4 * this.settings.width * (part === 'image' ? images : texts)
  }

  #note({ skipped, ...count }: Entry): void {
    this.#count = count
    for (const sample of skipped) this.#skipped.add(keyOf(sample))
  }

  async #write(part: Part, bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return
    try {
      await this.#files[part].appendFile(bytes)
      await this.#files[part].datasync()
    } catch (error) {
      throw fileError(join(this.folder, part), error)
    }
  }

  /** Cuts off everything that is not in the journal. */
  async #cut(): Promise<void> {
    for (const part of PARTS) {
      const [length, { size }] = [this.#bytes(part), await this.#files[part].stat()]
      if (size < length)
        throw new EmbeddingError(`has ${size} bytes, but the journal says ${length}`, {
          file: join(this.folder, part),
        })
      await this.#files[part].truncate(length)
    }
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array) => new Uint8Array(buffer, byteOffset, byteLength)

const WORDS = { model: 'another model', source: 'other pictures', data: 'other pictures', width: 'another model' }

function checkSame(folder: string, before: EmbeddingSettings, now: EmbeddingSettings): void {
  for (const name of ['source', 'data', 'model', 'width'] as const)
    if (before[name] !== now[name])
      throw new EmbeddingError(
        `was started with ${WORDS[name]} (${name} ${before[name]}, not ${now[name]}): remove it to start again`,
        { file: folder },
      )
}
