// What names a part of a tensor: margins, ranges and sizes, as pad, slice and split take them.

import { given, isPlain } from '../../tensor/given.ts'
import type { Padding, Range } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'

const isPair = (x: unknown): boolean => Array.isArray(x) && x.length === 2 && x.every(n => typeof n === 'number')

export const isPadding = new is.Kind<Padding>(
  'a list of [before, after], a pair for each axis',
  x => Array.isArray(x) && x.every(isPair),
  ([value]) => (isPair(value) ? { text: given([value]), values: 1 } : undefined),
)

/** A range as it is written for what other libraries take. */
function rangeFor(value: unknown): string | undefined {
  if (isPair(value)) return `{ start: ${(value as number[])[0]}, stop: ${(value as number[])[1]} }`
  return value === null || value === undefined || value === ':' ? '{}' : undefined
}
const isPart = (x: unknown): boolean => typeof x === 'number' || isPlain(x)

export const areRanges = new is.Kind<readonly (Range | number)[]>(
  'a list of positions and ranges such as [0, { start: 1, stop: 3 }]',
  x => Array.isArray(x) && x.every(isPart),
  values => {
    if (isPair(values)) return { text: `[${rangeFor(values)}]`, values: 2 }
    const [value] = values
    const items = Array.isArray(value) ? value : isPart(value) ? [value] : []
    const texts = items.map(item => (isPart(item) ? given(item) : rangeFor(item)))
    return items.length === 0 || texts.includes(undefined) ? undefined : { text: `[${texts.join(', ')}]`, values: 1 }
  },
)

export const areSizes = new is.Kind<number | readonly number[]>(
  'a size or a list of sizes',
  x => typeof x === 'number' || (Array.isArray(x) && x.every(n => typeof n === 'number')),
)
