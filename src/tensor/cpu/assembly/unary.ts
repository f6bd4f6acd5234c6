// Elementwise functions of one argument, contiguous in and out; both may be the same memory.

import { erf4, exp4, expm14, log1p4, log4, sigmoid4, tanh4 } from './functions'
import { cos, sin } from './scalar'
import { loadSome, storeSome } from './vector'

const enum Unary {
  neg,
  abs,
  sign,
  sqrt,
  rsqrt,
  exp,
  log,
  tanh,
  sigmoid,
  erf,
  expm1,
  log1p,
  sin,
  cos,
}

@inline
function apply(name: Unary, x: v128): v128 {
  if (name == Unary.neg) return f32x4.neg(x)
  if (name == Unary.abs) return f32x4.abs(x)
  if (name == Unary.sign) {
    // zeros and NaN stay as they are
    const moves = v128.or(f32x4.lt(x, f32x4.splat(0)), f32x4.gt(x, f32x4.splat(0)))
    return v128.bitselect(v128.or(v128.and(x, f32x4.splat(-0.0)), f32x4.splat(1)), x, moves)
  }
  if (name == Unary.sqrt) return f32x4.sqrt(x)
  if (name == Unary.rsqrt) return f32x4.div(f32x4.splat(1), f32x4.sqrt(x))
  if (name == Unary.exp) return exp4(x)
  if (name == Unary.log) return log4(x)
  if (name == Unary.tanh) return tanh4(x)
  if (name == Unary.sigmoid) return sigmoid4(x)
  if (name == Unary.expm1) return expm14(x)
  if (name == Unary.log1p) return log1p4(x)
  return erf4(x)
}

@inline
function map(name: Unary, out: usize, x: usize, n: i32): void {
  const end = out + ((n & ~3) << 2)
  for (; out < end; out += 16, x += 16) v128.store(out, apply(name, v128.load(x)))
  if (n & 3) storeSome(out, apply(name, loadSome(x, 4, n & 3)), n & 3)
}

export function unary_f32(name: Unary, out: usize, x: usize, n: i32): void {
  switch (name) {
    case Unary.neg: map(Unary.neg, out, x, n); break
    case Unary.abs: map(Unary.abs, out, x, n); break
    case Unary.sign: map(Unary.sign, out, x, n); break
    case Unary.sqrt: map(Unary.sqrt, out, x, n); break
    case Unary.rsqrt: map(Unary.rsqrt, out, x, n); break
    case Unary.exp: map(Unary.exp, out, x, n); break
    case Unary.log: map(Unary.log, out, x, n); break
    case Unary.tanh: map(Unary.tanh, out, x, n); break
    case Unary.sigmoid: map(Unary.sigmoid, out, x, n); break
    case Unary.erf: map(Unary.erf, out, x, n); break
    case Unary.expm1: map(Unary.expm1, out, x, n); break
    case Unary.log1p: map(Unary.log1p, out, x, n); break
    case Unary.sin: for (let i = 0; i < n; i++) store<f32>(out + (i << 2), f32(sin(load<f32>(x + (i << 2))))); break
    default: for (let i = 0; i < n; i++) store<f32>(out + (i << 2), f32(cos(load<f32>(x + (i << 2)))))
  }
}

export function unary_i32(name: Unary, out: usize, x: usize, n: i32): void {
  for (const end = x + (n << 2); x < end; x += 4, out += 4) {
    const v = load<i32>(x)
    if (name == Unary.neg) store<i32>(out, -v)
    else if (name == Unary.abs) store<i32>(out, v < 0 ? -v : v)
    else store<i32>(out, i32(v > 0) - i32(v < 0))
  }
}
