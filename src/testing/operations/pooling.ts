// Cases of pooling.

import fc from 'fast-check'
import * as ops from '../../autograd/index.ts'
import { drawn } from './case.ts'
import { batchOf, spatial } from './convolution.ts'

const draws = fc.array(fc.integer({ min: 0, max: 11 }), { minLength: 24, maxLength: 24 })

/** Windows of one to three axes, in few channels. Every window has an element: no axis is shorter than the dilation. */
const pools = (rank: number, isDilated: boolean) =>
  draws.map(n => {
    const { kernel, stride, dilation, padding, sizes } = spatial(rank, n, 2 + (n[20] % 2))
    const steps = isDilated ? dilation : dilation.map(() => 1)
    const sides = padding.map((p, i) => Math.min(p, Math.floor((steps[i] * (kernel[i] - 1) + 1) / 2)))
    const least = kernel.map((k, i) => steps[i] * (k - 1) + 1 - 2 * sides[i])
    return {
      shapes: [
        [batchOf(n[21]), 1 + (n[22] % 2), ...sizes.map((size, i) => Math.max(steps[i], least[i], Math.min(size, 5)))],
      ],
      options: {
        kernel,
        // beside each other
        stride: n[19] % 3 === 0 ? undefined : stride,
        padding: sides,
        dilation: steps,
        ceilMode: n[23] % 2 === 1,
        countIncludePad: n[18] % 2 === 1,
      },
    }
  })

const distinct = { domain: [-32, 32], distinct: true } as const

const maximum = (rank: number, pool: typeof ops.maxPool1d) => ({
  'of different numbers': drawn(pools(rank, true), distinct, ({ countIncludePad: _, ...options }, x) =>
    pool(x, options),
  ),
  'of equal numbers': drawn(
    pools(rank, true),
    { domain: [0, 1 / 4] },
    ({ countIncludePad: _, ...options }, x) => pool(x, options),
    { order: 0 },
  ),
  'of whole numbers': drawn(
    pools(rank, true),
    { domain: [-3, 3], dtype: 'int32' },
    ({ countIncludePad: _, ...options }, x) => pool(x, options),
    { order: 0, result: 'int32' },
  ),
})

const average = (rank: number, pool: typeof ops.avgPool1d) => ({
  'over windows': drawn(pools(rank, false), {}, ({ dilation: _, ...options }, x) => pool(x, options)),
})

/** One to three spatial axes, and how many parts of each there are. */
const parts = draws.map(n => {
  const rank = 1 + (n[0] % 3)
  return {
    shapes: [[batchOf(n[1]), 1 + (n[2] % 2), ...n.slice(3, 3 + rank).map(a => 1 + (a % 4))]],
    options: n.slice(6, 6 + rank).map(a => 1 + (a % 4)),
  }
})

export const pooling = {
  maxPool1d: maximum(1, ops.maxPool1d),
  maxPool2d: maximum(2, ops.maxPool2d),
  maxPool3d: maximum(3, ops.maxPool3d),
  avgPool1d: average(1, ops.avgPool1d),
  avgPool2d: average(2, ops.avgPool2d),
  avgPool3d: average(3, ops.avgPool3d),
  adaptiveAvgPool: {
    'over parts of axes': drawn(parts, {}, (sizes, x) => ops.adaptiveAvgPool(x, sizes)),
  },
  adaptiveMaxPool: {
    'over parts of axes': drawn(parts, distinct, (sizes, x) => ops.adaptiveMaxPool(x, sizes)),
  },
}
