// JSON from files of other people. JSON.parse alone accepts values nested so deeply that a function that walks them
// overflows the stack, so the depth is checked before anything is built.

import { DataError, messageOf } from './errors.ts'

/** Limits on a JSON text. */
export interface JsonLimits {
  /** most objects and lists within each other; 100 by default */
  readonly depth?: number
  /** most objects; unlimited by default */
  readonly objects?: number
}

/**
 * The value of a JSON text. Depth and number of objects are checked before the value is built.
 * @throws DataError if it is not JSON, or is beyond a limit
 */
export function parseJson(text: string, { depth = 100, objects = Number.POSITIVE_INFINITY }: JsonLimits = {}): unknown {
  let [open, made, inText] = [0, 0, false]
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (inText) {
      if (code === 0x5c) i++
      else if (code === 0x22) inText = false
    } else if (code === 0x22) inText = true
    else if (code === 0x7b || code === 0x5b) {
      if (++open > depth) throw new DataError(`nests objects and lists deeper than ${depth}, at character ${i}`)
      if (code === 0x7b && ++made > objects) throw new DataError(`has more than ${objects} objects`)
    } else if (code === 0x7d || code === 0x5d) open--
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new DataError(`is not JSON: ${messageOf(error)}`, { cause: error })
  }
}
