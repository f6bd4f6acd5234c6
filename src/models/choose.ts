// Which token comes next, from the log-probabilities of all of them: on the host, in float64.

import type { Generator } from '../tensor/index.ts'

export interface ShapeSettings {
  readonly repetitionPenalty: number
  readonly minimumLength: number
  readonly end?: number
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

/** What the settings make of the model's log-probabilities: forbidden tokens are -∞. */
export function shape(logs: Float64Array, ids: readonly number[], settings: ShapeSettings): Float64Array {
  const { repetitionPenalty, minimumLength, end } = settings
  const shaped = logs.slice()
  if (repetitionPenalty !== 1)
    for (const id of new Set(ids)) shaped[id] *= shaped[id] < 0 ? repetitionPenalty : 1 / repetitionPenalty
  if (end !== undefined && ids.length + 1 < minimumLength) shaped[end] = -Infinity
  return shaped
}

/** Position of the largest value, the first of equal ones. */
export const largestOf = (values: Float64Array): number =>
  values.reduce((best, x, i) => (x > values[best] ? i : best), 0)

/** A token drawn at random as the settings say. */
export function drawFrom(logs: Float64Array, { temperature, topK, topP, generator }: DrawSettings): number {
  const order = [...logs.keys()].sort((a, b) => logs[b] - logs[a] || a - b).slice(0, topK)
  const scaled = logSoftmax(order.map(id => logs[id] / temperature)).map(Math.exp)
  let count = scaled.length
  if (topP !== undefined) {
    let reached = 0
    count = 0
    while (count < scaled.length && reached < topP) reached += scaled[count++]
  }
  const total = scaled.subarray(0, count).reduce((a, b) => a + b, 0)
  let rest = generator.uniform() * total
  let chosen = 0
  while (chosen < count - 1 && rest >= scaled[chosen]) rest -= scaled[chosen++]
  return order[chosen]
}

/** Positions of the n largest values, largest first. */
export const best = (values: Float64Array, n: number): number[] =>
  [...values.keys()].sort((a, b) => values[b] - values[a] || a - b).slice(0, n)
