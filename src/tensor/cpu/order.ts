// The order of the elements along an axis: each line is sorted by one thread.

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
