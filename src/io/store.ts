// A place for files without folders and without a disk: in the database of a browser, or in memory. A change of several files is made
// completely or not at all, so a program that is killed at any moment finds the files of before or those of after.

import { FileError } from './errors.ts'

/** Files by name, such as `checkpoints/step-000200/state.json`. */
export interface FileStore {
  /** its name in errors */
  readonly name: string
  /** The bytes of every file, by name, in the order of the names. */
  list(): Promise<ReadonlyMap<string, number>>
  /**
   * The bytes of a file, a copy.
   * @throws FileError if there is no such file
   */
  read(name: string): Promise<Uint8Array<ArrayBuffer>>
  /**
   * Writes some files and removes others: all of it, or nothing.
   * @throws FileError if there is no space left
   */
  write(files: ReadonlyMap<string, Uint8Array>, removed?: Iterable<string>): Promise<void>
}

/** Files in memory, for tests and for what need not be kept. */
export class MemoryStore implements FileStore {
  readonly name: string
  readonly #files = new Map<string, Uint8Array<ArrayBuffer>>()

  constructor(name = 'memory') {
    this.name = name
  }

  async list(): Promise<ReadonlyMap<string, number>> {
    const names = [...this.#files.keys()].sort()
    return new Map(names.map(name => [name, this.#files.get(name)!.length]))
  }

  /**
   * The bytes of a file, a copy.
   * @throws FileError if there is no such file
   */
  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = this.#files.get(name)
    if (!bytes) throw noFile(this.name, name)
    return new Uint8Array(bytes)
  }

  async write(files: ReadonlyMap<string, Uint8Array>, removed: Iterable<string> = []): Promise<void> {
    // slice() of a Buffer would not copy
    for (const name of removed) this.#files.delete(name)
    for (const [name, bytes] of files) this.#files.set(name, new Uint8Array(bytes))
  }
}

export const noFile = (store: string, name: string): FileError =>
  new FileError('does not exist', { file: `${store}/${name}` })
