// Numbers that become positions of an axis by taking the rest: so they are drawn beside a shape, and shrink on their own.

import fc from 'fast-check'
import { type Shape, sizeOf, type Tensor, tensor } from '../../tensor/index.ts'
import { shape } from '../arbitraries/shapes.ts'

export const numbers = fc.array(fc.integer({ min: 0, max: 11 }), { minLength: 13, maxLength: 13 })

/** A shape with at least one axis, and numbers. */
export const withNumbers = fc.tuple(shape({ minRank: 1 }), numbers)

/** int32 indices of a shape, from numbers again and again. */
export const indices = (from: readonly number[], sizes: Shape): Tensor =>
  tensor(
    Int32Array.from({ length: sizeOf(sizes) }, (_, i) => from[i % from.length]),
    { shape: sizes },
  )
