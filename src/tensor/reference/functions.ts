// The functions of numbers that the primitives compute, by name. The other devices have a kernel for each name.

import { erf, normalCdf } from './erf.ts'

export type UnaryFunction = (x: number) => number
export type BinaryFunction = (x: number, y: number) => number

export const unaryFunctions = {
  neg: x => -x,
  abs: x => Math.abs(x),
  sign: x => Math.sign(x),
  floor: x => Math.floor(x),
  exp: x => Math.exp(x),
  expm1: x => Math.expm1(x),
  log: x => Math.log(x),
  log1p: x => Math.log1p(x),
  log2: x => Math.log2(x),
  log10: x => Math.log10(x),
  sqrt: x => Math.sqrt(x),
  rsqrt: x => 1 / Math.sqrt(x),
  sin: x => Math.sin(x),
  cos: x => Math.cos(x),
  atan: x => Math.atan(x),
  tanh: x => Math.tanh(x),
  sigmoid: x => 1 / (1 + Math.exp(-x)),
  erf: x => erf(x),
  normalCdf: x => normalCdf(x),
} satisfies Record<string, UnaryFunction>

export const binaryFunctions = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  fmod: (x, y) => x % y,
  pow: (x, y) => x ** y,
  maximum: (x, y) => Math.max(x, y),
  minimum: (x, y) => Math.min(x, y),
} satisfies Record<string, BinaryFunction>

/** xʸ of integers modulo 2³², by repeated squaring; what is below 1 is 0. */
export function integerPower(x: number, y: number): number {
  if (y < 0) return x === 1 ? 1 : x === -1 ? (y % 2 === 0 ? 1 : -1) : 0
  let result = 1
  let base = x
  for (let left = y; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result = Math.imul(result, base)
    base = Math.imul(base, base)
  }
  return result
}

/** The same for int32, where float64 would lose digits or the function of floats differs; results are stored modulo 2³². */
export const integerFunctions = {
  mul: (x, y) => Math.imul(x, y),
  pow: integerPower,
  fmod: (x, y) => (y === 0 ? 0 : x % y),
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

/** The sum of int32, modulo 2³². */
export const integerSum: BinaryFunction = (a, x) => (a + x) | 0
