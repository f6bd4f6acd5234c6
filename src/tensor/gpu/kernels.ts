// The primitives of the gpu device, each written with a few kernel builders.

import type { Device, Kernels } from '../device.ts'
import { DeviceError } from '../device.ts'
import { allocate, type DType } from '../dtype.ts'
import type { Operand } from '../primitives.ts'
import { broadcastShapes, reducedShape, type Shape } from '../shape.ts'
import { Storage } from '../storage.ts'
import { Tensor } from '../tensor.ts'
import { argmax } from './argmax.ts'
import { argsort } from './argsort.ts'
import {
  binaryExpressions,
  castExpressions,
  comparisonExpressions,
  unaryExpressions,
  whereExpression,
  wholeExpressions,
} from './expressions.ts'
import { foldAxes } from './fold.ts'
import { fusedKernels } from './fused.ts'
import { map } from './map.ts'
import { matmul } from './matmul.ts'
import { concat, gather, pad, scatterAdd } from './movement.ts'
import { reduceAxes } from './rows.ts'
import type { Handle, Runtime, Strided } from './runtime.ts'
import { tiledMatmul } from './tiles.ts'

const shapeOf = (x: Operand): Shape => (typeof x === 'number' ? [] : x.shape)

/** A tensor as a view over memory of this device; throws for any other tensor. */
export function stridedOn(device: Device, x: Tensor): Strided {
  if (x.storage.device !== device)
    throw new DeviceError(
      x.device === device.name
        ? 'gpu: this tensor belongs to a gpu device that was closed when another backend was opened'
        : `gpu: this tensor is on ${x.device}; move it with toDevice(x, 'gpu')`,
      'gpu',
    )
  const handle = x.storage.handle as Handle
  return { handle, shape: x.shape, strides: x.strides, offset: x.offset + (handle.start ?? 0) }
}

export function gpuKernels(runtime: Runtime, device: Device): Kernels {
  const own = (x: Tensor) => stridedOn(device, x)
  const operand = (x: Operand) => (typeof x === 'number' ? x : own(x))
  const wrap = (handle: Handle, shape: Shape, dtype: DType = 'float32') =>
    new Tensor(new Storage(device, dtype, handle.length, handle), shape)
  const filled = (shape: Shape, value: number) => runtime.upload(allocate('float32', shape).fill(value) as Float32Array)

  return {
    unary: (name, x) => wrap(map(runtime, name, x.shape, [own(x)], unaryExpressions[name]), x.shape, x.dtype),

    binary(name, x, y, dtype) {
      const shape = broadcastShapes(name, shapeOf(x), shapeOf(y))
      const expression = (dtype === 'int32' && wholeExpressions[name]) || binaryExpressions[name]
      return wrap(map(runtime, name, shape, [operand(x), operand(y)], expression), shape, dtype)
    },

    compare(name, x, y) {
      const shape = broadcastShapes(name, shapeOf(x), shapeOf(y))
      return wrap(map(runtime, name, shape, [operand(x), operand(y)], comparisonExpressions[name]), shape, 'bool')
    },

    where(condition, x, y, dtype) {
      const shape = broadcastShapes('where', condition.shape, shapeOf(x), shapeOf(y))
      const operands = [own(condition), operand(x), operand(y)]
      return wrap(map(runtime, 'where', shape, operands, whereExpression), shape, dtype)
    },

    reduce(name, x, axes) {
      const shape = reducedShape(x.shape, axes, true)
      const dtype = x.dtype === 'bool' ? 'int32' : x.dtype
      if (x.size === 0) return wrap(filled(shape, { sum: 0, max: -Infinity, min: Infinity }[name]), shape, dtype)
      return wrap(reduceAxes(runtime, name, own(x), axes) ?? foldAxes(runtime, name, own(x), axes), shape, dtype)
    },

    argmax: (x, axis) => wrap(argmax(runtime, own(x), axis), reducedShape(x.shape, [axis], true), 'int32'),

    argsort: (x, axis, descending) => wrap(argsort(runtime, own(x), axis, descending), x.shape, 'int32'),

    matmul(a, b) {
      const batch = a.shape.slice(0, -2).map((size, i) => (size === 1 ? b.shape[i] : size))
      const shape = [...batch, a.shape[a.rank - 2], b.shape[b.rank - 1]]
      const product = () => tiledMatmul(runtime, own(a), own(b)) ?? matmul(runtime, own(a), own(b))
      const result = a.shape[a.rank - 1] === 0 ? filled(shape, 0) : product()
      return wrap(result, shape, a.dtype)
    },

    copy: x => wrap(map(runtime, 'copy', x.shape, [own(x)], 'x0'), x.shape, x.dtype),

    cast: (x, dtype) => wrap(map(runtime, 'cast', x.shape, [own(x)], castExpressions[dtype]), x.shape, dtype),

    gather: (x, axis, indices) => wrap(gather(runtime, own(x), axis, own(indices)), indices.shape, x.dtype),

    scatterAdd: (shape, axis, indices, updates) =>
      wrap(scatterAdd(runtime, shape, axis, own(indices), own(updates)), shape, updates.dtype),

    pad(x, padding, value) {
      const shape = x.shape.map((n, i) => n + padding[i][0] + padding[i][1])
      return wrap(pad(runtime, own(x), padding, value), shape, x.dtype)
    },

    concat(xs, axis) {
      const shape = [...xs[0].shape]
      shape[axis] = xs.reduce((sum, x) => sum + x.shape[axis], 0)
      return wrap(concat(runtime, xs.map(own), axis), shape, xs[0].dtype)
    },

    ...fusedKernels(runtime, wrap, own),
  }
}
