// Dropout.

import { takes } from '../../tensor/arguments.ts'
import { announceDraw, currentDraws } from '../../tensor/draws.ts'
import {
  allocate,
  DTypeError,
  defaultGenerator,
  deviceOf,
  fromData,
  Generator,
  isFloating,
  type Tensor,
} from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'

/** Options of `dropout`. */
export interface DropoutOptions {
  /** source of random numbers; default: the generator that `seed` sets */
  readonly generator?: Generator
}
const dropoutOptions = {
  generator: is.optional(is.instance('a Generator', Generator)),
} satisfies Settings<DropoutOptions>

/**
 * Sets each element of x to 0 with probability p and divides the others by 1 - p (Srivastava et al. 2014).
 * @param p in [0, 1)
 * @throws RangeError for another p, DTypeError if x is not floating
 */
export const dropout: (x: Tensor, p: number, options?: DropoutOptions) => Tensor = takes(
  'dropout(x, p, options)',
  [is.tensor, is.number, is.options],
  (x: Tensor, p: number, options?: DropoutOptions): Tensor => {
    const { generator = defaultGenerator() } = settle('dropout(x, p, options)', options, dropoutOptions)
    if (!(p >= 0 && p < 1)) throw new RangeError(`dropout: the probability must be in [0, 1), not ${p}`)
    if (!isFloating(x.dtype))
      throw new DTypeError(`dropout: x must be floating, not ${x.dtype}; write x.cast('float32')`, x.dtype)
    if (p === 0) return x
    announceDraw(generator)
    const kept = currentDraws()(x.shape, shape => {
      const mask = allocate(x.dtype, shape, 'dropout')
      for (let i = 0; i < mask.length; i++) mask[i] = generator.uniform() < p ? 0 : 1 / (1 - p)
      return fromData(mask, shape, deviceOf(x))
    })
    return x.mul(kept)
  },
)
