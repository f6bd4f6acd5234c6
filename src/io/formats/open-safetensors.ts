// Safetensors from bytes, a file of a page, or a URL: the header is read first, and tensors when they are requested, so that one weight of
// a large checkpoint can be read without the rest.

import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { SafetensorsError } from '../errors.ts'
import { type ByteSource, type OnBytes, type OpenSourceOptions, openSource, type ReadPart } from '../sources.ts'
import {
  decodeSafetensor,
  parseSafetensorsHeader,
  type SafetensorsContent,
  type SafetensorsEntry,
  type SafetensorsHeader,
  type SafetensorsTensor,
  safetensorsHeaderLength,
} from './safetensors.ts'

/** Options for reading tensors. */
export interface ReadTensorsOptions {
  /** called while they are read, with the bytes of the tensors that are read */
  readonly onProgress?: OnBytes
}
const readOptions = { onProgress: is.optional(is.callback as is.Kind<OnBytes>) } satisfies Settings<ReadTensorsOptions>

/** Neighbours in a file are read together up to this size: every request to a server takes time. */
const TOGETHER = 2 ** 25

/** Runs a task that reads parts of a file. */
export type Reading = <T>(task: (read: ReadPart) => Promise<T>) => Promise<T>

/** Reads and checks the header of a file. */
export async function headerOf(read: ReadPart, length: number, file: string): Promise<SafetensorsHeader> {
  const prefix = await read(0, Math.min(8, length))
  const headerLength = safetensorsHeaderLength(prefix, length, file)
  return parseSafetensorsHeader(await read(0, 8 + headerLength), length, file)
}

/** A file whose header has been read and checked. Made by {@link openSafetensors}. */
export class OpenedSafetensors {
  /** its path or URL, or the name of a File */
  readonly path: string
  readonly #header: SafetensorsHeader
  readonly #reading: Reading

  constructor(path: string, header: SafetensorsHeader, reading: Reading) {
    this.path = path
    this.#header = header
    this.#reading = reading
  }

  /** The names of all tensors, in the header's order. */
  get names(): string[] {
    return [...this.#header.tensors.keys()]
  }

  /** The texts that describe the file. */
  get metadata(): ReadonlyMap<string, string> {
    return this.#header.metadata
  }

  /** start of the data section in the file */
  get dataStart(): number {
    return this.#header.dataStart
  }

  /** Whether there is a tensor of this name. */
  has(name: string): boolean {
    return this.#header.tensors.has(name)
  }

  /** Shape, dtype and byte range of a tensor, without reading it. */
  entry(name: string): SafetensorsEntry {
    const entry = this.#header.tensors.get(name)
    if (entry === undefined) throw new SafetensorsError(`has no tensor '${name}'`, { file: this.path })
    return entry
  }

  /**
   * Reads a tensor.
   * @throws SafetensorsError if there is no such tensor, DataError if the file has changed since it was opened
   */
  async tensor(name: string): Promise<SafetensorsTensor> {
    return (await this.tensors([name])).get(name)!
  }

  /** Every tensor, in the header's order. @throws as {@link tensor} */
  async all(options?: ReadTensorsOptions): Promise<Map<string, SafetensorsTensor>> {
    return this.tensors(this.names, options)
  }

  /** Some tensors, in the order of their names. Those that are neighbours in the file are read together. @throws as {@link tensor} */
  async tensors(names: readonly string[], options?: ReadTensorsOptions): Promise<Map<string, SafetensorsTensor>> {
    const { onProgress } = settle('file.tensors(names, options)', options, readOptions)
    const entries = new Map(names.map(name => [name, this.entry(name)]))
    const count = [...entries.values()].reduce((sum, { begin, end }) => sum + end - begin, 0)
    let done = 0
    const onBytes = (more: number) => {
      done += more
      onProgress?.(done, count)
    }
    const found = new Map<string, SafetensorsTensor>()
    await this.#reading(async read => {
      for (const run of runsOf(entries)) {
        const [begin, end] = [run[0][1].begin, run[run.length - 1][1].end]
        const bytes = await read(this.#header.dataStart + begin, end - begin, onBytes)
        for (const [name, entry] of run)
          found.set(name, decodeSafetensor(entry, bytes.subarray(entry.begin - begin, entry.end - begin)))
      }
    })
    return new Map(Array.from(entries.keys(), name => [name, found.get(name)!]))
  }
}

type NamedEntry = readonly [name: string, entry: SafetensorsEntry]

/** Tensors in the order of the file; those of a run follow each other without a gap. */
function runsOf(entries: ReadonlyMap<string, SafetensorsEntry>): NamedEntry[][] {
  const inOrder = [...entries].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)
  const runs: NamedEntry[][] = []
  for (const named of inOrder) {
    const [, { begin, end }] = named
    const run = runs.at(-1)
    if (run && run[run.length - 1][1].end === begin && end - run[0][1].begin <= TOGETHER) run.push(named)
    else runs.push([named])
  }
  return runs
}

/**
 * Reads and checks the header of a file; tensors are read when they are requested. Of a URL only the parts that are needed are requested
 * (HTTP ranges). A server that does not send parts sends the whole file, which is then in memory.
 *
 *     const file = await openSafetensors(new URL('model.safetensors', location.href))
 *     const { shape, data } = await file.tensor('logit_scale')
 *
 * @param source a URL, a Blob or File, or bytes
 * @throws SafetensorsError for a file that does not follow the format; FileError if it cannot be read
 */
export async function openSafetensors(source: ByteSource, options?: OpenSourceOptions): Promise<OpenedSafetensors> {
  const { name, length, read } = await openSource('openSafetensors(source, options)', source, options)
  return new OpenedSafetensors(name, await headerOf(read, length, name), task => task(read))
}

/**
 * Reads a whole file.
 *
 *     const { tensors } = await readSafetensors(file, { onProgress: (done, count) => { bar.value = done / count } })
 *     model.loadStateDict(fromSafetensors(tensors))
 *
 * @param source a URL, a Blob or File, or bytes
 * @param options.onProgress called while it is read
 * @throws as {@link openSafetensors}
 */
export async function readSafetensors(source: ByteSource, options?: OpenSourceOptions): Promise<SafetensorsContent> {
  const { name, length, isHere, read } = await openSource('readSafetensors(source, options)', source, options)
  const file = new OpenedSafetensors(name, await headerOf(read, length, name), task => task(read))
  // of a file that had to be read whole, the progress was reported then
  const tensors = await file.all(isHere ? {} : { onProgress: options?.onProgress })
  return { tensors, metadata: file.metadata }
}
