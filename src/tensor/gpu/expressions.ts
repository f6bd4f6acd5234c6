// Every elementwise operation, as the expression that a kernel returns: x0, x1, x2 are its operands. Where NaN counts, the
// expression compares so that NaN falls to the right side: every comparison with it is false.

import type { DType } from '../dtype.ts'
import type { BinaryName, ComparisonName, UnaryName } from '../primitives.ts'

export const unaryExpressions: Record<UnaryName, string> = {
  neg: '-x0',
  abs: 'Math.abs(x0)',
  sign: 'x0>0.0?1.0:(x0<0.0?-1.0:x0)',
  floor: 'Math.floor(x0)',
  exp: 'Math.exp(x0)',
  expm1: 'stableExpm1(x0)',
  log: 'logarithm(x0)',
  log1p: 'stableLog1p(x0)',
  log2: 'logarithm2(x0)',
  log10: 'logarithm(x0)*0.43429448',
  sqrt: 'Math.sqrt(x0)',
  rsqrt: '1.0/Math.sqrt(x0)',
  sin: 'sineOf(x0,0.0)',
  cos: 'sineOf(x0,1.0)',
  atan: 'arcTangent(x0)',
  tanh: 'stableTanh(x0)',
  sigmoid: 'stableSigmoid(x0)',
  erf: 'errorFunction(x0)',
  normalCdf: 'normalCdf(x0)',
}

export const binaryExpressions: Record<BinaryName, string> = {
  add: 'x0+x1',
  sub: 'x0-x1',
  mul: 'x0*x1',
  div: 'x0/x1',
  fmod: 'truncatedRest(x0,x1)',
  pow: 'powerOf(x0,x1)',
  maximum: 'Math.max(x0,x1)',
  minimum: 'Math.min(x0,x1)',
}

/** The same for two integer operands. */
export const wholeExpressions: Partial<Record<BinaryName, string>> = {
  pow: 'wholePower(x0,x1)',
  fmod: 'x1===0.0?0.0:truncatedRest(x0,x1)',
}

export const comparisonExpressions: Record<ComparisonName, string> = {
  equal: 'x0===x1?1.0:0.0',
  notEqual: 'x0===x1?0.0:1.0',
  greater: 'x0>x1?1.0:0.0',
  greaterEqual: 'x0>=x1?1.0:0.0',
  less: 'x0<x1?1.0:0.0',
  lessEqual: 'x0<=x1?1.0:0.0',
}

export const whereExpression = 'x0===0.0?x2:x1'

/** Conversion of float32 memory to the values of a type. */
export const castExpressions: Record<DType, string> = {
  float32: 'x0',
  float64: 'x0',
  int32: 'x0<0.0?Math.ceil(x0):Math.floor(x0)',
  bool: 'x0===0.0?0.0:1.0',
}

/** x Φ(x) */
export const geluExpression = 'x0*normalCdf(x0)'
/** g (Φ(x) + x φ(x)) for x0 = x, x1 = g */
export const geluGradientExpression = 'x1*(normalCdf(x0)+x0*0.39894228*Math.exp(0.0-0.5*Math.min(x0*x0,400.0)))'
