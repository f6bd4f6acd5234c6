// Large matrix products, cut into blocks that fit the caches (Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix
// Multiplication"). Columns of b are copied into panels, which the tiles read in order; a is read where it lies.

import { transpose_32 } from './movement'
import { COLUMNS_12, COLUMNS_8, columns12, columns8, ROWS_12, ROWS_8, rows12, rows8 } from './tiles'

/** Depth, rows and columns of a block: 132 KiB of a beside panels of b of 12 KiB each. */
@inline
const KC = 256
@inline
const MC = 132
@inline
const NC = 1020

/** Numbers in a block of a, with rows that a tile reads and does not use, and in a block of b, with columns that do not exist. */
@inline
const BLOCK_A = (MC + ROWS_8) * KC
@inline
const BLOCK_B = KC * (NC + COLUMNS_8)

/** Bytes that products need to copy blocks into: a, b, and one tile. */
export function scratchBytes(): i32 {
  return (BLOCK_A + BLOCK_B + ROWS_12 * COLUMNS_12) * 4
}

/** Where the one tile is in a thread's scratch memory. */
@inline
export function tileAt(scratch: usize): usize {
  return scratch + (BLOCK_A + BLOCK_B) * 4
}

/**
 * Panels of `width` columns: n of them, `across` bytes apart, each with k numbers that are `along` bytes apart. In a panel, the numbers
 * of one row follow on; what is missing from the last panel is 0.
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
        v128.store(at, v128.load(from, 16), 16)
        if (width == COLUMNS_12) v128.store(at, v128.load(from, 32), 32)
      }
    } else {
      for (let p = 0, at = to, from = x; p < k; p++, at += bytes, from += along) {
        for (let r = 0; r < count; r++) store<f32>(at + (r << 2), load<f32>(from + r * across))
      }
    }
  }
}

/** Panels of eight columns of b. */
export function packColumns(to: usize, b: usize, row: i32, column: i32, k: i32, n: i32): void {
  pack(COLUMNS_8, to, b, column, row, n, k)
}

/** m rows of k numbers of a, one after the other. */
function copyRows(to: usize, a: usize, row: i32, column: i32, m: i32, k: i32): void {
  for (let i = 0; i < m; i++, a += row) {
    for (let p = 0, from = a; p < k; p++, from += column, to += 4) store<f32>(to, load<f32>(from))
  }
}

/** m numbers of each of k columns of a, in columns of MC numbers. */
function copyColumns(to: usize, a: usize, column: i32, m: i32, k: i32): void {
  for (; k > 0; k--, a += column, to += MC * 4) memory.copy(to, a, m << 2)
}

/** Sets the part of c that exists to a whole tile in memory, or adds it. */
function edge(whole: usize, width: i32, c: usize, step: i32, adds: bool, rows: i32, columns: i32): void {
  for (let i = 0; i < rows; i++, c += step, whole += width << 2) {
    for (let j = 0; j < columns; j++) {
      const value = load<f32>(whole + (j << 2))
      store<f32>(c + (j << 2), adds ? value + load<f32>(c + (j << 2)) : value)
    }
  }
}

/** How many of n columns are in panels of twelve. The rest is in panels of eight: none, or at least five columns if there are. */
@inline
function inTwelves(n: i32): i32 {
  const rest = n % COLUMNS_12
  const whole = n - rest
  return rest > 0 && rest <= 4 && whole > 0 ? whole - COLUMNS_12 : whole
}

export function blocked(
  c: usize, a: usize, b: usize, m: i32, n: i32, k: i32, rowA: i32, columnA: i32, rowB: i32, columnB: i32,
  stepC: i32, scratch: usize,
): void {
  const packed = scratch + BLOCK_A * 4
  const whole = tileAt(scratch)
  const isColumns = rowA == 4 && columnA != 4
  // columns that are pages apart have few places in the cache
  const isApart = isColumns && columnA % 4096 == 0
  const isInPlace = (isColumns ? !isApart : columnA == 4) && m >= ROWS_8
  const inColumns = isColumns && (isInPlace || isApart)
  for (let j = 0; j < n; j += NC) {
    const columns = min(NC, n - j)
    const twelves = inTwelves(columns)
    for (let p = 0; p < k; p += KC) {
      const depth = min(KC, k - p)
      const right = b + p * rowB + j * columnB
      pack(COLUMNS_12, packed, right, columnB, rowB, twelves, depth)
      packColumns(packed + twelves * depth * 4, right + twelves * columnB, rowB, columnB, depth, columns - twelves)
      for (let i = 0; i < m; i += MC) {
        const rows = min(MC, m - i)
        let left = a + i * rowA + p * columnA
        let step = rowA
        let column = columnA
        if (isApart) {
          copyColumns(scratch, left, columnA, rows, depth)
          column = MC * 4
          left = scratch
        } else if (!isInPlace) {
          copyRows(scratch, left, rowA, columnA, rows, depth)
          step = depth * 4
          left = scratch
        }
        for (let jj = 0; jj < columns; ) {
          const isTwelve = jj < twelves
          const width = isTwelve ? COLUMNS_12 : COLUMNS_8
          const height = isTwelve ? ROWS_12 : ROWS_8
          const panel = packed + jj * depth * 4
          const wide = min(width, columns - jj)
          for (let ii = 0; ii < rows; ii += height) {
            const high = min(height, rows - ii)
            // where a lies, the last rows are computed with those before, which get the same values again
            const before = isInPlace ? height - high : 0
            const from = left + (ii - before) * step
            const to = c + (i + ii) * stepC + ((j + jj) << 2)
            const isWhole = wide == width && (high == height || (isInPlace && p == 0))
            const out = isWhole ? to - before * stepC : whole
            const stepOut = isWhole ? stepC : width << 2
            const adds = isWhole && p > 0
            if (isTwelve) {
              if (inColumns) columns12(depth, from, column, panel, out, stepOut, adds)
              else rows12(depth, from, step, panel, out, stepOut, adds)
            } else {
              if (inColumns) columns8(depth, from, column, panel, out, stepOut, adds)
              else rows8(depth, from, step, panel, out, stepOut, adds)
            }
            if (!isWhole) edge(whole + ((before * width) << 2), width, to, stepC, p > 0, high, wide)
          }
          jj += width
        }
      }
    }
  }
}
