// Cases of reductions.

import fc from 'fast-check'
import * as ops from '../../autograd/index.ts'
import { broadcastShapes as commonShape, type Tensor } from '../../tensor/index.ts'
import { axes, broadcastShapes, type ShapeOptions, shape } from '../arbitraries/shapes.ts'
import type { ValueOptions } from '../arbitraries/tensors.ts'
import { drawn } from './case.ts'

export interface Reduce {
  readonly axis: readonly number[] | undefined
  readonly keepDims: boolean
}

/** A shape, some of its axes (undefined: all), and keepDims. */
const reductions = (options: ShapeOptions) =>
  fc.tuple(axes(options), fc.boolean()).map(([chosen, keepDims]) => ({
    shapes: [chosen.shape],
    options: { axis: chosen.axes.length === 0 ? undefined : chosen.axes, keepDims },
  }))

const filled: ShapeOptions = { minSize: 1 }
const valueOnly = { order: 0 } as const

const reducing = (
  f: (x: Tensor, options: Reduce) => Tensor,
  shapes: ShapeOptions = {},
  values: ValueOptions = {},
  settings: { readonly order?: 0; readonly result?: 'bool' } = {},
) => drawn(reductions(shapes), values, (options, x) => f(x, options), settings)

const extremum = (f: (x: Tensor, options: Reduce) => Tensor) => ({
  'of different numbers': reducing(f, filled, { distinct: true }),
  'of equal numbers': reducing(f, filled, { domain: [0, 1 / 4] }, valueOnly),
})

/** A shape with at least one axis, and one of them. */
export const oneAxis = (options: ShapeOptions = {}) =>
  fc.tuple(shape({ minRank: 1, ...options }), fc.integer({ min: -3, max: 2 })).map(([sizes, n]) => ({
    shapes: [sizes],
    options: { axis: n < 0 ? Math.max(n, -sizes.length) : n % sizes.length },
  }))

const asBool = { order: 0, result: 'bool' } as const
const several: ShapeOptions = { minRank: 1, minSize: 2 }
const asInt32 = { order: 0, result: 'int32' } as const

export const reduce = {
  sum: { 'over axes': reducing(ops.sum) },
  mean: {
    'over axes': reducing(ops.mean, filled),
    'of nothing too': reducing(ops.mean, {}, {}, valueOnly),
  },
  prod: {
    'over axes': reducing(ops.prod),
    'with zeros': reducing(ops.prod, {}, { domain: [-1 / 4, 1 / 4] }),
  },
  any: { 'over axes': reducing(ops.any, {}, { domain: [-1 / 4, 1 / 4] }, asBool) },
  all: { 'over axes': reducing(ops.all, {}, { domain: [-1 / 4, 1 / 4] }, asBool) },
  max: extremum(ops.max),
  min: extremum(ops.min),
  variance: {
    'of what is there': reducing((x, o) => ops.variance(x, { ...o, correction: 0 }), filled),
    'of a sample': reducing(ops.variance, { minRank: 1, minSize: 2 }),
  },
  varianceAndMean: {
    'the variance': reducing((x, o) => ops.varianceAndMean(x, o).variance, several),
    'the variance of what is there': reducing(
      (x, o) => ops.varianceAndMean(x, { ...o, correction: 0 }).variance,
      filled,
    ),
    'the mean': reducing((x, o) => ops.varianceAndMean(x, o).mean, several),
  },
  std: {
    'of what is there': reducing((x, o) => ops.std(x, { ...o, correction: 0 }), several, { distinct: true }),
    'of a sample': reducing(ops.std, several, { distinct: true }),
    'of equal numbers too': reducing((x, o) => ops.std(x, { ...o, correction: 0 }), filled, {}, valueOnly),
  },
  logSumExp: { 'over axes': reducing(ops.logSumExp) },
  norm: {
    Euclidean: reducing(ops.norm, filled, { awayFrom: [0] }),
    'of nothing too': reducing(ops.norm, {}, {}, valueOnly),
    'sum of sizes': reducing((x, o) => ops.norm(x, { ...o, order: 1 }), {}, { awayFrom: [0] }),
    'largest size': reducing((x, o) => ops.norm(x, { ...o, order: Number.POSITIVE_INFINITY }), filled, {
      domain: [-4, -1 / 8],
      distinct: true,
    }),
    'smallest size': reducing((x, o) => ops.norm(x, { ...o, order: Number.NEGATIVE_INFINITY }), filled, {
      domain: [-4, -1 / 8],
      distinct: true,
    }),
    'of order 3': reducing((x, o) => ops.norm(x, { ...o, order: 3 }), filled, { awayFrom: [0] }),
    'of order 1/2': reducing((x, o) => ops.norm(x, { ...o, order: 0.5 }), filled, { awayFrom: [0] }),
    'of order -2': reducing((x, o) => ops.norm(x, { ...o, order: -2 }), filled, { awayFrom: [0] }),
    'of order 3, of zeros and nothing too': reducing((x, o) => ops.norm(x, { ...o, order: 3 }), {}, {}, valueOnly),
    'of order -2, of zeros and nothing too': reducing((x, o) => ops.norm(x, { ...o, order: -2 }), {}, {}, valueOnly),
    'count of what is not 0': reducing((x, o) => ops.norm(x, { ...o, order: 0 }), {}, {}, valueOnly),
  },
  argmin: {
    'the first of the smallest': drawn(
      oneAxis(filled),
      { domain: [-1 / 4, 1 / 4] },
      ({ axis }, x) => ops.argmin(x, { axis }),
      asInt32,
    ),
    'of whole numbers': drawn(
      oneAxis(filled),
      { dtype: 'int32', domain: [-(2 ** 31), 2 ** 31 - 1] },
      ({ axis }, x) => ops.argmin(x, { axis, keepDims: true }),
      asInt32,
    ),
  },
  argmax: {
    'the first of the largest': drawn(
      oneAxis(filled),
      { domain: [-1 / 4, 1 / 4] },
      ({ axis }, x) => ops.argmax(x, { axis }),
      asInt32,
    ),
    'keeping the axis': drawn(oneAxis(filled), {}, ({ axis }, x) => ops.argmax(x, { axis, keepDims: true }), asInt32),
  },
  cumsum: {
    'along an axis': drawn(oneAxis({ maxSize: 5, maxRank: 2 }), {}, ({ axis }, x) => ops.cumsum(x, { axis })),
  },
  sumTo: {
    'a shape that broadcasts to its own': drawn(
      broadcastShapes(2).map(([a, b]) => ({ shapes: [commonShape('sumTo', a, b)], options: a })),
      {},
      (target, x) => ops.sumTo(x, target),
    ),
  },
}
