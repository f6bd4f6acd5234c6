// The order of the elements along an axis, and the first of them: each line is sorted by one thread.

import { sizeOf } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import { grains, suffix, type Workspace } from './workspace.ts'

/** The positions along an axis in the order of their elements. */
export function argsort(workspace: Workspace, x: Tensor, axis: number, descending: boolean): Tensor {
  const { threads } = workspace
  return workspace.tensor('int32', x.shape, (out, size) => {
    const n = x.shape[axis]
    const inner = sizeOf(x.shape.slice(axis + 1))
    const dtype = x.dtype === 'bool' ? 'int32' : x.dtype
    const from = x.dtype === dtype ? workspace.dense(x) : workspace.place(x, dtype, 1).pointer
    const kernel = `argsort_${suffix[dtype]}` as const
    const lines = size / n
    // counts, and two lists of pairs
    const bytes = 4096 + (dtype === 'float64' ? 32 : 16) * n
    const passing = workspace.passing(bytes * Math.min(threads.parts, lines))
    // sorting an element costs about as much as computing a function of it
    threads.share(lines, grains.compute / n, (lane, first, last, part) =>
      lane.code[kernel](out, from, first, last, n, inner, Number(descending), passing + part * bytes),
    )
  })
}

/** How many times as long as the result a line must be for a search to cost less than sorting it. */
const SHARE = 32

/** The first `count` of these positions; undefined where sorting is as fast. */
export function topk(
  workspace: Workspace,
  x: Tensor,
  axis: number,
  count: number,
  largest: boolean,
): Tensor | undefined {
  const n = x.shape[axis]
  if (x.dtype === 'float64' || count * SHARE > n) return undefined
  const { threads } = workspace
  return workspace.tensor('int32', x.shape.with(axis, count), (out, size) => {
    const inner = sizeOf(x.shape.slice(axis + 1))
    const isFloat = x.dtype === 'float32'
    const from = x.dtype === 'bool' ? workspace.place(x, 'int32', 1).pointer : workspace.dense(x)
    const lines = size / count
    // half of them are new
    const capacity = 2 * count
    const bytes = 4096 + 16 * capacity
    const passing = workspace.passing(bytes * Math.min(threads.parts, lines))
    threads.share(lines, grains.compute / n, ({ code }, first, last, part) =>
      code[isFloat ? 'topk_f32' : 'topk_i32'](
        ...([out, from, first, last, n, inner, count, Number(largest), capacity, passing + part * bytes] as const),
      ),
    )
  })
}
