// Numbers that become positions on an axis by the remainder, so that they are drawn independently of a shape and shrink separately.

import fc from 'fast-check'
import { type Shape, sizeOf, type Tensor, tensor } from '../../tensor/index.ts'
import { shape } from '../arbitraries/shapes.ts'

export const numbers = fc.array(fc.integer({ min: 0, max: 11 }), { minLength: 13, maxLength: 13 })

/** A shape with at least one axis, and numbers. */
export const withNumbers = fc.tuple(shape({ minRank: 1 }), numbers)

/** int32 indices of a shape, from numbers that are repeated. */
export const indices = (from: readonly number[], sizes: Shape): Tensor =>
  tensor(
    Int32Array.from({ length: sizeOf(sizes) }, (_, i) => from[i % from.length]),
    { shape: sizes },
  )
