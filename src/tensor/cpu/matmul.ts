// The matrix product: the addresses of its factors, and the division of the work among threads. A stack of products is
// divided product by product, a single product along its longer side. A product of integers is not divided.

import { bytesPerElement } from '../dtype.ts'
import { contiguousStrides } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import type { Lane } from './threads.ts'
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
  const bytes = bytesPerElement(x.dtype)
  return { pointer: workspace.address(x), row: bytes * strides[rank - 2], column: bytes * strides[rank - 1] }
}

/** The same, for a factor read by columns. */
export const transposed = ({ pointer, row, column }: Factor): Factor => ({ pointer, row: column, column: row })

/** A second factor whose rows are in order, as kernels of int32 and float64 read them: copied unless they are. */
function inOrder(workspace: Workspace, x: Tensor): { readonly factor: Factor; readonly strides: readonly number[] } {
  const isInOrder = x.shape[x.rank - 1] === 1 || x.strides[x.rank - 1] === 1
  const strides = isInOrder ? x.strides : contiguousStrides(x.shape)
  const pointer = isInOrder ? workspace.address(x) : workspace.dense(x)
  const bytes = bytesPerElement(x.dtype)
  return { factor: { pointer, row: bytes * strides[x.rank - 2], column: bytes }, strides }
}

/** A single product, divided among threads along its longer side; k > 0. */
function divided(
  { threads }: Workspace,
  out: number,
  bytes: number,
  a: Factor,
  b: Factor,
  m: number,
  n: number,
  k: number,
  part: (lane: Lane, c: number, left: number, right: number, rows: number, columns: number, first: number) => void,
): void {
  const byRows = m >= n
  threads.share(
    byRows ? m : n,
    Math.ceil(GRAIN / (k * (byRows ? n : m))),
    (lane, from, to) => {
      const c = out + from * bytes * (byRows ? n : 1)
      const left = a.pointer + (byRows ? from * a.row : 0)
      const right = b.pointer + (byRows ? 0 : from * b.column)
      part(lane, c, left, right, byRows ? to - from : m, byRows ? n : to - from, byRows ? 0 : from)
    },
    16,
  )
}

/** out [m, n] = a [m, k] b [k, n] (+ bias [n]) of float32; k > 0. */
export function multiply(
  workspace: Workspace,
  out: number,
  a: Factor,
  b: Factor,
  m: number,
  n: number,
  k: number,
  bias?: number,
): void {
  const step = 4 * n
  divided(workspace, out, 4, a, b, m, n, k, ({ code, scratch }, c, left, right, rows, columns, first) => {
    const row = bias === undefined ? 0 : bias + 4 * first
    code.product(c, left, right, rows, columns, k, a.row, a.column, b.row, b.column, step, scratch, row)
  })
}

/** The same of float64, without bias, with rows of b in order. */
function multiplyDoubles(
  workspace: Workspace,
  out: number,
  a: Factor,
  b: Factor,
  m: number,
  n: number,
  k: number,
): void {
  divided(workspace, out, 8, a, b, m, n, k, ({ code }, c, left, right, rows, columns) =>
    code.product_f64(c, left, right, rows, columns, k, a.row, a.column, b.row, 8 * n),
  )
}

/** [..., m, k] × [..., k, n] of one dtype, floating or int32, with leading axes that broadcast. */
export function matmul(workspace: Workspace, a: Tensor, b: Tensor): Tensor {
  const { axes, threads } = workspace
  const inner = a.rank - 2
  const [m, k, n] = [a.shape[inner], a.shape[inner + 1], b.shape[inner + 1]]
  const stack = a.shape.slice(0, inner).map((size, i) => (size === 1 ? b.shape[i] : size))
  const { dtype } = a
  return workspace.tensor(dtype, [...stack, m, n], (out, size) => {
    if (k === 0) return workspace.fill(out, 0, size, dtype)
    const left = factor(workspace, a)
    const { factor: right, strides } =
      dtype === 'float32' ? { factor: factor(workspace, b), strides: b.strides } : inOrder(workspace, b)
    if (size === m * n && dtype === 'float32') return multiply(workspace, out, left, right, m, n, k)
    if (size === m * n && dtype === 'float64') return multiplyDoubles(workspace, out, left, right, m, n, k)
    const bytes = bytesPerElement(dtype)
    const stackA = { shape: a.shape.slice(0, inner), strides: a.strides.slice(0, inner) }
    const stackB = { shape: b.shape.slice(0, inner), strides: strides.slice(0, inner) }
    axes.join(stack, stackA, bytes, stackB, bytes)
    const { n1, n0, x1, x0, y1, y0 } = axes
    const [count, stepX, stepY] = n1 > 1 ? [n1, x1, y1] : [n0, x0, y0]
    axes.each(2, (x, y, _, before) =>
      threads.share(count, Math.ceil((GRAIN * count) / (n1 * n0 * m * n * k)), ({ code, scratch }, from, to) => {
        const c = out + (before + from * (n1 > 1 ? n0 : 1)) * m * n * bytes
        const [p, q] = [left.pointer + x + from * stepX, right.pointer + y + from * stepY]
        const [outer, innermost] = n1 > 1 ? [to - from, n0] : [1, to - from]
        const at = [c, p, q, outer, innermost, x1, x0, y1, y0, m, n, k, left.row, left.column, right.row] as const
        if (dtype === 'float32') code.matmul(...at, right.column, scratch)
        else if (dtype === 'float64') code.matmul_f64(...at)
        else code.matmul_i32(...at)
      }),
    )
  })
}
