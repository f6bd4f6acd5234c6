// Cases of the operations that repeat, roll, cut and rename axes.

import fc from 'fast-check'
import * as ops from '../../autograd/index.ts'
import type { Tensor } from '../../tensor/index.ts'
import { permutation, shape } from '../arbitraries/shapes.ts'
import { drawn, withAxis } from './case.ts'
import { numbers, withNumbers } from './numbers.ts'

/** The parts joined again, each with a different weight, so that exchanged parts are detected. */
const weighted = (x: Tensor, parts: readonly Tensor[]): Tensor =>
  parts.length === 0 ? x.mul(1) : ops.concat(parts.map((part, i) => part.reshape([-1]).mul(i + 1)))

const vectors = fc
  .tuple(fc.array(shape({ maxRank: 1 }), { minLength: 1, maxLength: 3 }), fc.constantFrom('ij', 'xy'))
  .map(([shapes, indexing]) => ({ shapes, options: indexing as 'ij' | 'xy' }))

export const arrange = {
  tile: {
    'more and fewer numbers than axes': drawn(
      fc
        .tuple(shape({ maxRank: 2 }), fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 3 }))
        .map(([sizes, reps]) => ({
          shapes: [sizes],
          options: reps,
        })),
      {},
      (reps, x) => ops.tile(x, reps),
    ),
    'one number': drawn(
      fc
        .tuple(shape({ maxRank: 2 }), fc.integer({ min: 0, max: 3 }))
        .map(([sizes, n]) => ({ shapes: [sizes], options: n })),
      {},
      (n, x) => ops.tile(x, n),
    ),
  },
  repeat: {
    'each element': drawn(
      fc.tuple(shape(), fc.integer({ min: 0, max: 3 })).map(([sizes, n]) => ({ shapes: [sizes], options: n })),
      {},
      (n, x) => ops.repeat(x, n),
    ),
    'each slice': drawn(
      fc.tuple(withAxis, fc.integer({ min: 0, max: 3 })).map(([{ shapes, options: axis }, times]) => ({
        shapes,
        options: { axis, times },
      })),
      {},
      ({ axis, times }, x) => ops.repeat(x, times, { axis }),
    ),
    'each slice so many times': drawn(
      withNumbers.map(([sizes, n]) => {
        const axis = n[0] % sizes.length
        return { shapes: [sizes], options: { axis, times: n.slice(1, 1 + sizes[axis]).map(i => i % 4) } }
      }),
      {},
      ({ axis, times }, x) => ops.repeat(x, times, { axis }),
    ),
  },
  roll: {
    'all elements': drawn(
      fc.tuple(shape(), fc.integer({ min: -5, max: 5 })).map(([sizes, n]) => ({ shapes: [sizes], options: n })),
      {},
      (n, x) => ops.roll(x, n),
    ),
    'along two axes': drawn(
      fc.tuple(shape({ minRank: 2 }), numbers).map(([sizes, n]) => ({
        shapes: [sizes],
        options: { axis: [0, -1], shift: [n[0] - 5, n[1] - 5] },
      })),
      {},
      ({ axis, shift }, x) => ops.roll(x, shift, { axis }),
    ),
  },
  unbind: {
    'slices that make it up again': drawn(withAxis, {}, (axis, x) => weighted(x, ops.unbind(x, { axis }))),
  },
  chunk: {
    'parts that make it up again': drawn(
      fc
        .tuple(shape({ minRank: 1, maxSize: 5 }), numbers)
        .map(([sizes, n]) => ({ shapes: [sizes], options: { axis: n[0] % sizes.length, count: 1 + (n[1] % 4) } })),
      {},
      ({ axis, count }, x) => weighted(x, ops.chunk(x, count, { axis })),
    ),
  },
  flatten: {
    'all axes': drawn(
      shape().map(sizes => ({ shapes: [sizes], options: undefined })),
      {},
      (_, x) => ops.flatten(x),
    ),
    'neighbouring axes': drawn(
      withNumbers.map(([sizes, n]) => {
        const start = n[0] % sizes.length
        return { shapes: [sizes], options: { start, end: start + (n[1] % (sizes.length - start)) - sizes.length } }
      }),
      {},
      (options, x) => ops.flatten(x, options),
    ),
  },
  unflatten: {
    'an axis as two': drawn(
      withNumbers.map(([sizes, n]) => {
        const axis = n[0] % sizes.length
        const size = 1 + (n[1] % 3)
        const parts = [
          [size, n[2] % 3],
          [size, -1],
          [-1, size],
        ][n[3] % 3]
        return { shapes: [sizes.with(axis, size * (n[2] % 3))], options: { axis: axis - sizes.length, parts } }
      }),
      {},
      ({ axis, parts }, x) => ops.unflatten(x, axis, parts),
    ),
  },
  moveAxis: {
    'one axis': drawn(
      withNumbers.map(([sizes, n]) => ({
        shapes: [sizes],
        options: { from: n[0] % sizes.length, to: (n[1] % sizes.length) - sizes.length },
      })),
      {},
      ({ from, to }, x) => ops.moveAxis(x, from, to),
    ),
    'several axes': drawn(
      fc.tuple(permutation(), numbers).map(([{ shape: sizes, order }, n]) => {
        const count = n[0] % (sizes.length + 1)
        return {
          shapes: [sizes],
          options: { from: order.slice(0, count), to: sizes.map((_, i) => i).slice(-count || sizes.length) },
        }
      }),
      {},
      ({ from, to }, x) => ops.moveAxis(x, from, to),
    ),
  },
  meshgrid: {
    'the grid of up to three vectors': drawn(vectors, {}, (indexing, ...xs) =>
      weighted(
        xs[0],
        ops
          .meshgrid(xs, { indexing })
          .map(x => ops.concat([x.flatten(), x.permute([...x.shape.keys()].reverse()).flatten()])),
      ),
    ),
  },
}
