// The order of the elements along an axis: each line is sorted by one thread.

import { sizeOf } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import { grains, type Workspace } from './workspace.ts'

/** The positions along an axis in the order of their elements. */
export function argsort(workspace: Workspace, x: Tensor, axis: number, descending: boolean): Tensor {
  const { threads } = workspace
  return workspace.tensor('int32', x.shape, (out, size) => {
    const n = x.shape[axis]
    const inner = sizeOf(x.shape.slice(axis + 1))
    const dtype = x.dtype === 'float32' ? 'float32' : 'int32'
    const from = x.dtype === dtype ? workspace.dense(x) : workspace.place(x, dtype, 1).pointer
    const kernel = dtype === 'float32' ? 'argsort_f32' : 'argsort_i32'
    const lines = size / n
    // counts, and two lists of pairs
    const bytes = 4096 + 16 * n
    const passing = workspace.passing(bytes * Math.min(threads.parts, lines))
    // sorting an element costs about as much as computing a function of it
    threads.share(lines, grains.compute / n, (lane, first, last, part) =>
      lane.code[kernel](out, from, first, last, n, inner, Number(descending), passing + part * bytes),
    )
  })
}
