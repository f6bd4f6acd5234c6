// Formats values for error messages: as source text if it is short, otherwise by a description.

import { show } from './shape.ts'
import { Tensor } from './tensor.ts'

/** Whether a value is an object literal: not a list, and not an instance of a class. Works across realms too. */
export function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

export const isPromise = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'

const withArticle = (name: string): string => `${/^[AEIOaeio]/.test(name) ? 'an' : 'a'} ${name}`

/** The first few items, each shown; three dots for the others. */
const some = (items: readonly string[], total: number): string =>
  [...items, ...(total > items.length ? ['…'] : [])].join(', ')

const SHOWN = 6

/** A value in a message: `3`, `'mean'`, `[1, 2, 3]`, `{ axis: 1 }`, `a tensor [2, 3]`, `a Promise`. */
export function given(value: unknown): string {
  if (value instanceof Tensor) {
    const dtype = value.dtype === 'float32' ? '' : ` ${value.dtype}`
    return `${value.constructor === Tensor ? 'a tensor' : withArticle(value.constructor.name)} ${show(value.shape)}${dtype}`
  }
  if (typeof value === 'string') return `'${value}'`
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function') return value.name ? `the function ${value.name}` : 'a function'
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? '-0' : String(value)
  if (isPromise(value)) return 'a Promise'
  if (Array.isArray(value)) return `[${some(value.slice(0, SHOWN).map(given), value.length)}]`
  if (isPlain(value)) {
    const entries = Object.entries(value)
    const shown = entries.slice(0, SHOWN).map(([name, each]) => `${name}: ${given(each)}`)
    return entries.length === 0 ? '{}' : `{ ${some(shown, entries.length)} }`
  }
  const name = withArticle(value.constructor?.name || 'object')
  if (ArrayBuffer.isView(value) && 'length' in value) return `${name} of ${value.length}`
  return value instanceof Map || value instanceof Set ? `${name} of ${value.size}` : name
}

/** Words as a sentence lists them: `a, b and c`. */
export const listed = (words: readonly string[], last = 'and'): string =>
  words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} ${last} ${words[words.length - 1]}`

/** A value as source text; three dots if it has no literal. */
export const literal = (value: unknown): string => (hasLiteral(value) ? given(value) : '…')

const hasLiteral = (value: unknown): boolean =>
  ['string', 'number', 'boolean'].includes(typeof value) ||
  (Array.isArray(value) && value.length <= SHOWN && value.every(hasLiteral)) ||
  (isPlain(value) && Object.values(value).every(hasLiteral))
