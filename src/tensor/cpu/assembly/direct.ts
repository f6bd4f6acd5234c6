// Matrix products that do not copy a: for small matrices, for a few rows, and for operands that are read only once.

import { packColumns, tileAt } from './blocks'
import { COLUMNS_8, put } from './tiles'
import { loadSome, madd, storeSome, total } from './vector'

/** Depth of a sum in float32: of more, parts are added up, so that the error does not grow with the depth. */
@inline
const DEEP = 512

/**
 * Four rows of results, each eight wide, from rows of a where they lie. Rows may coincide where fewer exist. Whole ones, of
 * `columns` = COLUMNS_8, are set or added to; others are set.
 */
function direct(
  k: i32, a0: usize, a1: usize, a2: usize, a3: usize, columnA: i32, b: usize, rowB: i32,
  r0: usize, r1: usize, r2: usize, r3: usize, columns: i32, adds: bool,
): void {
  let c00 = f32x4.splat(0)
  let c01 = f32x4.splat(0)
  let c10 = f32x4.splat(0)
  let c11 = f32x4.splat(0)
  let c20 = f32x4.splat(0)
  let c21 = f32x4.splat(0)
  let c30 = f32x4.splat(0)
  let c31 = f32x4.splat(0)
  for (; k > 0; k--, b += rowB) {
    const b0 = v128.load(b)
    const b1 = v128.load(b, 16)
    const x0 = v128.load32_splat(a0)
    c00 = madd(x0, b0, c00)
    c01 = madd(x0, b1, c01)
    a0 += columnA
    const x1 = v128.load32_splat(a1)
    c10 = madd(x1, b0, c10)
    c11 = madd(x1, b1, c11)
    a1 += columnA
    const x2 = v128.load32_splat(a2)
    c20 = madd(x2, b0, c20)
    c21 = madd(x2, b1, c21)
    a2 += columnA
    const x3 = v128.load32_splat(a3)
    c30 = madd(x3, b0, c30)
    c31 = madd(x3, b1, c31)
    a3 += columnA
  }
  if (columns == COLUMNS_8) {
    put(r0, c00, c01, adds)
    put(r1, c10, c11, adds)
    put(r2, c20, c21, adds)
    put(r3, c30, c31, adds)
  } else {
    putSome(r0, c00, c01, columns)
    putSome(r1, c10, c11, columns)
    putSome(r2, c20, c21, columns)
    putSome(r3, c30, c31, columns)
  }
}

@inline
function putSome(c: usize, left: v128, right: v128, columns: i32): void {
  if (columns >= 4) {
    v128.store(c, left)
    if (columns > 4) storeSome<f32>(c + 16, right, columns - 4)
  } else storeSome<f32>(c, left, columns)
}

/** The same from memory. */
@inline
function putFrom(c: usize, row: usize, columns: i32): void {
  if (columns == COLUMNS_8) put(c, v128.load(row), v128.load(row, 16), false)
  else putSome(c, v128.load(row), v128.load(row, 16), columns)
}

/** Without blocks: b is read where it lies if its rows are in order, else from panels; a is not copied. */
export function small(
  c: usize, a: usize, b: usize, m: i32, n: i32, k: i32, rowA: i32, columnA: i32, rowB: i32, columnB: i32,
  stepC: i32, scratch: usize,
): void {
  const inPlace = columnB == 4 && n >= COLUMNS_8
  if (!inPlace) packColumns(scratch, b, rowB, columnB, k, n)
  const stepB = inPlace ? rowB : COLUMNS_8 * 4
  const last = m - 1
  const whole = tileAt(scratch)
  for (let j = 0; j < n; j += COLUMNS_8) {
    // in place, the last columns overlap those before; in panels, they stand apart
    const first = inPlace ? min(j, n - COLUMNS_8) : j
    const columns = min(COLUMNS_8, n - first)
    const panel = inPlace ? b + (first << 2) : scratch + first * k * 4
    for (let i = 0; i < m; i += 4) {
      const start = max(0, min(i, m - 4))
      const i1 = min(start + 1, last)
      const i2 = min(start + 2, last)
      const i3 = min(start + 3, last)
      const a0 = a + start * rowA
      const a1 = a + i1 * rowA
      const a2 = a + i2 * rowA
      const a3 = a + i3 * rowA
      const to = c + (first << 2)
      const r0 = to + start * stepC
      const r1 = to + i1 * stepC
      const r2 = to + i2 * stepC
      const r3 = to + i3 * stepC
      if (k <= DEEP) direct(k, a0, a1, a2, a3, columnA, panel, stepB, r0, r1, r2, r3, columns, false)
      else {
        for (let p = 0; p < k; p += DEEP) {
          const by = p * columnA
          direct(
            min(DEEP, k - p), a0 + by, a1 + by, a2 + by, a3 + by, columnA, panel + p * stepB, stepB,
            whole, whole + COLUMNS_8 * 4, whole + COLUMNS_8 * 8, whole + COLUMNS_8 * 12, COLUMNS_8, p > 0,
          )
        }
        putFrom(r0, whole, columns)
        putFrom(r1, whole + COLUMNS_8 * 4, columns)
        putFrom(r2, whole + COLUMNS_8 * 8, columns)
        putFrom(r3, whole + COLUMNS_8 * 12, columns)
      }
    }
  }
}

/** Σ x y of contiguous numbers. */
@inline
function dot(x: usize, y: usize, n: i32): f32 {
  let sum: f64 = 0
  while (n >= 8) {
    const count = min(n, 2 * DEEP) & ~7
    let p = f32x4.splat(0)
    let q = p
    for (const end = x + (count << 2); x < end; x += 32, y += 32) {
      p = madd(v128.load(x), v128.load(y), p)
      q = madd(v128.load(x, 16), v128.load(y, 16), q)
    }
    sum += total(f32x4.add(p, q))
    n -= count
  }
  let v = f32x4.splat(0)
  for (; n > 0; n -= 4, x += 16, y += 16) {
    if (n >= 4) v = madd(v128.load(x), v128.load(y), v)
    else v = madd(loadSome<f32>(x, 4, n), loadSome<f32>(y, 4, n), v)
  }
  return f32(sum + total(v))
}

/** One row times columns, all of which are contiguous: every number is read once. */
export function vector(c: usize, a: usize, b: usize, n: i32, k: i32, columnB: i32): void {
  for (let j = 0; j < n; j++, b += columnB, c += 4) store<f32>(c, dot(a, b, k))
}
