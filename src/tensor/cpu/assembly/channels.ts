// Normalization of channels: the rows of one channel, one in each example, are one sample. They are in the cache after the first pass.

import { mean, squaresRow } from './rows'
import { f, madd, total } from './vector'

/** The mean of the channel that `scaleOf` saw last. */
let centre: f32 = 0

/** 1 / √(variance + ε) of one channel, and its mean. Statistics of rows are joined as those of samples (Chan et al. 1979). */
function scaleOf(x: usize, batch: i32, n: i32, step: usize, epsilon: f64): f64 {
  let middle: f64 = 0
  let squares: f64 = 0
  for (let b = 0; b < batch; b++, x += step) {
    squares += squaresRow(x, n)
    const difference = f64(mean) - middle
    middle += difference / f64(b + 1)
    squares += difference * difference * f64(n) * (f64(b) / f64(b + 1))
  }
  centre = f32(middle)
  return 1 / sqrt(squares / (f64(n) * f64(batch)) + epsilon)
}

/** Channels first … last - 1 of x [batch, channels, n]: weight (x - mean) / √(variance + ε) + bias. */
export function batchNorm(
  out: usize, x: usize, weight: usize, bias: usize, first: i32, last: i32, channels: i32, batch: i32, n: i32, epsilon: f64,
): void {
  const bytes = usize(n) << 2
  const step = usize(channels) * bytes
  for (let c = first; c < last; c++) {
    const at = usize(c) * bytes
    const r = f32(scaleOf(x + at, batch, n, step, epsilon))
    const w = load<f32>(weight + (usize(c) << 2))
    const shift = load<f32>(bias + (usize(c) << 2))
    let from = x + at
    let to = out + at
    for (let b = 0; b < batch; b++, from += step, to += step) {
      let i: usize = 0
      for (; i + 16 <= bytes; i += 16) {
        const y = f32x4.mul(f32x4.sub(v128.load(from + i), f(centre)), f(r))
        v128.store(to + i, madd(y, f(w), f(shift)))
      }
      for (; i < bytes; i += 4) store<f32>(to + i, (load<f32>(from + i) - centre) * r * w + shift)
    }
  }
}

/**
 * Its gradients: by x at `out`, by weight at `byWeight` and by bias at `byBias`. With y = (x - mean) r they are weight r (g - mean(g) - y mean(g y)),
 * Σ g y and Σ g.
 */
export function batchNormGradient(
  out: usize, byWeight: usize, byBias: usize, g: usize, x: usize, weight: usize, first: i32, last: i32, channels: i32, batch: i32, n: i32, epsilon: f64,
): void {
  const bytes = usize(n) << 2
  const step = usize(channels) * bytes
  for (let c = first; c < last; c++) {
    const at = usize(c) * bytes
    const own = usize(c) << 2
    const r = scaleOf(x + at, batch, n, step, epsilon)
    let sum: f64 = 0
    let product: f64 = 0
    let from = x + at
    let slopes = g + at
    for (let b = 0; b < batch; b++, from += step, slopes += step) {
      let i: usize = 0
      while (i + 32 <= bytes) {
        let p = f(0)
        let q = f(0)
        let s = f(0)
        let t = f(0)
        const end = min(i + 1024, bytes & ~31)
        for (; i < end; i += 32) {
          const low = v128.load(slopes + i)
          const high = v128.load(slopes + i, 16)
          p = f32x4.add(p, low)
          q = f32x4.add(q, high)
          s = madd(low, f32x4.sub(v128.load(from + i), f(centre)), s)
          t = madd(high, f32x4.sub(v128.load(from + i, 16), f(centre)), t)
        }
        sum += total(f32x4.add(p, q))
        product += total(f32x4.add(s, t))
      }
      for (; i < bytes; i += 4) {
        const slope = load<f32>(slopes + i)
        sum += slope
        product += f64(slope) * f64(load<f32>(from + i) - centre)
      }
    }
    store<f32>(byWeight + own, f32(product * r))
    store<f32>(byBias + own, f32(sum))
    const count = f64(n) * f64(batch)
    const meanG = f32(sum / count)
    // by x - mean, not by y
    const tilt = f32((-product * r * r) / count)
    const scale = f32(r * f64(load<f32>(weight + own)))
    from = x + at
    slopes = g + at
    let to = out + at
    for (let b = 0; b < batch; b++, from += step, slopes += step, to += step) {
      let i: usize = 0
      for (; i + 16 <= bytes; i += 16) {
        const slope = f32x4.sub(v128.load(slopes + i), f(meanG))
        v128.store(to + i, f32x4.mul(madd(f32x4.sub(v128.load(from + i), f(centre)), f(tilt), slope), f(scale)))
      }
      for (; i < bytes; i += 4) {
        const slope = load<f32>(slopes + i) - meanG
        store<f32>(to + i, ((load<f32>(from + i) - centre) * tilt + slope) * scale)
      }
    }
  }
}
