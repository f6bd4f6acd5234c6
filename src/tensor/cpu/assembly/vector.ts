// What all kernels here use: four float32 at a time, the one to three elements left over, and a product plus a sum,
// which is one instruction with relaxed SIMD.

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

/** Four numbers of four bytes, `step` bytes apart. */
@inline
export function loadStrided(x: usize, step: i32): v128 {
  let v = v128.load32_zero(x)
  v = v128.load_lane<f32>(x + step, v, 1)
  v = v128.load_lane<f32>(x + 2 * step, v, 2)
  return v128.load_lane<f32>(x + 3 * step, v, 3)
}

/** The first one, two or three of four numbers; the others are zero. */
@inline
export function loadSome(x: usize, step: i32, count: i32): v128 {
  let v = v128.load32_zero(x)
  if (count > 1) v = v128.load_lane<f32>(x + step, v, 1)
  if (count > 2) v = v128.load_lane<f32>(x + 2 * step, v, 2)
  return v
}

@inline
export function storeSome(out: usize, v: v128, count: i32): void {
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
