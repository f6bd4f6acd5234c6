// The matrix product: the addresses of its factors, and the division of the work among threads. A stack of products is
// divided product by product, a single product along its longer side. A product of integers is not divided.

import type { Tensor } from '../tensor.ts'
import type { Workspace } from './workspace.ts'

/** A factor in memory, with steps in bytes between rows and between columns. */
export interface Factor {
  readonly pointer: number
  readonly row: number
  readonly column: number
}

/** The number of multiplications from which on a part is given to another thread. */
const GRAIN = 100_000

/** The matrices of a tensor of two or more axes, the first one of them. */
export function factor(workspace: Workspace, x: Tensor): Factor {
  const { strides, rank } = x
  return { pointer: workspace.address(x), row: 4 * strides[rank - 2], column: 4 * strides[rank - 1] }
}

/** The same, for a factor read by columns. */
export const transposed = ({ pointer, row, column }: Factor): Factor => ({ pointer, row: column, column: row })

/** out [m, n] = a [m, k] b [k, n] (+ bias [n]); k > 0. */
export function multiply(
  { threads }: Workspace,
  out: number,
  a: Factor,
  b: Factor,
  m: number,
  n: number,
  k: number,
  bias?: number,
): void {
  const step = 4 * n
  const byRows = m >= n
  threads.share(
    byRows ? m : n,
    Math.ceil(GRAIN / (k * (byRows ? n : m))),
    ({ code, scratch }, from, to) => {
      const [rows, columns] = byRows ? [to - from, n] : [m, to - from]
      const c = out + from * (byRows ? step : 4)
      const left = a.pointer + (byRows ? from * a.row : 0)
      const right = b.pointer + (byRows ? 0 : from * b.column)
      code.product(c, left, right, rows, columns, k, a.row, a.column, b.row, b.column, step, scratch)
      if (bias !== undefined) code.addRow(c, bias + (byRows ? 0 : 4 * from), rows, columns, step)
    },
    16,
  )
}

/** [..., m, k] × [..., k, n] of one dtype, float32 or int32, with leading axes that broadcast. */
export function matmul(workspace: Workspace, a: Tensor, b: Tensor): Tensor {
  const { axes, threads } = workspace
  const inner = a.rank - 2
  const [m, k, n] = [a.shape[inner], a.shape[inner + 1], b.shape[inner + 1]]
  const stack = a.shape.slice(0, inner).map((size, i) => (size === 1 ? b.shape[i] : size))
  const isInteger = a.dtype === 'int32'
  return workspace.tensor(a.dtype, [...stack, m, n], (out, size) => {
    if (k === 0) return workspace.fill(out, 0, size, a.dtype)
    const [left, right] = [factor(workspace, a), factor(workspace, b)]
    if (size === m * n && !isInteger) return multiply(workspace, out, left, right, m, n, k)
    const stackA = { shape: a.shape.slice(0, inner), strides: a.strides.slice(0, inner) }
    const stackB = { shape: b.shape.slice(0, inner), strides: b.strides.slice(0, inner) }
    axes.join(stack, stackA, 4, stackB, 4)
    const { n1, n0, x1, x0, y1, y0 } = axes
    const [count, stepX, stepY] = n1 > 1 ? [n1, x1, y1] : [n0, x0, y0]
    axes.each(2, (x, y, _, before) =>
      threads.share(count, Math.ceil((GRAIN * count) / (n1 * n0 * m * n * k)), ({ code, scratch }, from, to) => {
        const c = out + (before + from * (n1 > 1 ? n0 : 1)) * m * n * 4
        const [p, q] = [left.pointer + x + from * stepX, right.pointer + y + from * stepY]
        const [outer, innermost] = n1 > 1 ? [to - from, n0] : [1, to - from]
        const steps = [left.row, left.column, right.row, right.column] as const
        if (isInteger) code.matmul_i32(c, p, q, outer, innermost, x1, x0, y1, y0, m, n, k, ...steps)
        else code.matmul(c, p, q, outer, innermost, x1, x0, y1, y0, m, n, k, ...steps, scratch)
      }),
    )
  })
}
