// Fused operations on contiguous rows. A row is in the cache after the first pass over it. Names and meanings are those
// of FusedKernels in ../../fused-kernels.ts.

import { exp4, share4 } from './functions'
import { sumRow } from './reduce'
import { log } from './scalar'
import { f, largest, loadSome, madd, storeSome, total } from './vector'

/** Largest number of a row, ignoring NaN; -Infinity if there is none. */
export function maxRow(x: usize, n: i32): f32 {
  let a = f(-Infinity)
  let b = a
  let c = a
  let d = a
  const end = x + (n << 2)
  for (; x + 64 <= end; x += 64) {
    a = f32x4.pmax(a, v128.load(x))
    b = f32x4.pmax(b, v128.load(x, 16))
    c = f32x4.pmax(c, v128.load(x, 32))
    d = f32x4.pmax(d, v128.load(x, 48))
  }
  for (; x + 16 <= end; x += 16) a = f32x4.pmax(a, v128.load(x))
  let result = largest(f32x4.pmax(f32x4.pmax(a, b), f32x4.pmax(c, d)))
  for (; x < end; x += 4) {
    const value = load<f32>(x)
    if (value > result) result = value
  }
  return result
}

/** x ← x scale */
export function scaleRow(x: usize, n: i32, scale: f32): void {
  const end = x + (n << 2)
  for (; x + 16 <= end; x += 16) v128.store(x, f32x4.mul(v128.load(x), f(scale)))
  for (; x < end; x += 4) store<f32>(x, load<f32>(x) * scale)
}

/** x - shift, times a scale if it is to be */
@inline
function shifted(isScaled: bool, x: v128, shift: v128, scale: v128): v128 {
  const difference = f32x4.sub(x, shift)
  return isScaled ? f32x4.mul(difference, scale) : difference
}

/** Σ e^((x - shift) scale) over a row; the exponentials are left at `out`, if they are kept. */
@inline
function exponentials(keeps: bool, isScaled: bool, out: usize, x: usize, n: i32, shift: f32, scale: f32): f64 {
  const by = f(shift)
  const times = f(scale)
  let sum: f64 = 0
  while (n >= 8) {
    const count = min(n, 512) & ~7
    let v = f(0)
    let w = f(0)
    for (const end = x + (count << 2); x < end; x += 32) {
      const a = share4(shifted(isScaled, v128.load(x), by, times))
      const b = share4(shifted(isScaled, v128.load(x, 16), by, times))
      v = f32x4.add(v, a)
      w = f32x4.add(w, b)
      if (keeps) {
        v128.store(out, a)
        v128.store(out, b, 16)
        out += 32
      }
    }
    sum += total(f32x4.add(v, w))
    n -= count
  }
  for (; n > 0; n -= 4, x += 16) {
    const count = min(n, 4)
    const e = share4(shifted(isScaled, count == 4 ? v128.load(x) : loadSome<f32>(x, 4, count), by, times))
    sum += f32x4.extract_lane(e, 0)
    if (count > 1) sum += f32x4.extract_lane(e, 1)
    if (count > 2) sum += f32x4.extract_lane(e, 2)
    if (count > 3) sum += f32x4.extract_lane(e, 3)
    if (keeps) {
      if (count == 4) v128.store(out, e)
      else storeSome<f32>(out, e, count)
      out += 16
    }
  }
  return sum
}

/** out = e^(x - shift) over a row, and its sum */
export function expRow(out: usize, x: usize, n: i32, shift: f32): f64 {
  return exponentials(true, false, out, x, n, shift, 1)
}

/** x ← e^((x - shift) scale) over a row, and its sum, for a scale above 0 */
export function scaledExpRow(x: usize, n: i32, shift: f32, scale: f32): f64 {
  return exponentials(true, true, x, x, n, shift, scale)
}

/** Σ e^(x - shift) over a row */
function expSumRow(x: usize, n: i32, shift: f32): f64 {
  return exponentials(false, false, 0, x, n, shift, 1)
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
    const logarithm = f32(log(expSumRow(x, n, shift)))
    const end = x + (n << 2)
    for (; x + 16 <= end; x += 16, out += 16)
      v128.store(out, f32x4.sub(f32x4.sub(v128.load(x), f(shift)), f(logarithm)))
    for (; x < end; x += 4, out += 4) store<f32>(out, load<f32>(x) - shift - logarithm)
  }
}

/** Σ a b over a row. */
export function dotRow(a: usize, b: usize, n: i32): f64 {
  let sum: f64 = 0
  while (n >= 16) {
    const count = min(n, 256) & ~15
    let p = f(0)
    let q = f(0)
    let r = f(0)
    let s = f(0)
    for (const end = a + (count << 2); a < end; a += 64, b += 64) {
      p = madd(v128.load(a), v128.load(b), p)
      q = madd(v128.load(a, 16), v128.load(b, 16), q)
      r = madd(v128.load(a, 32), v128.load(b, 32), r)
      s = madd(v128.load(a, 48), v128.load(b, 48), s)
    }
    sum += total(f32x4.add(f32x4.add(p, q), f32x4.add(r, s)))
    n -= count
  }
  for (; n > 0; n--, a += 4, b += 4) sum += f64(load<f32>(a)) * f64(load<f32>(b))
  return sum
}

/** sum += Σ x², in float64 */
export function addSquares(sum: usize, x: usize, n: i32): void {
  store<f64>(sum, load<f64>(sum) + dotRow(x, x, n))
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
    storeSome<f32>(out, madd(exp4(loadSome<f32>(y, 4, rest)), sum, loadSome<f32>(g, 4, rest)), rest)
    g += rest << 2
    y += rest << 2
    out += rest << 2
  }
}

/** The mean of the row that `squaresRow` saw last. */
export let mean: f32 = 0

/**
 * Σ (x - mean)² over a row, and its mean, in one pass: with d = x - x₀ it is Σ d² - (Σ d)² / n. The first number lies within
 * √n deviations of the mean, whatever the row, so little is lost in the difference.
 */
export function squaresRow(x: usize, n: i32): f64 {
  const first = load<f32>(x)
  const shift = f(first)
  let sum: f64 = 0
  let squares: f64 = 0
  let left = n
  while (left >= 16) {
    const count = min(left, 256) & ~15
    let a = f(0)
    let b = a
    let c = a
    let d = a
    let aa = a
    let bb = a
    let cc = a
    let dd = a
    for (const end = x + (count << 2); x < end; x += 64) {
      const p = f32x4.sub(v128.load(x), shift)
      const q = f32x4.sub(v128.load(x, 16), shift)
      const r = f32x4.sub(v128.load(x, 32), shift)
      const s = f32x4.sub(v128.load(x, 48), shift)
      a = f32x4.add(a, p)
      b = f32x4.add(b, q)
      c = f32x4.add(c, r)
      d = f32x4.add(d, s)
      aa = madd(p, p, aa)
      bb = madd(q, q, bb)
      cc = madd(r, r, cc)
      dd = madd(s, s, dd)
    }
    sum += total(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)))
    squares += total(f32x4.add(f32x4.add(aa, bb), f32x4.add(cc, dd)))
    left -= count
  }
  for (; left > 0; left--, x += 4) {
    const d = f64(load<f32>(x) - first)
    sum += d
    squares += d * d
  }
  const offset = sum / f64(n)
  mean = f32(f64(first) + offset)
  const rest = squares - sum * offset
  return rest < 0 ? 0 : rest
}

export function standardize(out: usize, x: usize, rows: i32, n: i32, epsilon: f64): void {
  for (; rows > 0; rows--) {
    const r = f32(1 / sqrt(squaresRow(x, n) / f64(n) + epsilon))
    const centre = mean
    const end = x + (n << 2)
    for (; x + 16 <= end; x += 16, out += 16) v128.store(out, f32x4.mul(f32x4.sub(v128.load(x), f(centre)), f(r)))
    for (; x < end; x += 4, out += 4) store<f32>(out, (load<f32>(x) - centre) * r)
  }
}

/** weight (x - mean) / √(variance + ε) + bias, both [n] */
export function layerNorm(
  out: usize, x: usize, weight: usize, bias: usize, rows: i32, n: i32, epsilon: f64,
): void {
  for (; rows > 0; rows--) {
    const r = f32(1 / sqrt(squaresRow(x, n) / f64(n) + epsilon))
    const centre = mean
    const end = x + (n << 2)
    let w = weight
    let b = bias
    for (; x + 16 <= end; x += 16, out += 16, w += 16, b += 16) {
      const y = f32x4.mul(f32x4.sub(v128.load(x), f(centre)), f(r))
      v128.store(out, madd(y, v128.load(w), v128.load(b)))
    }
    for (; x < end; x += 4, out += 4, w += 4, b += 4)
      store<f32>(out, (load<f32>(x) - centre) * r * load<f32>(w) + load<f32>(b))
  }
}

/** Four of g, or of g weight. */
@inline
function slope4(isWeighted: bool, g: usize, weight: usize, offset: usize): v128 {
  const slope = v128.load(g + offset)
  return isWeighted ? f32x4.mul(slope, v128.load(weight + offset)) : slope
}

/** One of g, or of g weight. */
@inline
function slopeAt(isWeighted: bool, g: usize, weight: usize): f32 {
  return isWeighted ? load<f32>(g) * load<f32>(weight) : load<f32>(g)
}

/**
 * r (g - mean(g) - (x - mean) r² mean(g (x - mean))) for every row, with r = 1 / √(variance + ε) and g being g weight if there
 * is one. Then also, if there is one, run[0 … n - 1] += g r (x - mean) and run[n … 2 n - 1] += g, of g alone.
 */
@inline
function gradientRows(
  isWeighted: bool, out: usize, g: usize, x: usize, weight: usize, rows: i32, n: i32, epsilon: f64, run: usize,
): void {
  const bytes = n << 2
  for (; rows > 0; rows--, x += bytes, g += bytes, out += bytes) {
    const r = 1 / sqrt(squaresRow(x, n) / f64(n) + epsilon)
    const centre = mean
    let sum: f64 = 0
    let product: f64 = 0
    let at = 0
    while (at + 32 <= bytes) {
      let a = f(0)
      let b = f(0)
      let c = f(0)
      let d = f(0)
      const end = min(at + 1024, bytes & ~31)
      for (; at < end; at += 32) {
        const p = slope4(isWeighted, g + at, weight + at, 0)
        const q = slope4(isWeighted, g + at, weight + at, 16)
        a = f32x4.add(a, p)
        b = f32x4.add(b, q)
        c = madd(p, f32x4.sub(v128.load(x + at), f(centre)), c)
        d = madd(q, f32x4.sub(v128.load(x + at, 16), f(centre)), d)
      }
      sum += total(f32x4.add(a, b))
      product += total(f32x4.add(c, d))
    }
    for (; at < bytes; at += 4) {
      const slope = slopeAt(isWeighted, g + at, weight + at)
      sum += slope
      product += f64(slope) * f64(load<f32>(x + at) - centre)
    }
    const meanG = f32(sum / f64(n))
    const tilt = f32((-product * r) / f64(n))
    const scale = f32(r)
    for (at = 0; at + 16 <= bytes; at += 16) {
      const y = f32x4.mul(f32x4.sub(v128.load(x + at), f(centre)), f(scale))
      const slope = f32x4.sub(slope4(isWeighted, g + at, weight + at, 0), f(meanG))
      v128.store(out + at, f32x4.mul(madd(y, f(tilt), slope), f(scale)))
      if (!isWeighted) continue
      const whole = v128.load(g + at)
      v128.store(run + at, madd(y, whole, v128.load(run + at)))
      v128.store(run + bytes + at, f32x4.add(whole, v128.load(run + bytes + at)))
    }
    for (; at < bytes; at += 4) {
      const y = (load<f32>(x + at) - centre) * scale
      const slope = slopeAt(isWeighted, g + at, weight + at) - meanG
      store<f32>(out + at, (y * tilt + slope) * scale)
      if (!isWeighted) continue
      const whole = load<f32>(g + at)
      store<f32>(run + at, load<f32>(run + at) + y * whole)
      store<f32>(run + bytes + at, load<f32>(run + bytes + at) + whole)
    }
  }
}

/** The gradient by x of (x - mean) / √(variance + ε). */
export function standardizeGradient(out: usize, g: usize, x: usize, rows: i32, n: i32, epsilon: f64): void {
  gradientRows(false, out, g, x, 0, rows, n, epsilon, 0)
}

/**
 * The gradients of layerNorm: by x at `out`; over rows, in float64, those by weight and bias are added to sums[0 … n - 1] and
 * sums[n … 2 n - 1]. `run` holds 2 n float32.
 */
export function layerNormGradient(
  out: usize, sums: usize, g: usize, x: usize, weight: usize, rows: i32, n: i32, epsilon: f64, run: usize,
): void {
  const step = n << 8
  for (; rows > 0; rows -= 64, out += step, g += step, x += step) {
    memory.fill(run, 0, n << 3)
    gradientRows(true, out, g, x, weight, min(64, rows), n, epsilon, run)
    for (let j = 0; j < 2 * n; j++) store<f64>(sums + (j << 3), load<f64>(sums + (j << 3)) + load<f32>(run + (j << 2)))
  }
}

/** out[n] = Σ of several sums[n], each `step` bytes after the one before. */
export function addSums(out: usize, sums: usize, count: i32, n: i32, step: i32): void {
  for (let j = 0; j < n; j++) {
    let sum: f64 = 0
    for (let i = 0; i < count; i++) sum += load<f64>(sums + i * step + (j << 3))
    store<f32>(out + (j << 2), f32(sum))
  }
}

/** log Σ eˣ - x[id] for every row: what crossEntropy is made of. Rows are `step` bytes apart. */
export function negativeLogLikelihood(out: usize, x: usize, ids: usize, rows: i32, n: i32, step: i32): void {
  for (; rows > 0; rows--, x += step, ids += 4, out += 4) {
    const shift = maxRow(x, n)
    const logarithm = f32(log(expSumRow(x, n, shift)))
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
