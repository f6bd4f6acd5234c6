// A text file to which whole lines are appended. If a process was killed while it wrote a line, the incomplete line is
// removed when the file is opened again.

import { type FileHandle, open } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { DataError } from './errors.ts'
import { fileError, makeFolders, readBytes, readText } from './files.ts'
import { namesIn } from './folders.ts'
import { type JsonForm, parseJsonLine } from './json.ts'
import { lock } from './lock.ts'

export class LineFile {
  readonly path: string
  /** the lines in the file when it was opened */
  readonly lines: readonly string[]
  readonly #handle: FileHandle
  readonly #release: () => Promise<void>

  private constructor(path: string, lines: readonly string[], handle: FileHandle, release: () => Promise<void>) {
    this.path = path
    this.lines = lines
    this.#handle = handle
    this.#release = release
  }

  /**
   * Opens a file, or makes one.
   * @param options.begins the start of every line: any other file is not changed
   * @throws DataError naming the first line that starts differently; LockedError while another process has the file open; FileError
   *   if it cannot be read or written
   */
  static async open(path: string, { begins }: { readonly begins: string }): Promise<LineFile> {
    let handle: FileHandle | undefined
    let release: (() => Promise<void>) | undefined
    try {
      await makeFolders(dirname(path))
      release = await lock(path)
      handle = await open(path, 'a')
      const bytes = await readBytes(path)
      const whole = bytes.lastIndexOf(0x0a) + 1 // a half line may end within a character
      const lines = new TextDecoder().decode(bytes.subarray(0, whole)).split('\n').slice(0, -1)
      const half = new TextDecoder().decode(bytes.subarray(whole, whole + begins.length))
      const wrong = lines.findIndex(line => !line.startsWith(begins))
      if (wrong >= 0 || !begins.startsWith(half)) {
        const line = (wrong >= 0 ? wrong : lines.length) + 1
        throw new DataError(`does not begin with ${begins}: nothing is appended to this file`, { file: path, line })
      }
      if (whole < bytes.length) await handle.truncate(whole)
      return new LineFile(path, lines, handle, release)
    } catch (error) {
      await handle?.close()
      await release?.()
      throw fileErrorUnlessData(path, error)
    }
  }

  /** Writes lines and waits until they are flushed to the disk. */
  async append(lines: readonly string[]): Promise<void> {
    try {
      await this.#handle.appendFile(lines.map(line => `${line}\n`).join(''))
      await this.#handle.datasync()
    } catch (error) {
      throw fileError(this.path, error)
    }
  }

  async close(): Promise<void> {
    await this.#handle.close()
    await this.#release()
  }
}

const fileErrorUnlessData = (path: string, error: unknown): DataError =>
  error instanceof DataError ? error : fileError(path, error)

/**
 * The values of a file with one JSON value a line; none if there is no such file. An incomplete last line is left out.
 * @param form of every value
 * @throws DataError naming the file, and the line and the field that is wrong
 */
export async function readJsonLines<T>(path: string, form: JsonForm<T>): Promise<T[]> {
  if (!(await namesIn(dirname(path))).includes(basename(path))) return []
  const lines = (await readText(path)).split('\n').slice(0, -1)
  return lines.map((line, i) => parseJsonLine(line, form, { file: path, line: i + 1 }))
}
