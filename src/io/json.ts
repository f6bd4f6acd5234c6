// JSON from files of other people. JSON.parse alone accepts values nested so deeply that a function that walks them
// overflows the stack, so the depth is checked before anything is built. It also makes fields of names that mean something
// else in an object, such as __proto__, which a copy of the fields may turn into settings that nobody reads or checks.

import { DataError, messageOf } from './errors.ts'

/** Limits on a JSON text, and what it may have that JSON does not. */
export interface JsonLimits {
  /** most objects and lists within each other; 100 by default */
  readonly depth?: number
  /** most objects; unlimited by default */
  readonly objects?: number
  /** read `NaN`, `Infinity` and `-Infinity` without quotation marks, which Python's `json` writes, as null; refused by default */
  readonly nonFinite?: boolean
  /** names that no field may have, at any depth: `OBJECT_NAMES` for settings; none by default */
  readonly refused?: readonly string[]
}

/** Names that every object has already: no setting has one of them, and a field `__proto__` is lost when the fields are copied. */
export const OBJECT_NAMES: readonly string[] = ['__proto__', 'constructor', 'prototype']

/**
 * The value of a JSON text. Depth and number of objects are checked before the value is built.
 * @throws DataError if it is not JSON, is beyond a limit, or has a field of a refused name
 */
export function parseJson(text: string, limits: JsonLimits = {}): unknown {
  checkLimits(text, limits)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    const plain = limits.nonFinite ? text.replace(STRING_OR_NON_FINITE, nullForNumber) : text
    if (plain !== text) return parseJson(plain, { ...limits, nonFinite: false })
    throw new DataError(`is not JSON: ${messageOf(error)}`, { cause: error })
  }
  if (limits.refused) refuseNames(value, limits.refused, '')
  return value
}

/** The depth of the value is limited, so the recursion is. */
function refuseNames(value: unknown, refused: readonly string[], path: string): void {
  if (typeof value !== 'object' || value === null) return
  for (const [name, inner] of Object.entries(value)) {
    if (refused.includes(name))
      throw new DataError(`has a field '${path}${name}': no field may have this name, so remove it`)
    refuseNames(inner, refused, `${path}${name}.`)
  }
}

const STRING_OR_NON_FINITE = /"[^"\\]*(?:\\[\s\S][^"\\]*)*"|-?\b(?:NaN|Infinity)\b/g

const nullForNumber = (found: string): string => (found.startsWith('"') ? found : 'null')

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [...'"\\[]{}'].map(each =>
  each.charCodeAt(0),
)

/** Counts brackets outside of strings, so that no function has to follow them. */
function checkLimits(text: string, { depth = 100, objects = Number.POSITIVE_INFINITY }: JsonLimits): void {
  let levels = 0
  let made = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (inString) {
      if (code === BACKSLASH) i++
      else if (code === QUOTE) inString = false
    } else if (code === QUOTE) inString = true
    else if (code === OPEN_LIST || code === OPEN_OBJECT) {
      if (++levels > depth) throw new DataError(`nests objects and lists deeper than ${depth}, at character ${i}`)
      if (code === OPEN_OBJECT && ++made > objects) throw new DataError(`has more than ${objects} objects`)
    } else if (code === CLOSE_LIST || code === CLOSE_OBJECT) levels--
  }
}

/** A line of a file. */
export interface LinePlace {
  readonly file: string
  /** counted from 1 */
  readonly line: number
}

/**
 * The value of a line with one JSON value. No field may be called `__proto__`.
 * @throws DataError naming the file and the line
 */
export function parseAnyJsonLine(text: string, place: LinePlace, limits: JsonLimits = {}): unknown {
  try {
    return parseJson(text, { refused: ['__proto__'], ...limits })
  } catch (error) {
    throw new DataError(error instanceof DataError ? error.reason : messageOf(error), { ...place, cause: error })
  }
}

/** What is used of a form of zod. Its types stay out of the declarations of this package, because they need those of the browser. */
export interface JsonForm<T> {
  safeParse(
    value: unknown,
  ):
    | { readonly success: true; readonly data: T }
    | { readonly success: false; readonly error: { readonly issues: readonly JsonIssue[] } }
}
interface JsonIssue {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/**
 * The value of a line with one JSON value, which must have a form.
 * @throws DataError naming the file, the line, and the field that is wrong
 */
export function parseJsonLine<T>(text: string, form: JsonForm<T>, place: LinePlace): T {
  const value = parseAnyJsonLine(text, place)
  const parsed = form.safeParse(value)
  if (parsed.success) return value as T
  const { path, message } = parsed.error.issues[0]
  throw new DataError(`${path.map(String).join('.') || 'the line'} is wrong: ${message}`, {
    ...place,
    cause: parsed.error,
  })
}
