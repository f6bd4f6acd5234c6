// Creates tensors from host arrays, constants, sequences and ndarrays. Random tensors are in draw.ts.

import type { NdArray } from 'ndarray'
import ndarray from 'ndarray'
import { checkArguments, takes } from './arguments.ts'
import type { Device } from './device.ts'
import { device } from './devices.ts'
import { allocate, bytesPerElement, type DType, missingDType, type TypedArray } from './dtype.ts'
import { given } from './given.ts'
import { convert, dtypeOfNumbers, flatten, type HostArray, isHostArray, type TensorData } from './host-data.ts'
import * as is from './kinds.ts'
import { type Settings, settle } from './options.ts'
import { OutOfMemoryError } from './out-of-memory.ts'
import { checkElements, checkShape, contiguousStrides, type Shape, ShapeError, show, sizeOf } from './shape.ts'
import { type DeviceName, Storage } from './storage.ts'
import { Tensor } from './tensor.ts'

/** Where and of which dtype a new tensor is. */
export interface CreateOptions {
  /** default float32, or the dtype of the data */
  readonly dtype?: DType
  /** default: the current device */
  readonly device?: DeviceName
}
export const createOptions = {
  dtype: is.optional(is.dtype),
  device: is.optional(is.text as is.Kind<DeviceName>),
} satisfies Settings<CreateOptions>

const isDevice = new is.Kind<Device>(
  "a device such as device.get('cpu')",
  x => typeof x === 'object' && x !== null && 'upload' in x,
  ([name]) => (typeof name === 'string' ? { text: `device.get(${given(name)})`, values: 1 } : undefined),
)

const isData = new is.Kind<TensorData>(
  'numbers or booleans, nested lists of them, or a typed array',
  x => typeof x === 'number' || typeof x === 'boolean' || Array.isArray(x) || isHostArray(x),
  ([value]) => {
    if (value instanceof ArrayBuffer) return { text: 'new Uint8Array(buffer)', values: 1 }
    return value instanceof Set ? { text: '[...set]', values: 1 } : undefined
  },
)

/**
 * A tensor of elements that are converted to the dtype already.
 * @param name name of the function that was called, for errors
 */
export function upload(name: string, data: TypedArray, shape: Shape, on: Device, dtype: DType): Tensor {
  checkShape(name, shape)
  if (data.length !== sizeOf(shape))
    throw new ShapeError(
      `${name}: ${data.length} values do not fill ${show(shape)}, which has ${sizeOf(shape)} elements`,
      shape,
    )
  if (!on.dtypes.includes(dtype)) throw missingDType(on.name, on.dtypes, dtype)
  return new Tensor(new Storage(on, dtype, data.length, on.upload(data)), shape)
}

/**
 * Host data in row-major order as a tensor on a device; the data is copied.
 * @param dtype default float32 and float64 for arrays of these, int32 for arrays of integers; bytes are integers too, unless
 *   the dtype is `bool`
 * @throws ShapeError if the data does not fill the shape, ValueError for a number that the dtype cannot represent
 */
export const fromData = takes(
  'fromData(data, shape, device, dtype)',
  [
    new is.Kind('a typed array', isHostArray, ([list]) => ({ text: `Float32Array.from(${given(list)})`, values: 1 })),
    is.shape,
    is.optional(isDevice),
    is.optional(is.dtype),
  ],
  (data: HostArray, shape: Shape, on: Device = device.get(), dtype: DType = dtypeOfNumbers(data)): Tensor =>
    upload('fromData', convert('fromData', data, dtype, shape), shape, on, dtype),
)

/** Options of `tensor`. */
export interface TensorOptions extends CreateOptions {
  /** shape for a flat array, in row-major order; default: the nesting of the data */
  readonly shape?: Shape
}
const tensorOptions = { ...createOptions, shape: is.optional(is.shape) } satisfies Settings<TensorOptions>

/**
 * A tensor from nested arrays, a number, a boolean or a typed array. Default dtypes: float32 for numbers, bool for booleans, int32
 * for typed arrays of integers of any width (such as pixels in a Uint8ClampedArray), float64 for a Float64Array.
 * @param data nested lists must have equal depth and length on every axis
 * @param options.dtype int32 truncates fractions; as bool, a number is true unless it is 0
 * @throws ShapeError for lists of different lengths or depths, ValueError for an element that is not a number, and for a
 *   number that int32 cannot represent
 */
export const tensor = takes(
  'tensor(data, options)',
  [isData, is.options],
  (data: TensorData, options?: TensorOptions): Tensor => {
    const { dtype, shape, device: name } = settle('tensor(data, options)', options, tensorOptions)
    const nested = isHostArray(data)
      ? { values: data, shape: [data.length], dtype: dtypeOfNumbers(data) }
      : flatten('tensor', data)
    const type = dtype ?? nested.dtype
    return upload(
      'tensor',
      convert('tensor', nested.values, type, nested.shape),
      shape ?? nested.shape,
      device.get(name),
      type,
    )
  },
)

/** A number converted to a dtype. */
export const element = (name: string, value: number, dtype: DType): number =>
  convert(name, Float64Array.of(value), dtype, [])[0]

/**
 * Checks, before the host computes any values, that a tensor is possible on a device.
 * @throws ShapeError for no shape, or one of too many elements; OutOfMemoryError if the device can never hold it
 */
export function checkPossible(name: string, shape: Shape, dtype: DType, on: Device): void {
  checkShape(name, shape)
  checkElements(name, shape)
  const { memoryLimit: limit, tensorLimit: largest = limit } = on
  const bytes = sizeOf(shape) * bytesPerElement(dtype)
  if (largest === undefined || bytes <= largest) return
  const purpose = `${name}: ${dtype} ${show(shape)}`
  throw new OutOfMemoryError({ device: on.name, bytes, used: on.memory().bytes, limit, largest, purpose })
}

/** A tensor without values, on a device that computes nothing; undefined on any other device. */
export const withoutValues = (shape: Shape, dtype: DType, on: Device): Tensor | undefined =>
  on.reserve &&
  new Tensor(new Storage(on, dtype, sizeOf(shape), on.reserve(sizeOf(shape) * bytesPerElement(dtype))), shape)

function filled(name: string, shape: Shape, value: number, { dtype = 'float32', device: at }: CreateOptions): Tensor {
  const on = device.get(at)
  checkPossible(name, shape, dtype, on)
  const empty = withoutValues(shape, dtype, on)
  if (empty) return empty
  const data = allocate(dtype, shape, name)
  if (value !== 0) data.fill(element(name, value, dtype))
  return upload(name, data, shape, on, dtype)
}

/**
 * A tensor whose elements are all `value`: `full([2, 3], 7)`.
 * @throws ShapeError for an invalid shape, or one of more elements than a tensor can have (2³²), DTypeError if the device does not have the dtype
 */
export const full = takes(
  'full(shape, value, options)',
  [is.shape, is.number, is.options],
  (shape: Shape, value: number, options?: CreateOptions): Tensor =>
    filled('full', shape, value, settle('full(shape, value, options)', options, createOptions)),
)

/**
 * A tensor of zeros: `zeros([2, 3])`.
 * @throws ShapeError for an invalid shape, or one of more elements than a tensor can have (2³²), DTypeError if the device does not have the dtype
 */
export const zeros = takes(
  'zeros(shape, options)',
  [is.shape, is.options],
  (shape: Shape, options?: CreateOptions): Tensor =>
    filled('zeros', shape, 0, settle('zeros(shape, options)', options, createOptions)),
)

/**
 * A tensor of ones: `ones([2, 3], { dtype: 'int32' })`.
 * @throws ShapeError for an invalid shape, or one of more elements than a tensor can have (2³²), DTypeError if the device does not have the dtype
 */
export const ones = takes(
  'ones(shape, options)',
  [is.shape, is.options],
  (shape: Shape, options?: CreateOptions): Tensor =>
    filled('ones', shape, 1, settle('ones(shape, options)', options, createOptions)),
)

/** Zeros with the shape, dtype and device of another tensor. */
export const zerosLike = takes('zerosLike(x)', [is.tensor], (x: Tensor): Tensor => filled('zerosLike', x.shape, 0, x))
/** Ones with the shape, dtype and device of another tensor. */
export const onesLike = takes('onesLike(x)', [is.tensor], (x: Tensor): Tensor => filled('onesLike', x.shape, 1, x))

/** A one-dimensional tensor of n numbers, computed by position. */
function sequence(name: string, n: number, at: (i: number) => number, dtype: DType, on?: DeviceName): Tensor {
  checkPossible(name, [n], dtype, device.get(on))
  const data = convert(
    name,
    Float64Array.from({ length: n }, (_, i) => at(i)),
    dtype,
  )
  return upload(name, data, [n], device.get(on), dtype)
}

/** start, start + step, … below stop (above, for a negative step); int32 by default when all three are integers. */
export const arange = takes(
  'arange(start, stop, step, options)',
  [is.number, is.optional(is.number), is.optional(is.number), is.options],
  (start: number, stop?: number, step: number = 1, options?: CreateOptions): Tensor => {
    const { dtype, device: on } = settle('arange(start, stop, step, options)', options, createOptions)
    const [from, to] = stop === undefined ? [0, start] : [start, stop]
    if (step === 0 || !Number.isFinite(from) || !Number.isFinite(to) || Number.isNaN(step))
      throw new RangeError(
        `arange: start and stop must be finite, and the step a number other than 0, not ${from}, ${to} and ${step}`,
      )
    const n = Math.max(0, Math.ceil((to - from) / step))
    const suggested = [from, to, step].every(Number.isInteger) ? 'int32' : 'float32'
    return sequence('arange', n, i => from + i * step, dtype ?? suggested, on)
  },
)

/** n equally spaced numbers from start to stop, both included. */
export const linspace = takes(
  'linspace(start, stop, n, options)',
  [is.number, is.number, is.size, is.options],
  (start: number, stop: number, n: number, options?: CreateOptions): Tensor => {
    const { dtype = 'float32', device: on } = settle('linspace(start, stop, n, options)', options, createOptions)
    return sequence('linspace', n, i => (n === 1 ? start : start + ((stop - start) * i) / (n - 1)), dtype, on)
  },
)

/** The identity matrix [n, n], or ones on the main diagonal of [n, m]. */
export const eye = takes(
  'eye(n, m, options)',
  [is.size, is.optional(is.size), is.options],
  (n: number, m: number = n, options?: CreateOptions): Tensor => {
    const { dtype = 'float32', device: on } = settle('eye(n, m, options)', options, createOptions)
    checkPossible('eye', [n, m], dtype, device.get(on))
    const data = allocate(dtype, [n, m], 'eye')
    for (let i = 0; i < Math.min(n, m); i++) data[i * m + i] = 1
    return upload('eye', data, [n, m], device.get(on), dtype)
  },
)

const isNdarray = new is.Kind<NdArray>(
  'an ndarray',
  x => typeof x === 'object' && x !== null && ['data', 'shape', 'stride', 'offset'].every(field => field in x),
)

/** An ndarray's values in row-major order. */
function valuesOf({ data, shape, stride, offset }: NdArray): Float64Array {
  checkElements('fromNdarray', shape)
  const counts = contiguousStrides(shape)
  const place = (i: number) =>
    shape.reduce((at, n, axis) => at + (Math.floor(i / counts[axis]) % n) * stride[axis], offset)
  const at = 'get' in data ? (i: number) => data.get(i) : (i: number) => data[i]
  const values = Array.from({ length: sizeOf(shape) }, (_, i) => at(place(i)))
  return isHostArray(data) ? Float64Array.from(values, Number) : flatten('fromNdarray', values).values
}

/**
 * The values of an ndarray as a tensor with the same axes. Default dtypes are those of `tensor`: pixels become int32; set
 * `options.dtype` to convert 0 and 1 to bool.
 * @throws ValueError for a number that the dtype cannot represent
 */
export const fromNdarray = takes(
  'fromNdarray(array, options)',
  [isNdarray, is.options],
  (array: NdArray, options?: CreateOptions): Tensor => {
    const { dtype, device: on } = settle('fromNdarray(array, options)', options, createOptions)
    const type = dtype ?? (isHostArray(array.data) ? dtypeOfNumbers(array.data) : 'float32')
    const values = convert('fromNdarray', valuesOf(array), type, array.shape)
    return upload('fromNdarray', values, array.shape, device.get(on), type)
  },
)

/** A copy of a tensor's values as an ndarray. */
export async function toNdarray(x: Tensor): Promise<NdArray<TypedArray>> {
  checkArguments('toNdarray(x)', [is.tensor], [x])
  return ndarray(await x.data(), [...x.shape])
}

/** A tensor with the same values on another device, which must be open. */
export async function toDevice(x: Tensor, name: DeviceName): Promise<Tensor> {
  checkArguments('toDevice(x, name)', [is.tensor, is.text], [x, name])
  return x.device === name ? x : fromData(await x.data(), x.shape, device.get(name), x.dtype)
}
