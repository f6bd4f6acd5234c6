// What the checks share: functions of float64 tensors on `reference`, numbers, vectors to multiply with, and the error.

import { exact } from '../autograd/gradcheck.ts'
import type { TensorFunction } from '../autograd/index.ts'
import { device, fromData, isFloating, scope, type Tensor } from '../tensor/index.ts'

/** A gradient that is not what it should be; the message says where and by how much. */
export class GradientAssertionError extends Error {
  override readonly name = 'GradientAssertionError'
}

export function assert(holds: boolean, message: () => string): asserts holds {
  if (!holds) throw new GradientAssertionError(message())
}

/** Runs a check with f as a function of its floating inputs alone, in float64 on `reference`. */
export function exactly(
  f: TensorFunction,
  inputs: readonly Tensor[],
  check: (f: TensorFunction, inputs: readonly Tensor[]) => void,
): void {
  device.with('reference', () =>
    scope(() => {
      const all = inputs.map(exact)
      const floats = all.filter(x => isFloating(x.dtype))
      check((...changed) => f(...all.map(x => changed[floats.indexOf(x)] ?? x)), floats)
    }, 'a check of gradients'),
  )
}

export const numbers = (xs: readonly Tensor[]): number[] => xs.flatMap(x => [...x.dataSync()])

export const dot = (xs: readonly Tensor[], ys: readonly Tensor[]): number => {
  const b = numbers(ys)
  return numbers(xs).reduce((sum, a, i) => sum + a * b[i], 0)
}

/** The largest size among numbers, or 1. */
export const largest = (list: readonly number[]): number => list.reduce((a, b) => Math.max(a, Math.abs(b)), 1)

/** Vectors like some tensors, whose entries are irrational, of both signs and different for every n. */
export const directions = (like: readonly Tensor[], n: number): Tensor[] =>
  like.map((x, j) =>
    fromData(
      Float64Array.from({ length: x.size }, (_, i) => Math.sin(1 + 2.399963 * (i + 1) + 1.324718 * n + j)),
      x.shape,
    ),
  )
