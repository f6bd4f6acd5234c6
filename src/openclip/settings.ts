// Reads the settings of a JSON file one by one, with errors that name the setting: what remains at the end is unknown.

import { ConfigError } from '../nn/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Size2d, sidesOf, sizeOfSides } from '../tensor/sides.ts'

/** Whether a value is an object of settings, and not a list. */
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Settings by name. Each is read once; those that remain at the end are unknown. */
export class JsonSettings {
  readonly #path: string
  readonly #values: Map<string, unknown>

  constructor(path: string, value: unknown) {
    if (!isRecord(value)) throw new ConfigError(path || 'the configuration', value, 'is not an object of settings')
    this.#path = path && `${path}.`
    // in OpenCLIP's files, null means that a setting is not given
    this.#values = new Map(Object.entries(value).filter(([, setting]) => setting !== null))
  }

  /** A group of settings. */
  group(name: string, byDefault?: object): JsonSettings {
    return new JsonSettings(this.#path + name, this.#take(name) ?? byDefault)
  }

  count(name: string, byDefault?: number): number {
    return this.#checked(name, byDefault, 'must be a whole number above 0', x => Number.isInteger(x) && x > 0)
  }

  /** The side of a square, or height and width. */
  size(name: string, byDefault: Size2d): Size2d {
    const value = this.#take(name) ?? byDefault
    if (!is.size2d.fits(value)) throw this.refuse(name, value, 'must be a whole number above 0, or two')
    return sizeOfSides(sidesOf(value))
  }

  /** One of several words, the first where none is given. */
  oneOf<T extends string>(name: string, ...words: readonly [T, ...T[]]): T {
    const value = this.#take(name) ?? words[0]
    if (!words.includes(value as T)) throw this.refuse(name, value, `must be one of ${words.join(', ')}`)
    return value as T
  }

  number(name: string, byDefault: number): number {
    return this.#checked(name, byDefault, 'must be a number', Number.isFinite)
  }

  positive(name: string, byDefault: number): number {
    return this.#checked(name, byDefault, 'must be a number above 0', x => x > 0)
  }

  text(name: string, byDefault: string): string {
    const value = this.#take(name) ?? byDefault
    if (typeof value !== 'string') throw this.refuse(name, value, 'must be a string')
    return value
  }

  flag(name: string, byDefault: boolean): boolean {
    const value = this.#take(name) ?? byDefault
    if (typeof value !== 'boolean') throw this.refuse(name, value, 'must be true or false')
    return value
  }

  /** Settings that must have one value if they are given. */
  only(reason: string, expected: Readonly<Record<string, unknown>>): void {
    for (const [name, value] of Object.entries(expected)) {
      const found = this.#take(name)
      if (found !== undefined && found !== value) throw this.refuse(name, found, reason)
    }
  }

  /** Three numbers, or one for all three. */
  triple(name: string, byDefault: readonly number[], fits: (x: number) => boolean): readonly number[] {
    const given = this.#take(name) ?? byDefault
    const value = typeof given === 'number' ? [given, given, given] : given
    const isFitting = (x: unknown) => Number.isFinite(x) && fits(x as number)
    if (!Array.isArray(value) || value.length !== 3 || !value.every(isFitting))
      throw this.refuse(name, given, 'must be three numbers')
    return value
  }

  /** Settings without an effect. */
  ignore(...names: readonly string[]): void {
    for (const name of names) this.#take(name)
  }

  refuse(name: string, value: unknown, reason: string): ConfigError {
    return new ConfigError(this.#path + name, value, reason)
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  end(): void {
    for (const [name, value] of this.#values) throw this.refuse(name, value, 'is not a known setting')
  }

  #checked(name: string, byDefault: number | undefined, reason: string, fits: (x: number) => boolean): number {
    const value = this.#take(name) ?? byDefault
    if (value === undefined) throw this.refuse(name, null, 'is missing')
    if (typeof value !== 'number' || !fits(value)) throw this.refuse(name, value, reason)
    return value
  }

  #take(name: string): unknown {
    const value = this.#values.get(name)
    this.#values.delete(name)
    return value
  }
}
