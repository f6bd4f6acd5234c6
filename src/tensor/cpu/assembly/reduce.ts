// Sums, maxima and minima over rows and over columns, both contiguous. A float32 sum is computed in runs of a few
// hundred numbers, in many lanes in parallel, and the runs are added in float64, so the error does not grow with the
// length.

import { lanes, total } from './vector'

const enum Reduction {
  sum,
  max,
  min,
}

@inline
function combine<T>(name: Reduction, a: v128, b: v128): v128 {
  if (name == Reduction.sum) return v128.add<T>(a, b)
  if (name == Reduction.max) return v128.max<T>(a, b)
  return v128.min<T>(a, b)
}

@inline
function fold<T>(name: Reduction, a: T, b: T): T {
  if (name == Reduction.sum) return a + b
  if (name == Reduction.max) return max<T>(a, b)
  return min<T>(a, b)
}

/** Numbers in one run: sixteen lanes of sixteen. */
@inline
const RUN = 256

export function sumRow(x: usize, n: i32): f64 {
  let sum: f64 = 0
  while (n >= 16) {
    const count = min(n, RUN) & ~15
    let a = v128.load(x)
    let b = v128.load(x, 16)
    let c = v128.load(x, 32)
    let d = v128.load(x, 48)
    const end = x + (count << 2)
    for (x += 64; x < end; x += 64) {
      a = f32x4.add(a, v128.load(x))
      b = f32x4.add(b, v128.load(x, 16))
      c = f32x4.add(c, v128.load(x, 32))
      d = f32x4.add(d, v128.load(x, 48))
    }
    sum += total(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)))
    n -= count
  }
  for (; n > 0; n--, x += 4) sum += load<f32>(x)
  return sum
}

/** All lanes combined. */
@inline
function foldLanes<T>(name: Reduction, a: v128): T {
  const low = fold<T>(name, v128.extract_lane<T>(a, 0), v128.extract_lane<T>(a, 1))
  if (sizeof<T>() == 8) return low
  return fold<T>(name, low, fold<T>(name, v128.extract_lane<T>(a, 2), v128.extract_lane<T>(a, 3)))
}

/** One row of at least one number, all combined. */
@inline
function foldRow<T>(name: Reduction, x: usize, n: i32): T {
  const size = sizeof<T>()
  const both = 2 * lanes<T>()
  if (n < both) {
    let result = load<T>(x)
    for (let i = 1; i < n; i++) result = fold<T>(name, result, load<T>(x + i * size))
    return result
  }
  let a = v128.load(x)
  let b = v128.load(x, 16)
  let i = both
  for (; i + both <= n; i += both) {
    a = combine<T>(name, a, v128.load(x + i * size))
    b = combine<T>(name, b, v128.load(x + i * size, 16))
  }
  a = combine<T>(name, a, b)
  let result = foldLanes<T>(name, a)
  for (; i < n; i++) result = fold<T>(name, result, load<T>(x + i * size))
  return result
}

@inline
function eachRow<T>(name: Reduction, out: usize, x: usize, rows: i32, n: i32): void {
  for (let i = 0; i < rows; i++, out += sizeof<T>(), x += n * sizeof<T>()) store<T>(out, foldRow<T>(name, x, n))
}

/** out[i] = Σ_j x[i, j], or the largest, or the smallest; n > 0. */
export function rows_f32(name: Reduction, out: usize, x: usize, rows: i32, n: i32): void {
  if (name == Reduction.sum) for (let i = 0; i < rows; i++, out += 4, x += n << 2) store<f32>(out, f32(sumRow(x, n)))
  else if (name == Reduction.max) eachRow<f32>(Reduction.max, out, x, rows, n)
  else eachRow<f32>(Reduction.min, out, x, rows, n)
}

export function rows_i32(name: Reduction, out: usize, x: usize, rows: i32, n: i32): void {
  if (name == Reduction.sum) eachRow<i32>(Reduction.sum, out, x, rows, n)
  else if (name == Reduction.max) eachRow<i32>(Reduction.max, out, x, rows, n)
  else eachRow<i32>(Reduction.min, out, x, rows, n)
}

export function rows_f64(name: Reduction, out: usize, x: usize, rows: i32, n: i32): void {
  if (name == Reduction.sum) eachRow<f64>(Reduction.sum, out, x, rows, n)
  else if (name == Reduction.max) eachRow<f64>(Reduction.max, out, x, rows, n)
  else eachRow<f64>(Reduction.min, out, x, rows, n)
}

/** Adds the four numbers of v to four float64 in memory. */
@inline
export function addTo(sums: usize, v: v128): void {
  const high = v128.shuffle<i32>(v, v, 2, 3, 2, 3)
  v128.store(sums, f64x2.add(v128.load(sums), f64x2.promote_low_f32x4(v)))
  v128.store(sums, f64x2.add(v128.load(sums, 16), f64x2.promote_low_f32x4(high)), 16)
}

/** out[j] = Σ_i x[i, j] for sixteen columns; runs of 64 rows are added up in the float64 of `sums`. */
function sumSixteenColumns(out: usize, x: usize, n: i32, step: i32, sums: usize): void {
  memory.fill(sums, 0, 128)
  while (n > 0) {
    const count = min(n, 64)
    let a = v128.load(x)
    let b = v128.load(x, 16)
    let c = v128.load(x, 32)
    let d = v128.load(x, 48)
    x += step
    for (let i = 1; i < count; i++, x += step) {
      a = f32x4.add(a, v128.load(x))
      b = f32x4.add(b, v128.load(x, 16))
      c = f32x4.add(c, v128.load(x, 32))
      d = f32x4.add(d, v128.load(x, 48))
    }
    addTo(sums, a)
    addTo(sums + 32, b)
    addTo(sums + 64, c)
    addTo(sums + 96, d)
    n -= count
  }
  for (let j = 0; j < 16; j++) store<f32>(out + (j << 2), f32(load<f64>(sums + (j << 3))))
}

/** out[o, j] = Σ_i x[o, i, j]; `sums` holds sixteen float64. */
function sumColumns(out: usize, x: usize, outer: i32, n: i32, inner: i32, step: i32, sums: usize): void {
  for (let o = 0; o < outer; o++, out += inner << 2, x += n * step) {
    let j = 0
    for (; j + 16 <= inner; j += 16) sumSixteenColumns(out + (j << 2), x + (j << 2), n, step, sums)
    for (; j + 4 <= inner; j += 4) {
      let low = f64x2.splat(0)
      let high = f64x2.splat(0)
      let from = x + (j << 2)
      for (let i = 0; i < n; i++, from += step) {
        const v = v128.load(from)
        low = f64x2.add(low, f64x2.promote_low_f32x4(v))
        high = f64x2.add(high, f64x2.promote_low_f32x4(v128.shuffle<i32>(v, v, 2, 3, 2, 3)))
      }
      const sum = v128.shuffle<i64>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2)
      v128.store(out + (j << 2), sum)
    }
    for (; j < inner; j++) {
      let sum: f64 = 0
      for (let i = 0; i < n; i++) sum += load<f32>(x + i * step + (j << 2))
      store<f32>(out + (j << 2), f32(sum))
    }
  }
}

@inline
function eachColumn<T>(name: Reduction, out: usize, x: usize, outer: i32, n: i32, inner: i32, step: i32): void {
  const size = sizeof<T>()
  for (let o = 0; o < outer; o++, out += inner * size, x += n * step) {
    let j = 0
    for (; j + lanes<T>() <= inner; j += lanes<T>()) {
      let from = x + j * size
      let v = v128.load(from)
      for (let i = 1; i < n; i++) v = combine<T>(name, v, v128.load((from += step)))
      v128.store(out + j * size, v)
    }
    for (; j < inner; j++) {
      let result = load<T>(x + j * size)
      for (let i = 1; i < n; i++) result = fold<T>(name, result, load<T>(x + i * step + j * size))
      store<T>(out + j * size, result)
    }
  }
}

/** out[o, j] = Σ_i x[o, i, j], or the largest, or the smallest; n > 0. Rows of x are `step` bytes apart. */
export function columns_f32(
  name: Reduction, out: usize, x: usize, outer: i32, n: i32, inner: i32, step: i32, sums: usize,
): void {
  if (name == Reduction.sum) sumColumns(out, x, outer, n, inner, step, sums)
  else if (name == Reduction.max) eachColumn<f32>(Reduction.max, out, x, outer, n, inner, step)
  else eachColumn<f32>(Reduction.min, out, x, outer, n, inner, step)
}

export function columns_i32(
  name: Reduction, out: usize, x: usize, outer: i32, n: i32, inner: i32, step: i32, _sums: usize,
): void {
  if (name == Reduction.sum) eachColumn<i32>(Reduction.sum, out, x, outer, n, inner, step)
  else if (name == Reduction.max) eachColumn<i32>(Reduction.max, out, x, outer, n, inner, step)
  else eachColumn<i32>(Reduction.min, out, x, outer, n, inner, step)
}

export function columns_f64(
  name: Reduction, out: usize, x: usize, outer: i32, n: i32, inner: i32, step: i32, _sums: usize,
): void {
  if (name == Reduction.sum) eachColumn<f64>(Reduction.sum, out, x, outer, n, inner, step)
  else if (name == Reduction.max) eachColumn<f64>(Reduction.max, out, x, outer, n, inner, step)
  else eachColumn<f64>(Reduction.min, out, x, outer, n, inner, step)
}

@inline
function argmax<T>(out: usize, x: usize, outer: i32, n: i32, inner: i32): void {
  const size = sizeof<T>()
  const step = inner * size
  for (let o = 0; o < outer; o++, x += n * step) {
    for (let j = 0; j < inner; j++, out += 4) {
      let best = 0
      let largest = load<T>(x + j * size)
      for (let i = 1, from = x + j * size + step; i < n; i++, from += step) {
        const value = load<T>(from)
        if (value > largest || (value != value && largest == largest)) {
          largest = value
          best = i
        }
      }
      store<i32>(out, best)
    }
  }
}

/** out[o, j]: the first i with the largest x[o, i, j], which NaN is. */
export function argmax_f32(out: usize, x: usize, outer: i32, n: i32, inner: i32): void {
  argmax<f32>(out, x, outer, n, inner)
}

export function argmax_f64(out: usize, x: usize, outer: i32, n: i32, inner: i32): void {
  argmax<f64>(out, x, outer, n, inner)
}

export function argmax_i32(out: usize, x: usize, outer: i32, n: i32, inner: i32): void {
  argmax<i32>(out, x, outer, n, inner)
}
