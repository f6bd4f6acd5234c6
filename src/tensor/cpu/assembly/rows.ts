// Fused operations: each goes over a contiguous row, which is in the nearest cache after the first pass, or over single
// elements. Names and meanings are those of FusedKernels in ../../kernels.ts.

import { exp4, normalTail4 } from './functions'
import { sumRow } from './reduce'
import { log } from './scalar'
import { f, largest, loadSome, madd, storeSome, total } from './vector'

/** Largest of a row; NaN if one is. */
export function maxRow(x: usize, n: i32): f32 {
  let v = f(-Infinity)
  const end = x + ((n & ~3) << 2)
  for (; x < end; x += 16) v = f32x4.max(v, v128.load(x))
  let result = largest(v)
  for (let i = n & 3; i > 0; i--, x += 4) result = max(result, load<f32>(x))
  return result
}

/** x ← x scale */
export function scaleRow(x: usize, n: i32, scale: f32): void {
  const end = x + (n << 2)
  for (; x + 16 <= end; x += 16) v128.store(x, f32x4.mul(v128.load(x), f(scale)))
  for (; x < end; x += 4) store<f32>(x, load<f32>(x) * scale)
}

/** Σ e^(x - shift) over a row; the exponentials are left at `out`, if it is not 0. */
export function expRow(out: usize, x: usize, n: i32, shift: f32): f64 {
  const by = f(shift)
  let sum: f64 = 0
  while (n >= 4) {
    const count = min(n, 256) & ~3
    let v = f(0)
    for (const end = x + (count << 2); x < end; x += 16) {
      const e = exp4(f32x4.sub(v128.load(x), by))
      v = f32x4.add(v, e)
      if (!out) continue
      v128.store(out, e)
      out += 16
    }
    sum += total(v)
    n -= count
  }
  if (n) {
    const e = exp4(f32x4.sub(loadSome(x, 4, n), by))
    if (out) storeSome(out, e, n)
    sum += f32x4.extract_lane(e, 0)
    if (n > 1) sum += f32x4.extract_lane(e, 1)
    if (n > 2) sum += f32x4.extract_lane(e, 2)
  }
  return sum
}

export function softmax(out: usize, x: usize, rows: i32, n: i32): void {
  for (; rows > 0; rows--, x += n << 2) {
    scaleRow(out, n, f32(1 / expRow(out, x, n, maxRow(x, n))))
    out += n << 2
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
export function dotRow(a: usize, b: usize, n: i32): f64 {
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

/** weight (x - mean) / √(variance + ε) + bias, both [n] */
export function layerNorm(
  out: usize, x: usize, weight: usize, bias: usize, rows: i32, n: i32, epsilon: f64,
): void {
  for (; rows > 0; rows--) {
    const mean = f32(sumRow(x, n) / f64(n))
    const r = f32(1 / sqrt(squaresRow(x, n, mean) / f64(n) + epsilon))
    const end = x + (n << 2)
    let w = weight
    let b = bias
    for (; x + 16 <= end; x += 16, out += 16, w += 16, b += 16) {
      const y = f32x4.mul(f32x4.sub(v128.load(x), f(mean)), f(r))
      v128.store(out, madd(y, v128.load(w), v128.load(b)))
    }
    for (; x < end; x += 4, out += 4, w += 4, b += 4)
      store<f32>(out, (load<f32>(x) - mean) * r * load<f32>(w) + load<f32>(b))
  }
}

/** Σ g (x - mean) over a row, the gradient being g or, with a weight, g weight; its sum is left at `sums`. */
function projectRow(g: usize, x: usize, weight: usize, n: i32, mean: f32, sums: usize): f64 {
  const m = f(mean)
  let sum: f64 = 0
  let sumG: f64 = 0
  while (n >= 4) {
    const count = min(n, 256) & ~3
    let v = f(0)
    let u = f(0)
    for (const end = x + (count << 2); x < end; x += 16, g += 16) {
      let slope = v128.load(g)
      if (weight) {
        slope = f32x4.mul(slope, v128.load(weight))
        weight += 16
      }
      u = f32x4.add(u, slope)
      v = madd(slope, f32x4.sub(v128.load(x), m), v)
    }
    sum += total(v)
    sumG += total(u)
    n -= count
  }
  for (; n > 0; n--, x += 4, g += 4) {
    let slope = load<f32>(g)
    if (weight) {
      slope *= load<f32>(weight)
      weight += 4
    }
    sum += f64(slope) * f64(load<f32>(x) - mean)
    sumG += slope
  }
  store<f64>(sums, sumG)
  return sum
}

/** The gradient by x of (x - mean) / √(variance + ε), times a weight [n] if one is given. `sums` has room for a float64. */
export function standardizeGradient(
  out: usize, g: usize, x: usize, weight: usize, rows: i32, n: i32, epsilon: f64, sums: usize,
): void {
  for (; rows > 0; rows--) {
    const mean = f32(sumRow(x, n) / f64(n))
    const r = 1 / sqrt(squaresRow(x, n, mean) / f64(n) + epsilon)
    // r (g - mean(g) - (x - mean) r² mean(g (x - mean)))
    const slope = f32((-projectRow(g, x, weight, n, mean, sums) * r * r) / f64(n))
    const meanG = f32(load<f64>(sums) / f64(n))
    const scale = f32(r)
    const end = x + (n << 2)
    let w = weight
    for (; x + 16 <= end; x += 16, g += 16, out += 16) {
      const centred = f32x4.sub(v128.load(x), f(mean))
      let gradient = v128.load(g)
      if (weight) {
        gradient = f32x4.mul(gradient, v128.load(w))
        w += 16
      }
      v128.store(out, f32x4.mul(madd(centred, f(slope), f32x4.sub(gradient, f(meanG))), f(scale)))
    }
    for (; x < end; x += 4, g += 4, out += 4) {
      let gradient = load<f32>(g)
      if (weight) {
        gradient *= load<f32>(w)
        w += 4
      }
      store<f32>(out, ((load<f32>(x) - mean) * slope + (gradient - meanG)) * scale)
    }
  }
}

/** log Σ eˣ - x[id] for every row: what crossEntropy is made of. Rows are `step` bytes apart. */
export function negativeLogLikelihood(out: usize, x: usize, ids: usize, rows: i32, n: i32, step: i32): void {
  for (; rows > 0; rows--, x += step, ids += 4, out += 4) {
    const shift = maxRow(x, n)
    const logarithm = f32(log(expRow(0, x, n, shift)))
    store<f32>(out, shift - load<f32>(x + (load<i32>(ids) << 2)) + logarithm)
  }
}

/** g (softmax(x) - oneHot(id)) for every row, from one number g a row. */
export function negativeLogLikelihoodGradient(
  out: usize, g: usize, x: usize, ids: usize, rows: i32, n: i32, step: i32,
): void {
  for (; rows > 0; rows--, x += step, ids += 4, g += 4, out += n << 2) {
    const slope = load<f32>(g)
    scaleRow(out, n, f32(slope / expRow(out, x, n, maxRow(x, n))))
    const at = out + (load<i32>(ids) << 2)
    store<f32>(at, load<f32>(at) - slope)
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
