// The result of an examination of a run or of a model in memory.

import { bySeverity, counted, type DoctorFinding, digits } from './finding.ts'
import type { GradientExamination } from './gradients.ts'

/** The findings of an examination, and what was examined. */
export interface Examination {
  /** the folder, or the class of the model if there is no folder */
  readonly run: string
  /** the step of the checkpoint, of the batch that the guard saved, or of the model in memory; 0 if it is not known */
  readonly step: number
  /** false if a finding is wrong or suspect */
  readonly ok: boolean
  /** the most serious first */
  readonly findings: readonly DoctorFinding[]
  /** what was examined in each area, in words */
  readonly looked: Readonly<Record<string, string>>
}

/** The largest number of examples that the activity is computed for. */
export const FOLLOWED = 64

/** The entry in `looked` of an area that was not examined because values are not finite. */
export const NOTHING = 'none: values are not finite'

/** The entry in `looked` of the gradients. */
export const wordsOf = ({ parts }: GradientExamination): string =>
  `${counted(parts.length, 'part')} of the model against finite differences, the largest error ${digits(Math.max(...parts.map(({ error }) => error)))}`

/** The run, its step and its findings, sorted, with the verdict on them. */
export const conclude = (run: string, step: number, findings: readonly DoctorFinding[]) => ({
  run,
  step,
  ok: findings.every(({ severity }) => severity === 'note'),
  findings: bySeverity(findings),
})
