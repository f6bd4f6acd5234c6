// One case of a fuzz test: a reader, a seed and a number give the file, and reading it gives an outcome.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DataError } from '../../src/io/index.ts'
import { Generator } from '../../src/tensor/index.ts'
import { mutate } from './mutations.ts'
import type { Reader, Sample } from './readers.ts'

/** What a reader did with a file: it refused it by an error of data that names it, accepted it, or threw another error. */
export interface Outcome {
  readonly outcome: 'accepted' | 'refused' | 'crashed'
  /** why it was refused, or where it crashed */
  readonly message?: string
}

/** The cases of some readers. */
export class Cases {
  readonly #readers: Readonly<Record<string, Reader>>
  readonly #samples = new Map<string, Promise<readonly Sample[]>>()

  constructor(readers: Readonly<Record<string, Reader>>) {
    this.#readers = readers
  }

  /** The valid files of a reader, which all of its cases share. @param folder where they may be made */
  samples(reader: string, folder: string): Promise<readonly Sample[]> {
    const make = async () => {
      const place = await mkdtemp(join(folder, 'samples-'))
      return this.#readers[reader].samples(place).finally(() => rm(place, { recursive: true, force: true }))
    }
    const samples = this.#samples.get(reader) ?? make()
    this.#samples.set(reader, samples)
    return samples
  }

  /** Writes the files of a case into a folder. Returns the path of the mutated file. */
  async write(reader: string, seed: number, number: number, folder: string): Promise<string> {
    const samples = await this.samples(reader, dirname(folder))
    const random = new Generator(seed).fork(`${reader} ${number}`)
    const sample = samples[random.integer(samples.length)]
    const others = samples.filter(other => other.format === sample.format).map(other => other.bytes)
    return writeSample({ ...sample, bytes: mutate(random, sample.bytes, sample.format, others) }, folder)
  }

  /** Reads the files of a case, in its folder. */
  async read(reader: string, file: string, folder: string): Promise<Outcome> {
    const before = process.cwd()
    process.chdir(folder)
    try {
      await this.#readers[reader].read(file, folder)
      // errors that nobody waits for come now
      await new Promise(resolve => setImmediate(resolve))
    } catch (error) {
      return outcomeOf(error)
    } finally {
      process.chdir(before)
    }
    if ('polluted' in {}) return { outcome: 'crashed', message: 'the prototype of all objects was changed' }
    return { outcome: 'accepted' }
  }
}

/** Writes a file and those beside it into a folder. Returns its path. */
export async function writeSample({ name, bytes, beside }: Sample, folder: string): Promise<string> {
  for (const [path, content] of Object.entries({ ...beside, [name]: bytes })) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), content)
  }
  return join(folder, name)
}

function outcomeOf(error: unknown): Outcome {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  if (!(error instanceof DataError)) return { outcome: 'crashed', message: text }
  if (error.file === undefined) return { outcome: 'crashed', message: `the error names no file: ${text}` }
  return { outcome: 'refused', message: error.message }
}
