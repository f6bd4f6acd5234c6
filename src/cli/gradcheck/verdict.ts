// A line of what `cocagrad gradcheck` finds, of an operation or of a part of a model.

import type { GradcheckResult } from '../../autograd/index.ts'

/** Derivatives of one order, together. */
export interface Line {
  readonly order: 1 | 2 | 3
  readonly derivatives: number
  /** largest error over its tolerance: above 1 is wrong */
  readonly worst: number
  readonly verdict: GradcheckResult['verdict']
  readonly ok: boolean
}

type Part = GradcheckResult['parts'][number]

/** What several checks say of one order. */
export function lineOf(order: Line['order'], parts: readonly Part[], results: readonly GradcheckResult[]): Line {
  const verdicts = [...parts.map(({ verdict }) => verdict), ...results.map(({ verdict }) => verdict)]
  // a function that gives two results for one input has no derivatives to compare
  const verdict = verdicts.includes('not deterministic')
    ? 'not deterministic'
    : (parts.find(part => part.verdict !== 'pass')?.verdict ?? 'pass')
  return {
    order,
    derivatives: parts.reduce((sum, { checked }) => sum + checked, 0),
    worst: parts.reduce((largest, { worst }) => Math.max(largest, worst), 0),
    verdict,
    ok: verdict === 'pass',
  }
}
