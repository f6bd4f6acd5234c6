// Several mistakes in one file: an error names the first with its place, then a few more, and how many there are.

import { DataError } from './errors.ts'

/** The most mistakes whose reasons are in a message, and the most that are looked for. */
const [NAMED, MOST] = [5, 1000]

/** The mistakes of a file, line by line. */
export class Faults {
  readonly #faults: DataError[] = []

  /** Adds a mistake. Returns whether there are so many that no further one need be looked for. */
  add(fault: DataError): boolean {
    return this.#faults.push(fault) >= MOST
  }

  /** @throws DataError if there are any: the first one with its place, the reasons of a few more, and the number of the others */
  throwIfAny(): void {
    const [first, ...others] = this.#faults
    if (first === undefined) return
    if (others.length === 0) throw first
    const { file, line, reason, cause } = first
    const named = others
      .slice(0, NAMED - 1)
      .map(({ line, reason }) => (line === undefined ? reason : `line ${line}: ${reason}`))
    const left = others.length - named.length
    const atLeast = this.#faults.length >= MOST ? 'at least ' : ''
    const rest =
      left === 0
        ? []
        : [
            `and ${atLeast}${left.toLocaleString('en')} more${line === undefined ? '' : left === 1 ? ' line' : ' lines'}`,
          ]
    throw new DataError([reason, ...named, ...rest].join('\n  '), { file, line, cause })
  }
}
