// The normal distribution function Φ(x), GELU, x Φ(x), and its gradient, Φ(x) + x φ(x). Φ is computed from the tail of the
// distribution beyond |x|, to the relative accuracy of float32 wherever the tail is: by a polynomial around zero, the range of
// nearly all numbers, and with eˣ outside of it. The gradient around zero, ½ + x P(x²), is exact to one unit in the last place of 1.

import { exp4, scaledErfc4 } from './functions'
import { f, loadSome, madd, storeSome } from './vector'

/** Where the polynomials end. */
@inline
const REACH: f32 = 2.875

/** 2 x² / REACH² - 1: between -1 and 1, where a polynomial loses nothing to rounding. */
@inline
function centred(x: v128): v128 {
  return madd(f32x4.mul(x, x), f(0.24196597933769226), f(-1))
}

/**
 * 1 - Φ(a) for 0 ≤ a ≤ REACH, as a polynomial in the distance to REACH: the smallest tail is its constant, and the other terms are
 * positive near it, so that nothing cancels.
 */
@inline
function nearTail4(a: v128): v128 {
  const s = f32x4.sub(f(REACH), a)
  let p = madd(f(1.3301917078933911e-07), s, f(-1.4154416021483485e-06))
  p = madd(p, s, f(3.1492754715145566e-06))
  p = madd(p, s, f(1.1871312381117605e-05))
  p = madd(p, s, f(-4.580152017297223e-05))
  p = madd(p, s, f(4.265454117557965e-05))
  p = madd(p, s, f(-0.0002457984664943069))
  p = madd(p, s, f(0.00010790010128403082))
  p = madd(p, s, f(0.0011128595797345042))
  p = madd(p, s, f(0.004049758892506361))
  p = madd(p, s, f(0.007745292503386736))
  p = madd(p, s, f(0.009197507053613663))
  p = madd(p, s, f(0.006398113444447517))
  p = madd(p, s, f(0.002020137617364526))
  return p
}

/** e^(-a²/2). The rounding of a² would be magnified, so a is split: the square of the first part is exact. */
@inline
function bell4(a: v128): v128 {
  const head = v128.and(a, i32x4.splat(0xfffff000))
  const rest = f32x4.mul(f32x4.sub(a, head), f32x4.add(a, head))
  return f32x4.mul(exp4(f32x4.mul(f32x4.mul(head, head), f(-0.5))), exp4(f32x4.mul(rest, f(-0.5))))
}

/** 1 - Φ(a) from e^(-a²/2) */
@inline
function tailOf4(a: v128, bell: v128): v128 {
  return f32x4.mul(f(0.5), f32x4.mul(scaledErfc4(f32x4.mul(a, f(0.70710678))), bell))
}

/** |x| where the tail is not 0; NaN stays. */
@inline
function bounded(x: v128): v128 {
  return f32x4.pmin(f32x4.abs(x), f(20))
}

function farTail4(x: v128): v128 {
  const a = bounded(x)
  return tailOf4(a, bell4(a))
}

/** 1 - Φ(|x|) */
@inline
function tail4(x: v128): v128 {
  const far = isFar(x)
  const near = nearTail4(f32x4.abs(x))
  return v128.any_true(far) ? v128.bitselect(farTail4(x), near, far) : near
}

/** Which of four are negative; -0 is. */
@inline
function isNegative(x: v128): v128 {
  return i32x4.shr_s(x, 31)
}

/** Φ(x): the tail itself below zero, one minus the tail above. */
@inline
export function normalCdf4(x: v128): v128 {
  const tail = tail4(x)
  return v128.bitselect(tail, f32x4.sub(f(1), tail), isNegative(x))
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

function farSlope4(x: v128): v128 {
  const a = bounded(x)
  const bell = bell4(a)
  const tail = tailOf4(a, bell)
  const cdf = v128.bitselect(tail, f32x4.sub(f(1), tail), isNegative(x))
  return madd(x, f32x4.mul(bell, f(0.3989422804)), cdf)
}

/** Which of four are out of reach, or not a number: magnitudes are ordered as their bits are. */
@inline
function isFar(x: v128): v128 {
  return i32x4.gt_s(f32x4.abs(x), f(REACH))
}

@inline
function gelu4(x: v128): v128 {
  return f32x4.mul(x, normalCdf4(x))
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
  if (n & 3) storeSome<f32>(out, gelu4(loadSome<f32>(x, 4, n & 3)), n & 3)
}

export function geluGradient(out: usize, g: usize, x: usize, n: i32): void {
  const end = out + ((n & ~3) << 2)
  for (; out < end; out += 16, x += 16, g += 16) v128.store(out, f32x4.mul(v128.load(g), slope4(v128.load(x))))
  const rest = n & 3
  if (rest) storeSome<f32>(out, f32x4.mul(loadSome<f32>(g, 4, rest), slope4(loadSome<f32>(x, 4, rest))), rest)
}
