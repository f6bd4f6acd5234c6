// Chooses the next token from the log-probabilities of all tokens, on the host in float64.

import { descending, type Generator, isAbove, NonFiniteError } from '../../tensor/index.ts'

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

/** The token that logits predict. */
export interface TokenPlace {
  /** number of the image */
  readonly image: number
  /** position of the token in its caption, including the prompt, from 0 */
  readonly position: number
  /** number of the hypothesis, if the image has several */
  readonly beam?: number
}

/** Logits from which no token can be chosen: NaN, ∞, or only -∞. */
export class LogitsError extends NonFiniteError {
  /** the caption and the position of the token whose logits are not usable */
  readonly place: TokenPlace

  constructor(subject: string, value: number, why: string, place: TokenPlace) {
    const { image, position, beam } = place
    super(`${subject} for token ${position} of image ${image}${beam === undefined ? '' : `, beam ${beam}`}`, value, why)
    this.place = place
  }
}

/**
 * Checks that logits define probabilities: each is finite, or -∞ for a token that the model excludes, and at least one is
 * finite.
 * @throws LogitsError
 */
export function checkLogits(logits: ArrayLike<number>, place: TokenPlace): void {
  let isAny = false
  for (let id = 0; id < logits.length; id++) {
    if (Number.isFinite(logits[id])) isAny = true
    else if (logits[id] !== -Infinity)
      throw new LogitsError(
        `the logit of id ${id}`,
        logits[id],
        'the model does not compute finite numbers there. Look for NaN in its weights and in the image; if those are finite, a value on the way is too large for its dtype',
        place,
      )
  }
  if (!isAny)
    throw new LogitsError('every logit', -Infinity, 'the model rules out all tokens; a mask must leave one', place)
}

/** @throws LogitsError if the settings exclude all tokens that the model allows */
export function checkAllowed(values: Float64Array, place: TokenPlace): void {
  if (!values.some(x => x > -Infinity))
    throw new LogitsError(
      'the log-probability of every token that is left',
      -Infinity,
      'the model rules out all others, and padding, and the end before minimumLength, must not come',
      place,
    )
}

/** x - log Σ eˣ. Loops, because a vocabulary has tens of thousands of tokens, and callbacks take several times as long. */
export function logSoftmax(logits: ArrayLike<number>): Float64Array {
  const values = new Float64Array(logits)
  let largest = -Infinity
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, values[i])
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += Math.exp(values[i] - largest)
  const total = Math.log(sum)
  for (let i = 0; i < values.length; i++) values[i] = values[i] - largest - total
  return values
}

/** The log-probabilities after these ids with the settings applied; a token that is not allowed gets -∞. */
export function adjusted(logs: Float64Array, ids: readonly number[], settings: AdjustSettings): Float64Array {
  const { repetitionPenalty, minimumLength, end, pad } = settings
  const result = logs.slice()
  if (repetitionPenalty !== 1) for (const id of new Set(ids)) result[id] *= repetitionPenalty
  if (end !== undefined && ids.length + 1 < minimumLength) result[end] = -Infinity
  // padding is not text: no token attends to it, and it is never a target
  if (pad !== undefined && pad !== end) result[pad] = -Infinity
  return result
}

/** Position of the largest value, the first of equal values; NaN is below all others. */
export function largestOf(values: Float64Array): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if (isAbove(values[i], values[best])) best = i
  return best
}

/** Positions of the n largest values in descending order, equal values in order of position; NaN is below all others. */
export function largest(values: Float64Array, n: number): number[] {
  if (n > FEW) {
    const order = [...values.keys()].sort((a, b) => descending(values[a], values[b]) || a - b)
    return order.slice(0, n)
  }
  const found: number[] = []
  for (let i = 0; i < values.length; i++) {
    if (found.length === n && !isAbove(values[i], values[found[n - 1]])) continue
    let place = found.length
    while (place > 0 && isAbove(values[i], values[found[place - 1]])) place--
    found.splice(place, 0, i)
    if (found.length > n) found.pop()
  }
  return found
}

/** The number of values up to which keeping the largest is faster than sorting all. */
const FEW = 100

/** A token drawn at random by the settings: from the k most likely tokens, and of those from the most likely that reach p. */
export function drawFrom(logs: Float64Array, { temperature, topK, topP = 1, generator }: DrawSettings): number {
  const order = largest(logs, topK ?? logs.length).filter(id => logs[id] > -Infinity)
  // the largest is shifted to 0, so that no temperature makes all of them -∞
  const probabilities = logSoftmax(order.map(id => (logs[id] - logs[order[0]]) / temperature)).map(Math.exp)
  let reached = 0
  let count = 0
  while (count < order.length && reached < topP) reached += probabilities[count++]
  let rest = generator.uniform() * reached
  let chosen = 0
  while (chosen < count - 1 && rest >= probabilities[chosen]) rest -= probabilities[chosen++]
  return order[chosen]
}
