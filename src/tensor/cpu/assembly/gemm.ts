// The matrix product. Large ones are cut into blocks that fit the caches and copied into panels that the innermost loop
// reads in order (Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication"); there, a tile of
// 5 × 8 results stays in registers: ten sums hide the four cycles that each waits for the one before, and eight do not; twelve
// do not fit beside what they are made of. Small ones are computed without copies of a. Where the thread has a BLAS, products that are worth the call go there. Steps are in bytes.

import { loadSome, madd, storeSome, total } from './vector'
import { transpose_32 } from './movement'

/** cblas_sgemm on rows: c = op(a) op(b); steps between rows are counted in numbers there. */
@external('blas', 'sgemm')
declare function sgemm(
  transposesA: i32, transposesB: i32, m: i32, n: i32, k: i32, a: usize, stepA: i32, b: usize, stepB: i32,
  c: usize, stepC: i32,
): void

let hasBlas = false

/** Tells the instance of this thread whether `sgemm` may be called. */
export function useBlas(has: bool): void {
  hasBlas = has
}

/** Multiplications from which a call of BLAS costs less than it gains. */
@inline
const WORTH_A_CALL: i64 = 20000

/** Rows and columns of a tile. */
@inline
const MR = 5
@inline
const NR = 8

/** Depth, rows and columns of a block: 130 KiB of a beside panels of b of 8 KiB each. */
@inline
const KC = 256
@inline
const MC = 130
@inline
const NC = 1024

/** Depth of a sum in float32: of more, parts are added up, so that the error does not grow with the depth. */
@inline
const DEEP = 512

/** Bytes that `matmul` needs to copy blocks into: a, b, and one tile. */
export function scratchBytes(): i32 {
  return (MC * KC + KC * NC + MR * NR) * 4
}

/**
 * Panels of `width` rows of a, or columns of b: n of them, `across` bytes apart, each with k numbers that are `along`
 * bytes apart. In a panel, the numbers of one place along k follow on; what is missing from the last panel is 0.
 */
@inline
function pack(width: i32, to: usize, x: usize, across: i32, along: i32, n: i32, k: i32): void {
  const bytes = width << 2
  for (let j = 0; j < n; j += width, x += width * across, to += k * bytes) {
    const count = min(width, n - j)
    if (count < width) memory.fill(to, 0, k * bytes)
    if (along == 4) transpose_32(to, x, k, count, bytes, across)
    else if (across == 4 && count == width) {
      for (let p = 0, at = to, from = x; p < k; p++, at += bytes, from += along) {
        v128.store(at, v128.load(from))
        if (width == NR) v128.store(at, v128.load(from, 16), 16)
        else store<f32>(at, load<f32>(from, 16), 16)
      }
    } else {
      for (let p = 0, at = to, from = x; p < k; p++, at += bytes, from += along) {
        for (let r = 0; r < count; r++) store<f32>(at + (r << 2), load<f32>(from + r * across))
      }
    }
  }
}

function packRows(to: usize, a: usize, row: i32, column: i32, m: i32, k: i32): void {
  pack(MR, to, a, row, column, m, k)
}

function packColumns(to: usize, b: usize, row: i32, column: i32, k: i32, n: i32): void {
  pack(NR, to, b, column, row, n, k)
}

/**
 * One tile of c, set or added to, from a panel of rows and a panel of columns. Four of a are loaded at once and spread from a
 * register: engines load whatever a turn loads before they compute, and more loads would not fit.
 */
function tile(k: i32, a: usize, b: usize, c: usize, step: i32, adds: bool): void {
  let c00 = f32x4.splat(0)
  let c01 = f32x4.splat(0)
  let c10 = f32x4.splat(0)
  let c11 = f32x4.splat(0)
  let c20 = f32x4.splat(0)
  let c21 = f32x4.splat(0)
  let c30 = f32x4.splat(0)
  let c31 = f32x4.splat(0)
  let c40 = f32x4.splat(0)
  let c41 = f32x4.splat(0)
  for (const end = a + k * MR * 4; a < end; a += MR * 4, b += NR * 4) {
    const x = v128.load(a)
    const a4 = v128.load32_splat(a, 16)
    const b0 = v128.load(b)
    const b1 = v128.load(b, 16)
    const a0 = i32x4.shuffle(x, x, 0, 0, 0, 0)
    c00 = madd(a0, b0, c00)
    c01 = madd(a0, b1, c01)
    const a1 = i32x4.shuffle(x, x, 1, 1, 1, 1)
    c10 = madd(a1, b0, c10)
    c11 = madd(a1, b1, c11)
    const a2 = i32x4.shuffle(x, x, 2, 2, 2, 2)
    c20 = madd(a2, b0, c20)
    c21 = madd(a2, b1, c21)
    const a3 = i32x4.shuffle(x, x, 3, 3, 3, 3)
    c30 = madd(a3, b0, c30)
    c31 = madd(a3, b1, c31)
    c40 = madd(a4, b0, c40)
    c41 = madd(a4, b1, c41)
  }
  put(c, c00, c01, adds)
  c += step
  put(c, c10, c11, adds)
  c += step
  put(c, c20, c21, adds)
  c += step
  put(c, c30, c31, adds)
  c += step
  put(c, c40, c41, adds)
}

@inline
function put(c: usize, left: v128, right: v128, adds: bool): void {
  if (adds) {
    left = f32x4.add(left, v128.load(c))
    right = f32x4.add(right, v128.load(c, 16))
  }
  v128.store(c, left)
  v128.store(c, right, 16)
}

/** A tile of which only some rows and columns exist, by way of a whole one in memory. */
function edge(k: i32, a: usize, b: usize, c: usize, step: i32, adds: bool, rows: i32, columns: i32, whole: usize): void {
  tile(k, a, b, whole, NR * 4, false)
  for (let i = 0; i < rows; i++, c += step, whole += NR * 4) {
    for (let j = 0; j < columns; j++) {
      const value = load<f32>(whole + (j << 2))
      store<f32>(c + (j << 2), adds ? value + load<f32>(c + (j << 2)) : value)
    }
  }
}

function blocked(
  c: usize, a: usize, b: usize, m: i32, n: i32, k: i32, rowA: i32, columnA: i32, rowB: i32, columnB: i32,
  stepC: i32, scratch: usize,
): void {
  const packedB = scratch + MC * KC * 4
  const whole = packedB + KC * NC * 4
  for (let j = 0; j < n; j += NC) {
    const columns = min(NC, n - j)
    for (let p = 0; p < k; p += KC) {
      const depth = min(KC, k - p)
      packColumns(packedB, b + p * rowB + j * columnB, rowB, columnB, depth, columns)
      for (let i = 0; i < m; i += MC) {
        const rows = min(MC, m - i)
        packRows(scratch, a + i * rowA + p * columnA, rowA, columnA, rows, depth)
        for (let jj = 0; jj < columns; jj += NR) {
          const panel = packedB + jj * depth * 4
          for (let ii = 0; ii < rows; ii += MR) {
            const from = scratch + ii * depth * 4
            const to = c + (i + ii) * stepC + ((j + jj) << 2)
            if (rows - ii >= MR && columns - jj >= NR) tile(depth, from, panel, to, stepC, p > 0)
            else edge(depth, from, panel, to, stepC, p > 0, min(MR, rows - ii), min(NR, columns - jj), whole)
          }
        }
      }
    }
  }
}

/**
 * Four rows of results, each eight wide, from rows of a where they lie. Rows may coincide where fewer exist. Whole ones, of
 * `columns` = NR, are set or added to; others are set.
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
  if (columns == NR) {
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
    if (columns > 4) storeSome(c + 16, right, columns - 4)
  } else storeSome(c, left, columns)
}

/** The same from memory. */
@inline
function putFrom(c: usize, row: usize, columns: i32): void {
  if (columns == NR) put(c, v128.load(row), v128.load(row, 16), false)
  else putSome(c, v128.load(row), v128.load(row, 16), columns)
}

/** Without blocks: b is read where it lies if that is in order and near, else from panels; a is not copied. */
function small(
  c: usize, a: usize, b: usize, m: i32, n: i32, k: i32, rowA: i32, columnA: i32, rowB: i32, columnB: i32,
  stepC: i32, scratch: usize,
): void {
  const inPlace = columnB == 4 && n >= NR && (m <= 16 || k * n <= 16384)
  if (!inPlace) packColumns(scratch, b, rowB, columnB, k, n)
  const stepB = inPlace ? rowB : NR * 4
  const last = m - 1
  const whole = scratch + (MC * KC + KC * NC) * 4
  for (let j = 0; j < n; j += NR) {
    // in place, the last columns overlap those before; in panels, they stand apart
    const first = inPlace ? min(j, n - NR) : j
    const columns = min(NR, n - first)
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
            whole, whole + NR * 4, whole + NR * 8, whole + NR * 12, NR, p > 0,
          )
        }
        putFrom(r0, whole, columns)
        putFrom(r1, whole + NR * 4, columns)
        putFrom(r2, whole + NR * 8, columns)
        putFrom(r3, whole + NR * 12, columns)
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
    else v = madd(loadSome(x, 4, n), loadSome(y, 4, n), v)
  }
  return f32(sum + total(v))
}

/** One row times columns, all of which are contiguous: every number is read once. */
function vector(c: usize, a: usize, b: usize, n: i32, k: i32, columnB: i32): void {
  for (let j = 0; j < n; j++, b += columnB, c += 4) store<f32>(c, dot(a, b, k))
}

/** Up to so many multiplications, copying blocks of a costs more than it gains. */
@inline
const SMALL = 32 * 32 * 32

/**
 * BLAS's leading dimension of a factor: the numbers from row to row where each row is in order, minus those from column to
 * column where each column is, and 0 for what BLAS does not take. It must be the size of a row (or column) at least: rows that
 * overlap, stand still or run backwards are not for BLAS. The step along an axis of size one means nothing and is not looked at.
 */
@inline
function leading(rows: i32, columns: i32, row: i32, column: i32): i32 {
  if ((column == 4 || columns == 1) && row >> 2 >= columns) return row >> 2
  if ((row == 4 || rows == 1) && column >> 2 >= rows) return -(column >> 2)
  return 0
}

/** c [m, n] = a [m, k] b [k, n] with rows of c in order, stepC bytes apart; k > 0. */
export function product(
  c: usize, a: usize, b: usize, m: i32, n: i32, k: i32, rowA: i32, columnA: i32, rowB: i32, columnB: i32,
  stepC: i32, scratch: usize,
): void {
  const count = i64(m) * n * k
  const takesBlas = hasBlas && count >= WORTH_A_CALL && m > 1 && n > 1
  const stepA = takesBlas ? leading(m, k, rowA, columnA) : 0
  const stepB = takesBlas ? leading(k, n, rowB, columnB) : 0
  if (stepA != 0 && stepB != 0) {
    sgemm(i32(stepA < 0), i32(stepB < 0), m, n, k, a, abs(stepA), b, abs(stepB), c, stepC >> 2)
  } else if (m <= 3 && columnA == 4 && rowB == 4)
    for (let i = 0; i < m; i++) vector(c + i * stepC, a + i * rowA, b, n, k, columnB)
  else if (n == 1 && stepC == 4 && rowB == 4 && columnA == 4) vector(c, b, a, m, k, rowA)
  else if (
    count <= SMALL ||
    (columnA == 4 && k <= 512 && i64(n) * k <= 65536) ||
    (m <= 8 && columnB == 4 && n >= NR)
  )
    small(c, a, b, m, n, k, rowA, columnA, rowB, columnB, stepC, scratch)
  else blocked(c, a, b, m, n, k, rowA, columnA, rowB, columnB, stepC, scratch)
}

/** Products of a stack of matrices; the two innermost axes of the stack step through a and b, and c follows on. */
export function matmul(
  c: usize, a: usize, b: usize, stack1: i32, stack0: i32, a1: i32, a0: i32, b1: i32, b0: i32,
  m: i32, n: i32, k: i32, rowA: i32, columnA: i32, rowB: i32, columnB: i32, scratch: usize,
): void {
  for (let i = 0; i < stack1; i++, a += a1, b += b1) {
    for (let j = 0, x = a, y = b; j < stack0; j++, x += a0, y += b0, c += (m * n) << 2)
      product(c, x, y, m, n, k, rowA, columnA, rowB, columnB, n << 2, scratch)
  }
}

/** rows of c += bias: [rows, n] + [n], rows of c being `step` bytes apart. */
export function addRow(c: usize, bias: usize, rows: i32, n: i32, step: i32): void {
  for (; rows > 0; rows--, c += step) {
    let j = 0
    for (; j + 4 <= n; j += 4) v128.store(c + (j << 2), f32x4.add(v128.load(c + (j << 2)), v128.load(bias + (j << 2))))
    for (; j < n; j++) store<f32>(c + (j << 2), load<f32>(c + (j << 2)) + load<f32>(bias + (j << 2)))
  }
}
