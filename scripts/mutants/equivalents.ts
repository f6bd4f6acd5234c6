// Mutants that are equivalent to the original: their change has no effect on any result. Each has a reason.

export interface Equivalent {
  /** end of the file's name */
  readonly file: string
  readonly operation: string
  /** part of the description of the fault */
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
  ...['j < n', 'p < k', 'i < m', 'jj < columns', 'ii < rows'].map(bound => ({
    file: 'blocks.ts',
    operation: 'blocked',
    fault: `one too far: ${bound}`,
    because: 'a block without columns, rows or depth is empty: its loops do not run',
  })),
  {
    file: 'direct.ts',
    operation: 'small',
    fault: 'one too far: p < k',
    because: 'a sum over an empty depth adds nothing',
  },
  {
    file: 'direct.ts',
    operation: 'small',
    fault: 'one too far: i < m',
    because: 'the last four rows are computed again, with the same result',
  },
  {
    file: 'gpu/argmax.ts',
    operation: 'argmax',
    fault: `one too far: t<\${parts}`,
    because: 'the candidate of another row is a position of this row too, and its value is at most the largest',
  },
  {
    file: 'gpu/indices.ts',
    operation: 'segmentsOf',
    fault: 'one too far: s < rows * size',
    because: 'a write beyond the end of an Int32Array has no effect',
  },
  {
    file: 'movement.ts',
    operation: 'transpose_32',
    fault: 'one too far: first < wholeRows',
    because: 'without rows, the loop does not run',
  },
]
