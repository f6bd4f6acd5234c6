// The primitives of the cpu device: each gets the addresses of its operands, joins their axes and calls one compiled
// kernel.

import type { Kernels } from '../device.ts'
import { bytesPerElement, promote, promoteScalar } from '../dtype.ts'
import type { Operand } from '../primitives.ts'
import { unaryLoops } from '../reference/kernels.ts'
import { broadcastShapes, contiguousStrides, type Shape, sameShape } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import { type Laid, scalar } from './axes.ts'
import { binaries, comparisons } from './exports.ts'
import { fusedKernels } from './fused.ts'
import { matmul } from './matmul.ts'
import { argsort } from './order.ts'
import { argmax, reduce } from './reduce.ts'
import { bitsOf, grains, type Placed, suffix, type Workspace } from './workspace.ts'

const shapeOf = (x: Operand): Shape => (typeof x === 'number' ? scalar.shape : x.shape)

function commonShape(name: string, x: Operand, y: Operand): Shape {
  const [a, b] = [shapeOf(x), shapeOf(y)]
  if (b.length === 0 || sameShape(a, b)) return a
  return a.length === 0 ? b : broadcastShapes(name, a, b)
}

/** The type in which operands are compared: the wider one; a number takes the type of its tensor; int32 for bool. */
function comparisonType(x: Operand, y: Operand): keyof typeof suffix {
  const meets =
    typeof x === 'number'
      ? promoteScalar((y as Tensor).dtype, x)
      : typeof y === 'number'
        ? promoteScalar(x.dtype, y)
        : promote(x.dtype, y.dtype)
  return meets === 'bool' ? 'int32' : meets
}

/** A view with stride 0 along an axis, for kernels that iterate along it themselves. */
const stillAlong = (axis: number, shape: Shape, strides: readonly number[]): Laid => ({
  shape,
  strides: strides.map((stride, i) => (i === axis ? 0 : stride)),
})

export function cpuKernels(workspace: Workspace): Kernels {
  const { axes, threads } = workspace

  /** out = kernel(id, x, y) over a broadcast shape */
  const combine = (
    kernel: `binary_${'f32' | 'f64' | 'i32' | 'bool'}` | `compare_${'f32' | 'f64' | 'i32'}`,
    id: number,
    out: number,
    step: number,
    shape: Shape,
    x: Placed,
    y: Placed,
    bytes: number,
  ) => {
    axes.join(shape, x, bytes, y, bytes)
    const { x2, x1, x0, y2, y1, y0 } = axes
    axes.share(threads, grains.move, (lane, a, b, _, before, n2, n1, n0) =>
      lane.code[kernel](id, out + before * step, x.pointer + a, y.pointer + b, n2, n1, n0, x2, x1, x0, y2, y1, y0),
    )
  }

  return {
    unary: (name, x) =>
      workspace.tensor(x.dtype, x.shape, (out, size) => {
        // operands that are not contiguous are copied to the result, and computed in place
        const inOrder = x.isContiguous
        if (!inOrder) workspace.copyDense(out, x)
        const from = inOrder ? workspace.address(x) : out
        if (x.dtype === 'float64') {
          const loop = () => {
            const { f64 } = workspace.heap
            unaryLoops[name](f64, out / 8, f64, from / 8, 1, size)
          }
          return threads.onHost(`${name} of float64`, [out, from, size], loop)
        }
        // only these are used for integers
        const kernel =
          x.dtype === 'float32' ? (`${name}_f32` as const) : (`${name as 'neg' | 'abs' | 'sign'}_i32` as const)
        threads.share(
          size,
          grains.compute,
          (lane, first, last) => lane.code[kernel](out + 4 * first, from + 4 * first, last - first),
          16,
        )
      }),

    binary(name, x, y, dtype) {
      const shape = commonShape(name, x, y)
      const square = name === 'pow' && y === 2
      return workspace.tensor(dtype, shape, out => {
        const kernel = `binary_${dtype === 'bool' ? dtype : suffix[dtype]}` as const
        const bytes = bytesPerElement(dtype)
        const a = workspace.place(x, dtype, 1)
        const b = square ? a : workspace.place(y, dtype, 2)
        combine(kernel, binaries[square ? 'mul' : name], out, bytes, shape, a, b, bytes)
      })
    },

    compare(name, x, y) {
      const shape = commonShape(name, x, y)
      const dtype = comparisonType(x, y)
      return workspace.tensor('bool', shape, out => {
        const kernel = `compare_${suffix[dtype]}` as const
        const bytes = bytesPerElement(dtype)
        const a = workspace.place(x, dtype, 1)
        const b = workspace.place(y, dtype, 2)
        // x < y is y > x
        if (name === 'less') combine(kernel, comparisons.greater, out, 1, shape, b, a, bytes)
        else if (name === 'lessEqual') combine(kernel, comparisons.greaterEqual, out, 1, shape, b, a, bytes)
        else combine(kernel, comparisons[name], out, 1, shape, a, b, bytes)
      })
    },

    where(condition, x, y, dtype) {
      const shape = broadcastShapes('where', condition.shape, shapeOf(x), shapeOf(y))
      return workspace.tensor(dtype, shape, out => {
        const bytes = bytesPerElement(dtype)
        const kernel = `where_${bitsOf(dtype)}` as const
        const c = workspace.place(condition, 'bool', 0)
        const a = workspace.place(x, dtype, 1)
        const b = workspace.place(y, dtype, 2)
        axes.join(shape, c, 1, a, bytes, b, bytes)
        const { x2, x1, x0, y2, y1, y0, z2, z1, z0 } = axes
        axes.share(threads, grains.move, (lane, s, p, q, before, n2, n1, n0) => {
          const to = out + before * bytes
          lane.code[kernel](
            to,
            c.pointer + s,
            a.pointer + p,
            b.pointer + q,
            n2,
            n1,
            n0,
            x2,
            x1,
            x0,
            y2,
            y1,
            y0,
            z2,
            z1,
            z0,
          )
        })
      })
    },

    reduce: (name, x, over) => reduce(workspace, name, x, over),

    argmax: (x, axis) => argmax(workspace, x, axis),

    argsort: (x, axis, descending) => argsort(workspace, x, axis, descending),

    matmul: (a, b) => matmul(workspace, a, b),

    copy: x => workspace.tensor(x.dtype, x.shape, out => workspace.copyDense(out, x)),

    cast: (x, dtype) =>
      workspace.tensor(dtype, x.shape, (out, size) => workspace.convert(out, workspace.dense(x), size, x.dtype, dtype)),

    gather(x, axis, indices) {
      workspace.checkIndices('gather', indices, x.shape[axis])
      return workspace.tensor(x.dtype, indices.shape, out => {
        const bytes = bytesPerElement(x.dtype)
        const kernel = `gather_${bitsOf(x.dtype)}` as const
        const [from, ids] = [workspace.address(x), workspace.address(indices)]
        const step = x.strides[axis] * bytes
        axes.join(indices.shape, stillAlong(axis, indices.shape, x.strides), bytes, indices, 4)
        const { x2, x1, x0, y2, y1, y0 } = axes
        axes.share(threads, grains.move, (lane, a, b, _, before, n2, n1, n0) =>
          lane.code[kernel](out + before * bytes, from + a, ids + b, n2, n1, n0, x2, x1, x0, y2, y1, y0, step),
        )
      })
    },

    scatterAdd(shape, axis, indices, updates) {
      workspace.checkIndices('scatterAdd', indices, shape[axis])
      const { dtype } = updates
      return workspace.tensor(dtype, shape, (out, size) => {
        workspace.fill(out, 0, size, dtype)
        if (updates.size === 0) return
        const bytes = bytesPerElement(dtype)
        const kernel = workspace.code[`scatter_${suffix[dtype as keyof typeof suffix]}`]
        const strides = contiguousStrides(shape)
        const step = strides[axis] * bytes
        const from = workspace.place(updates, dtype, 1)
        const ids = workspace.address(indices)
        axes.join(updates.shape, stillAlong(axis, updates.shape, strides), bytes, from, bytes, indices, 4)
        const { n2, n1, n0, x2, x1, x0, y2, y1, y0, z2, z1, z0 } = axes
        axes.each(3, (a, b, c) => {
          const [to, source, id] = [out + a, from.pointer + b, ids + c]
          kernel(to, source, id, n2, n1, n0, x2, x1, x0, y2, y1, y0, z2, z1, z0, step)
        })
      })
    },

    pad(x, padding, value) {
      const shape = x.shape.map((n, i) => n + padding[i][0] + padding[i][1])
      return workspace.tensor(x.dtype, shape, (out, size) => {
        const bytes = bytesPerElement(x.dtype)
        const strides = contiguousStrides(shape)
        const first = padding.reduce((sum, [before], i) => sum + before * strides[i], 0)
        workspace.fill(out, value, size, x.dtype)
        workspace.copy(x.shape, out + first * bytes, strides, workspace.address(x), x.strides, x.dtype)
      })
    },

    concat(xs, axis) {
      const dtype = xs[0].dtype
      const shape = [...xs[0].shape]
      shape[axis] = xs.reduce((sum, x) => sum + x.shape[axis], 0)
      return workspace.tensor(dtype, shape, out => {
        const bytes = bytesPerElement(dtype)
        const strides = contiguousStrides(shape)
        let to = out
        for (const x of xs) {
          workspace.copy(x.shape, to, strides, workspace.address(x), x.strides, dtype)
          to += x.shape[axis] * strides[axis] * bytes
        }
      })
    },

    ...fusedKernels(workspace),
  }
}
