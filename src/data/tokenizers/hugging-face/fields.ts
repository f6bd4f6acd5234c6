// Reads the values of a tokenizer.json one field at a time. Every value is checked where it is read, so that a malformed
// file is an error that names the field, for example `normalizer.normalizers[2].pattern.Regex`.

import { TokenizerError } from '../../../io/browser.ts'

import { given, listed } from '../../../tensor/given.ts'

/** Levels of lists and objects in a file; published files have fewer than ten. */
const DEEPEST = 64
const LONGEST_SHOWN = 80

/** A value in a message, at most 80 characters of it. */
export function shown(value: unknown): string {
  const text = given(value)
  return text.length <= LONGEST_SHOWN ? text : `${text.slice(0, LONGEST_SHOWN)}…`
}

/** Whether a text has no half of a surrogate pair alone, so that it can be written as UTF-8. */
export const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text)

/** A value of the file and the path to it. */
export class Field {
  readonly value: unknown
  readonly path: string

  constructor(value: unknown, path: string) {
    this.value = value
    this.path = path
  }

  /** @throws TokenizerError `PATH is VALUE, not EXPECTED` */
  refuse(expected: string): never {
    const value = this.value === undefined ? 'missing' : shown(this.value)
    throw new TokenizerError(`${this.path} is ${value}, not ${expected}`)
  }

  /** @throws TokenizerError `PATH: REASON` */
  fail(reason: string): never {
    throw new TokenizerError(`${this.path}: ${reason}`)
  }

  /** Whether the value is null or not there. */
  get isEmpty(): boolean {
    return this.value === null || this.value === undefined
  }

  /** The field of an object; its value is undefined if there is none. */
  get(name: string): Field {
    const object = this.#object()
    const path = this.path === '' ? name : `${this.path}.${name}`
    return new Field(Object.hasOwn(object, name) ? object[name] : undefined, path)
  }

  #object(): Readonly<Record<string, unknown>> {
    const { value } = this
    if (typeof value !== 'object' || value === null || Array.isArray(value)) this.refuse('an object')
    return value as Record<string, unknown>
  }

  entries(): [string, Field][] {
    return Object.entries(this.#object()).map(([name, value]) => [
      name,
      new Field(value, `${this.path}[${shown(name)}]`),
    ])
  }

  list(): Field[] {
    if (!Array.isArray(this.value)) this.refuse('a list')
    return (this.value as unknown[]).map((item, i) => new Field(item, `${this.path}[${i}]`))
  }

  text(): string {
    if (typeof this.value !== 'string') this.refuse('a text')
    if (!isWellFormed(this.value as string))
      this.fail('half of a surrogate pair stands alone: write the whole character')
    return this.value as string
  }

  character(): string {
    const text = this.text()
    if ([...text].length !== 1) this.refuse('one character')
    return text
  }

  number(): number {
    if (typeof this.value !== 'number' || !Number.isFinite(this.value)) this.refuse('a finite number')
    return this.value as number
  }

  /** An integer from `least` to 2³² − 1. */
  integer(least = 0): number {
    const { value } = this
    if (!(Number.isInteger(value) && (value as number) >= least && (value as number) < 2 ** 32))
      this.refuse(`an integer, ${least} or more`)
    return value as number
  }

  boolean(): boolean {
    if (typeof this.value !== 'boolean') this.refuse('true or false')
    return this.value as boolean
  }

  /** One of a few names. */
  oneOf<Name extends string>(names: readonly Name[]): Name {
    if (!names.includes(this.value as Name))
      this.refuse(
        listed(
          names.map(name => `'${name}'`),
          'or',
        ),
      )
    return this.value as Name
  }

  /** What `read` makes of the field, or `otherwise` if the file leaves it out or says null. */
  or<T, Other>(otherwise: Other, read: (field: Field) => T): T | Other {
    return this.isEmpty ? otherwise : read(this)
  }
}

/** @throws TokenizerError if lists and objects contain each other to more than 64 levels, which would overflow the stack */
export function checkDepth(file: unknown): void {
  let level: unknown[] = [file]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > DEEPEST) throw new TokenizerError(`lists and objects are nested more than ${DEEPEST} levels deep`)
    const next: unknown[] = []
    for (const value of level)
      for (const each of Object.values(value as object)) if (typeof each === 'object' && each !== null) next.push(each)
    level = next
  }
}
