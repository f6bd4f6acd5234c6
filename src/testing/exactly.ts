// Common parts of the checks: functions of float64 tensors on `reference`, tolerances, vectors for products, and the error.

import { onReference, resultsOf } from '../autograd/gradcheck/gradcheck.ts'
import { type CheckedFunction, concat, type TensorFunction } from '../autograd/index.ts'
import { type Device, device, fromData, isFloating, Tensor, type TypedArray } from '../tensor/index.ts'

/** A wrong gradient or result; the message says where and by how much. */
export class GradientAssertionError extends Error {
  override readonly name = 'GradientAssertionError'
}

export function assert(holds: boolean, message: () => string): asserts holds {
  if (!holds) throw new GradientAssertionError(message())
}

/** The same view of other memory, on another device. */
export function sameView({ dtype, shape, strides, offset }: Tensor, memory: TypedArray, on: Device): Tensor {
  const whole = fromData(memory, [memory.length], on, isFloating(dtype) ? undefined : dtype)
  return new Tensor(whole.storage, shape, strides, offset)
}

/** The whole memory that a tensor is a view of. */
export const memoryOf = (x: Tensor): Tensor => new Tensor(x.storage, [x.storage.length])

/** An input as float64 on `reference`, with the same strides; integers and booleans keep their dtype. */
export function exact(x: Tensor): Tensor {
  const memory = memoryOf(x).dataSync()
  return sameView(x, isFloating(x.dtype) ? Float64Array.from(memory) : memory, device.get('reference'))
}

/** A single result as it is, several results as one vector. */
export const joined = (results: readonly Tensor[]): Tensor =>
  results.length === 1 ? results[0] : concat(results.map(x => x.reshape([x.size])))

/** f as a function of its floating inputs only. */
export const ofFloats =
  (f: CheckedFunction, all: readonly Tensor[], floats: readonly Tensor[]): CheckedFunction =>
  (...changed) =>
    f(...all.map(x => changed[floats.indexOf(x)] ?? x))

/** Runs a check with f as a function of its floating inputs only, in float64 on `reference`; several results become one vector. */
export function exactly(
  f: CheckedFunction,
  inputs: readonly Tensor[],
  check: (f: TensorFunction, inputs: readonly Tensor[]) => void,
): void {
  if (!inputs.some(x => isFloating(x.dtype)))
    throw new TypeError(
      `at least one input must be float32 or float64, not ${inputs.map(x => x.dtype).join(', ') || 'none'}`,
    )
  onReference(() => {
    const all = inputs.map(exact)
    const floats = all.filter(x => isFloating(x.dtype))
    const g = ofFloats(f, all, floats)
    check((...changed) => joined(resultsOf(g(...changed))), floats)
  })
}

export const numbers = (xs: readonly Tensor[]): number[] => xs.flatMap(x => [...x.dataSync()])

/** Σ aᵢ bᵢ, and Σ |aᵢ bᵢ|, which shows how much of it may have cancelled. */
export function dot(xs: readonly Tensor[], ys: readonly Tensor[]): { readonly sum: number; readonly terms: number } {
  const [a, b] = [numbers(xs), numbers(ys)]
  let [sum, terms] = [0, 0]
  for (const [i, x] of a.entries()) {
    sum += x * b[i]
    terms += Math.abs(x * b[i])
  }
  return { sum, terms }
}

/** The largest magnitude of the finite numbers; 0 if there are none. */
export const largest = (list: ArrayLike<number>): number => {
  let most = 0
  for (let i = 0; i < list.length; i++) if (Number.isFinite(list[i])) most = Math.max(most, Math.abs(list[i]))
  return most
}

export interface Precision {
  /** error relative to the largest number compared, after a few hundred operations */
  readonly relative: number
  /** error relative to the numbers that they are computed from, which remains if these cancel */
  readonly rounding: number
}

export const float64: Precision = { relative: 1e-9, rounding: 1e-13 }
export const float32: Precision = { relative: 1e-5, rounding: 5e-7 }

/**
 * The allowed difference of numbers that should be equal.
 * @param size magnitude of the largest number
 * @param madeOf magnitude of the largest input and result that they are computed from; functions also use constants such as 1
 */
export const allowed = ({ relative, rounding }: Precision, size: number, madeOf: number): number =>
  relative * size + rounding * Math.max(1, madeOf)

export const isNear = (found: number, expected: number, distance: number): boolean =>
  Object.is(found, expected) || found === expected || Math.abs(found - expected) <= distance

/** Throws for the first element whose difference from the expected one is not allowed. */
export function compare(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  distance: number,
  says: (i: number, found: number, expected: number) => string,
): void {
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [found[i], expected[i]]
    assert(isNear(a, b, distance), () => says(i, a, b))
  }
}

/** Vectors with the shapes of some tensors, whose elements are irrational, of both signs and different for every n. */
export const directions = (like: readonly Tensor[], n: number): Tensor[] =>
  like.map((x, j) =>
    fromData(
      Float64Array.from({ length: x.size }, (_, i) => Math.sin(1 + 2.399963 * (i + 1) + 1.324718 * n + j)),
      x.shape,
    ),
  )
