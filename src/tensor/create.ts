// Where tensors come from: host arrays, constants, sequences, random numbers, and ndarrays.

import type { NdArray } from 'ndarray'
import ndarray from 'ndarray'
import { device } from './device.ts'
import { allocate, type DType, DTypeError, dtypeOf, type TypedArray } from './dtype.ts'
import type { Device } from './kernels.ts'
import { Generator } from './random.ts'
import { reference } from './reference/index.ts'
import { checkShape, type Shape, ShapeError, show, sizeOf } from './shape.ts'
import { type DeviceName, Storage } from './storage.ts'
import { Tensor } from './tensor.ts'

export interface CreateOptions {
  /** default float32, unless the data says otherwise */
  readonly dtype?: DType
  /** default: the current device */
  readonly device?: DeviceName
}

export interface RandomOptions extends CreateOptions {
  /** default: one generator for the whole program, which `seed` sets */
  readonly generator?: Generator
}

/** Numbers or booleans nested to any depth. */
export type TensorData = number | boolean | TypedArray | readonly TensorData[]

/** Host data in row-major order as a tensor on a device; the data is copied. */
export function fromData(data: TypedArray, shape: Shape, on: Device = device.get()): Tensor {
  checkShape('tensor', shape)
  if (data.length !== sizeOf(shape))
    throw new ShapeError(`tensor: ${data.length} values do not fill ${show(shape)}, which has ${sizeOf(shape)}`, shape)
  const dtype = dtypeOf(data)
  if (!on.dtypes.includes(dtype))
    throw new DTypeError(`device ${on.name} has no ${dtype}; it has ${on.dtypes.join(', ')}`, dtype)
  return new Tensor(new Storage(on, dtype, data.length, on.upload(data)), shape)
}

function convert(data: TypedArray, dtype: DType): TypedArray {
  if (dtypeOf(data) === dtype && dtype !== 'bool') return data
  const converted = allocate(dtype, data.length)
  converted.set(dtype === 'bool' ? Array.from(data, x => (x === 0 ? 0 : 1)) : data)
  return converted
}

/**
 * A tensor of nested arrays, a number, a boolean or a typed array.
 * @param data nested to equal depth and length on every axis, or throws ShapeError
 * @param options.shape row-major shape for a flat array (default: as nested)
 * @param options.dtype default: float32 for numbers, bool for booleans, a typed array's own (Uint8Array is bool)
 */
export function tensor(data: TensorData, options: CreateOptions & { readonly shape?: Shape } = {}): Tensor {
  const on = device.get(options.device)
  if (ArrayBuffer.isView(data)) {
    const typed = data as TypedArray
    return fromData(convert(typed, options.dtype ?? dtypeOf(typed)), options.shape ?? [typed.length], on)
  }
  const shape: number[] = []
  for (let level: TensorData = data as TensorData; isList(level); level = level[0]) {
    shape.push(level.length)
    if (level.length === 0) break
  }
  const flat: number[] = []
  let booleans = true
  const collect = (item: TensorData, axis: number): void => {
    if (isList(item)) {
      if (item.length !== shape[axis])
        throw new ShapeError(
          `tensor: a list of ${item.length} stands on axis ${axis} of ${show(shape)} where ${shape[axis] ?? 'a number'} was expected`,
          shape,
        )
      for (const inner of item) collect(inner, axis + 1)
    } else {
      if (axis !== shape.length)
        throw new ShapeError(
          `tensor: a number stands on axis ${axis} of ${show(shape)} where a list was expected`,
          shape,
        )
      booleans &&= typeof item === 'boolean'
      flat.push(Number(item))
    }
  }
  collect(data as TensorData, 0)
  const dtype = options.dtype ?? (booleans && flat.length > 0 ? 'bool' : 'float32')
  return fromData(convert(Float64Array.from(flat), dtype), options.shape ?? shape, on)
}

const isList = (data: TensorData): data is readonly TensorData[] => Array.isArray(data) || ArrayBuffer.isView(data)

/** Every element `value`. */
export function full(shape: Shape, value: number, options: CreateOptions = {}): Tensor {
  checkShape('full', shape)
  const data = allocate(options.dtype ?? 'float32', sizeOf(shape))
  if (value !== 0) data.fill(options.dtype === 'bool' ? 1 : value)
  return fromData(data, shape, device.get(options.device))
}

export const zeros = (shape: Shape, options: CreateOptions = {}): Tensor => full(shape, 0, options)
export const ones = (shape: Shape, options: CreateOptions = {}): Tensor => full(shape, 1, options)

/** Zeros of another tensor's shape, dtype and device. */
export const zerosLike = (x: Tensor): Tensor => full(x.shape, 0, { dtype: x.dtype, device: x.device })
/** Ones of another tensor's shape, dtype and device. */
export const onesLike = (x: Tensor): Tensor => full(x.shape, 1, { dtype: x.dtype, device: x.device })

/** start, start + step, … below stop (above, for a negative step); int32 by default when all three are integers. */
export function arange(start: number, stop?: number, step = 1, options: CreateOptions = {}): Tensor {
  const [from, to] = stop === undefined ? [0, start] : [start, stop]
  if (step === 0 || !Number.isFinite(from) || !Number.isFinite(to) || Number.isNaN(step))
    throw new RangeError(`arange: no sequence from ${from} to ${to} by ${step}`)
  const n = Math.max(0, Math.ceil((to - from) / step))
  const dtype = options.dtype ?? ([from, to, step].every(Number.isInteger) ? 'int32' : 'float32')
  const data = allocate(dtype, n)
  for (let i = 0; i < n; i++) data[i] = from + i * step
  return fromData(data, [n], device.get(options.device))
}

/** n numbers from start to stop, both included, at equal distances. */
export function linspace(start: number, stop: number, n: number, options: CreateOptions = {}): Tensor {
  checkShape('linspace', [n])
  const data = allocate(options.dtype ?? 'float32', n)
  for (let i = 0; i < n; i++) data[i] = n === 1 ? start : start + ((stop - start) * i) / (n - 1)
  return fromData(data, [n], device.get(options.device))
}

/** The identity matrix [n, n], or ones on the main diagonal of [n, m]. */
export function eye(n: number, m = n, options: CreateOptions = {}): Tensor {
  checkShape('eye', [n, m])
  const data = allocate(options.dtype ?? 'float32', n * m)
  for (let i = 0; i < Math.min(n, m); i++) data[i * m + i] = 1
  return fromData(data, [n, m], device.get(options.device))
}

let shared = new Generator(0)

/** Sets the generator that random tensors come from when none is named. */
export function seed(value: number): void {
  shared = new Generator(value)
}

/** The generator that `seed` sets: its state belongs into a checkpoint. */
export const defaultGenerator = (): Generator => shared

function random(shape: Shape, options: RandomOptions, draw: (generator: Generator) => number): Tensor {
  checkShape('random', shape)
  const generator = options.generator ?? shared
  const data = allocate(options.dtype ?? 'float32', sizeOf(shape))
  for (let i = 0; i < data.length; i++) data[i] = draw(generator)
  return fromData(data, shape, device.get(options.device))
}

/** Uniform on [low, high), default [0, 1). */
export function rand(
  shape: Shape,
  options: RandomOptions & { readonly low?: number; readonly high?: number } = {},
): Tensor {
  const { low = 0, high = 1, dtype = 'float32' } = options
  // as many bits as float32 holds, because more of them would round up to high now and then
  const unit = (u: number) => (dtype === 'float32' ? Math.floor(u * 2 ** 24) / 2 ** 24 : u)
  return random(shape, options, generator => low + (high - low) * unit(generator.uniform()))
}

/** Standard normal. */
export const randn = (shape: Shape, options: RandomOptions = {}): Tensor =>
  random(shape, options, generator => generator.normal())

/** Uniform integers in [low, high), int32. */
export const randint = (low: number, high: number, shape: Shape, options: RandomOptions = {}): Tensor =>
  random(shape, { dtype: 'int32', ...options }, generator => low + generator.integer(high - low))

/** An ndarray's values as a tensor, in the ndarray's own order of axes. */
export function fromNdarray(array: NdArray<TypedArray>, options: Pick<CreateOptions, 'device'> = {}): Tensor {
  const dtype = dtypeOf(array.data)
  const on = device.get(options.device)
  const host = new Storage(reference, dtype, array.data.length, reference.upload(array.data))
  const values = new Tensor(host, array.shape, array.stride, array.offset).dataSync()
  host.free('fromNdarray')
  return fromData(values, array.shape, on)
}

/** A tensor's values as an ndarray of their own. */
export const toNdarray = async (x: Tensor): Promise<NdArray<TypedArray>> => ndarray(await x.data(), [...x.shape])

/** The same values on another device. */
export async function toDevice(x: Tensor, name: DeviceName): Promise<Tensor> {
  return x.device === name ? x : fromData(await x.data(), x.shape, device.get(name))
}
