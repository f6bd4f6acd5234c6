// A finding of an examination: one problem, the evidence for it, and advice.

/**
 * wrong: results or measurements of the run cannot be trusted; suspect: the run probably learns less than it could; note: worth
 * knowing, but possibly intended.
 */
export type Severity = 'wrong' | 'suspect' | 'note'

const ORDER: readonly Severity[] = ['wrong', 'suspect', 'note']

/** One problem that an examination found, or something to know. */
export interface DoctorFinding {
  /** how serious it is */
  readonly severity: Severity
  /** the examination that found it */
  readonly area: 'gradients' | 'optimizer' | 'metrics' | 'activity' | 'data'
  /** the problem, as a sentence without a full stop */
  readonly title: string
  /** what was measured */
  readonly evidence: string
  /** what to do */
  readonly advice: string
}

/** The most serious first; findings of equal severity keep their order. */
export const bySeverity = (findings: readonly DoctorFinding[]): DoctorFinding[] =>
  [...findings].sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity))

/** A function that makes findings of one area. */
export const findingsOf =
  (area: DoctorFinding['area']) =>
  (severity: Severity, title: string, evidence: string, advice: string): DoctorFinding => ({
    severity,
    area,
    title,
    evidence,
    advice,
  })

export { firstFew as some } from '../tensor/first-few.ts'

/** 0.0123 → 0.0123, 1234567 → 1.23e+6 */
export const digits = (value: number): string => String(Number(value.toPrecision(3)))

/** Advice to use a lower learning rate, with the present one if it is known. */
export const lowerRate = (rate: number | undefined): string =>
  rate === undefined ? 'a lower learning rate' : `a learning rate below ${digits(rate)}`

/** 1 image, 2 images */
export const counted = (count: number, noun: string): string =>
  `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`

/** 0.0123 → 1.2 % */
export const share = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]
}

export const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length
