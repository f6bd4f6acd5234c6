// Random programs of differentiable operations, with inputs; both shrink independently.

import { expression, operands } from '../../../src/testing/index.ts'

export const programs = operands(
  expression().map(options => ({ shapes: options.shapes, options })),
  { domain: [-1, 1] },
)
