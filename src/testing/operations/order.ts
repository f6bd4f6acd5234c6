// Cases of the operations that order elements and select by their order.

import fc from 'fast-check'
import * as ops from '../../autograd/index.ts'
import type { Shape } from '../../tensor/index.ts'
import { axes, shape } from '../arbitraries/shapes.ts'
import { operands, type ValueOptions } from '../arbitraries/tensors.ts'
import { drawn, sampled } from './case.ts'
import { numbers } from './numbers.ts'

const asInt32 = { order: 0, result: 'int32' } as const
const distinct: ValueOptions = { distinct: true, domain: [-4, 4] }
/** a few values, so that most occur several times */
const equal: ValueOptions = { domain: [-1 / 4, 1 / 4] }

/** A shape with at least one axis, one of its axes, counted from the first or the last, and a direction. */
const lines = fc.tuple(shape({ minRank: 1, maxSize: 4 }), numbers, fc.boolean()).map(([sizes, [n], descending]) => ({
  shapes: [sizes],
  options: { axis: (n % (2 * sizes.length)) - sizes.length, descending },
}))

/** The same of which the axis is not empty, and a number on it, from 0 on. */
const places = fc
  .tuple(shape({ minRank: 1, minSize: 1, maxSize: 4 }), numbers, fc.boolean())
  .map(([sizes, [n, k], isYes]) => {
    const axis = (n % (2 * sizes.length)) - sizes.length
    return { shapes: [sizes], options: { axis, k: k % sizes.at(axis)!, isYes } }
  })

/** A shape, some of its axes (undefined: all), keepDims, and a number. */
const reductions = fc.tuple(axes({ minSize: 1 }), fc.boolean(), numbers).map(([chosen, keepDims, [n]]) => ({
  shapes: [chosen.shape],
  options: { axis: chosen.axes.length === 0 ? undefined : chosen.axes, keepDims, n },
}))

const interpolations = ['linear', 'lower', 'higher', 'nearest', 'midpoint'] as const

/** Elevenths fall between elements and twelfths on them, for lines of up to 12 elements. */
const shareOf = (n: number): number => (n % 2 === 0 ? n / 12 : n / 11)

const sides = fc.constantFrom('left' as const, 'right' as const)

const searches = (shapes: (n: number, m: number) => Shape[]) =>
  operands(
    fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 5 }), sides).map(([n, m, side]) => ({
      shapes: shapes(n, m),
      options: side,
    })),
    { domain: [-1, 1] },
  )

export const order = {
  argsort: {
    'of different numbers': drawn(lines, distinct, (options, x) => ops.argsort(x, options), asInt32),
    'of equal numbers': drawn(lines, equal, (options, x) => ops.argsort(x, options), asInt32),
  },
  sort: {
    values: drawn(lines, distinct, (options, x) => ops.sort(x, options).values),
    indices: drawn(lines, equal, (options, x) => ops.sort(x, options).indices, asInt32),
  },
  topk: {
    values: drawn(places, distinct, ({ axis, k, isYes }, x) => ops.topk(x, k, { axis, largest: isYes }).values),
    indices: drawn(places, equal, ({ axis, k, isYes }, x) => ops.topk(x, k, { axis, largest: isYes }).indices, asInt32),
  },
  kthValue: {
    values: drawn(
      places,
      distinct,
      ({ axis, k, isYes }, x) => ops.kthValue(x, k + 1, { axis, keepDims: isYes }).values,
    ),
    indices: drawn(places, equal, ({ axis, k }, x) => ops.kthValue(x, k + 1, { axis }).indices, asInt32),
  },
  maxWithIndices: {
    values: drawn(places, distinct, ({ axis, isYes }, x) => ops.maxWithIndices(x, { axis, keepDims: isYes }).values),
    indices: drawn(places, equal, ({ axis }, x) => ops.maxWithIndices(x, { axis }).indices, asInt32),
  },
  minWithIndices: {
    values: drawn(places, distinct, ({ axis, isYes }, x) => ops.minWithIndices(x, { axis, keepDims: isYes }).values),
    indices: drawn(places, equal, ({ axis }, x) => ops.minWithIndices(x, { axis }).indices, asInt32),
  },
  median: {
    'over axes': drawn(reductions, distinct, ({ axis, keepDims }, x) => ops.median(x, { axis, keepDims })),
  },
  quantile: {
    'of one share': drawn(reductions, distinct, ({ n, ...options }, x) =>
      ops.quantile(x, shareOf(n), { ...options, interpolation: interpolations[n % 5] }),
    ),
    'of several shares': drawn(reductions, distinct, ({ n, ...options }, x) =>
      ops.quantile(x, [shareOf(n), 0, 1].slice(0, n % 4), options),
    ),
  },
  searchSorted: {
    'in one line': sampled(
      searches((n, m) => [[n], [2, m]]),
      (side, line, values) => ops.searchSorted(ops.sort(line).values, values, { side }),
      asInt32,
    ),
    'each in its line': sampled(
      searches((n, m) => [
        [3, n],
        [3, m],
      ]),
      (side, line, values) => ops.searchSorted(ops.sort(line).values, values, { side }),
      asInt32,
    ),
  },
  histogram: {
    counts: drawn(
      fc.tuple(shape({ minSize: 1 }), fc.integer({ min: 1, max: 4 })).map(([sizes, bins]) => ({
        shapes: [sizes],
        // widths that float32 represents exactly
        options: { bins: 2 ** bins, range: [-1, 1] as const },
      })),
      {},
      (options, x) => ops.histogram(x, options).counts,
      asInt32,
    ),
    edges: drawn(
      fc.tuple(shape({ minSize: 1 }), fc.integer({ min: 1, max: 5 })).map(([sizes, bins]) => ({
        shapes: [sizes],
        options: { bins },
      })),
      {},
      (options, x) => ops.histogram(x, options).edges,
      { order: 0 },
    ),
  },
}
