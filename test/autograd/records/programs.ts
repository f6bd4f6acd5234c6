// Random programs of differentiable operations, with something to run them on; each shrinks on its own.

import { expression, operands } from '../../../src/testing/index.ts'

export const programs = operands(
  expression().map(options => ({ shapes: options.shapes, options })),
  { domain: [-1, 1] },
)
