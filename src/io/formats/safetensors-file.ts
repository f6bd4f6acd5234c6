// Safetensors on disk: written atomically, and read one tensor at a time, so that reading one weight of a large
// checkpoint does not read the rest.

import { fileURLToPath } from 'node:url'
import { SafetensorsError } from '../errors.ts'
import { writeAtomically } from '../files.ts'
import { piecesOf, withFile } from '../ranges.ts'
import type { ByteSource, OpenSourceOptions } from '../sources.ts'
import {
  headerOf,
  OpenedSafetensors,
  openSafetensors as openSafetensorsSource,
  readSafetensors as readSafetensorsSource,
} from './open-safetensors.ts'
import {
  decodePiece,
  encodeSafetensors,
  type SafetensorsContent,
  type SafetensorsData,
  type SafetensorsHeader,
  type SafetensorsLayout,
  type SafetensorsTensor,
  safetensorBytes,
  safetensorElementBytes,
  safetensorsHead,
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

/**
 * Reads and checks the header; tensors are read when they are requested. No file stays open in between.
 * @param source a path; or a URL, a Blob or File, or bytes, as in a browser
 * @throws SafetensorsError for a file that does not follow the format; FileError if it cannot be read
 */
export function openSafetensors(source: string): Promise<SafetensorsFile>
export function openSafetensors(source: ByteSource, options?: OpenSourceOptions): Promise<OpenedSafetensors>
export async function openSafetensors(
  source: string | ByteSource,
  options?: OpenSourceOptions,
): Promise<OpenedSafetensors> {
  const path = pathOf(source)
  if (path === undefined) return openSafetensorsSource(source as ByteSource, options)
  return withFile(path, async ({ read, version, length }) => {
    return new SafetensorsFile(path, await headerOf(read, length, path), version)
  })
}

/**
 * Reads a whole file.
 * @param source a path; or a URL, a Blob or File, or bytes, as in a browser
 * @throws as {@link openSafetensors}
 */
export async function readSafetensors(
  source: string | ByteSource,
  options?: OpenSourceOptions,
): Promise<SafetensorsContent> {
  const path = pathOf(source)
  if (path === undefined) return readSafetensorsSource(source as ByteSource, options)
  const file = await openSafetensors(path)
  return { tensors: await file.all({ onProgress: options?.onProgress }), metadata: file.metadata }
}

/** The path of a file on a disk. */
function pathOf(source: string | ByteSource): string | undefined {
  if (typeof source === 'string') return source
  return source instanceof URL && source.protocol === 'file:' ? fileURLToPath(source) : undefined
}

/** A file on a disk whose header has been read and checked. Made by {@link openSafetensors}. */
export class SafetensorsFile extends OpenedSafetensors {
  readonly #version: string

  constructor(path: string, header: SafetensorsHeader, version: string) {
    super(path, header, task =>
      withFile(path, async file => {
        if (file.version !== version)
          throw new SafetensorsError('the file has changed since it was opened', { file: path })
        return task(file.read)
      }),
    )
    this.#version = version
  }

  /** A tensor, or some of its rows, in pieces; each is valid until the next is asked for. @throws as `tensor` */
  *pieces(name: string, rows?: RowRange): Generator<SafetensorsData> {
    const { dtype, shape, begin } = this.entry(name)
    const width = safetensorElementBytes(dtype)
    const part = elementsOf(name, shape, rows)
    const from = this.dataStart + begin
    for (const bytes of piecesOf(this.path, this.#version, from + part.begin * width, from + part.end * width))
      yield decodePiece(dtype, bytes)
  }
}
