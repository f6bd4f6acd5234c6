// Cases of the operations that select elements by index.

import fc from 'fast-check'
import * as ops from '../../autograd/index.ts'
import type { Tensor } from '../../tensor/index.ts'
import { shape } from '../arbitraries/shapes.ts'
import { operands } from '../arbitraries/tensors.ts'
import { sampled } from './case.ts'
import { indices, numbers, withNumbers } from './numbers.ts'

/** Indices along an axis of a given size, one for every element of a tensor. */
const positionsLike = (like: Tensor, from: readonly number[], size: number): Tensor =>
  indices(
    from.map(i => i % size),
    like.shape,
  )

/** A shape, and another that differs from it along one axis; neither is empty along it. */
const pairs = operands(
  withNumbers.map(([sizes, n]) => {
    const axis = n[0] % sizes.length
    return { shapes: [sizes.with(axis, 1 + (n[1] % 3)), sizes.with(axis, n[2] % 4)], options: { axis, n } }
  }),
)

const parts = operands(
  fc.tuple(withNumbers, shape({ maxRank: 2 })).map(([[sizes, n], picked]) => ({
    shapes: [sizes.with(n[0] % sizes.length, 1 + (n[1] % 4)), picked],
    options: { axis: n[0] % sizes.length, n },
  })),
)

const tables = operands(
  fc
    .tuple(shape({ minRank: 2, maxRank: 2, minSize: 1 }), shape({ maxRank: 2 }), numbers)
    .map(([table, picked, n]) => ({ shapes: [table, picked], options: n })),
)

const scattered = pairs.map(({ inputs: [like, updates], options: { axis, n } }) => ({
  inputs: [positionsLike(updates, n, like.shape[axis]), updates],
  options: { axis, shape: like.shape },
}))

export const gather = {
  gather: {
    'an index for every element': sampled(
      pairs.map(({ inputs: [x, like], options: { axis, n } }) => ({
        inputs: [x, positionsLike(like, n, x.shape[axis])],
        options: axis,
      })),
      (axis, x, at) => ops.gather(x, at, { axis }),
    ),
  },
  scatterAdd: {
    'adds into zeros': sampled(scattered, ({ axis, shape: sizes }, at, updates) =>
      ops.scatterAdd(sizes, at, updates, { axis }),
    ),
    'counts truths': sampled(
      scattered,
      ({ axis, shape: sizes }, at, updates) => ops.scatterAdd(sizes, at, updates.greater(0), { axis }),
      { order: 0, result: 'int32' },
    ),
  },
  take: {
    'slices by index': sampled(
      parts.map(({ inputs: [x, like], options: { axis, n } }) => ({
        inputs: [x, positionsLike(like, n, x.shape[axis])],
        options: axis,
      })),
      (axis, x, at) => ops.take(x, at, { axis }),
    ),
  },
  embedding: {
    'rows of a table': sampled(
      tables.map(({ inputs: [table, like], options: n }) => ({
        inputs: [table, positionsLike(like, n, table.shape[0])],
        options: undefined,
      })),
      (_, table, at) => ops.embedding(table, at),
    ),
  },
  oneHot: {
    'zeros for what is no class': sampled(
      fc.tuple(shape({ maxRank: 2 }), numbers).map(([sizes, n]) => ({
        inputs: [
          indices(
            n.map(i => i - 3),
            sizes,
          ),
        ],
        options: undefined,
      })),
      (_, ids) => ops.oneHot(ids, 5),
      { order: 0 },
    ),
  },
}
