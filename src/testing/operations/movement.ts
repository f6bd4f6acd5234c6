// Cases of the operations that move elements.

import fc from 'fast-check'
import * as ops from '../../autograd/index.ts'
import { broadcastShapes as commonShape } from '../../tensor/index.ts'
import { broadcastShapes, permutation, shape, slices } from '../arbitraries/shapes.ts'
import { alone, drawn, only } from './case.ts'
import { numbers, withNumbers } from './numbers.ts'

const one = alone(shape())

const reshaped = (target: (sizes: readonly number[]) => number[]) =>
  drawn(
    shape().map(sizes => ({ shapes: [sizes], options: target(sizes) })),
    {},
    (to, x) => ops.reshape(x, to),
  )

export const movement = {
  reshape: {
    'one row': reshaped(() => [-1]),
    'axes turned round': reshaped(sizes => [...sizes].reverse()),
    'ones around': reshaped(sizes => [1, ...sizes, 1]),
    'the last axis filled in': reshaped(sizes => (sizes.includes(0) ? [...sizes] : [...sizes.slice(0, -1), -1])),
    'the first two axes joined': reshaped(sizes =>
      sizes.length < 2 ? [...sizes] : [sizes[0] * sizes[1], ...sizes.slice(2)],
    ),
    'the first axis split': reshaped(([n, ...rest]) => (n === undefined ? [] : [1, n, 1, ...rest])),
  },
  permute: {
    'axes in any order': drawn(
      permutation().map(({ shape: sizes, order }) => ({ shapes: [sizes], options: order })),
      {},
      (order, x) => ops.permute(x, order),
    ),
  },
  transpose: {
    'two axes exchanged': drawn(
      fc
        .tuple(shape({ minRank: 2 }), fc.integer({ min: -2, max: 1 }), fc.integer({ min: -2, max: 1 }))
        .map(([sizes, a, b]) => ({ shapes: [sizes], options: { a, b } })),
      {},
      ({ a, b }, x) => ops.transpose(x, a, b),
    ),
  },
  expand: {
    'to a shape it broadcasts to': drawn(
      broadcastShapes(2).map(([a, b]) => ({ shapes: [a], options: commonShape('expand', a, b) })),
      {},
      (to, x) => ops.expand(x, to),
    ),
  },
  squeeze: {
    'every axis of size one': drawn(one, {}, (_, x) => ops.squeeze(x)),
    'the last axis': drawn(alone(shape().map(sizes => [...sizes, 1])), {}, (_, x) => ops.squeeze(x, -1)),
  },
  unsqueeze: {
    'in front': drawn(one, {}, (_, x) => ops.unsqueeze(x, 0)),
    'at the end': drawn(one, {}, (_, x) => ops.unsqueeze(x, -1)),
  },
  slice: {
    'ranges and positions': drawn(
      slices({ maxSize: 5 }).map(({ shape: sizes, ranges }) => ({ shapes: [sizes], options: ranges })),
      {},
      (ranges, x) => ops.slice(x, ranges),
    ),
  },
  pad: {
    'margins of a constant': drawn(
      fc.tuple(shape({ maxSize: 2 }), numbers).map(([sizes, n]) => ({
        shapes: [sizes],
        options: sizes.map((_, i): [number, number] => [n[i] % 3, n[i + 3] % 3]),
      })),
      {},
      (padding, x) => ops.pad(x, padding, 7),
    ),
    'margins of its own values': drawn(
      fc.tuple(shape({ maxSize: 3 }), numbers).map(([sizes, n]) => {
        const mode = (['reflect', 'replicate', 'circular'] as const)[n[6] % 3]
        const most = (size: number) => ({ reflect: Math.max(0, size - 1), replicate: size * 2, circular: size })[mode]
        const padding = sizes.map((size, i): [number, number] => [n[i] % (most(size) + 1), n[i + 3] % (most(size) + 1)])
        return { shapes: [sizes], options: { mode, padding } }
      }),
      {},
      ({ mode, padding }, x) => ops.pad(x, padding, { mode }),
    ),
  },
  concat: {
    'three tensors along an axis': drawn(
      withNumbers.map(([sizes, n]) => {
        const axis = n[0] % sizes.length
        return {
          shapes: [1, 2, 3].map(i => sizes.with(axis, n[i] % 4)),
          options: n[4] % 2 === 0 ? axis : axis - sizes.length,
        }
      }),
      {},
      (axis, ...xs) => ops.concat(xs, axis),
    ),
  },
  stack: {
    'along a new axis': drawn(
      fc.tuple(shape({ maxRank: 2 }), fc.constantFrom(0, -1)).map(([sizes, axis]) => ({
        shapes: [sizes, sizes],
        options: axis,
      })),
      {},
      (axis, ...xs) => ops.stack(xs, axis),
    ),
  },
  split: {
    'into parts that make it up again': drawn(
      withNumbers.map(([sizes, n]) => ({
        shapes: [sizes],
        options: { axis: n[0] % sizes.length, size: 1 + (n[1] % 3) },
      })),
      {},
      // every part has a different weight, so that exchanged parts are detected
      ({ axis, size }, x) => {
        const parts = ops.split(x, size, axis).map((part, i) => part.mul(i + 1))
        return parts.length === 0 ? x.mul(1) : ops.concat(parts, axis)
      },
    ),
  },
  flip: {
    'along an axis': drawn(
      withNumbers.map(([sizes, n]) => ({ shapes: [sizes], options: n[0] % sizes.length })),
      {},
      (axis, x) => ops.flip(x, axis),
    ),
  },
  broadcast: {
    'to a common shape': drawn(only(broadcastShapes(2)), {}, (_, ...xs) => {
      const [a, b] = ops.broadcast(...xs)
      return ops.concat([a.reshape([-1]), b.reshape([-1])])
    }),
  },
}
