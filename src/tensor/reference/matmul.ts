// The matrix product as its definition says, row times column in float64, over operands packed so that the
// innermost loop reads both in order. Four columns at a time, because one running sum waits for its own last addition.

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

/** c[m, n] = Σ_k a[m, k] b[n, k], rows of c `width` apart. */
function rowsTimesRows(
  c: Nd['data'],
  start: number,
  a: Float64Array,
  b: Float64Array,
  m: number,
  n: number,
  depth: number,
) {
  const whole = n - (n % 4)
  for (let i = 0; i < m; i++) {
    const row = i * depth
    for (let j = 0; j < whole; j += 4) {
      const b0 = j * depth
      const b1 = b0 + depth
      const b2 = b1 + depth
      const b3 = b2 + depth
      let s0 = 0
      let s1 = 0
      let s2 = 0
      let s3 = 0
      for (let k = 0; k < depth; k++) {
        const x = a[row + k]
        s0 += x * b[b0 + k]
        s1 += x * b[b1 + k]
        s2 += x * b[b2 + k]
        s3 += x * b[b3 + k]
      }
      const at = start + i * n + j
      c[at] = s0
      c[at + 1] = s1
      c[at + 2] = s2
      c[at + 3] = s3
    }
    for (let j = whole; j < n; j++) {
      let s = 0
      for (let k = 0; k < depth; k++) s += a[row + k] * b[j * depth + k]
      c[start + i * n + j] = s
    }
  }
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
  let packed = -1
  forEachRun(starts, (at, count, steps) => {
    for (let i = 0; i < count; i++) {
      const from = at[2] + i * steps[2]
      if (from !== packed) pack(columns, b.data, from, n, depth, columnB, rowB)
      packed = from
      pack(rows, a.data, at[1] + i * steps[1], m, depth, rowA, columnA)
      rowsTimesRows(c.data, at[0] + i * steps[0], rows, columns, m, n, depth)
    }
  })
  return c
}
