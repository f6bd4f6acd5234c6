// Cases of resampling.

import fc from 'fast-check'
import * as ops from '../../autograd/index.ts'
import type { Tensor } from '../../tensor/index.ts'
import { drawn } from './case.ts'
import { batchOf } from './convolution.ts'

const draws = fc.array(fc.integer({ min: 0, max: 11 }), { minLength: 13, maxLength: 13 })

/** One to three spatial axes, and their sizes in the result. */
const resized = draws.map(n => {
  const rank = 1 + (n[0] % 3)
  const least = rank === 3 ? 3 : 5
  return {
    shapes: [[batchOf(n[1]), 1, ...n.slice(2, 2 + rank).map(a => 1 + (a % least))]],
    options: { size: n.slice(5, 5 + rank).map(a => 1 + (a % (least + 1))) },
  }
})

/** The same, by factors. */
const scaled = draws.map(n => ({
  shapes: [[batchOf(n[1]), 2, ...n.slice(2, 4).map(a => 2 + (a % 3))]],
  options: { scale: n.slice(4, 6).map(a => [0.5, 0.75, 1, 1.5, 2][a % 5]) },
}))

const flags = fc.tuple(resized, fc.boolean()).map(([{ shapes, options }, alignCorners]) => ({
  shapes,
  options: { ...options, alignCorners },
}))

/** Positions of which none is within 1/32 of an element, or of the middle of two, for eighths and axes of up to four elements. */
export const besideElements = (grid: Tensor): Tensor => grid.add(1 / 16)

/** Results of x at a grid. */
const sampled = fc
  .tuple(draws, fc.boolean(), fc.constantFrom('zeros' as const, 'border' as const, 'reflection' as const))
  .map(([n, alignCorners, paddingMode]) => {
    const rank = 1 + (n[0] % 3)
    const least = rank === 3 ? 2 : 4
    const batch = batchOf(n[1])
    return {
      shapes: [
        [batch, 1 + (n[2] % 2), ...n.slice(3, 3 + rank).map(a => 1 + (a % least))],
        [batch, ...n.slice(6, 6 + rank).map(a => 1 + (a % 2)), rank],
      ],
      options: { alignCorners, paddingMode },
    }
  })
const gridValues = [{}, { domain: [-1.5, 1.5] }] as const

const squares = draws.map(n => ({
  shape: [...[[], [1], [2, 1]][n[0] % 3], 1 + (n[1] % 2), 1 + (n[2] % 2), n[3] === 11 ? 0 : 1 + (n[3] % 3)],
  factor: 1 + (n[4] % 3),
}))

export const interpolation = {
  interpolate: {
    'the nearest element': drawn(resized, {}, (options, x) => ops.interpolate(x, options)),
    'the nearest element by a factor': drawn(scaled, {}, (options, x) => ops.interpolate(x, options)),
    'between two elements': drawn(flags, {}, (options, x) => ops.interpolate(x, { ...options, mode: 'bilinear' })),
    'between two elements by a factor': drawn(scaled, {}, (options, x) =>
      ops.interpolate(x, { ...options, mode: 'bilinear' }),
    ),
    'between four elements': drawn(flags, {}, (options, x) => ops.interpolate(x, { ...options, mode: 'bicubic' })),
    'smoothed, linear': drawn(resized, {}, (options, x) =>
      ops.interpolate(x, { ...options, mode: 'bilinear', antialias: true }),
    ),
    'smoothed, cubic': drawn(resized, {}, (options, x) =>
      ops.interpolate(x, { ...options, mode: 'bicubic', antialias: true }),
    ),
    'the mean of an area': drawn(resized, {}, (options, x) => ops.interpolate(x, { ...options, mode: 'area' })),
  },
  gridSample: {
    'between elements': drawn(sampled, gridValues, (options, x, grid) =>
      ops.gridSample(x, besideElements(grid), options),
    ),
    'the nearest element': drawn(sampled, gridValues, (options, x, grid) =>
      ops.gridSample(x, besideElements(grid), { ...options, mode: 'nearest' }),
    ),
  },
  pixelShuffle: {
    'channels as pixels': drawn(
      squares.map(({ shape, factor }) => ({
        shapes: [shape.toSpliced(-3, 1, shape[shape.length - 3] * factor ** 2)],
        options: factor,
      })),
      {},
      (factor, x) => ops.pixelShuffle(x, factor),
    ),
  },
  pixelUnshuffle: {
    'pixels as channels': drawn(
      squares.map(({ shape, factor }) => ({
        shapes: [[...shape.slice(0, -2), ...shape.slice(-2).map(n => n * factor)]],
        options: factor,
      })),
      {},
      (factor, x) => ops.pixelUnshuffle(x, factor),
    ),
  },
}
