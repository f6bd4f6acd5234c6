// Trigonometric and hyperbolic functions and their inverses. All but the arctangent are composed of others by formulas that
// lose no digits near 0 and do not overflow before the result does.

import { takes } from '../../tensor/arguments.ts'
import type { Operand, Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { defineFused } from '../op.ts'
import { div, sub, where } from './elementwise.ts'
import { asFloats, type Binary, bothFloating, type Unary, unary } from './pointwise.ts'

/** A function of one tensor, which is converted to a floating one. */
function composed(name: string, definition: Unary, slope: (g: Tensor, out: Tensor, x: Tensor) => Tensor): Unary {
  const op = defineFused(name, {
    definition,
    rule: (g, out, x) => [() => slope(g, out, x)],
    batching: 'broadcast',
    jvp: 'elementwise',
  })
  return takes(`x.${name}()`, [is.tensor], (x: Tensor): Tensor => op(asFloats(x)))
}

/** The tangent of x in radians, element by element. */
export const tan: Unary = composed(
  'tan',
  x => x.sin().div(x.cos()),
  (g, out) => g.mul(out.square().add(1)),
)

/** The arctangent, element by element, in radians from -π/2 (at -∞) to π/2 (at ∞). */
export const atan: Unary = unary('atan', (g, _, x) => g.div(x.square().add(1)))

/** 1 - x² = (1 - x) (1 + x), which keeps its digits near ±1. */
const complement = (x: Tensor): Tensor => sub(1, x).mul(x.add(1))

/** The arcsine, element by element, in radians from -π/2 to π/2: NaN outside [-1, 1]. The derivative at ±1 is ∞. */
export const asin: Unary = composed(
  'asin',
  x => x.div(complement(x).sqrt()).atan(),
  (g, _, x) => g.mul(complement(x).rsqrt()),
)

/** The arccosine, element by element, in radians from 0 to π: NaN outside [-1, 1]. The derivative at ±1 is -∞. */
export const acos: Unary = composed(
  'acos',
  x => sub(1, x).div(x.add(1)).sqrt().atan().mul(2),
  (g, _, x) => g.mul(complement(x).rsqrt()).neg(),
)

const isNegative = (x: Tensor): Tensor => x.less(0).logicalOr(x.reciprocal().less(0))

const angle = defineFused('atan2', {
  batching: 'broadcast',
  jvp: 'elementwise',
  definition: (y: Tensor, x: Tensor) => {
    const isDiagonal = y.isInf().logicalAnd(x.isInf())
    const isOrigin = y.equal(0).logicalAnd(x.equal(0))
    const slope = where(isDiagonal, y.sign(), y).div(where(isDiagonal, x.sign(), where(isOrigin, 1, x)))
    const inner = slope.atan()
    // on the left the arctangent is that of the opposite direction
    return where(isNegative(x), where(isNegative(y), inner.sub(Math.PI), inner.add(Math.PI)), inner)
  },
  rule: (g, _, y, x) => {
    const radius = x.hypot(y)
    const safe = where(radius.equal(0), 1, radius)
    return [() => g.mul(x.div(safe)).div(safe), () => g.mul(y.div(safe)).div(safe).neg()]
  },
})

/**
 * The angle of the point (x, y), element by element, in radians from -π to π: atan(y / x) in the right quadrant, at x = 0 and at
 * infinities too. As in C and PyTorch, the sign of a zero counts: atan2(0, -1) is π, atan2(-0, -1) is -π; on `gpu` that depends on
 * the hardware. The gradients are x / (x² + y²) by y and -y / (x² + y²) by x, and 0 at the origin, as in PyTorch.
 *
 * y.atan2(x)
 *
 * @param x a number, or a tensor whose shape broadcasts with that of y
 * @throws ShapeError if the shapes do not broadcast
 */
export const atan2: Binary = takes(
  'y.atan2(x)',
  [is.operand, is.operand],
  (y: Operand, x: Operand): Tensor => angle(...bothFloating('atan2', y, x)),
)

const radiusOf = defineFused('hypot', {
  batching: 'broadcast',
  jvp: 'elementwise',
  definition: (x: Tensor, y: Tensor) => {
    const [a, b] = [x.abs(), y.abs()]
    const large = a.maximum(b)
    const isInfinite = x.isInf().logicalOr(y.isInf())
    // the square of a quotient up to 1 does not overflow
    const ratio = a.minimum(b).div(where(large.equal(0), 1, large))
    return where(isInfinite, Infinity, ratio.square().add(1).sqrt().mul(large))
  },
  rule: (g, out, x, y) => {
    const safe = where(out.equal(0), 1, out)
    return [() => g.mul(x.div(safe)), () => g.mul(y.div(safe))]
  },
})

/**
 * √(x² + y²), element by element, without overflow of the squares; ∞ if x or y is ±∞, NaN or not. The gradients are x and y
 * divided by it; those at (0, 0), where it has a kink, are 0, as those of `norm` (PyTorch gives NaN).
 * @param y a number, or a tensor whose shape broadcasts with that of x
 * @throws ShapeError if the shapes do not broadcast
 */
export const hypot: Binary = takes(
  'x.hypot(y)',
  [is.operand, is.operand],
  (x: Operand, y: Operand): Tensor => radiusOf(...bothFloating('hypot', x, y)),
)

/** The hyperbolic sine (eˣ - e⁻ˣ) / 2, element by element. */
export const sinh: Unary = composed(
  'sinh',
  x => {
    // with h = e^(|x|/2) = 1 + q: (h² - 1/h²) / 2 = (h - 1/h) (h + 1/h) / 2, and h - 1/h = q (1 + 1/h)
    const q = x.abs().mul(0.5).expm1()
    const h = q.add(1)
    return q.mul(h.reciprocal().add(1)).mul(h.add(h.reciprocal()).mul(0.5)).mul(x.sign())
  },
  (g, _, x) => g.mul(x.cosh()),
)

/** The hyperbolic cosine (eˣ + e⁻ˣ) / 2, element by element. */
export const cosh: Unary = composed(
  'cosh',
  x => {
    const h = x.mul(0.5).exp()
    return h.mul(h.mul(0.5)).add(div(0.5, h).div(h))
  },
  (g, _, x) => g.mul(x.sinh()),
)

/** From here on √(x² ± 1) is x. Its square does not overflow. */
const FAR = 1e10

/** The inverse of the hyperbolic sine, log(x + √(x² + 1)), element by element. */
export const asinh: Unary = composed(
  'asinh',
  x => {
    const a = x.abs()
    const squares = a.square()
    const near = a.add(squares.div(squares.add(1).sqrt().add(1))).log1p()
    return where(a.greater(FAR), a.log().add(Math.LN2), near).mul(x.sign())
  },
  (g, _, x) => g.div(x.hypot(1)),
)

/** The inverse of the hyperbolic cosine, log(x + √(x² - 1)), element by element: NaN below 1. The derivative at 1 is ∞. */
export const acosh: Unary = composed(
  'acosh',
  x => {
    const above = x.sub(1)
    const near = above.add(above.sqrt().mul(x.add(1).sqrt())).log1p()
    return where(x.greater(FAR), x.log().add(Math.LN2), near)
  },
  (g, _, x) => g.mul(x.sub(1).rsqrt()).mul(x.add(1).rsqrt()),
)

/** The inverse of the hyperbolic tangent, log((1 + x) / (1 - x)) / 2, element by element: ±∞ at ±1, and NaN beyond. */
export const atanh: Unary = composed(
  'atanh',
  x => {
    const a = x.abs()
    return a.mul(2).div(sub(1, a)).log1p().mul(0.5).mul(x.sign())
  },
  (g, _, x) => g.div(complement(x)),
)
