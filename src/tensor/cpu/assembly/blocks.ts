// Large matrix products, cut into blocks that fit the caches and copied into panels that the innermost loop reads in
// order (Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication"). The innermost loop keeps a
// tile of 5 × 8 results in registers: ten independent sums hide the latency of four cycles of each addition; eight do
// not, and twelve do not fit into the registers together with their operands.

import { transpose_32 } from './movement'
import { madd } from './vector'

/** Rows and columns of a tile. */
@inline
const MR = 5
@inline
export const NR = 8

/** Depth, rows and columns of a block: 130 KiB of a beside panels of b of 8 KiB each. */
@inline
const KC = 256
@inline
const MC = 130
@inline
const NC = 1024

/** Bytes that products need to copy blocks into: a, b, and one tile. */
export function scratchBytes(): i32 {
  return (MC * KC + KC * NC + MR * NR) * 4
}

/** Where the one tile is in a thread's scratch memory. */
@inline
export function tileAt(scratch: usize): usize {
  return scratch + (MC * KC + KC * NC) * 4
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

export function packColumns(to: usize, b: usize, row: i32, column: i32, k: i32, n: i32): void {
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
export function put(c: usize, left: v128, right: v128, adds: bool): void {
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

export function blocked(
  c: usize, a: usize, b: usize, m: i32, n: i32, k: i32, rowA: i32, columnA: i32, rowB: i32, columnB: i32,
  stepC: i32, scratch: usize,
): void {
  const packedB = scratch + MC * KC * 4
  const whole = tileAt(scratch)
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
