// The result of an examination, of a run or of a model in memory.

import { bySeverity, counted, type DoctorFinding, digits } from './finding.ts'
import type { GradientExamination } from './gradients.ts'

/** What was found, and what was looked at. */
export interface Examination {
  /** the folder, or where there is none the class of the model */
  readonly run: string
  /** of the checkpoint, of the batch that a guard has kept, or of a model in memory; 0 where nothing tells it */
  readonly step: number
  /** false where something is wrong or suspect */
  readonly ok: boolean
  /** the most serious first */
  readonly findings: readonly DoctorFinding[]
  /** what was looked at, by area, in words */
  readonly looked: Readonly<Record<string, string>>
}

/** Most examples whose way through the model is followed. */
export const FOLLOWED = 64

/** What is said where there are no finite numbers to look at. */
export const NOTHING = 'none: values are not finite'

/** What was looked at of gradients. */
export const wordsOf = ({ parts }: GradientExamination): string =>
  `${counted(parts.length, 'part')} of the model against finite differences, the largest error ${digits(Math.max(...parts.map(({ error }) => error)))}`

/** The verdict on what was found. */
export const conclude = (run: string, step: number, findings: readonly DoctorFinding[]) => ({
  run,
  step,
  ok: findings.every(({ severity }) => severity === 'note'),
  findings: bySeverity(findings),
})
