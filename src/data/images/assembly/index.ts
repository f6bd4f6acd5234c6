// Scales rows and columns of bytes with filters, in AssemblyScript: every output is a sum of inputs times weights, which are integers
// with BITS fractional bits. The sums are those of 32-bit integers in any order, so the result does not depend on the vectors here.

/** As in ../resize.ts. */
const BITS: i32 = 22

/** Four bytes as four integers. */
@inline
function widened(bytes: v128): v128 {
  return i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes))
}

/** Four sums as bytes, from 0 to 255, in the lowest four lanes. */
@inline
function narrowed(sums: v128): v128 {
  const values = i32x4.shr_s(sums, BITS)
  const halves = i16x8.narrow_i32x4_s(values, values)
  return i8x16.narrow_i16x8_u(halves, halves)
}

@inline
function half(): v128 {
  return i32x4.splat(1 << (BITS - 1))
}

/**
 * Every row [width, 3] to [columns, 3]. A pixel is a vector, whose fourth lane is the next pixel's red and is not used. Up to a byte
 * after the end of `rows` is read, and one after `out` is written.
 * @param first of every output, the place of its first input in bytes
 * @param counts of every output, its number of inputs
 * @param weights [columns, taps]
 */
export function across(
  out: usize,
  rows: usize,
  height: i32,
  rowBytes: i32,
  columns: i32,
  first: usize,
  counts: usize,
  weights: usize,
  taps: i32,
): void {
  for (let y = 0; y < height; y++, rows += rowBytes) {
    let own = weights
    for (let x = 0; x < columns; x++, own += taps << 2, out += 3) {
      let pixel = rows + load<i32>(first + (x << 2))
      const end = own + (load<i32>(counts + (x << 2)) << 2)
      let sums = half()
      for (let weight = own; weight < end; weight += 4, pixel += 3)
        sums = i32x4.add(sums, i32x4.mul(v128.load32_splat(weight), widened(v128.load32_zero(pixel))))
      v128.store_lane<i32>(out, narrowed(sums), 0)
    }
  }
}

/**
 * One row of bytes from rows of as many. Up to 15 bytes after the end of `rows` are read, and as many after `out` are written.
 * @param weights one of every row
 */
export function down(out: usize, rows: usize, rowBytes: i32, weights: usize, count: i32): void {
  const end = weights + (count << 2)
  for (let x = 0; x < rowBytes; x += 16) {
    let a = half()
    let b = a
    let c = a
    let d = a
    for (let weight = weights, at = rows + x; weight < end; weight += 4, at += rowBytes) {
      const w = v128.load32_splat(weight)
      const bytes = v128.load(at)
      const low = i16x8.extend_low_i8x16_u(bytes)
      const high = i16x8.extend_high_i8x16_u(bytes)
      a = i32x4.add(a, i32x4.mul(w, i32x4.extend_low_i16x8_u(low)))
      b = i32x4.add(b, i32x4.mul(w, i32x4.extend_high_i16x8_u(low)))
      c = i32x4.add(c, i32x4.mul(w, i32x4.extend_low_i16x8_u(high)))
      d = i32x4.add(d, i32x4.mul(w, i32x4.extend_high_i16x8_u(high)))
    }
    v128.store(
      out + x,
      i8x16.narrow_i16x8_u(
        i16x8.narrow_i32x4_s(i32x4.shr_s(a, BITS), i32x4.shr_s(b, BITS)),
        i16x8.narrow_i32x4_s(i32x4.shr_s(c, BITS), i32x4.shr_s(d, BITS)),
      ),
    )
  }
}
