// Faults that are none: what they change cannot be told apart from the outside. Each says why.

export interface Equivalent {
  /** end of the file's name */
  readonly file: string
  readonly operation: string
  /** part of what was done */
  readonly fault: string
  readonly because: string
}

export const equivalents: readonly Equivalent[] = [
  {
    file: 'elementwise.ts',
    operation: 'sign',
    fault: 'g.mul(0)',
    because: 'a gradient of 0 has no sign, size or gradient',
  },
  {
    file: 'gemm.ts',
    operation: 'blocked',
    fault: 'one too far: j < n',
    because: 'a block of no columns is nothing: no loop turns in it',
  },
]
