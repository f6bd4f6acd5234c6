// Whether numbers are equal up to a tolerance.

import { takes } from '../../tensor/arguments.ts'
import type { Operand, Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { bothFloating } from './pointwise.ts'

/** Tolerances of `isClose` and `allClose`. */
export interface CloseOptions {
  /** relative tolerance, a share of |y|; default 1e-5 */
  readonly rtol?: number
  /** absolute tolerance; default 1e-8 */
  readonly atol?: number
  /** whether NaN is close to NaN; default false */
  readonly equalNan?: boolean
}
const closeOptions = { rtol: 1e-5, atol: 1e-8, equalNan: false } satisfies Settings<CloseOptions>

/**
 * |x - y| ≤ atol + rtol |y|, element by element, as bool. Infinities are close to themselves alone, and NaN to nothing unless
 * `equalNan`. Integers are compared as float32.
 *
 * x.isClose(y, { atol: 1e-6 })
 *
 * @param y a number, or a tensor whose shape broadcasts with that of x
 * @throws ShapeError if the shapes do not broadcast, RangeError if a tolerance is below 0
 */
export const isClose: (x: Tensor, y: Operand, options?: CloseOptions) => Tensor = takes(
  'x.isClose(y, options)',
  [is.tensor, is.operand, is.options],
  (x: Tensor, y: Operand, options?: CloseOptions): Tensor => {
    const { rtol, atol, equalNan } = settle('x.isClose(y, options)', options, closeOptions)
    for (const [name, tolerance] of Object.entries({ rtol, atol }))
      if (!(tolerance >= 0)) throw new RangeError(`isClose: ${name} must be 0 or more, not ${tolerance}`)
    const [a, b] = bothFloating('isClose', x, y)
    const isNear = a.sub(b).abs().lessEqual(b.abs().mul(rtol).add(atol)).logicalAnd(b.isFinite())
    const close = isNear.logicalOr(a.equal(b))
    return equalNan ? close.logicalOr(a.isNaN().logicalAnd(b.isNaN())) : close
  },
)
