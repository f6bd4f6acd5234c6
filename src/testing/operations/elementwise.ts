// Cases of the elementwise operations, away from their kinks and poles.

import fc from 'fast-check'
import * as ops from '../../autograd/index.ts'
import { type Operand, type Tensor, zeros } from '../../tensor/index.ts'
import { broadcastShapes, shape } from '../arbitraries/shapes.ts'
import type { ValueOptions } from '../arbitraries/tensors.ts'
import { alone, drawn, only, sampled } from './case.ts'

export const one = alone(shape())
const two = only(broadcastShapes(2))
const three = only(broadcastShapes(3, { maxRank: 2 }))

/** 1/4 or more away from 0, where differences of 1/x are accurate enough */
const nonZero = { awayFrom: [-1 / 8, 0, 1 / 8] }
const positive = { domain: [1 / 4, 2] } as const
const truth = { dtype: 'bool' } as const
const few = { domain: [-1 / 4, 1 / 4] } as const
/** a value between the eighths, which is never equal to one of them */
const between = 1 / 16

export const smooth = { order: 3 } as const
const asBool = { order: 0, result: 'bool' } as const

/** A function of each element that is smooth at the drawn values. */
export const unary = (f: (x: Tensor) => Tensor, values: ValueOptions = {}) => ({
  'of any shape': drawn(one, values, (_, x) => f(x), smooth),
})

export const pairs = (f: (x: Operand, y: Operand) => Tensor, left: ValueOptions, right: ValueOptions) => ({
  'two tensors': drawn(two, [left, right], (_, x, y) => f(x, y), smooth),
  'a number on the right': drawn(one, left, (_, x) => f(x, 1.5), smooth),
  'a number on the left': drawn(one, right, (_, y) => f(1.5, y), smooth),
})

export const binary = (f: (x: Operand, y: Operand) => Tensor, left: ValueOptions = {}, right: ValueOptions = {}) => ({
  ...pairs(f, left, right),
  'a tensor with itself': drawn(one, { ...left, ...right }, (_, x) => f(x, x), smooth),
})

const extremum = (f: (x: Operand, y: Operand) => Tensor) => ({
  'two tensors': drawn(two, {}, (_, x, y) => f(x, y.add(between)), smooth),
  'a number on the right': drawn(one, {}, (_, x) => f(x, between), smooth),
  'a number on the left': drawn(one, {}, (_, x) => f(between, x), smooth),
})

const comparison = (f: (x: Operand, y: Operand) => Tensor) => ({
  'two tensors': drawn(two, few, (_, x, y) => f(x, y), asBool),
  'a number': drawn(one, few, (_, x) => f(x, 0), asBool),
})

const logical = (shapes: typeof one, f: (...xs: Tensor[]) => Tensor) => ({
  truths: drawn(shapes, truth, (_, ...xs) => f(...xs), asBool),
  'numbers and truths': drawn(shapes, [few, truth], (_, ...xs) => f(...xs), asBool),
})

const power = (n: number) => drawn(one, nonZero, (_, x) => ops.pow(x, n), smooth)
const limits = (to: { readonly min?: number; readonly max?: number }) =>
  drawn(one, {}, (_, x) => ops.clamp(x, to), smooth)

export const elementwise = {
  add: binary(ops.add),
  sub: binary(ops.sub),
  mul: binary(ops.mul),
  div: binary(ops.div, {}, nonZero),
  pow: {
    ...pairs(ops.pow, positive, {}),
    'to the 0': power(0),
    'to the 1': power(1),
    'to the 2': power(2),
    'to the 3': power(3),
    'to the -1': power(-1),
  },
  maximum: extremum(ops.maximum),
  minimum: extremum(ops.minimum),

  neg: unary(ops.neg),
  abs: unary(ops.abs, { awayFrom: [0] }),
  sign: unary(ops.sign, { awayFrom: [0] }),
  exp: unary(ops.exp),
  expm1: unary(ops.expm1),
  log: unary(ops.log, positive),
  log1p: unary(ops.log1p, { domain: [-3 / 4, 2] }),
  log2: unary(ops.log2, positive),
  log10: unary(ops.log10, positive),
  exp2: unary(ops.exp2),
  sqrt: unary(ops.sqrt, positive),
  rsqrt: unary(ops.rsqrt, positive),
  sin: unary(ops.sin),
  cos: unary(ops.cos),
  tanh: unary(ops.tanh),
  erf: unary(ops.erf),
  square: unary(ops.square),
  cube: unary(ops.cube),
  reciprocal: unary(ops.reciprocal, nonZero),
  logaddexp: binary(ops.logaddexp),
  lerp: {
    'a number as the weight': drawn(two, {}, (_, x, y) => ops.lerp(x, y, 0.25), smooth),
    'a large number as the weight': drawn(two, {}, (_, x, y) => ops.lerp(x, y, 1.5), smooth),
    'weights that broadcast': drawn(three, {}, (_, x, y, w) => ops.lerp(x, y, w), smooth),
  },
  clamp: {
    'from below': limits({ min: -0.8 }),
    'from above': limits({ max: 0.7 }),
    'on both sides': limits({ min: -0.8, max: 0.7 }),
    'not at all': limits({}),
  },

  equal: comparison(ops.equal),
  notEqual: comparison(ops.notEqual),
  greater: comparison(ops.greater),
  greaterEqual: comparison(ops.greaterEqual),
  less: comparison(ops.less),
  lessEqual: comparison(ops.lessEqual),
  logicalAnd: logical(two, (x, y) => ops.logicalAnd(x, y)),
  logicalOr: logical(two, (x, y) => ops.logicalOr(x, y)),
  logicalNot: logical(one, x => ops.logicalNot(x)),

  isNaN: { 'of 0 / 0': drawn(one, few, (_, x) => ops.isNaN(x.div(x)), asBool) },
  isInf: { 'of 1 / 0': drawn(one, few, (_, x) => ops.isInf(ops.div(1, x)), asBool) },
  isFinite: {
    'of 1 / 0': drawn(one, few, (_, x) => ops.isFinite(ops.div(1, x)), asBool),
    'of 0 / 0': drawn(one, few, (_, x) => ops.isFinite(x.div(x)), asBool),
  },
  isClose: {
    'two tensors': drawn(two, few, (_, x, y) => ops.isClose(x, y, { atol: 1 / 16, rtol: 1 / 2 }), asBool),
    'a number': drawn(one, few, (_, x) => ops.isClose(x, 0.125, { atol: 0.0625 }), asBool),
    'NaN too': drawn(one, few, (_, x) => ops.isClose(x.log(), x.log(), { equalNan: true }), asBool),
  },
  nanToNum: {
    'of numbers': drawn(one, {}, (_, x) => ops.nanToNum(x), smooth),
    'of logarithms': drawn(one, few, (_, x) => ops.nanToNum(x.log(), { nan: 7, negInf: -9 }), { order: 0 }),
    'of quotients': drawn(one, few, (_, x) => ops.nanToNum(ops.div(1, x), { posInf: 5 }), { order: 0 }),
  },

  where: {
    'three tensors': drawn(three, [truth, {}, {}], (_, c, x, y) => ops.where(c, x, y), smooth),
    'a number where not': drawn(two, [truth, {}], (_, c, x) => ops.where(c, x, -3), smooth),
    'a number where so': drawn(two, [truth, {}], (_, c, x) => ops.where(c, -3, x), smooth),
  },
  cast: {
    'to float64': drawn(one, {}, (_, x) => ops.cast(x, 'float64'), { ...smooth, result: 'float64' }),
    'to int32, cutting off': drawn(one, {}, (_, x) => ops.cast(x, 'int32'), { order: 0, result: 'int32' }),
    'to bool': drawn(one, few, (_, x) => ops.cast(x, 'bool'), asBool),
  },
  identity: unary(ops.identity),
  stopGradient: {
    'keeps the value': sampled(
      fc.constant(0).map(() => ({ inputs: [zeros([2, 3])], options: undefined })),
      (_, x) => ops.stopGradient(x),
      { order: 0 },
    ),
  },
}
