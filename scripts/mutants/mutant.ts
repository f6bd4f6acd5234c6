// A mutant: one small fault put into one file, and the tests that ought to notice.

/** Tests that run together. */
export interface Stage {
  readonly files: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface Mutant {
  readonly group: 'rules' | 'tape' | 'kernels' | 'masks'
  /** from the root of the project */
  readonly file: string
  /** where the operation or function stands that is at fault */
  readonly line: number
  readonly operation: string
  /** what was done to it, in words */
  readonly fault: string
  /** what is replaced, as positions in the file, and by what */
  readonly start: number
  readonly end: number
  readonly text: string
  /** one after the other, until one fails */
  readonly stages: readonly Stage[]
}

/** What a mutant is called where it is listed. */
export const nameOf = ({ file, line, operation, fault }: Mutant): string => `${file}:${line} ${operation}: ${fault}`
