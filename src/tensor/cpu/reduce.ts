// Reductions over any axes, as a few passes over contiguous memory. After joining, the axes alternate between kept and
// reduced ones, and each reduced group is either innermost (rows) or has other axes inside of it (columns).

import { bytesPerElement, type DType } from '../dtype.ts'
import type { ReductionName } from '../primitives.ts'
import { contiguousStrides, isContiguous, reducedShape, type Shape, sizeOf } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import { reductions } from './exports.ts'
import { grains, type Placed, suffix, type Workspace } from './workspace.ts'

/** Axes from the largest stride to the smallest: their order in memory. */
const memoryOrder = (x: Tensor): number[] =>
  x.shape.map((_, axis) => axis).sort((a, b) => Math.abs(x.strides[b]) - Math.abs(x.strides[a]) || a - b)

/**
 * Reduces contiguous memory and writes the result to `out`.
 * @param isReduced whether each axis is reduced
 */
function reduceDense(
  workspace: Workspace,
  name: ReductionName,
  dtype: Exclude<DType, 'bool'>,
  out: number,
  x: number,
  shape: Shape,
  isReduced: readonly boolean[],
): void {
  const { threads } = workspace
  // sizes of groups of axes, alternately kept and reduced, starting with a kept one
  const groups = [1]
  shape.forEach((n, axis) => {
    if (n === 1) return
    if (isReduced[axis] === (groups.length % 2 === 0)) groups[groups.length - 1] *= n
    else groups.push(n)
  })
  const [rows, columns] = [`rows_${suffix[dtype]}`, `columns_${suffix[dtype]}`] as const
  const bytes = bytesPerElement(dtype)
  const id = reductions[name]
  let from = x
  if (groups.length === 1) workspace.copy([groups[0]], out, [1], from, [1], dtype)
  while (groups.length > 1) {
    const inner = groups.length % 2 === 1 ? groups.pop()! : 1
    const n = groups.pop()!
    const outer = sizeOf(groups)
    const to = groups.length === 1 ? out : workspace.passing(outer * inner * bytes)
    const grain = grains.move / n
    const source = from
    if (inner === 1)
      threads.share(outer, grain, ({ code }, first, last) =>
        code[rows](id, to + bytes * first, source + bytes * first * n, last - first, n),
      )
    else if (outer > 1)
      threads.share(outer, grain / inner, ({ code, scratch }, first, last) =>
        code[columns](
          id,
          to + bytes * first * inner,
          source + bytes * first * n * inner,
          last - first,
          n,
          inner,
          bytes * inner,
          scratch,
        ),
      )
    else
      threads.share(
        inner,
        grain,
        ({ code, scratch }, first, last) =>
          code[columns](id, to + bytes * first, source + bytes * first, 1, n, last - first, bytes * inner, scratch),
        16,
      )
    groups[groups.length - 1] *= inner
    from = to
  }
}

/** Reduces the axes and keeps them with size one. */
export function reduce(workspace: Workspace, name: ReductionName, x: Tensor, axes: readonly number[]): Tensor {
  const dtype = x.dtype === 'bool' ? 'int32' : x.dtype
  const shape = reducedShape(x.shape, axes, true)
  return workspace.tensor(dtype, shape, (out, size) => {
    if (x.size === 0) return workspace.fill(out, { sum: 0, max: -Infinity, min: Infinity }[name], size, dtype)
    const order = memoryOrder(x)
    const ordered = order.map(axis => x.shape[axis])
    const isPermuted =
      x.dtype === dtype &&
      !x.isContiguous &&
      isContiguous(
        ordered,
        order.map(axis => x.strides[axis]),
      )
    if (!isPermuted) {
      const { pointer } = dense(workspace, x, dtype)
      return reduceDense(
        workspace,
        name,
        dtype,
        out,
        pointer,
        x.shape,
        x.shape.map((_, axis) => axes.includes(axis)),
      )
    }
    // axes in another order but without gaps: reduced in the order of memory, then transposed
    const passing = workspace.passing(size * bytesPerElement(dtype))
    const left = order.map(axis => shape[axis])
    reduceDense(
      workspace,
      name,
      dtype,
      passing,
      workspace.address(x),
      ordered,
      order.map(axis => axes.includes(axis)),
    )
    const steps = contiguousStrides(left)
    const strides = shape.map((_, axis) => steps[order.indexOf(axis)])
    workspace.copy(shape, out, contiguousStrides(shape), passing, strides, dtype)
  })
}

/** Contiguous elements. */
function dense(workspace: Workspace, x: Tensor, dtype: DType): { pointer: number } {
  return x.dtype === dtype ? { pointer: workspace.dense(x) } : (workspace.place(x, dtype, 1) satisfies Placed)
}

/** Index of the first largest element along an axis, which is kept with size one. */
export function argmax(workspace: Workspace, x: Tensor, axis: number): Tensor {
  return workspace.tensor('int32', reducedShape(x.shape, [axis], true), (out, size) => {
    const n = x.shape[axis]
    if (n === 0) return workspace.fill(out, 0, size, 'int32')
    const dtype = x.dtype === 'bool' ? 'int32' : x.dtype
    const { pointer } = dense(workspace, x, dtype)
    workspace.code[`argmax_${suffix[dtype]}`](
      out,
      pointer,
      sizeOf(x.shape.slice(0, axis)),
      n,
      sizeOf(x.shape.slice(axis + 1)),
    )
  })
}
