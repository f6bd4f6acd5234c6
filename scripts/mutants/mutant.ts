// A mutant: one small fault in one file, and the tests that should notice it.

/** Tests that run together. */
export interface Stage {
  readonly files: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface Mutant {
  readonly group: 'rules' | 'tape' | 'kernels' | 'masks'
  /** path from the root of the project */
  readonly file: string
  /** line of the fault */
  readonly line: number
  readonly operation: string
  /** description of the fault */
  readonly fault: string
  /** the replaced range of the file, and its replacement */
  readonly start: number
  readonly end: number
  readonly text: string
  /** run one after the other, until one fails */
  readonly stages: readonly Stage[]
}

/** The name of a mutant in lists. */
export const nameOf = ({ file, line, operation, fault }: Mutant): string => `${file}:${line} ${operation}: ${fault}`
