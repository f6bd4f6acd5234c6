// Safetensors on disk: written atomically, and read one tensor at a time, so that reading one weight of a large
// checkpoint does not read the rest.

import { SafetensorsError } from '../errors.ts'
import { writeAtomically } from '../files.ts'
import { piecesOf, withFile } from '../ranges.ts'
import {
  decodePiece,
  decodeSafetensor,
  encodeSafetensors,
  parseSafetensorsHeader,
  type SafetensorsContent,
  type SafetensorsData,
  type SafetensorsEntry,
  type SafetensorsHeader,
  type SafetensorsLayout,
  type SafetensorsTensor,
  safetensorBytes,
  safetensorElementBytes,
  safetensorsHead,
  safetensorsHeaderLength,
} from './safetensors.ts'
import { elementsOf, type RowRange } from './tensor-file.ts'

/**
 * Writes values on the host atomically. `saveModel` of cocagrad/train writes the parameters of a module.
 * @throws SafetensorsError if a tensor's shape, dtype and data do not agree; FileError if it cannot be written
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeAtomically(path, encodeSafetensors(tensors, metadata))
}

/**
 * Writes a file atomically, reading one tensor at a time, so that the tensors need not be in memory together.
 * @param read returns the data of a tensor, whole or in pieces; each piece is written before the next is asked for
 * @throws SafetensorsError if a tensor's shape, dtype and data do not agree; FileError if it cannot be written
 */
export async function streamSafetensors(
  path: string,
  layouts: ReadonlyMap<string, SafetensorsLayout>,
  read: (name: string) => Promise<SafetensorsData> | AsyncIterable<SafetensorsData>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { head, names } = safetensorsHead(layouts, metadata)
  async function* pieces() {
    yield head
    for (const name of names) {
      const layout = layouts.get(name)!
      const data = read(name)
      if (data instanceof Promise) yield safetensorBytes(name, layout, await data)
      else yield* bytesOfPieces(name, layout, data)
    }
  }
  await writeAtomically(path, pieces())
}

async function* bytesOfPieces(
  name: string,
  { dtype, shape }: SafetensorsLayout,
  data: AsyncIterable<SafetensorsData>,
): AsyncGenerator<Uint8Array> {
  let length = 0
  for await (const piece of data) {
    length += piece.length
    yield safetensorBytes(name, { dtype, shape: [piece.length] }, piece)
  }
  const size = shape.reduce((product, extent) => product * extent, 1)
  if (length !== size)
    throw new SafetensorsError(`tensor '${name}': [${shape}] has ${size} elements, but the data has ${length}`)
}

/** Reads and checks the header; tensors are read from disk when they are requested. No file stays open in between. */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  return withFile(path, async ({ read, version, length }) => {
    const prefix = await read(0, Math.min(8, length))
    const headerLength = safetensorsHeaderLength(prefix, length, path)
    const head = await read(0, 8 + headerLength)
    return new SafetensorsFile(path, parseSafetensorsHeader(head, length, path), version)
  })
}

/** Reads a whole file. */
export async function readSafetensors(path: string): Promise<SafetensorsContent> {
  const file = await openSafetensors(path)
  return { tensors: await file.all(), metadata: file.metadata }
}

/** A file whose header has been read and checked. Made by {@link openSafetensors}. */
export class SafetensorsFile {
  readonly path: string
  readonly #header: SafetensorsHeader
  readonly #version: string

  constructor(path: string, header: SafetensorsHeader, version: string) {
    this.path = path
    this.#header = header
    this.#version = version
  }

  get names(): string[] {
    return [...this.#header.tensors.keys()]
  }

  get metadata(): ReadonlyMap<string, string> {
    return this.#header.metadata
  }

  /** start of the data section in the file */
  get dataStart(): number {
    return this.#header.dataStart
  }

  has(name: string): boolean {
    return this.#header.tensors.has(name)
  }

  /** Shape, dtype and byte range of a tensor, without reading it. */
  entry(name: string): SafetensorsEntry {
    const entry = this.#header.tensors.get(name)
    if (entry === undefined) throw new SafetensorsError(`has no tensor '${name}'`, { file: this.path })
    return entry
  }

  /** @throws SafetensorsError if there is no such tensor, or the file has changed since it was opened */
  async tensor(name: string): Promise<SafetensorsTensor> {
    return (await this.#read([name])).get(name)!
  }

  /** A tensor, or some of its rows, in pieces; each is valid until the next is asked for. @throws as {@link tensor} */
  *pieces(name: string, rows?: RowRange): Generator<SafetensorsData> {
    const { dtype, shape, begin } = this.entry(name)
    const width = safetensorElementBytes(dtype)
    const part = elementsOf(name, shape, rows)
    const from = this.#header.dataStart + begin
    for (const bytes of piecesOf(this.path, this.#version, from + part.begin * width, from + part.end * width))
      yield decodePiece(dtype, bytes)
  }

  /** Every tensor, in the header's order. */
  async all(): Promise<Map<string, SafetensorsTensor>> {
    return this.#read(this.names)
  }

  async #read(names: readonly string[]): Promise<Map<string, SafetensorsTensor>> {
    const entries = names.map(name => [name, this.entry(name)] as const)
    return withFile(this.path, async ({ read, version }) => {
      if (version !== this.#version)
        throw new SafetensorsError('the file has changed since it was opened', { file: this.path })
      const tensors = new Map<string, SafetensorsTensor>()
      for (const [name, entry] of entries) {
        const bytes = await read(this.#header.dataStart + entry.begin, entry.end - entry.begin)
        tensors.set(name, decodeSafetensor(entry, bytes))
      }
      return tensors
    })
  }
}
