// Which token comes next, from the log-probabilities of all of them: on the host, in float64.

import type { Generator } from '../tensor/index.ts'

export interface AdjustSettings {
  readonly repetitionPenalty: number
  readonly minimumLength: number
  readonly end?: number
  readonly pad?: number
}

export interface DrawSettings {
  readonly temperature: number
  readonly topK?: number
  readonly topP?: number
  readonly generator: Generator
}

/** x - log Σ eˣ */
export function logSoftmax(logits: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(logits)
  const largest = values.reduce((a, b) => Math.max(a, b), -Infinity)
  const total = Math.log(values.reduce((sum, x) => sum + Math.exp(x - largest), 0))
  return values.map(x => x - largest - total)
}

/** What the settings make of the log-probabilities after these ids; a token that may not come gets -∞. */
export function adjusted(logs: Float64Array, ids: readonly number[], settings: AdjustSettings): Float64Array {
  const { repetitionPenalty, minimumLength, end, pad } = settings
  const result = logs.slice()
  if (repetitionPenalty !== 1) for (const id of new Set(ids)) result[id] *= repetitionPenalty
  if (end !== undefined && ids.length + 1 < minimumLength) result[end] = -Infinity
  // padding is no text: no token sees it, and it is never a target
  if (pad !== undefined && pad !== end) result[pad] = -Infinity
  return result
}

/** Position of the largest value, the first of equal ones. */
export const largestOf = (values: Float64Array): number =>
  values.reduce((best, x, i) => (x > values[best] ? i : best), 0)

/** Positions of the n largest values, largest first, the first of equal ones first. */
export function largest(values: Float64Array, n: number): number[] {
  const found: number[] = []
  for (let i = 0; i < values.length; i++) {
    if (found.length === n && values[i] <= values[found[n - 1]]) continue
    let place = found.length
    while (place > 0 && values[found[place - 1]] < values[i]) place--
    found.splice(place, 0, i)
    if (found.length > n) found.pop()
  }
  return found
}

/** A token drawn at random as the settings say: first the k likeliest, of those the likeliest that reach p. */
export function drawFrom(logs: Float64Array, { temperature, topK, topP = 1, generator }: DrawSettings): number {
  const order = [...logs.keys()]
    .filter(id => logs[id] > -Infinity)
    .sort((a, b) => logs[b] - logs[a] || a - b)
    .slice(0, topK)
  const probabilities = logSoftmax(order.map(id => logs[id] / temperature)).map(Math.exp)
  let reached = 0
  let count = 0
  while (count < order.length && reached < topP) reached += probabilities[count++]
  let rest = generator.uniform() * reached
  let chosen = 0
  while (chosen < count - 1 && rest >= probabilities[chosen]) rest -= probabilities[chosen++]
  return order[chosen]
}
