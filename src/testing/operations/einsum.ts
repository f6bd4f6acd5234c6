// Cases of einsum.

import fc from 'fast-check'
import * as ops from '../../autograd/index.ts'
import { einsumSpec } from '../arbitraries/shapes.ts'
import { drawn } from './case.ts'

/** Equations with an ellipsis of one axis, which may have size 1 in the second operand. */
const ellipses = fc
  .record({
    equation: fc.constantFrom('...ij,jk->...ik', '...i,...i', '...ij,...jk->...ik', 'i...->...i'),
    sizes: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 4, maxLength: 4 }),
    repeats: fc.boolean(),
  })
  .map(({ equation, sizes: [i, j, k, lead], repeats }) => {
    const sizes: Readonly<Record<string, number>> = { i, j, k }
    const [inputs] = equation.replaceAll('...', '.').split('->')
    return {
      shapes: inputs
        .split(',')
        .map((term, n) => [...term].map(label => sizes[label] ?? (n === 1 && repeats ? 1 : lead))),
      options: equation,
    }
  })

export const einsum = {
  einsum: {
    'any equation': drawn(
      einsumSpec().map(({ equation, shapes }) => ({ shapes, options: equation })),
      {},
      (equation, ...xs) => ops.einsum(equation, ...xs),
    ),
    'an ellipsis': drawn(ellipses, {}, (equation, ...xs) => ops.einsum(equation, ...xs)),
  },
}
