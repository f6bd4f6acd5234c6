// Answers about all elements of a tensor. Memory is read asynchronously, so they are promises.

import { takes } from '../tensor/arguments.ts'
import type { Operand, Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { all, type CloseOptions, isClose } from './ops/index.ts'

/**
 * Whether all elements of x and y are equal up to a tolerance: |x - y| ≤ atol + rtol |y|, as `isClose`. It reads the answer from the
 * device, so it is asynchronous on every device: write `await`. It is true for no elements.
 *
 * await x.allClose(y, { rtol: 1e-4 })
 *
 * @param y a number, or a tensor whose shape broadcasts with that of x
 * @throws (before the promise) ShapeError if the shapes do not broadcast, RangeError if a tolerance is below 0
 */
export const allClose: (x: Tensor, y: Operand, options?: CloseOptions) => Promise<boolean> = takes(
  'x.allClose(y, options)',
  [is.tensor, is.operand, is.options],
  (x: Tensor, y: Operand, options?: CloseOptions): Promise<boolean> =>
    all(isClose(x, y, options))
      .item()
      .then(answer => answer === 1),
)
