// Safetensors on disk: written whole or not at all, and read one tensor at a time, so that looking at one weight of
// a large checkpoint does not read the rest.

import { type FileHandle, open } from 'node:fs/promises'
import { messageOf, SafetensorsError } from './errors.ts'
import { fileError, writeAtomically } from './files.ts'
import {
  decodeSafetensor,
  encodeSafetensors,
  parseSafetensorsHeader,
  type SafetensorsContent,
  type SafetensorsEntry,
  type SafetensorsHeader,
  type SafetensorsTensor,
  safetensorsHeaderLength,
} from './safetensors.ts'

/**
 * Writes a file atomically.
 * @throws SafetensorsError if a tensor's shape, dtype and data do not agree; FileError if it cannot be written
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeAtomically(path, encodeSafetensors(tensors, metadata))
}

/** Reads and checks the header; the tensors stay on disk until asked for. No file stays open in between. */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  return withFile(path, async (handle, version, length) => {
    const prefix = await readRange(handle, 0, Math.min(8, length), path)
    const headerLength = safetensorsHeaderLength(prefix, length, path)
    const head = await readRange(handle, 0, 8 + headerLength, path)
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

  /** Every tensor, in the header's order. */
  async all(): Promise<Map<string, SafetensorsTensor>> {
    return this.#read(this.names)
  }

  async #read(names: readonly string[]): Promise<Map<string, SafetensorsTensor>> {
    const entries = names.map(name => [name, this.entry(name)] as const)
    return withFile(this.path, async (handle, version) => {
      if (version !== this.#version)
        throw new SafetensorsError('the file has changed since it was opened', { file: this.path })
      const tensors = new Map<string, SafetensorsTensor>()
      for (const [name, entry] of entries) {
        const bytes = await readRange(handle, this.#header.dataStart + entry.begin, entry.end - entry.begin, this.path)
        tensors.set(name, decodeSafetensor(entry, bytes))
      }
      return tensors
    })
  }
}

/** Opens a file for the length of one task. `version` changes when the file is replaced or written to. */
async function withFile<T>(
  path: string,
  task: (handle: FileHandle, version: string, length: number) => Promise<T>,
): Promise<T> {
  let handle: FileHandle
  try {
    handle = await open(path, 'r')
  } catch (error) {
    throw fileError(path, error)
  }
  try {
    const { ino, size, mtimeNs } = await handle.stat({ bigint: true })
    return await task(handle, `${ino} ${size} ${mtimeNs}`, Number(size))
  } catch (error) {
    throw error instanceof SafetensorsError ? error : fileError(path, error)
  } finally {
    await handle.close()
  }
}

async function readRange(handle: FileHandle, start: number, length: number, path: string): Promise<Uint8Array> {
  let bytes: Uint8Array
  try {
    bytes = new Uint8Array(length)
  } catch (error) {
    throw new SafetensorsError(`${length} bytes do not fit in one array: ${messageOf(error)}`, { file: path })
  }
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, start + filled)
    if (bytesRead === 0) throw new SafetensorsError(`ends ${length - filled} bytes early`, { file: path })
    filled += bytesRead
  }
  return bytes
}
