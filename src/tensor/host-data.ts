// Converts numbers on the host to the elements of a tensor, and infers dtype and shape. A number that the dtype cannot
// represent is an error that gives its position.

import { allocate, type DType, isFloating, type TypedArray } from './dtype.ts'
import { given, isPromise } from './given.ts'
import { contiguousStrides, type Shape, ShapeError, show } from './shape.ts'
import { Tensor } from './tensor.ts'

/** All typed arrays of numbers in JavaScript. */
export type HostArray =
  | TypedArray
  | Int8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array

/** Numbers or booleans nested to any depth. */
export type TensorData = number | boolean | HostArray | readonly TensorData[]

/** A value that cannot be an element of a tensor, or not one of its dtype. */
export class ValueError extends RangeError {
  override readonly name = 'ValueError'
  /** the value that was given */
  readonly value: unknown
  /** an index for each axis */
  readonly position: readonly number[]

  constructor(message: string, value: unknown, position: readonly number[]) {
    super(message)
    this.value = value
    this.position = position
  }
}

export const isHostArray = (data: unknown): data is HostArray => ArrayBuffer.isView(data) && !(data instanceof DataView)

/** The dtype of a typed array's numbers: int32 for integers of any width. */
export function dtypeOfNumbers(data: HostArray): DType {
  if (data instanceof Float64Array) return 'float64'
  return data[Symbol.toStringTag].startsWith('Float') ? 'float32' : 'int32'
}

/** Indices of the i-th element in row-major order. */
const unravel = (i: number, shape: Shape): number[] =>
  contiguousStrides(shape).map((stride, axis) => Math.floor(i / stride) % shape[axis])

/**
 * Converts numbers to a dtype. int32 truncates fractions; as bool, a number is true unless it is 0.
 * @param name name of the function that was called, for errors
 * @throws ValueError for a number that int32 cannot represent
 */
export function convert(name: string, data: HostArray, dtype: DType, shape: Shape = [data.length]): TypedArray {
  const isSame =
    (dtype === 'float32' && data instanceof Float32Array) ||
    (dtype === 'float64' && data instanceof Float64Array) ||
    (dtype === 'int32' && data instanceof Int32Array)
  if (isSame) return data
  const converted = allocate(dtype, [data.length], name)
  for (let i = 0; i < data.length; i++) {
    const value = Number(data[i])
    if (dtype === 'bool') converted[i] = value === 0 ? 0 : 1
    else if (isFloating(dtype) || (value > -(2 ** 31) - 1 && value < 2 ** 31)) converted[i] = value
    else throw outOfRange(name, data[i], unravel(i, shape))
  }
  return converted
}

function outOfRange(name: string, value: number | bigint, position: readonly number[]): ValueError {
  const place = position.length === 0 ? '' : ` at ${show(position)}`
  return new ValueError(
    `${name}: ${given(value)}${place} does not fit into int32, which holds -2147483648 to 2147483647; write { dtype: 'float32' }`,
    value,
    position,
  )
}

type List = HostArray | readonly TensorData[]

const isList = (data: unknown): data is List => Array.isArray(data) || isHostArray(data)

/** Nested lists as flat values with a shape. */
interface Nested {
  readonly values: Float64Array
  readonly shape: Shape
  /** inferred dtype: bool for booleans, int32 if all values are from typed arrays of integers, otherwise float32 */
  readonly dtype: DType
}

/**
 * Flattens nested lists.
 * @param name name of the function that was called, for errors
 * @throws ShapeError for lists of different lengths on one axis, ValueError for an element that is not a number
 */
export function flatten(name: string, data: TensorData): Nested {
  const shape: number[] = []
  for (let level: TensorData = data; isList(level); level = level[0] as TensorData) {
    shape.push(level.length)
    if (level.length === 0) break
  }
  const values: number[] = []
  const found = { booleans: true, integers: true }
  const path: number[] = []
  const collect = (item: unknown, isInteger: boolean): void => {
    const depth = path.length
    if (isList(item)) {
      if (item.length !== shape[depth]) throw unevenLists(name, item, path, shape)
      const isOfIntegers = isHostArray(item) && dtypeOfNumbers(item) === 'int32'
      for (let i = 0; i < item.length; i++) {
        path[depth] = i
        collect(item[i], isOfIntegers)
      }
      path.length = depth
      return
    }
    if (typeof item !== 'number' && typeof item !== 'boolean' && !(typeof item === 'bigint' && isInteger))
      throw noNumber(name, item, [...path])
    if (depth !== shape.length) throw unevenLists(name, item, path, shape)
    found.booleans &&= typeof item === 'boolean'
    found.integers &&= isInteger
    values.push(Number(item))
  }
  collect(data, false)
  const { booleans, integers } = found
  const dtype = values.length === 0 ? 'float32' : booleans ? 'bool' : integers ? 'int32' : 'float32'
  return { values: Float64Array.from(values), shape, dtype }
}

/** @param shape lengths of the first list at each depth */
function unevenLists(name: string, item: unknown, path: readonly number[], shape: Shape): ShapeError {
  const [here, first] = [show(path), show(path.map(() => 0))]
  const expected = path.length < shape.length ? `a list of ${shape[path.length]}` : 'a number'
  const found = isList(item) ? `a list of ${item.length}` : given(item)
  return new ShapeError(
    `${name}: ${found} at ${here} does not match ${expected} at ${first}; lists on one axis must have the same length and depth`,
    shape,
  )
}

function noNumber(name: string, item: unknown, path: readonly number[]): ValueError {
  const advice =
    item instanceof Tensor
      ? '; write stack([…]) to join tensors'
      : isPromise(item)
        ? '; await it first'
        : typeof item === 'bigint' || (typeof item === 'string' && item.trim() !== '' && !Number.isNaN(Number(item)))
          ? `; write Number(${given(item)})`
          : ''
  return new ValueError(`${name}: ${given(item)} at ${show(path)} is not a number${advice}`, item, path)
}
