// Fused operations: each goes over a contiguous row, which is in the nearest cache after the first pass, or over single
// elements. Names and meanings are those of FusedKernels in ../../kernels.ts.

import { exp4, normalTail4 } from './functions'
import { sumRow } from './reduce'
import { log } from './scalar'
import { f, largest, loadSome, madd, storeSome, total } from './vector'

/** Largest of a row; NaN if one is. */
function maxRow(x: usize, n: i32): f32 {
  let v = f(-Infinity)
  const end = x + ((n & ~3) << 2)
  for (; x < end; x += 16) v = f32x4.max(v, v128.load(x))
  let result = largest(v)
  for (let i = n & 3; i > 0; i--, x += 4) result = max(result, load<f32>(x))
  return result
}

/** out = e^(x - shift), and its sum. */
function expRow(out: usize, x: usize, n: i32, shift: f32): f64 {
  const by = f(shift)
  let sum: f64 = 0
  while (n >= 4) {
    const count = min(n, 256) & ~3
    let v = f(0)
    for (const end = x + (count << 2); x < end; x += 16, out += 16) {
      const e = exp4(f32x4.sub(v128.load(x), by))
      v128.store(out, e)
      v = f32x4.add(v, e)
    }
    sum += total(v)
    n -= count
  }
  if (n) {
    storeSome(out, exp4(f32x4.sub(loadSome(x, 4, n), by)), n)
    for (let i = 0; i < n; i++) sum += load<f32>(out + (i << 2))
  }
  return sum
}

export function softmax(out: usize, x: usize, rows: i32, n: i32): void {
  for (; rows > 0; rows--, x += n << 2) {
    const scale = f32(1 / expRow(out, x, n, maxRow(x, n)))
    const end = out + (n << 2)
    for (; out + 16 <= end; out += 16) v128.store(out, f32x4.mul(v128.load(out), f(scale)))
    for (; out < end; out += 4) store<f32>(out, load<f32>(out) * scale)
  }
}

export function logSoftmax(out: usize, x: usize, rows: i32, n: i32): void {
  for (; rows > 0; rows--) {
    const shift = maxRow(x, n)
    // the exponentials are written where the result will stand
    const logarithm = f32(log(expRow(out, x, n, shift)))
    const end = x + (n << 2)
    for (; x + 16 <= end; x += 16, out += 16)
      v128.store(out, f32x4.sub(f32x4.sub(v128.load(x), f(shift)), f(logarithm)))
    for (; x < end; x += 4, out += 4) store<f32>(out, load<f32>(x) - shift - logarithm)
  }
}

/** Σ a b over a row. */
function dotRow(a: usize, b: usize, n: i32): f64 {
  let sum: f64 = 0
  while (n >= 4) {
    const count = min(n, 256) & ~3
    let v = f(0)
    for (const end = a + (count << 2); a < end; a += 16, b += 16) v = madd(v128.load(a), v128.load(b), v)
    sum += total(v)
    n -= count
  }
  for (; n > 0; n--, a += 4, b += 4) sum += f64(load<f32>(a)) * f64(load<f32>(b))
  return sum
}

export function softmaxGradient(out: usize, g: usize, y: usize, rows: i32, n: i32): void {
  for (; rows > 0; rows--) {
    const dot = f32(dotRow(g, y, n))
    const end = g + (n << 2)
    for (; g + 16 <= end; g += 16, y += 16, out += 16)
      v128.store(out, f32x4.mul(v128.load(y), f32x4.sub(v128.load(g), f(dot))))
    for (; g < end; g += 4, y += 4, out += 4) store<f32>(out, load<f32>(y) * (load<f32>(g) - dot))
  }
}

export function logSoftmaxGradient(out: usize, g: usize, y: usize, rows: i32, n: i32): void {
  for (; rows > 0; rows--) {
    const sum = f(-f32(sumRow(g, n)))
    const end = g + ((n & ~3) << 2)
    for (; g < end; g += 16, y += 16, out += 16)
      v128.store(out, madd(exp4(v128.load(y)), sum, v128.load(g)))
    const rest = n & 3
    if (!rest) continue
    storeSome(out, madd(exp4(loadSome(y, 4, rest)), sum, loadSome(g, 4, rest)), rest)
    g += rest << 2
    y += rest << 2
    out += rest << 2
  }
}

/** Σ (x - mean)² over a row. */
function squaresRow(x: usize, n: i32, mean: f32): f64 {
  const m = f(mean)
  let sum: f64 = 0
  while (n >= 4) {
    const count = min(n, 256) & ~3
    let v = f(0)
    for (const end = x + (count << 2); x < end; x += 16) {
      const d = f32x4.sub(v128.load(x), m)
      v = madd(d, d, v)
    }
    sum += total(v)
    n -= count
  }
  for (; n > 0; n--, x += 4) {
    const d = f64(load<f32>(x) - mean)
    sum += d * d
  }
  return sum
}

export function standardize(out: usize, x: usize, rows: i32, n: i32, epsilon: f64): void {
  for (; rows > 0; rows--) {
    const mean = f32(sumRow(x, n) / f64(n))
    const r = f32(1 / sqrt(squaresRow(x, n, mean) / f64(n) + epsilon))
    const end = x + (n << 2)
    for (; x + 16 <= end; x += 16, out += 16) v128.store(out, f32x4.mul(f32x4.sub(v128.load(x), f(mean)), f(r)))
    for (; x < end; x += 4, out += 4) store<f32>(out, (load<f32>(x) - mean) * r)
  }
}

/** Σ g (x - mean) over a row. */
function projectRow(g: usize, x: usize, n: i32, mean: f32): f64 {
  const m = f(mean)
  let sum: f64 = 0
  while (n >= 4) {
    const count = min(n, 256) & ~3
    let v = f(0)
    for (const end = x + (count << 2); x < end; x += 16, g += 16)
      v = madd(v128.load(g), f32x4.sub(v128.load(x), m), v)
    sum += total(v)
    n -= count
  }
  for (; n > 0; n--, x += 4, g += 4) sum += f64(load<f32>(g)) * f64(load<f32>(x) - mean)
  return sum
}

export function standardizeGradient(out: usize, g: usize, x: usize, rows: i32, n: i32, epsilon: f64): void {
  for (; rows > 0; rows--) {
    const mean = f32(sumRow(x, n) / f64(n))
    const r = 1 / sqrt(squaresRow(x, n, mean) / f64(n) + epsilon)
    const meanG = f32(sumRow(g, n) / f64(n))
    // r (g - mean(g) - (x - mean) r² mean(g (x - mean)))
    const slope = f32((-projectRow(g, x, n, mean) * r * r) / f64(n))
    const scale = f32(r)
    const end = x + (n << 2)
    for (; x + 16 <= end; x += 16, g += 16, out += 16) {
      const centred = f32x4.sub(v128.load(x), f(mean))
      v128.store(out, f32x4.mul(madd(centred, f(slope), f32x4.sub(v128.load(g), f(meanG))), f(scale)))
    }
    for (; x < end; x += 4, g += 4, out += 4)
      store<f32>(out, ((load<f32>(x) - mean) * slope + (load<f32>(g) - meanG)) * scale)
  }
}

/** Φ(x): the tail below for x < 0, one minus the tail above for x ≥ 0. */
@inline
function cdf(x: v128, bell: v128): v128 {
  const tail = normalTail4(x, bell)
  return v128.bitselect(tail, f32x4.sub(f(1), tail), f32x4.lt(x, f(0)))
}

/** e^(-x²/2) */
@inline
function bell4(x: v128): v128 {
  return exp4(f32x4.mul(f32x4.mul(x, x), f(-0.5)))
}

@inline
function gelu4(x: v128): v128 {
  return f32x4.mul(x, cdf(x, bell4(x)))
}

export function gelu(out: usize, x: usize, n: i32): void {
  const end = out + ((n & ~3) << 2)
  for (; out < end; out += 16, x += 16) v128.store(out, gelu4(v128.load(x)))
  if (n & 3) storeSome(out, gelu4(loadSome(x, 4, n & 3)), n & 3)
}

@inline
function geluGradient4(g: v128, x: v128): v128 {
  const bell = bell4(x)
  return f32x4.mul(g, madd(x, f32x4.mul(bell, f(0.3989422804)), cdf(x, bell)))
}

export function geluGradient(out: usize, g: usize, x: usize, n: i32): void {
  const end = out + ((n & ~3) << 2)
  for (; out < end; out += 16, x += 16, g += 16) v128.store(out, geluGradient4(v128.load(g), v128.load(x)))
  const rest = n & 3
  if (rest) storeSome(out, geluGradient4(loadSome(g, 4, rest), loadSome(x, 4, rest)), rest)
}
