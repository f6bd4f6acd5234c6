// Indices that came from the host are also kept there, so that they can be checked and sorted before a kernel runs.

import { IndexError, type Shape } from '../shape.ts'
import type { Strided } from './runtime.ts'

const ranges = new WeakMap<Int32Array, readonly [low: number, high: number]>()

function rangeOf(values: Int32Array): readonly [low: number, high: number] {
  let range = ranges.get(values)
  if (!range) {
    let low = 0
    let high = 0
    for (const value of values) {
      if (value < low) low = value
      if (value > high) high = value
    }
    range = [low, high]
    ranges.set(values, range)
  }
  return range
}

/** Throws IndexError for an index outside of an axis, if the indices are on the host. */
export function checkIndices(operation: string, indices: Strided, shape: Shape, axis: number): void {
  const { host } = indices.handle
  if (!host) return
  const size = shape[axis]
  const [low, high] = rangeOf(host)
  if (low >= 0 && high < size) return
  // an index out of range may be outside of this view
  walk(indices, position => {
    const index = host[position]
    if (index < 0 || index >= size) throw new IndexError(operation, index, size)
  })
}

/** Calls `visit` for every distinct position of a view, in order. */
function walk(view: Strided, visit: (position: number) => void): void {
  const axes = view.strides.flatMap((stride, i) => (stride !== 0 && view.shape[i] !== 1 ? [i] : []))
  const level = (depth: number, position: number): void => {
    if (depth === axes.length) visit(position)
    else {
      const axis = axes[depth]
      for (let i = 0; i < view.shape[axis]; i++) level(depth + 1, position + i * view.strides[axis])
    }
  }
  level(0, view.offset)
}

/** Positions along an axis sorted by their index: those of segment s are order[start[s]] … order[start[s + 1] - 1]. */
export interface Segments {
  readonly start: Float32Array
  readonly order: Float32Array
  /** the segment of a coordinate of the result: Σ coordinate · stride */
  readonly strides: readonly number[]
}

/** The number of indices from which on sorting is faster. */
const FEW = 16

/** Sorts indices along an axis for a result of `size` there; undefined if they are few or only on the device. */
export function segmentsOf(indices: Strided, axis: number, size: number): Segments | undefined {
  const { handle, shape, strides } = indices
  const { host } = handle
  const count = shape[axis]
  if (!host || count <= FEW) return undefined
  // other axes matter only if the indices vary along them
  const others = strides.flatMap((stride, i) => (i !== axis && stride !== 0 && shape[i] !== 1 ? [i] : []))
  const rows = others.reduce((n, i) => n * shape[i], 1)
  if (rows * count >= 2 ** 24 || rows * size >= 2 ** 24) return undefined

  const start = new Float32Array(rows * size + 1)
  const order = new Float32Array(rows * count)
  const next = new Int32Array(rows * size + 1)
  const starts: number[] = []
  walk({ ...indices, strides: strides.map((s, i) => (i === axis ? 0 : s)) }, position => void starts.push(position))
  starts.forEach((from, row) => {
    for (let t = 0; t < count; t++) next[row * size + host[from + t * strides[axis]] + 1]++
  })
  for (let s = 0; s < rows * size; s++) next[s + 1] += next[s]
  start.set(next)
  starts.forEach((from, row) => {
    for (let t = 0; t < count; t++) order[next[row * size + host[from + t * strides[axis]]]++] = t
  })

  const segmentStrides = shape.map(() => 0)
  segmentStrides[axis] = 1
  let step = size
  for (const i of others.reverse()) {
    segmentStrides[i] = step
    step *= shape[i]
  }
  return { start, order, strides: segmentStrides }
}
