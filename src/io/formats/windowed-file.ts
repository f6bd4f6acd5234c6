// Reads of a file at any place, of which those that are close together are read at once.

import { type OpenFile, openToRead } from '../files.ts'
import type { TarSource } from './tar.ts'

/** Bytes that are read at once: headers of small members of a tar are close together. */
const WINDOW = 1 << 16

/** A file and its most recently read part. */
export class WindowedFile implements TarSource {
  readonly size: number
  readonly #handle: OpenFile
  readonly #window = new Uint8Array(WINDOW)
  #start = 0
  #length = 0

  private constructor(handle: OpenFile, size: number) {
    this.#handle = handle
    this.size = size
  }

  static async open(path: string): Promise<WindowedFile> {
    const { handle, size } = await openToRead(path)
    return new WindowedFile(handle, size)
  }

  /** Bytes that stay valid until the next read; fewer at the end of the file. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    if (length > WINDOW) return this.#fill(new Uint8Array(length), offset)
    if (offset < this.#start || offset + length > this.#start + this.#length) {
      this.#start = offset
      this.#length = (await this.#fill(this.#window, offset)).length
    }
    return this.#window.subarray(offset - this.#start, Math.min(offset - this.#start + length, this.#length))
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }

  async #fill(buffer: Uint8Array, offset: number): Promise<Uint8Array> {
    let filled = 0
    while (filled < buffer.length) {
      const { bytesRead } = await this.#handle.read(buffer, filled, buffer.length - filled, offset + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return buffer.subarray(0, filled)
  }
}
