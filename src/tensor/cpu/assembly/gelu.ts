// GELU, x Φ(x), and its gradient, Φ(x) + x φ(x). Around zero, the range of nearly all numbers, ½ + x P(x²) is exact to
// one unit in the last place of 1; outside of it, the tail of the normal distribution is computed with eˣ to keep its
// relative accuracy.

import { exp4, normalTail4 } from './functions'
import { f, loadSome, madd, storeSome } from './vector'

/** Where the polynomials end. */
@inline
const REACH: f32 = 2.875

/** 2 x² / REACH² - 1: between -1 and 1, where a polynomial loses nothing to rounding. */
@inline
function centred(x: v128): v128 {
  return madd(f32x4.mul(x, x), f(0.24196597933769226), f(-1))
}

@inline
function nearGelu4(x: v128): v128 {
  const t = centred(x)
  let p = madd(f(-6.789572125853738e-6), t, f(3.4093933209078386e-5))
  p = madd(p, t, f(-0.00014013747568242252))
  p = madd(p, t, f(0.0005691119004040956))
  p = madd(p, t, f(-0.0020660553127527237))
  p = madd(p, t, f(0.006561014335602522))
  p = madd(p, t, f(-0.01811116747558117))
  p = madd(p, t, f(0.043306440114974976))
  p = madd(p, t, f(-0.09254179894924164))
  p = madd(p, t, f(0.23560567200183868))
  return f32x4.mul(x, madd(p, x, f(0.5)))
}

@inline
function nearSlope4(x: v128): v128 {
  const t = centred(x)
  let p = madd(f(2.3006794435787015e-5), t, f(-0.00011315452138660476))
  p = madd(p, t, f(0.00044527996215038))
  p = madd(p, t, f(-0.0017419704236090183))
  p = madd(p, t, f(0.006036161910742521))
  p = madd(p, t, f(-0.017933610826730728))
  p = madd(p, t, f(0.0449422262609005))
  p = madd(p, t, f(-0.09240829944610596))
  p = madd(p, t, f(0.15117210149765015))
  p = madd(p, t, f(-0.19694098830223083))
  p = madd(p, t, f(0.2861277461051941))
  return madd(p, x, f(0.5))
}

/** Φ(x): the tail below for x < 0, one minus the tail above for x ≥ 0. */
@inline
function cdf4(x: v128, bell: v128): v128 {
  const tail = normalTail4(x, bell)
  return v128.bitselect(tail, f32x4.sub(f(1), tail), f32x4.lt(x, f(0)))
}

/** e^(-x²/2) */
@inline
function bell4(x: v128): v128 {
  return exp4(f32x4.mul(f32x4.mul(x, x), f(-0.5)))
}

function farGelu4(x: v128): v128 {
  return f32x4.mul(x, cdf4(x, bell4(x)))
}

function farSlope4(x: v128): v128 {
  const bell = bell4(x)
  return madd(x, f32x4.mul(bell, f(0.3989422804)), cdf4(x, bell))
}

/** Which of four are out of reach, or not a number: magnitudes are ordered as their bits are. */
@inline
function isFar(x: v128): v128 {
  return i32x4.gt_s(f32x4.abs(x), f(REACH))
}

@inline
function gelu4(x: v128): v128 {
  const far = isFar(x)
  const near = nearGelu4(x)
  return v128.any_true(far) ? v128.bitselect(farGelu4(x), near, far) : near
}

@inline
function slope4(x: v128): v128 {
  const far = isFar(x)
  const near = nearSlope4(x)
  return v128.any_true(far) ? v128.bitselect(farSlope4(x), near, far) : near
}

export function gelu(out: usize, x: usize, n: i32): void {
  const end = out + ((n & ~3) << 2)
  for (; out < end; out += 16, x += 16) v128.store(out, gelu4(v128.load(x)))
  if (n & 3) storeSome(out, gelu4(loadSome(x, 4, n & 3)), n & 3)
}

export function geluGradient(out: usize, g: usize, x: usize, n: i32): void {
  const end = out + ((n & ~3) << 2)
  for (; out < end; out += 16, x += 16, g += 16) v128.store(out, f32x4.mul(v128.load(g), slope4(v128.load(x))))
  const rest = n & 3
  if (rest) storeSome(out, f32x4.mul(loadSome(g, 4, rest), slope4(loadSome(x, 4, rest))), rest)
}
