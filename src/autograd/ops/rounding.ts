// Rounding to whole numbers, and remainders. Rounded values are constant between their jumps, so their gradient is 0
// everywhere, as in PyTorch.

import { takes } from '../../tensor/arguments.ts'
import { isFloating, type Operand, type Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { defineFused } from '../op.ts'
import { div, stopGradient, sub, where } from './elementwise.ts'
import { type Binary, binary, checkMeeting, noSlope, type Unary, unary } from './pointwise.ts'

/** A function of floating tensors; all others have whole numbers already. */
const rounding = (name: string, f: Unary): Unary =>
  takes(`x.${name}()`, [is.tensor], (x: Tensor): Tensor => (isFloating(x.dtype) ? f(x) : stopGradient(x)))

const constant = (g: Tensor) => [() => noSlope(g)]

/**
 * The largest whole number ≤ x, element by element. Its gradient is 0. ±∞, NaN and zeros of both signs stay as they are; int32
 * and bool are returned as they are.
 */
export const floor: Unary = rounding(
  'floor',
  unary('floor', g => noSlope(g)),
)

/**
 * The smallest whole number ≥ x, element by element. Its gradient is 0. ±∞, NaN and zeros stay as they are, and what is above -1
 * and below 0 becomes -0; int32 and bool are returned as they are.
 */
export const ceil: Unary = rounding(
  'ceil',
  defineFused('ceil', {
    definition: (x: Tensor) => x.neg().floor().neg(),
    rule: constant,
    batching: 'broadcast',
    jvp: 'elementwise',
  }),
)

/**
 * x without its fraction, element by element: the next whole number towards 0. Its gradient is 0. ±∞, NaN and zeros stay as they
 * are; int32 and bool are returned as they are. For int32 from floats, write `x.cast('int32')`.
 */
export const trunc: Unary = rounding(
  'trunc',
  defineFused('trunc', {
    definition: (x: Tensor) => x.abs().floor().mul(x.sign()),
    rule: constant,
    batching: 'broadcast',
    jvp: 'elementwise',
  }),
)

/**
 * The whole number nearest to x, element by element; of two that are equally near, the even one, as in PyTorch and NumPy: 0.5
 * becomes 0, 1.5 and 2.5 become 2. Its gradient is 0. ±∞, NaN and zeros stay as they are; int32 and bool are returned as they are.
 */
export const round: Unary = rounding(
  'round',
  defineFused('round', {
    batching: 'broadcast',
    jvp: 'elementwise',
    definition: (x: Tensor) => {
      const size = x.abs()
      // floor(|x| + ½) would round ½ - 2⁻²⁵ up, and large odd numbers to even ones
      const below = size.floor()
      const rest = size.sub(below)
      const isOdd = below.mul(0.5).floor().mul(2).notEqual(below)
      const goesUp = rest.greater(0.5).logicalOr(rest.equal(0.5).logicalAnd(isOdd))
      return below.add(goesUp.cast(x.dtype)).mul(x.sign())
    },
    rule: constant,
  }),
)

/** The whole number of times that y is in x without the rest. */
const times = (x: Operand, rest: Tensor, y: Operand): Tensor => div(sub(x, rest), y).round()

/**
 * x - y trunc(x / y), element by element: the remainder of a division, with the sign of x, exact for every x and y. It is NaN for
 * x = ±∞ or y = 0, and x for y = ±∞. int32 stays int32, and a division by 0 leaves 0, as in NumPy (PyTorch throws); bools count as
 * int32. The gradient by x is 1, that by y is -trunc(x / y).
 *
 * x.fmod(2) // -3 → -1
 *
 * @param y a number, or a tensor whose shape broadcasts with that of x
 * @throws ShapeError if the shapes do not broadcast
 */
export const fmod: Binary = binary('fmod', (g, out, x, y) => [() => g, () => g.mul(times(x, out, y)).neg()])

const floored = defineFused('remainder', {
  batching: 'broadcast',
  jvp: 'elementwise',
  definition: (x: Operand, y: Operand) => {
    const rest = fmod(x, y)
    const isAcross =
      typeof y === 'number' ? (y < 0 ? rest.greater(0) : rest.less(0)) : rest.sign().mul(y.sign()).less(0)
    return where(isAcross, rest.add(y), rest)
  },
  rule: (g, out, x, y) => [() => g, () => g.mul(times(x, out, y)).neg()],
})

/**
 * x - y floor(x / y), element by element: the remainder of a division, with the sign of y, as `%` in Python. The dtypes, NaN and
 * divisions by 0 are those of `fmod`; x and y = ±∞ of different signs give y. The gradient by x is 1, that by y is -floor(x / y).
 *
 * x.remainder(2) // -3 → 1
 *
 * @param y a number, or a tensor whose shape broadcasts with that of x
 * @throws ShapeError if the shapes do not broadcast
 */
export const remainder: Binary = takes('x.remainder(y)', [is.operand, is.operand], (x: Operand, y: Operand): Tensor => {
  checkMeeting('remainder', x, y)
  return floored(x, y)
})
