// The four element types and the rules of promotion.

import { OutOfMemoryError } from './out-of-memory.ts'
import { checkElements, type Shape, show, sizeOf } from './shape.ts'

/** The type of a tensor's elements. */
export type DType = 'float32' | 'float64' | 'int32' | 'bool'

/** All dtypes. */
export const dtypes: readonly DType[] = ['float32', 'float64', 'int32', 'bool']

/** An array of elements on the host; bool has one byte per element, 0 or 1. */
export type TypedArray = Float32Array | Float64Array | Int32Array | Uint8Array

/** An element type that an operation or a device does not support. */
export class DTypeError extends Error {
  override readonly name = 'DTypeError'
  /** the dtype that does not fit */
  readonly dtype: DType

  constructor(message: string, dtype: DType) {
    super(message)
    this.dtype = dtype
  }
}

/** The error for a dtype that a device does not have; it says which device has it. */
export function missingDType(device: string, has: readonly DType[], dtype: DType): DTypeError {
  const elsewhere =
    dtype === 'float64'
      ? `; float64 is on cpu and on reference: pass { dtype: 'float64', device: 'cpu' }, or work in device.with('cpu', () => …)`
      : ''
  return new DTypeError(`device ${device} has no ${dtype}; it has ${has.join(', ')}${elsewhere}`, dtype)
}

/** From narrow to wide: two types are promoted to the wider one. */
const ladder: readonly DType[] = ['bool', 'int32', 'float32', 'float64']

/** Whether a dtype is a floating-point type, whose tensors have gradients. */
export const isFloating = (dtype: DType): boolean => dtype === 'float32' || dtype === 'float64'

/** Whether values of one type can replace values of another: the types are equal, or both are floating. */
export const canReplace = (given: DType, expected: DType): boolean =>
  given === expected || (isFloating(given) && isFloating(expected))

/** The wider of two types. */
export const promote = (a: DType, b: DType): DType => (ladder.indexOf(a) >= ladder.indexOf(b) ? a : b)

/** The type of a mathematical function's result: integers become float32. */
export const floating = (dtype: DType): DType => (isFloating(dtype) ? dtype : 'float32')

/** The common dtype of a tensor and a JavaScript number: that of the tensor, if it can represent the number. */
export function promoteScalar(dtype: DType, value: number): DType {
  if (isFloating(dtype)) return dtype
  return value === Math.trunc(value) && value >= INT32.min && value <= INT32.max ? 'int32' : 'float32'
}

/** The range of int32. */
export const INT32 = { min: -(2 ** 31), max: 2 ** 31 - 1 } as const

type Typed = { readonly dtype: DType }

/** The dtype in which two operands meet: the wider one; a number adapts to the tensor. */
export function meet(x: Typed | number, y: Typed | number): DType {
  if (typeof x === 'number') return typeof y === 'number' ? 'float32' : promoteScalar(y.dtype, x)
  return typeof y === 'number' ? promoteScalar(x.dtype, y) : promote(x.dtype, y.dtype)
}

/**
 * An array of zeros on the host for the elements of a shape, or for a number of elements.
 * @param operation what needs it, for errors
 * @throws ShapeError for more elements than a tensor can have, OutOfMemoryError if the engine gives no memory
 */
export function allocate(dtype: DType, size: Shape | number, operation = 'tensor'): TypedArray {
  const shape = typeof size === 'number' ? [size] : size
  checkElements(operation, shape)
  try {
    return zeroed(dtype, sizeOf(shape))
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    const bytes = sizeOf(shape) * bytesPerElement(dtype)
    throw new OutOfMemoryError({ device: 'host', bytes, purpose: `${operation}: ${dtype} ${show(shape)}` })
  }
}

/** Zeros on the host. */
export function zeroed(dtype: DType, n: number): TypedArray {
  switch (dtype) {
    case 'float32':
      return new Float32Array(n)
    case 'float64':
      return new Float64Array(n)
    case 'int32':
      return new Int32Array(n)
    case 'bool':
      return new Uint8Array(n)
  }
}

/** The dtype of a device's array. (`tensor` reads bytes of the caller as integers, not as bool.) */
export function dtypeOf(data: TypedArray): DType {
  if (data instanceof Float32Array) return 'float32'
  if (data instanceof Float64Array) return 'float64'
  if (data instanceof Int32Array) return 'int32'
  return 'bool'
}

export const bytesPerElement = (dtype: DType): number => ({ float32: 4, float64: 8, int32: 4, bool: 1 })[dtype]
