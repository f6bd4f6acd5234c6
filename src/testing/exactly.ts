// What the checks share: functions of float64 tensors on `reference`, numbers, how far apart two of them may be, vectors to
// multiply with, and the error.

import { onReference, resultsOf } from '../autograd/gradcheck/gradcheck.ts'
import { type CheckedFunction, concat, type TensorFunction } from '../autograd/index.ts'
import { type Device, device, fromData, isFloating, Tensor, type TypedArray } from '../tensor/index.ts'

/** A gradient that is not what it should be; the message says where and by how much. */
export class GradientAssertionError extends Error {
  override readonly name = 'GradientAssertionError'
}

export function assert(holds: boolean, message: () => string): asserts holds {
  if (!holds) throw new GradientAssertionError(message())
}

/** A tensor with other memory, on another device. */
export function sameView({ dtype, shape, strides, offset }: Tensor, memory: TypedArray, on: Device): Tensor {
  const whole = fromData(memory, [memory.length], on, isFloating(dtype) ? undefined : dtype)
  return new Tensor(whole.storage, shape, strides, offset)
}

/** The whole memory that a tensor is a view of. */
export const memoryOf = (x: Tensor): Tensor => new Tensor(x.storage, [x.storage.length])

/** An input as float64 on `reference`, with the strides that it has; integers and booleans stay what they are. */
export function exact(x: Tensor): Tensor {
  const memory = memoryOf(x).dataSync()
  return sameView(x, isFloating(x.dtype) ? Float64Array.from(memory) : memory, device.get('reference'))
}

/** One result as it is, several as one vector. */
export const joined = (results: readonly Tensor[]): Tensor =>
  results.length === 1 ? results[0] : concat(results.map(x => x.reshape([x.size])))

/** f as a function of floating inputs alone. */
export const ofFloats =
  (f: CheckedFunction, all: readonly Tensor[], floats: readonly Tensor[]): CheckedFunction =>
  (...changed) =>
    f(...all.map(x => changed[floats.indexOf(x)] ?? x))

/** Runs a check with f as a function of its floating inputs alone, in float64 on `reference`; several results are one vector. */
export function exactly(
  f: CheckedFunction,
  inputs: readonly Tensor[],
  check: (f: TensorFunction, inputs: readonly Tensor[]) => void,
): void {
  if (!inputs.some(x => isFloating(x.dtype)))
    throw new TypeError(`nothing to differentiate among inputs of ${inputs.map(x => x.dtype).join(', ') || 'no kind'}`)
  onReference(() => {
    const all = inputs.map(exact)
    const floats = all.filter(x => isFloating(x.dtype))
    const g = ofFloats(f, all, floats)
    check((...changed) => joined(resultsOf(g(...changed))), floats)
  })
}

export const numbers = (xs: readonly Tensor[]): number[] => xs.flatMap(x => [...x.dataSync()])

/** Σ aᵢ bᵢ, and Σ |aᵢ bᵢ|, which says how much of it may have cancelled. */
export function dot(xs: readonly Tensor[], ys: readonly Tensor[]): { readonly sum: number; readonly terms: number } {
  const [a, b] = [numbers(xs), numbers(ys)]
  let [sum, terms] = [0, 0]
  for (const [i, x] of a.entries()) {
    sum += x * b[i]
    terms += Math.abs(x * b[i])
  }
  return { sum, terms }
}

/** The largest size among finite numbers; 0 where there are none. */
export const largest = (list: ArrayLike<number>): number => {
  let most = 0
  for (let i = 0; i < list.length; i++) if (Number.isFinite(list[i])) most = Math.max(most, Math.abs(list[i]))
  return most
}

export interface Precision {
  /** of the largest number compared: arithmetic of a few hundred operations */
  readonly relative: number
  /** of what the numbers compared are made of: where that cancels, its rounding is left, however small they are */
  readonly rounding: number
}

export const float64: Precision = { relative: 1e-9, rounding: 1e-13 }
export const float32: Precision = { relative: 1e-5, rounding: 5e-7 }

/**
 * How far apart numbers may be that ought to be the same.
 * @param size of the largest of them
 * @param madeOf the largest of the inputs and results that they come from; a function uses numbers like 1 besides
 */
export const allowed = ({ relative, rounding }: Precision, size: number, madeOf: number): number =>
  relative * size + rounding * Math.max(1, madeOf)

/** Fails at the first element that is further from the expected one than is allowed. */
export function compare(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  distance: number,
  says: (i: number, found: number, expected: number) => string,
): void {
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [found[i], expected[i]]
    assert(Object.is(a, b) || a === b || Math.abs(a - b) <= distance, () => says(i, a, b))
  }
}

/** Vectors like some tensors, whose entries are irrational, of both signs and different for every n. */
export const directions = (like: readonly Tensor[], n: number): Tensor[] =>
  like.map((x, j) =>
    fromData(
      Float64Array.from({ length: x.size }, (_, i) => Math.sin(1 + 2.399963 * (i + 1) + 1.324718 * n + j)),
      x.shape,
    ),
  )
