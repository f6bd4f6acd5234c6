// What all kernels here use: four float32 or two float64 at a time, the elements left over, and a product plus a sum, which
// is one instruction with relaxed SIMD.

/** The same number four times. */
@inline
export function f(x: f32): v128 {
  return f32x4.splat(x)
}

/** a b + c */
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c)
  return f32x4.add(f32x4.mul(a, b), c)
}

/** The number of elements that are computed at a time. */
@inline
export function lanes<T>(): i32 {
  return 16 / sizeof<T>()
}

/** The same number in memory for every lane. */
@inline
export function loadSplat<T>(x: usize): v128 {
  if (sizeof<T>() == 8) return v128.load64_splat(x)
  return v128.load32_splat(x)
}

/** A number for every lane, `step` bytes apart. */
@inline
export function loadStrided<T>(x: usize, step: i32): v128 {
  if (sizeof<T>() == 8) return v128.load_lane<f64>(x + step, v128.load64_zero(x), 1)
  let v = v128.load32_zero(x)
  v = v128.load_lane<f32>(x + step, v, 1)
  v = v128.load_lane<f32>(x + 2 * step, v, 2)
  return v128.load_lane<f32>(x + 3 * step, v, 3)
}

/** Fewer numbers than lanes, at least one; the others are zero. */
@inline
export function loadSome<T>(x: usize, step: i32, count: i32): v128 {
  if (sizeof<T>() == 8) return v128.load64_zero(x)
  let v = v128.load32_zero(x)
  if (count > 1) v = v128.load_lane<f32>(x + step, v, 1)
  if (count > 2) v = v128.load_lane<f32>(x + 2 * step, v, 2)
  return v
}

@inline
export function storeSome<T>(out: usize, v: v128, count: i32): void {
  if (sizeof<T>() == 8) {
    v128.store_lane<f64>(out, v, 0)
    return
  }
  v128.store_lane<f32>(out, v, 0)
  if (count > 1) v128.store_lane<f32>(out + 4, v, 1)
  if (count > 2) v128.store_lane<f32>(out + 8, v, 2)
}

/** The sum of the four, in float64. */
@inline
export function total(v: v128): f64 {
  const low = f64x2.promote_low_f32x4(v)
  const high = f64x2.promote_low_f32x4(i8x16.shuffle(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15))
  const both = f64x2.add(low, high)
  return f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1)
}

/** The largest of the four; NaN if one is. */
@inline
export function largest(v: v128): f32 {
  return max(
    max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)),
    max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  )
}
