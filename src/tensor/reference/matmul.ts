// The matrix product by its definition, row times column in float64, over operands packed so that the innermost loop
// reads both in order. Eight sums are computed in parallel, because a single sum has to wait for its last addition. The product
// of integers is computed modulo 2³².

import { dtypeOf } from '../dtype.ts'
import { broadcast, create, forEachRun, type Nd, onlyAxes } from './loops.ts'

/** A strided [rows, columns] matrix as rows of float64, one after the other. */
function pack(
  to: Float64Array,
  from: Nd['data'],
  start: number,
  rows: number,
  columns: number,
  row: number,
  column: number,
) {
  for (let i = 0; i < rows; i++) {
    for (let j = 0, at = start + i * row; j < columns; j++, at += column) to[i * columns + j] = from[at]
  }
}

/** Σ_k a[row + k] b[column + k] */
function dot(a: Float64Array, row: number, b: Float64Array, column: number, depth: number): number {
  let sum = 0
  for (let k = 0; k < depth; k++) sum += a[row + k] * b[column + k]
  return sum
}

/** The same modulo 2³² */
function integerDot(a: Float64Array, row: number, b: Float64Array, column: number, depth: number): number {
  let sum = 0
  for (let k = 0; k < depth; k++) sum = (sum + Math.imul(a[row + k], b[column + k])) | 0
  return sum
}

/** Two rows of a with four rows of b: eight independent sums. */
function block(
  c: Nd['data'],
  at: number,
  n: number,
  a: Float64Array,
  row: number,
  b: Float64Array,
  column: number,
  depth: number,
) {
  const a1 = row + depth
  const b1 = column + depth
  const b2 = b1 + depth
  const b3 = b2 + depth
  let c00 = 0
  let c01 = 0
  let c02 = 0
  let c03 = 0
  let c10 = 0
  let c11 = 0
  let c12 = 0
  let c13 = 0
  for (let k = 0; k < depth; k++) {
    const x = a[row + k]
    const y = a[a1 + k]
    const p = b[column + k]
    const q = b[b1 + k]
    const r = b[b2 + k]
    const s = b[b3 + k]
    c00 += x * p
    c01 += x * q
    c02 += x * r
    c03 += x * s
    c10 += y * p
    c11 += y * q
    c12 += y * r
    c13 += y * s
  }
  c[at] = c00
  c[at + 1] = c01
  c[at + 2] = c02
  c[at + 3] = c03
  c[at + n] = c10
  c[at + n + 1] = c11
  c[at + n + 2] = c12
  c[at + n + 3] = c13
}

/** c[i, j] = Σ_k a[i, k] b[j, k] for m rows of a and n rows of b, in blocks of 2 × 4 and single sums at the edges */
function rowsTimesRows(
  c: Nd['data'],
  start: number,
  a: Float64Array,
  b: Float64Array,
  m: number,
  n: number,
  depth: number,
) {
  const evenRows = m - (m % 2)
  const wholeColumns = n - (n % 4)
  for (let i = 0; i < m; i++) {
    const paired = i < evenRows
    if (paired && i % 2 === 0)
      for (let j = 0; j < wholeColumns; j += 4) block(c, start + i * n + j, n, a, i * depth, b, j * depth, depth)
    for (let j = paired ? wholeColumns : 0; j < n; j++) c[start + i * n + j] = dot(a, i * depth, b, j * depth, depth)
  }
}

/** The same modulo 2³² */
function integerRowsTimesRows(
  c: Nd['data'],
  start: number,
  a: Float64Array,
  b: Float64Array,
  m: number,
  n: number,
  depth: number,
) {
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++) c[start + i * n + j] = integerDot(a, i * depth, b, j * depth, depth)
}

/** [..., m, k] times [..., k, n]; leading axes broadcast. */
export function matmul(a: Nd, b: Nd): Nd {
  const rank = a.shape.length
  const [m, depth] = [a.shape[rank - 2], a.shape[rank - 1]]
  const n = b.shape[rank - 1]
  const batch = a.shape.slice(0, -2).map((size, i) => (size === 1 ? b.shape[i] : size))
  const c = create(dtypeOf(a.data), [...batch, m, n])
  const rows = new Float64Array(m * depth)
  const columns = new Float64Array(n * depth)
  const stack = batch.map((_, i) => i)
  const starts = [c, a, b].map(x => broadcast(onlyAxes(x, stack), batch))
  const [rowA, columnA] = a.stride.slice(-2)
  const [rowB, columnB] = b.stride.slice(-2)
  const multiply = dtypeOf(a.data) === 'int32' ? integerRowsTimesRows : rowsTimesRows
  let packed = -1
  forEachRun(starts, (at, count, steps) => {
    for (let i = 0; i < count; i++) {
      const from = at[2] + i * steps[2]
      if (from !== packed) pack(columns, b.data, from, n, depth, columnB, rowB)
      packed = from
      pack(rows, a.data, at[1] + i * steps[1], m, depth, rowA, columnA)
      multiply(c.data, at[0] + i * steps[0], rows, columns, m, n, depth)
    }
  })
  return c
}
