// Two helpers that every loop here uses: iteration over several strided views of one shape, and a loop that the engine
// compiles separately for one element function.

import ndarray, { type NdArray } from 'ndarray'
import { allocate, type DType, type TypedArray } from '../dtype.ts'
import { broadcastStrides, contiguousStrides, type Shape } from '../shape.ts'
import type { View } from '../storage.ts'

export type Nd = NdArray<TypedArray>

/** A shape and strides over memory. */
export function strided(data: TypedArray, shape: Shape, strides: readonly number[], offset = 0): Nd {
  return ndarray(data, [...shape], [...strides], offset)
}

/** A tensor as an ndarray over the same memory. */
export const view = (x: View): Nd => strided(x.storage.handle as TypedArray, x.shape, x.strides, x.offset)

/** New memory as an ndarray. */
export const create = (dtype: DType, shape: Shape): Nd =>
  strided(allocate(dtype, shape), shape, contiguousStrides(shape))

/** The same memory with the broadcast shape: repeated axes have stride 0. */
export const broadcast = (x: Nd, shape: Shape): Nd =>
  strided(x.data, shape, broadcastStrides(x.shape, x.stride, shape), x.offset)

/** A view of some of the axes, at index 0 of the others. */
export const onlyAxes = (x: Nd, axes: readonly number[]): Nd =>
  strided(
    x.data,
    axes.map(i => x.shape[i]),
    axes.map(i => x.stride[i]),
    x.offset,
  )

/** One innermost run of a common shape: the start of each view, the length, and the step of each view. */
type Run = (at: readonly number[], length: number, step: readonly number[]) => void

/** Calls `run` for every innermost run of views of one shape, in row-major order. Contiguous axes are joined. */
export function forEachRun(views: readonly Nd[], run: Run): void {
  const shape: number[] = []
  const strides: number[][] = []
  views[0].shape.forEach((n, axis) => {
    if (n === 1) return
    const last = strides.at(-1)
    if (last && views.every((v, i) => last[i] === v.stride[axis] * n)) {
      shape[shape.length - 1] *= n
      strides[strides.length - 1] = views.map(v => v.stride[axis])
    } else {
      shape.push(n)
      strides.push(views.map(v => v.stride[axis]))
    }
  })
  if (shape.includes(0)) return
  const length = shape.pop() ?? 1
  const steps = strides.pop() ?? views.map(() => 0)
  const starts = views.map(v => v.offset)
  const index = shape.map(() => 0)
  for (;;) {
    run(starts, length, steps)
    let axis = shape.length - 1
    for (; axis >= 0; axis--) {
      for (let i = 0; i < starts.length; i++) starts[i] += strides[axis][i]
      if (++index[axis] < shape[axis]) break
      for (let i = 0; i < starts.length; i++) starts[i] -= strides[axis][i] * shape[axis]
      index[axis] = 0
    }
    if (axis < 0) return
  }
}

/**
 * Compiles a separate loop for one element function. A loop shared by many functions calls each through a pointer and boxes
 * every number; in its own loop a function is inlined and six to ten times faster. If a page forbids
 * compiling text (a Content-Security-Policy without unsafe-eval), the shared loop is used.
 */
export function specialize<F, L>(name: string, loop: (f: F) => L, f: F): L {
  try {
    return new Function(`/* ${name} */ return ${loop.toString()}`)()(f)
  } catch {
    return loop(f)
  }
}
