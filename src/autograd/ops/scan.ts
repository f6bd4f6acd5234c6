// Scans: each element is combined with all before it along an axis, in log₂ n steps. In the step of distance d, every element is
// combined with the one d before it, so that it then holds the result of the 2 d elements up to it. (The sum has a rule of its own:
// reduce.ts.)

import { takes } from '../../tensor/arguments.ts'
import { normalizeAxis, type Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { settle } from '../../tensor/options.ts'
import { identity } from './elementwise.ts'
import { concat, slice, split } from './movement.ts'
import { asFloats } from './pointwise.ts'
import { type AxisOptions, lastAxis } from './reduce.ts'

/** @param combine associative, of elements and of those before them */
const scan = (name: string, combine: (x: Tensor, earlier: Tensor) => Tensor, convert = (x: Tensor): Tensor => x) =>
  takes(`x.${name}(options)`, [is.tensor, is.options], (x: Tensor, options?: AxisOptions): Tensor => {
    const { axis } = settle(`x.${name}(options)`, options, lastAxis)
    const at = normalizeAxis(name, axis, x.shape)
    const n = x.shape[at]
    let total = identity(convert(x))
    for (let distance = 1; distance < n; distance *= 2) {
      const [first, rest] = split(total, [distance, n - distance], at)
      const earlier = slice(total, [...x.shape.slice(0, at).map(() => ({})), { stop: n - distance }])
      total = concat([first, combine(rest, earlier)], at)
    }
    return total
  })

/**
 * out[i] = Π_{j ≤ i} x[j] along an axis (default the last). The product of bools is int32; int32 wraps around, modulo 2³². Gradients
 * are computed without a division: they are right where elements are 0, and so are their derivatives. It takes log₂ n passes
 * over x, and a tape keeps the results of all.
 * @throws AxisError if x does not have the axis
 */
export const cumprod: (x: Tensor, options?: AxisOptions) => Tensor = scan(
  'cumprod',
  (x, earlier) => x.mul(earlier),
  x => (x.dtype === 'bool' ? x.cast('int32') : x),
)

/**
 * out[i] = log Σ_{j ≤ i} exp(x[j]) along an axis (default the last), finite for finite x. -∞ adds nothing; while all x are -∞ the
 * result is, and they share the gradient (PyTorch gives NaN). It takes log₂ n passes over x, and a tape keeps the results of all.
 * (`logcumsumexp` in PyTorch.)
 * @throws AxisError if x does not have the axis
 */
export const logCumSumExp: (x: Tensor, options?: AxisOptions) => Tensor = scan(
  'logCumSumExp',
  (x, earlier) => x.logaddexp(earlier),
  asFloats,
)

/**
 * out[i] = max_{j ≤ i} x[j] along an axis (default the last), NaN from the first NaN on. Equal elements share the gradient: of two
 * that are combined, each gets half (in PyTorch the last one gets all; it returns positions too). It takes log₂ n passes over x.
 * @throws AxisError if x does not have the axis
 */
export const cummax: (x: Tensor, options?: AxisOptions) => Tensor = scan('cummax', (x, earlier) => x.maximum(earlier))

/**
 * out[i] = min_{j ≤ i} x[j] along an axis (default the last), NaN from the first NaN on. Equal elements share the gradient: of two
 * that are combined, each gets half (in PyTorch the last one gets all; it returns positions too). It takes log₂ n passes over x.
 * @throws AxisError if x does not have the axis
 */
export const cummin: (x: Tensor, options?: AxisOptions) => Tensor = scan('cummin', (x, earlier) => x.minimum(earlier))
