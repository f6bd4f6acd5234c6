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
  ...['j < n', 'p < k', 'i < m', 'jj < columns', 'ii < rows'].map(bound => ({
    file: 'blocks.ts',
    operation: 'blocked',
    fault: `one too far: ${bound}`,
    because: 'a block of no columns, rows or depth is nothing: no loop turns in it',
  })),
  {
    file: 'direct.ts',
    operation: 'small',
    fault: 'one too far: p < k',
    because: 'a sum over no depth adds nothing',
  },
  {
    file: 'direct.ts',
    operation: 'small',
    fault: 'one too far: i < m',
    because: 'the last four rows are computed once more, to the same numbers',
  },
  {
    file: 'gpu/argmax.ts',
    operation: 'argmax',
    fault: `one too far: t<\${parts}`,
    because: 'the candidate of another row is a position of this one too, where nothing is larger than the largest',
  },
  {
    file: 'gpu/indices.ts',
    operation: 'segmentsOf',
    fault: 'one too far: s < rows * size',
    because: 'what is written beyond the end of an Int32Array is nothing',
  },
  {
    file: 'movement.ts',
    operation: 'transpose_32',
    fault: 'one too far: first < wholeRows',
    because: 'of no rows, no loop turns',
  },
]
