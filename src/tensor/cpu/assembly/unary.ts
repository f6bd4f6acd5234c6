// Elementwise functions of one argument. Input and output are contiguous and may be the same memory.

import { erf4, exp4, expm14, log1p4, log4, sigmoid4, tanh4 } from './functions'
import { normalCdf4 } from './gelu'
import { cos, sin } from './scalar'
import { loadSome, storeSome } from './vector'

/** Zeros and NaN stay as they are. */
@inline
function sign4(x: v128): v128 {
  const moves = v128.or(f32x4.lt(x, f32x4.splat(0)), f32x4.gt(x, f32x4.splat(0)))
  return v128.bitselect(v128.or(v128.and(x, f32x4.splat(-0.0)), f32x4.splat(1)), x, moves)
}

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
  normalCdf,
}

@inline
function apply(name: Unary, x: v128): v128 {
  if (name == Unary.neg) return f32x4.neg(x)
  if (name == Unary.abs) return f32x4.abs(x)
  if (name == Unary.sign) return sign4(x)
  if (name == Unary.sqrt) return f32x4.sqrt(x)
  if (name == Unary.rsqrt) return f32x4.div(f32x4.splat(1), f32x4.sqrt(x))
  if (name == Unary.exp) return exp4(x)
  if (name == Unary.log) return log4(x)
  if (name == Unary.tanh) return tanh4(x)
  if (name == Unary.sigmoid) return sigmoid4(x)
  if (name == Unary.expm1) return expm14(x)
  if (name == Unary.log1p) return log1p4(x)
  if (name == Unary.normalCdf) return normalCdf4(x)
  return erf4(x)
}

@inline
function map(name: Unary, out: usize, x: usize, n: i32): void {
  const end = out + ((n & ~3) << 2)
  // two at a time: each coefficient is fetched once for both
  for (; out + 32 <= end; out += 32, x += 32) {
    const y = apply(name, v128.load(x))
    const z = apply(name, v128.load(x, 16))
    v128.store(out, y)
    v128.store(out, z, 16)
  }
  for (; out < end; out += 16, x += 16) v128.store(out, apply(name, v128.load(x)))
  if (n & 3) storeSome<f32>(out, apply(name, loadSome<f32>(x, 4, n & 3)), n & 3)
}

// a function each: in one that holds all of them, engines run out of registers

export function neg_f32(out: usize, x: usize, n: i32): void {
  map(Unary.neg, out, x, n)
}

export function abs_f32(out: usize, x: usize, n: i32): void {
  map(Unary.abs, out, x, n)
}

export function sign_f32(out: usize, x: usize, n: i32): void {
  map(Unary.sign, out, x, n)
}

export function sqrt_f32(out: usize, x: usize, n: i32): void {
  map(Unary.sqrt, out, x, n)
}

export function rsqrt_f32(out: usize, x: usize, n: i32): void {
  map(Unary.rsqrt, out, x, n)
}

export function exp_f32(out: usize, x: usize, n: i32): void {
  map(Unary.exp, out, x, n)
}

export function log_f32(out: usize, x: usize, n: i32): void {
  map(Unary.log, out, x, n)
}

export function tanh_f32(out: usize, x: usize, n: i32): void {
  map(Unary.tanh, out, x, n)
}

export function sigmoid_f32(out: usize, x: usize, n: i32): void {
  map(Unary.sigmoid, out, x, n)
}

export function erf_f32(out: usize, x: usize, n: i32): void {
  map(Unary.erf, out, x, n)
}

export function expm1_f32(out: usize, x: usize, n: i32): void {
  map(Unary.expm1, out, x, n)
}

export function log1p_f32(out: usize, x: usize, n: i32): void {
  map(Unary.log1p, out, x, n)
}

export function normalCdf_f32(out: usize, x: usize, n: i32): void {
  map(Unary.normalCdf, out, x, n)
}

export function sin_f32(out: usize, x: usize, n: i32): void {
  for (let i = 0; i < n; i++) store<f32>(out + (i << 2), f32(sin(load<f32>(x + (i << 2)))))
}

export function cos_f32(out: usize, x: usize, n: i32): void {
  for (let i = 0; i < n; i++) store<f32>(out + (i << 2), f32(cos(load<f32>(x + (i << 2)))))
}

export function neg_i32(out: usize, x: usize, n: i32): void {
  for (let i = 0; i < n; i++) store<i32>(out + (i << 2), -load<i32>(x + (i << 2)))
}

export function abs_i32(out: usize, x: usize, n: i32): void {
  for (let i = 0; i < n; i++) store<i32>(out + (i << 2), abs(load<i32>(x + (i << 2))))
}

export function sign_i32(out: usize, x: usize, n: i32): void {
  for (let i = 0; i < n; i++) {
    const v = load<i32>(x + (i << 2))
    store<i32>(out + (i << 2), i32(v > 0) - i32(v < 0))
  }
}
