// The files of a program as modules that import each other, cocagrad and nothing else.

import type { ProgramFile } from './protocol.ts'
import { linked, ProgramError, type Stripped, strip } from './transform.ts'

/** A module that is no file of the program. */
export interface Library {
  /** where it can be imported from */
  readonly address: string
  readonly names: readonly string[]
}

/** Where an error arose. */
export interface ErrorPlace {
  readonly file: string
  readonly line: number
}

const asModule = (text: string) => URL.createObjectURL(new Blob([text], { type: 'text/javascript' }))

const refusalOf = (module: string): string =>
  module.startsWith('.')
    ? `there is no file '${module}' in this program`
    : `'${module}' needs Node: this program does not run in a page`

/** The name of a file that another one imports. */
export const fileOf = (module: string, from: string): string => new URL(module, `file:///${from}`).pathname.slice(1)

export class Modules {
  readonly #files: ReadonlyMap<string, string>
  readonly #folder: string
  readonly #library: (module: string) => Promise<Library | undefined>
  /** addresses of the files that are linked, by their names */
  readonly #addresses = new Map<string, Promise<string>>()
  readonly #names = new Map<string, string>()

  /** @param library a module that is no file; undefined for one that there is not */
  constructor(
    files: readonly ProgramFile[],
    folder: string,
    library: (module: string) => Promise<Library | undefined>,
  ) {
    this.#files = new Map(files.map(({ name, source }) => [name, source]))
    this.#folder = folder
    this.#library = library
  }

  /**
   * The address of a file with all that it imports.
   * @param stripped its program, which may be changed
   * @param from the files that are being linked
   * @throws ProgramError with the file and the line, for what cannot be read or imported
   */
  link(name: string, stripped?: Stripped, from: readonly string[] = []): Promise<string> {
    const known = this.#addresses.get(name)
    if (known) return known
    const address = this.#linked(name, stripped, [...from, name])
    this.#addresses.set(name, address)
    return address
  }

  async #linked(name: string, given: Stripped | undefined, path: readonly string[]): Promise<string> {
    const stripped = given ?? inFile(name, () => strip(this.#files.get(name) ?? '', 0))
    const addresses = new Map<string, string>()
    for (const { module, names, line, isLate } of stripped.imports) {
      const refuse = (message: string): never => {
        throw new ProgramError(message, line, name)
      }
      if (addresses.has(module)) continue
      const file = module.startsWith('.') ? fileOf(module, name) : undefined
      if (file !== undefined && this.#files.has(file)) {
        if (path.includes(file)) refuse(`${name} and ${file} import each other; move what both need into a third file`)
        addresses.set(module, await this.link(file, undefined, path))
        continue
      }
      const library = file === undefined ? await this.#library(module) : undefined
      if (library) {
        const unknown = names.find(each => !library.names.includes(each))
        if (unknown !== undefined) refuse(`'${module}' exports no ${unknown}`)
        addresses.set(module, library.address)
      } else if (isLate) addresses.set(module, asModule(`throw new Error(${JSON.stringify(refusalOf(module))})`))
      else if (module.startsWith('.') || module.startsWith('node:') || module === 'cocagrad/train')
        refuse(refusalOf(module))
      else refuse(`there is no module '${module}' here; import from 'cocagrad', and its entries such as 'cocagrad/nn'`)
    }
    const address = asModule(linked(stripped, addresses, this.#folder + name))
    this.#names.set(address, name)
    return address
  }

  /** The place where an error arose, the innermost that is in the program; undefined where there is none. */
  placeOf(error: unknown): ErrorPlace | undefined {
    if (error instanceof ProgramError)
      return error.file === undefined ? undefined : { file: error.file, line: error.line }
    const { stack = '' } = error as Error
    const places = [...this.#names].flatMap(([address, file]) => {
      const at = stack.indexOf(address)
      const line = at < 0 ? 0 : Number(/^:(\d+)/.exec(stack.slice(at + address.length))?.[1] ?? 0)
      return line > 0 ? [{ at, file, line }] : []
    })
    return places.sort((a, b) => a.at - b.at)[0]
  }
}

/** Adds the file to a mistake in it. */
export function inFile<T>(file: string, f: () => T): T {
  try {
    return f()
  } catch (error) {
    throw error instanceof ProgramError ? new ProgramError(error.message, error.line, file) : error
  }
}
