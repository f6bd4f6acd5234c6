// A line of the output of `cocagrad gradcheck`, for an operation or for a part of a model.

import { worstOf } from '../../autograd/gradcheck/gradcheck-result.ts'
import type { GradcheckResult } from '../../autograd/index.ts'

/** The result for all derivatives of one order. */
export interface VerdictLine {
  readonly order: 1 | 2 | 3
  readonly derivatives: number
  /** largest error divided by its tolerance; above 1 is a failure */
  readonly worst: number
  /** the most serious one; without derivatives nothing was checked, which does not count as a pass */
  readonly verdict: GradcheckResult['verdict'] | 'nothing checked'
  readonly ok: boolean
}

type Part = GradcheckResult['parts'][number]

/** The combined result of several checks at one order. */
export function lineOf(
  order: VerdictLine['order'],
  parts: readonly Part[],
  results: readonly GradcheckResult[],
): VerdictLine {
  const derivatives = parts.reduce((sum, { checked }) => sum + checked, 0)
  // a function that is not deterministic has no derivatives to compare
  const repeats = results.every(({ verdict }) => verdict !== 'not deterministic')
  const found = repeats ? worstOf(parts.map(part => part.verdict)) : 'not deterministic'
  const verdict = found === 'pass' && derivatives === 0 ? 'nothing checked' : found
  return {
    order,
    derivatives,
    worst: parts.reduce((largest, { worst }) => Math.max(largest, worst), 0),
    verdict,
    ok: verdict === 'pass',
  }
}

/** A line for --json. JSON has no Infinity and no NaN: they become strings. */
export const forJson = (line: VerdictLine) => ({
  ...line,
  worst: Number.isFinite(line.worst) ? line.worst : String(line.worst),
})
