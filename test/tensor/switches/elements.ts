// Kernels over elements and rows: four or sixteen numbers at a time and the remainder, in runs that are summed separately, in
// contiguous memory or not, divided among threads along one axis or another.

import * as ops from '../../../src/autograd/index.ts'
import { type CheckedFunction, fusedOps } from '../../../src/autograd/index.ts'
import { Parameter } from '../../../src/nn/index.ts'
import { AdamW, clipGradients } from '../../../src/optim/index.ts'
import type { Shape } from '../../../src/tensor/index.ts'
import { all, type Calls, each, edges, floats, integers, truth } from './calls.ts'

/** Elements that are worth two threads, where they are moved or combined, and where functions of them are computed. */
const SHARED = { moved: 2 * 16384, computed: 2 * 4096 }

/** [rows, n] */
const rows: readonly number[][] = [
  ...edges(1024).flatMap((n, i) => [[1 + (i % 3), n]]),
  ...all([0, 1, 2, 3, 5], [0, 1, 2, 3, 5]),
]

/** What two threads share, along rows and along columns, and not quite. */
const shared = (elements: number): number[][] => [
  [1, elements + 1],
  [elements + 1, 1],
  [3, Math.ceil(elements / 3)],
  [elements / 2 - 1, 2],
]

const unary: CheckedFunction = x => [
  ...[x.neg(), x.abs(), x.sign(), x.exp(), x.expm1(), x.tanh(), x.sigmoid(), x.erf(), x.sin(), x.cos(), x.gelu()],
  ...[x.floor(), x.atan()],
  // far from where they are easy
  ...[x.mul(64).sigmoid(), x.mul(4).gelu()],
  ...[x.abs().add(0.5)].flatMap(positive => [positive.log(), positive.log1p(), positive.sqrt(), positive.rsqrt()]),
  ...[x.abs().add(0.5)].flatMap(positive => [positive.log2(), positive.log10()]),
]

const arithmetic: CheckedFunction = (x, y) => [
  ...[x.add(y), x.sub(y), x.mul(y), x.div(y.abs().add(0.5)), x.maximum(y), x.minimum(y), x.abs().add(0.5).pow(y)],
  x.add(1 / 16).fmod(y.abs().add(0.5)),
  ...[x.add(0.5), x.pow(2), ops.div(1, x.abs().add(0.5)), ops.where(x.greater(y), x, y), ops.where(x.less(y), x, 3)],
]

/** Of each way to walk over two arguments or three. */
const walks: CheckedFunction = (x, y) => [x.add(y), ops.where(x.greater(y), x, y)]

const comparisons: CheckedFunction = (x, y) => [
  ...[
    x.equal(y),
    x.notEqual(y),
    x.greater(y),
    x.greaterEqual(y),
    x.less(y),
    x.lessEqual(y),
    x.less(0),
    ops.less(0.5, y),
  ],
]

/** What y may be where x is [rows, n]: it broadcasts, and so does x. */
const beside = ([count, n]: readonly number[], i: number): Shape =>
  [[count, n], [n], [count, 1], [1, n], [], [2, count, n]][i % 6]

const moments = { betas: [0.5, 0.75], learningRate: 0.125 } as const

export const elements: Calls = {
  'functions of one argument': each([...rows, ...shared(SHARED.computed)], shape => ({
    inputs: floats(shape),
    f: unary,
  })),

  'functions of two arguments': each(rows, (shape, i) => ({ inputs: floats(shape, beside(shape, i)), f: arithmetic })),

  'functions of two arguments, shared': each([...shared(SHARED.moved), ...shared(SHARED.moved)], (shape, i) => ({
    inputs: floats(shape, beside(shape, i)),
    f: walks,
  })),

  comparisons: each([...rows, ...shared(SHARED.moved)], (shape, i) => ({
    inputs: floats(shape, beside(shape, i)),
    f: comparisons,
    gradients: false,
  })),

  'whole numbers and truths': each([...rows, ...shared(SHARED.moved)], (shape, i) => ({
    inputs: [integers(shape, 9), integers(beside(shape, i), 5), truth(...shape), truth(...beside(shape, i))],
    f: (x, y, p, q) => [
      ...[x.add(y), x.sub(y), x.mul(y), x.maximum(y), x.minimum(y), x.sub(4).pow(y.sub(2)), x.equal(y), x.less(y)],
      x.sub(4).fmod(y.sub(2)),
      ...[x.neg(), x.sub(4).abs(), x.sub(4).sign(), x.cast('float32'), x.cast('bool'), x.div(4).cast('int32')],
      ...[p.logicalAnd(q), p.logicalOr(q), p.logicalNot(), p.equal(q), ops.where(p, x, y), ops.where(p, p, q)],
      ...[p.cast('int32'), p.cast('float32'), x.cast('float32').cast('bool'), x.mul(1e30).cast('int32')],
    ],
    gradients: false,
  })),

  'functions of rows': each(
    [...rows, ...shared(SHARED.computed), ...all([63, 64, 65, 129], [3, 8])].filter(([, n]) => n > 0),
    ([count, n]) => ({
      inputs: [...floats([count, n], [n], [n]), integers([count], n)],
      f: (x, weight, bias, ids) => [
        x.softmax(),
        x.logSoftmax(),
        fusedOps.standardize(x, 0.25),
        fusedOps.normalize(x, 1.1),
        ops.layerNorm(x, { weight, bias, epsilon: 0.25 }),
        fusedOps.negativeLogLikelihood(x, ids),
      ],
    }),
  ),

  'steps of optimizers': each([...rows, ...shared(SHARED.moved)], (shape, i) => ({
    inputs: floats(shape, shape, rows[i % rows.length], rows[i % rows.length]),
    f: (x, gradX, y, gradY) => {
      const parameters = { x: new Parameter(x), y: new Parameter(y) }
      const optimizer = new AdamW(Object.entries(parameters), moments)
      const { gradients, norm } = clipGradients(
        new Map([
          ['x', gradX],
          ['y', gradY],
        ]),
        2,
      )
      for (let step = 0; step < 2; step++) optimizer.step(gradients)
      return [norm, parameters.x, parameters.y]
    },
    gradients: false,
  })),
}
