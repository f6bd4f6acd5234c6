// The definition of every operation, in plain loops: all other devices are compared with it. Arithmetic is float64
// throughout, rounded once when a result is stored.

import { type DType, isFloating, meet, type TypedArray } from '../dtype.ts'
import type { Operand, Primitives } from '../primitives.ts'
import { broadcastShapes, IndexError, reducedShape, type Shape } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import {
  type BinaryFunction,
  binaryFunctions,
  comparisonFunctions,
  integerFunctions,
  integerSum,
  reductionFunctions,
  type UnaryFunction,
  unaryFunctions,
} from './functions.ts'
import { broadcast, create, forEachRun, type Nd, specialize, strided, view } from './loops.ts'
import { matmul } from './matmul.ts'

/** Whether a number is larger than another, as in `max`: NaN is the largest. */
const isLarger = (x: number, y: number): boolean => x > y || (Number.isNaN(x) && !Number.isNaN(y))

/** out[k] = f(x[k]) along one run */
const unaryLoop =
  (f: UnaryFunction) => (out: TypedArray, o: number, x: TypedArray, i: number, step: number, n: number) => {
    for (let k = 0; k < n; k++, i += step) out[o + k] = f(x[i])
  }

/** out[k] = f(x[k], y[k]) along one run */
const binaryLoop =
  (f: BinaryFunction) =>
  (
    out: TypedArray,
    o: number,
    x: TypedArray,
    i: number,
    stepX: number,
    y: TypedArray,
    j: number,
    stepY: number,
    n: number,
  ) => {
    for (let k = 0; k < n; k++, i += stepX, j += stepY) out[o + k] = f(x[i], y[j])
  }

/** out[k] = f(out[k], x[k]) along one run; out has step 0 if the run is reduced to one element */
const foldLoop =
  (f: BinaryFunction) =>
  (out: TypedArray, o: number, stepOut: number, x: TypedArray, i: number, stepX: number, n: number) => {
    for (let k = 0; k < n; k++, o += stepOut, i += stepX) out[o] = f(out[o], x[i])
  }

/** A loop for each function of a table, compiled when it is used first. */
function compileAll<K extends string, F, L>(table: Record<K, F>, loop: (f: F) => L): Readonly<Record<K, L>> {
  const loops = {} as Record<K, L>
  for (const [name, f] of Object.entries<F>(table)) {
    const get = () => {
      const value = specialize(name, loop, f)
      Object.defineProperty(loops, name, { value })
      return value
    }
    Object.defineProperty(loops, name, { get, configurable: true })
  }
  return loops
}

/** By name, along one run of any floating type. */
export const unaryLoops = compileAll(unaryFunctions, unaryLoop)
const binaryLoops = compileAll({ ...binaryFunctions, ...comparisonFunctions }, binaryLoop)
const foldLoops = compileAll(
  {
    sum: reductionFunctions.sum.combine,
    max: reductionFunctions.max.combine,
    min: reductionFunctions.min.combine,
    'sum of int32': integerSum,
  },
  foldLoop,
)
/** The loops of int32 that differ from those of floats. */
const integerLoops: Partial<typeof binaryLoops> = compileAll(integerFunctions, binaryLoop)

function checkIndices(name: string, indices: Tensor, size: number): void {
  const ids = view(indices)
  const { data } = ids
  forEachRun([ids], (at, n, step) => {
    for (let k = 0, i = at[0]; k < n; k++, i += step[0])
      if (!(data[i] >= 0 && data[i] < size)) throw new IndexError(name, data[i], size)
  })
}

/** @param tensorOf makes a tensor of a result, which is contiguous */
export function referenceKernels(tensorOf: (x: Nd) => Tensor): Primitives {
  /** An operand as an ndarray of a dtype: a number becomes one element, and a tensor of another dtype is converted. */
  const operand = (x: Operand, dtype: DType): Nd => {
    if (typeof x !== 'number' && x.dtype === dtype) return view(x)
    const converted = create(dtype, shapeOf(x))
    if (typeof x === 'number') converted.data[0] = x
    else assign(converted, view(x))
    return converted
  }

  const shapeOf = (x: Operand): Shape => (typeof x === 'number' ? [] : x.shape)

  /** @param dtype of both operands */
  const elementwise = (
    loop: ReturnType<typeof binaryLoop>,
    name: string,
    x: Operand,
    y: Operand,
    dtype: DType,
    result: DType,
  ) => {
    const shape = broadcastShapes(name, shapeOf(x), shapeOf(y))
    const out = create(result, shape)
    const a = broadcast(operand(x, dtype), shape)
    const b = broadcast(operand(y, dtype), shape)
    forEachRun([out, a, b], (at, n, step) => loop(out.data, at[0], a.data, at[1], step[1], b.data, at[2], step[2], n))
    return tensorOf(out)
  }

  /** Copies one view over another of the same shape. */
  const assign = (to: Nd, from: Nd) => {
    const [y, x] = [to.data, from.data]
    forEachRun([to, from], (at, n, step) => {
      for (let k = 0, o = at[0], i = at[1]; k < n; k++, o += step[0], i += step[1]) y[o] = x[i]
    })
  }

  /** A view with stride 0 along an axis: gather and scatter iterate along this axis themselves. */
  const stillAlong = (axis: number, x: Nd, shape: Shape): Nd =>
    strided(
      x.data,
      shape,
      x.stride.map((stride, i) => (i === axis ? 0 : stride)),
      x.offset,
    )

  return {
    unary(name, x) {
      const out = create(x.dtype, x.shape)
      const a = view(x)
      const loop = unaryLoops[name]
      forEachRun([out, a], (at, n, step) => loop(out.data, at[0], a.data, at[1], step[1], n))
      return tensorOf(out)
    },

    binary(name, x, y, dtype) {
      const loop = (dtype === 'int32' && integerLoops[name]) || binaryLoops[name]
      return elementwise(loop, name, x, y, dtype, dtype)
    },

    compare: (name, x, y) => elementwise(binaryLoops[name], name, x, y, meet(x, y), 'bool'),

    where(condition, x, y, dtype) {
      const shape = broadcastShapes('where', condition.shape, shapeOf(x), shapeOf(y))
      const out = create(dtype, shape)
      const c = broadcast(view(condition), shape)
      const a = broadcast(operand(x, dtype), shape)
      const b = broadcast(operand(y, dtype), shape)
      const [result, isTrue, whenTrue, whenFalse] = [out.data, c.data, a.data, b.data]
      forEachRun([out, c, a, b], (at, n, step) => {
        let [o, l, i, j] = at
        for (let k = 0; k < n; k++, o++, l += step[1], i += step[2], j += step[3])
          result[o] = isTrue[l] !== 0 ? whenTrue[i] : whenFalse[j]
      })
      return tensorOf(out)
    },

    reduce(name, x, axes) {
      const total = create('float64', reducedShape(x.shape, axes, true))
      total.data.fill(reductionFunctions[name].initial)
      const fold = foldLoops[name === 'sum' && !isFloating(x.dtype) ? 'sum of int32' : name]
      const a = view(x)
      // the result with x's shape: stride 0 along the reduced axes
      forEachRun([broadcast(total, x.shape), a], (at, n, step) =>
        fold(total.data, at[0], step[0], a.data, at[1], step[1], n),
      )
      const out = create(x.dtype === 'bool' ? 'int32' : x.dtype, total.shape)
      out.data.set(total.data)
      return tensorOf(out)
    },

    argmax(x, axis) {
      const out = create('int32', reducedShape(x.shape, [axis], true))
      const a = view(x)
      const { data } = a
      const step = a.stride[axis]
      forEachRun([out, stillAlong(axis, a, out.shape)], (at, n, stride) => {
        for (let k = 0; k < n; k++) {
          const first = at[1] + k * stride[1]
          let best = 0
          for (let c = 1; c < x.shape[axis]; c++)
            if (isLarger(data[first + c * step], data[first + best * step])) best = c
          out.data[at[0] + k * stride[0]] = best
        }
      })
      return tensorOf(out)
    },

    argsort(x, axis, descending) {
      const out = create('int32', x.shape)
      const a = view(x)
      const { data } = a
      const [stepOut, step] = [out.stride[axis], a.stride[axis]]
      const lines = reducedShape(x.shape, [axis], true)
      const positions = Array.from({ length: x.shape[axis] }, (_, i) => i)
      forEachRun([stillAlong(axis, out, lines), stillAlong(axis, a, lines)], (at, n, stride) => {
        for (let k = 0; k < n; k++) {
          const [to, from] = [at[0] + k * stride[0], at[1] + k * stride[1]]
          const order = (i: number, j: number) => {
            const [p, q] = [data[from + i * step], data[from + j * step]]
            const difference = Number(isLarger(p, q)) - Number(isLarger(q, p))
            return descending ? -difference : difference
          }
          // JavaScript's sort keeps equal elements in order
          positions.toSorted(order).forEach((i, place) => {
            out.data[to + place * stepOut] = i
          })
        }
      })
      return tensorOf(out)
    },

    matmul: (a, b) => tensorOf(matmul(view(a), view(b))),

    copy(x) {
      const out = create(x.dtype, x.shape)
      assign(out, view(x))
      return tensorOf(out)
    },

    cast(x, dtype) {
      if (dtype === 'bool') return this.compare('notEqual', x, 0)
      const out = create(dtype, x.shape)
      assign(out, view(x))
      return tensorOf(out)
    },

    gather(x, axis, indices) {
      checkIndices('gather', indices, x.shape[axis])
      const out = create(x.dtype, indices.shape)
      const from = view(x)
      const ids = view(indices)
      const step = from.stride[axis]
      const [y, row, id] = [out.data, from.data, ids.data]
      forEachRun([out, stillAlong(axis, from, out.shape), ids], (at, n, stride) => {
        let [o, i, l] = at
        for (let k = 0; k < n; k++, o += stride[0], i += stride[1], l += stride[2]) y[o] = row[i + id[l] * step]
      })
      return tensorOf(out)
    },

    scatterAdd(shape, axis, indices, updates) {
      checkIndices('scatterAdd', indices, shape[axis])
      const sum = create('float64', shape)
      const from = view(updates)
      const ids = view(indices)
      const step = sum.stride[axis]
      const isInteger = updates.dtype === 'int32'
      const [y, row, id] = [sum.data, from.data, ids.data]
      forEachRun([stillAlong(axis, sum, from.shape), from, ids], (at, n, stride) => {
        let [o, i, l] = at
        for (let k = 0; k < n; k++, o += stride[0], i += stride[1], l += stride[2]) {
          const at = o + id[l] * step
          y[at] = isInteger ? integerSum(y[at], row[i]) : y[at] + row[i]
        }
      })
      const out = create(updates.dtype, shape)
      out.data.set(sum.data)
      return tensorOf(out)
    },

    pad(x, padding, value) {
      const out = create(
        x.dtype,
        x.shape.map((n, i) => n + padding[i][0] + padding[i][1]),
      )
      out.data.fill(value)
      assign(out.lo(...padding.map(([before]) => before)).hi(...x.shape), view(x))
      return tensorOf(out)
    },

    concat(xs, axis) {
      const shape = [...xs[0].shape]
      shape[axis] = xs.reduce((sum, x) => sum + x.shape[axis], 0)
      const out = create(xs[0].dtype, shape)
      let at = 0
      for (const x of xs) {
        const start = shape.map((_, i) => (i === axis ? at : 0))
        assign(out.lo(...start).hi(...x.shape), view(x))
        at += x.shape[axis]
      }
      return tensorOf(out)
    },
  }
}
