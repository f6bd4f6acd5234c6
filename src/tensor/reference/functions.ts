// The functions of numbers that the primitives compute, by name. The other devices have a kernel for each name.

import { erf } from './erf.ts'

export type UnaryFunction = (x: number) => number
export type BinaryFunction = (x: number, y: number) => number

export const unaryFunctions = {
  neg: x => -x,
  abs: x => Math.abs(x),
  sign: x => Math.sign(x),
  exp: x => Math.exp(x),
  expm1: x => Math.expm1(x),
  log: x => Math.log(x),
  log1p: x => Math.log1p(x),
  sqrt: x => Math.sqrt(x),
  rsqrt: x => 1 / Math.sqrt(x),
  sin: x => Math.sin(x),
  cos: x => Math.cos(x),
  tanh: x => Math.tanh(x),
  sigmoid: x => 1 / (1 + Math.exp(-x)),
  erf: x => erf(x),
} satisfies Record<string, UnaryFunction>

export const binaryFunctions = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  pow: (x, y) => x ** y,
  maximum: (x, y) => Math.max(x, y),
  minimum: (x, y) => Math.min(x, y),
} satisfies Record<string, BinaryFunction>

export const comparisonFunctions = {
  equal: (x, y) => (x === y ? 1 : 0),
  notEqual: (x, y) => (x !== y ? 1 : 0),
  greater: (x, y) => (x > y ? 1 : 0),
  greaterEqual: (x, y) => (x >= y ? 1 : 0),
  less: (x, y) => (x < y ? 1 : 0),
  lessEqual: (x, y) => (x <= y ? 1 : 0),
} satisfies Record<string, BinaryFunction>

export const reductionFunctions = {
  sum: { initial: 0, combine: (a, x) => a + x },
  max: { initial: -Infinity, combine: (a, x) => Math.max(a, x) },
  min: { initial: Infinity, combine: (a, x) => Math.min(a, x) },
} satisfies Record<string, { initial: number; combine: BinaryFunction }>
