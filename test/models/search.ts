// Exhaustive search: the result that beam search must find if it keeps all beams.

import type { CoCa } from '../../src/models/index.ts'
import type { Tensor } from '../../src/tensor/index.ts'
import { ids } from './small.ts'

/** log p of every token after these, by the whole model. */
export function logProbabilities(model: CoCa, image: Tensor, tokens: readonly number[]): number[] {
  const logits = [
    ...model
      .forward(image, ids([tokens]))
      .logits.slice([0, -1])
      .dataSync(),
  ]
  const total = Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0))
  return logits.map(x => x - total)
}

export interface Found {
  readonly ids: readonly number[]
  readonly logProbability: number
  readonly score: number
  readonly finished: boolean
}

export interface Exhaustive {
  readonly prompt: readonly number[]
  readonly end?: number
  readonly maximumLength: number
  readonly minimumLength?: number
  readonly lengthPenalty?: number
  readonly repetitionPenalty?: number
}

/** Every caption there can be, best first. */
export function exhaustive(model: CoCa, image: Tensor, options: Exhaustive): Found[] {
  const { prompt, end, maximumLength, minimumLength = 0, lengthPenalty = 0, repetitionPenalty = 1 } = options
  const found: Found[] = []
  const grow = (tokens: readonly number[], logProbability: number, sum: number) => {
    const finished = tokens.length > prompt.length && tokens[tokens.length - 1] === end
    if (finished && tokens.length < minimumLength) return
    if (finished || tokens.length === maximumLength) {
      const score = sum / (tokens.length - prompt.length) ** lengthPenalty
      found.push({ ids: tokens, logProbability, score, finished })
      return
    }
    logProbabilities(model, image, tokens).forEach((log, id) => {
      grow([...tokens, id], logProbability + log, sum + log * (tokens.includes(id) ? repetitionPenalty : 1))
    })
  }
  grow(prompt, 0, 0)
  return found.sort((a, b) => b.score - a.score)
}
