// Arithmetic, functions of each element, comparisons and selection: each rule is one line. At a kink, gradients are those of
// PyTorch: 0 for abs and sign, the mean of both sides for a tie of maximum and minimum. A gradient that does not pass is
// replaced by 0, not multiplied by it, which would make NaN of an infinite one.
//
// A number that meets a tensor is rounded to the tensor's dtype first, as in PyTorch: `tensor([0.1]).equal(0.1)` is true.
// Integers that overflow wrap around, modulo 2³², as in PyTorch and in JavaScript's Math.imul.

import { takes } from '../../tensor/arguments.ts'
import { meet } from '../../tensor/dtype.ts'
import {
  type BinaryName,
  type DType,
  deviceOf,
  isFloating,
  type Kernels,
  missingDType,
  type Operand,
  promoteScalar,
  type Tensor,
  zerosLike,
} from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { sameValues } from '../batched.ts'
import { defineFused, defineOp } from '../op.ts'
import type { Thunks } from '../recording.ts'
import { asFloats, type Binary, binary, bothFloating, comparison, noSlope, type Unary, unary } from './pointwise.ts'

/**
 * x + y, element by element. The sum of two bools is int32; int32 wraps around, modulo 2³². A number is rounded to the dtype of
 * the tensor first; beside integers, one that int32 does not have makes the result float32.
 * @param y a number, or a tensor whose shape broadcasts with that of x
 * @throws ShapeError if the shapes do not broadcast
 */
export const add: Binary = binary('add', g => [() => g, () => g])
/**
 * x - y, element by element. The difference of two bools is int32; int32 wraps around, modulo 2³².
 * @param y a number, or a tensor whose shape broadcasts with that of x
 * @throws ShapeError if the shapes do not broadcast
 */
export const sub: Binary = binary('sub', g => [() => g, () => g.neg()])
/**
 * x · y, element by element; for the product of matrices, see `matmul`. int32 wraps around, modulo 2³², as Math.imul does.
 * @param y a number, or a tensor whose shape broadcasts with that of x
 * @throws ShapeError if the shapes do not broadcast
 */
export const mul: Binary = binary('mul', (g, _, x, y) => [() => g.mul(y), () => g.mul(x)])
/**
 * x / y, element by element. The quotient of integers is float32.
 * @param y a number, or a tensor whose shape broadcasts with that of x
 * @throws ShapeError if the shapes do not broadcast
 */
export const div: Binary = binary('div', (g, out, _, y) => [() => g.div(y), () => g.mul(out).div(y).neg()])
/**
 * xʸ, element by element, as JavaScript's `x ** y`: x⁰ is 1 for every x, but 1 ** NaN and (±1) ** ±∞ are NaN, where C and PyTorch
 * give 1. int32 wraps around, modulo 2³², and negative powers are truncated: 2⁻¹ is 0, and so is 0⁻¹.
 *
 * The derivative by x is y xʸ⁻¹. That by y is xʸ log x: at x = 0 it is 0 for y ≥ 0 and -∞ for y < 0, and for x < 0, where xʸ is not
 * differentiable in y, it is 0.
 * @param y a number, or a tensor whose shape broadcasts with that of x
 * @throws ShapeError if the shapes do not broadcast
 */
export const pow: Binary = binary('pow', (g, out, x, y) => [
  () => g.mul(powerBelow(x, y)),
  () => g.mul(out).mul(safeLog(x, y as Tensor)),
])
/**
 * The larger of x and y, element by element; NaN if one of them is NaN. Where they are equal, each gets half of the gradient;
 * where one is NaN, each gets all of it.
 * @param y a number, or a tensor whose shape broadcasts with that of x
 * @throws ShapeError if the shapes do not broadcast
 */
export const maximum: Binary = binary('maximum', (g, _, x, y) => [
  () => shared(g, x, y, less(x, y)),
  () => shared(g, x, y, less(y, x)),
])
/**
 * The smaller of x and y, element by element; NaN if one of them is NaN. Where they are equal, each gets half of the gradient;
 * where one is NaN, each gets all of it.
 * @param y a number, or a tensor whose shape broadcasts with that of x
 * @throws ShapeError if the shapes do not broadcast
 */
export const minimum: Binary = binary('minimum', (g, _, x, y) => [
  () => shared(g, x, y, greater(x, y)),
  () => shared(g, x, y, greater(y, x)),
])

/** -x, element by element. int32 stays int32, and -(-2³¹) is -2³¹. */
export const neg: Unary = unary('neg', g => g.neg())
/** |x|, element by element; the derivative at 0 is 0. int32 stays int32, and |-2³¹| is -2³¹. */
export const abs: Unary = unary('abs', (g, _, x) => g.mul(x.sign()))
/**
 * -1, 0 or 1, the sign of each element; its gradient is 0. int32 stays int32. As in JavaScript and NumPy, the sign of NaN is NaN
 * (0 in PyTorch), and zeros keep their sign.
 */
export const sign: Unary = unary('sign', g => noSlope(g))
/** eˣ, element by element. */
export const exp: Unary = unary('exp', (g, out) => g.mul(out))
/** eˣ - 1, element by element, accurate for small x. */
export const expm1: Unary = unary('expm1', (g, out) => g.mul(out.add(1)))
/** The natural logarithm, element by element: -∞ at 0, and NaN below. */
export const log: Unary = unary('log', (g, _, x) => g.div(x))
/** log(1 + x), element by element, accurate for small x: -∞ at -1, and NaN below. */
export const log1p: Unary = unary('log1p', (g, _, x) => g.div(x.add(1)))
/** The logarithm to the base 2, element by element: -∞ at 0, and NaN below. That of a power of 2 is exact on `reference` and `cpu`. */
export const log2: Unary = unary('log2', (g, _, x) => g.div(x.mul(Math.LN2)))
/** The logarithm to the base 10, element by element: -∞ at 0, and NaN below. That of a power of 10 is exact on `reference` and `cpu`. */
export const log10: Unary = unary('log10', (g, _, x) => g.div(x.mul(Math.LN10)))
const powerOfTwo = defineFused('exp2', {
  batching: 'broadcast',
  jvp: 'elementwise',
  definition: (x: Tensor) => pow(2, x),
  rule: (g, out) => [() => g.mul(out).mul(Math.LN2)],
})
/** 2ˣ, element by element; float32 for integers, whereas `pow(2, x)` of int32 is int32. */
export const exp2: Unary = takes('x.exp2()', [is.tensor], (x: Tensor): Tensor => powerOfTwo(asFloats(x)))
/** √x, element by element, and NaN below 0; the derivative at 0 is ∞. */
export const sqrt: Unary = unary('sqrt', (g, out) => g.div(out).mul(0.5))
/** 1 / √x, element by element: ∞ at 0, and NaN below. */
export const rsqrt: Unary = unary('rsqrt', (g, out) => g.mul(out).mul(out).mul(out).mul(-0.5))
/** The sine of x in radians, element by element. */
export const sin: Unary = unary('sin', (g, _, x) => g.mul(x.cos()))
/** The cosine of x in radians, element by element. */
export const cos: Unary = unary('cos', (g, _, x) => g.mul(x.sin()).neg())
/** The hyperbolic tangent, element by element. */
export const tanh: Unary = unary('tanh', (g, out) => g.mul(sub(1, out.square())))
/** The error function 2/√π ∫₀ˣ exp(-t²) dt, element by element. */
export const erf: Unary = unary('erf', (g, _, x) => g.mul(x.square().neg().exp()).mul(2 / Math.sqrt(Math.PI)))

/** x², element by element. */
export const square: Unary = takes(
  'x.square()',
  [is.tensor],
  defineOp(
    'square',
    (k, x: Tensor) => k.binary('mul', x, x, x.dtype),
    (g, _, x) => [() => g.mul(x).mul(2)],
    'broadcast',
    'elementwise',
  ),
)
/** x³, element by element; int32 wraps around, modulo 2³². */
export const cube: Unary = takes('x.cube()', [is.tensor], (x: Tensor): Tensor => x.square().mul(x))

/** 1 / x, element by element: ±∞ at zeros, by their sign. The reciprocal of integers is float32. */
export const reciprocal: Unary = takes('x.reciprocal()', [is.tensor], (x: Tensor): Tensor => div(1, x))

const logOfSum = defineFused('logaddexp', {
  batching: 'broadcast',
  jvp: 'elementwise',
  definition: (x: Tensor, y: Tensor) => x.maximum(y).add(lead(x, y).abs().neg().exp().log1p()),
  rule: (g, _, x, y) => [() => g.mul(lead(x, y).sigmoid()), () => g.mul(lead(y, x).sigmoid())],
})
/** x - y, which is 0 where both are the same infinity */
const lead = (x: Tensor, y: Tensor): Tensor => where(x.equal(y).logicalAnd(x.isInf()), 0, x.sub(y))

/**
 * log(eˣ + eʸ), element by element, finite for finite x and y. -∞ adds nothing. The gradients are σ(x - y) and σ(y - x); where both
 * are the same infinity, each gets half (PyTorch gives NaN).
 * @param y a number, or a tensor whose shape broadcasts with that of x
 * @throws ShapeError if the shapes do not broadcast
 */
export const logaddexp: Binary = takes(
  'x.logaddexp(y)',
  [is.operand, is.operand],
  (x: Operand, y: Operand): Tensor => logOfSum(...bothFloating('logaddexp', x, y)),
)

/**
 * x + w (y - x), element by element: x for the weight w = 0, y for w = 1, and both exactly. A weight outside [0, 1] extrapolates.
 *
 * average.lerp(value, 0.01)
 *
 * @param y a tensor; the three shapes broadcast
 * @param weight a number, or a tensor
 * @throws ShapeError if the shapes do not broadcast
 */
export const lerp: (x: Tensor, y: Tensor, weight: Operand) => Tensor = takes(
  'x.lerp(y, weight)',
  [is.tensor, is.tensor, is.operand],
  (x: Tensor, y: Tensor, weight: Operand): Tensor => {
    const change = y.sub(x)
    const fromX = () => x.add(change.mul(weight))
    // rounding would not lead to y itself from x
    const fromY = (rest: Operand) => y.sub(change.mul(rest))
    if (typeof weight === 'number') return weight < 0.5 ? fromX() : fromY(1 - weight)
    return where(weight.less(0.5), fromX(), fromY(sub(1, weight)))
  },
)

/** Bounds of `clamp`. */
export interface ClampOptions {
  /** lower limit; default -Infinity, which is no limit */
  readonly min?: number
  /** upper limit; default Infinity, which is no limit */
  readonly max?: number
}
const clampOptions = { min: -Infinity, max: Infinity } satisfies Settings<ClampOptions>
const limitsOf = (limits: ClampOptions) => settle('x.clamp(limits)', limits, clampOptions)

/**
 * x limited to [min, max], element by element: min(max(x, min), max), which is max everywhere if min is above it. A limit that is
 * NaN makes everything NaN, as in PyTorch, and NaN stays NaN. The gradient passes where min ≤ x ≤ max, and is 0 elsewhere.
 *
 * x.clamp({ min: 0, max: 1 })
 */
export const clamp: (x: Tensor, limits: ClampOptions) => Tensor = takes(
  'x.clamp(limits)',
  [is.tensor, is.options],
  defineOp(
    'clamp',
    (k, x: Tensor, limits: ClampOptions) => {
      const { min, max } = limitsOf(limits)
      const raised = min === -Infinity ? x : bounded(k, x, 'maximum', min)
      return max === Infinity ? raised : bounded(k, raised, 'minimum', max)
    },
    (g, _, x, limits) => {
      const { min, max } = limitsOf(limits)
      return [() => where(logicalAnd(x.greaterEqual(min), x.lessEqual(max)), g, 0)]
    },
    'broadcast',
    'elementwise',
  ),
)
const bounded = (k: Kernels, x: Tensor, name: BinaryName, limit: number) =>
  k.binary(name, x, limit, promoteScalar(x.dtype, limit))

/**
 * x = y, element by element, as bool. A comparison has no gradient. A number is rounded to the dtype of a floating tensor first;
 * with integers it is compared as it is, so that 2³¹ is larger than each of them. Integers are rounded to float32 to be compared
 * with a tensor of float32.
 * @param y a number, or a tensor whose shape broadcasts with that of x
 * @throws ShapeError if the shapes do not broadcast
 */
export const equal: Binary = comparison('equal')
/**
 * x ≠ y, element by element, as bool. A comparison has no gradient.
 * @param y a number, or a tensor whose shape broadcasts with that of x
 * @throws ShapeError if the shapes do not broadcast
 */
export const notEqual: Binary = comparison('notEqual')
/**
 * x > y, element by element, as bool. A comparison has no gradient.
 * @param y a number, or a tensor whose shape broadcasts with that of x
 * @throws ShapeError if the shapes do not broadcast
 */
export const greater: Binary = comparison('greater')
/**
 * x ≥ y, element by element, as bool. A comparison has no gradient.
 * @param y a number, or a tensor whose shape broadcasts with that of x
 * @throws ShapeError if the shapes do not broadcast
 */
export const greaterEqual: Binary = comparison('greaterEqual')
/**
 * x < y, element by element, as bool. A comparison has no gradient.
 * @param y a number, or a tensor whose shape broadcasts with that of x
 * @throws ShapeError if the shapes do not broadcast
 */
export const less: Binary = comparison('less')
/**
 * x ≤ y, element by element, as bool. A comparison has no gradient.
 * @param y a number, or a tensor whose shape broadcasts with that of x
 * @throws ShapeError if the shapes do not broadcast
 */
export const lessEqual: Binary = comparison('lessEqual')
/**
 * True where both x and y are true, as bool. A number is true unless it is 0, as in NumPy; NaN is true.
 * @param y a tensor whose shape broadcasts with that of x
 * @throws ShapeError if the shapes do not broadcast
 */
export const logicalAnd: (x: Tensor, y: Tensor) => Tensor = takes(
  'x.logicalAnd(y)',
  [is.tensor, is.tensor],
  (x: Tensor, y: Tensor): Tensor => mul(truth(x), truth(y)),
)
/**
 * True where x or y is true, as bool. A number is true unless it is 0, as in NumPy; NaN is true.
 * @param y a tensor whose shape broadcasts with that of x
 * @throws ShapeError if the shapes do not broadcast
 */
export const logicalOr: (x: Tensor, y: Tensor) => Tensor = takes(
  'x.logicalOr(y)',
  [is.tensor, is.tensor],
  (x: Tensor, y: Tensor): Tensor => maximum(truth(x), truth(y)),
)
/** True where x is false, as bool. A number is true unless it is 0, as in NumPy; NaN is true. */
export const logicalNot: Unary = takes('x.logicalNot()', [is.tensor], (x: Tensor): Tensor => equal(x, 0))
const truth = (x: Tensor): Tensor => (x.dtype === 'bool' ? x : notEqual(x, 0))

/**
 * condition ? x : y, element by element. The gradient of an element that is not selected is 0.
 * @param condition bool, or numbers that are true unless they are 0; NaN is true, as when it is cast to bool
 * @param x a number, or a tensor; the three shapes broadcast
 * @param y a number, or a tensor
 * @throws ShapeError if the shapes do not broadcast
 */
export const where: (condition: Tensor, x: Operand, y: Operand) => Tensor = takes(
  'where(condition, x, y)',
  [is.tensor, is.operand, is.operand],
  defineOp(
    'where',
    (k, condition: Tensor, x: Operand, y: Operand) => k.where(condition, x, y, meet(x, y)),
    (g, _, condition): Thunks => [undefined, () => where(condition, g, 0), () => where(condition, 0, g)],
    'broadcast',
    'elementwise',
  ),
)

/**
 * The same values as another dtype. Between floating dtypes the gradient passes; elsewhere it stops. As bool, a number is true
 * unless it is 0; NaN is true. As int32, its fraction is removed, and what does not fit follows JavaScript's `x | 0`: it wraps
 * around, modulo 2³², and NaN and ±∞ become 0. (In PyTorch the result of such a cast depends on the machine.)
 * @throws DTypeError if the device does not have the dtype
 */
export const cast: (x: Tensor, dtype: DType) => Tensor = takes(
  'x.cast(dtype)',
  [is.tensor, is.dtype],
  defineOp(
    'cast',
    (k, x: Tensor, dtype: DType) => {
      if (x.dtype === dtype) return x.view(x.shape, x.strides)
      const { name, dtypes } = deviceOf(x)
      if (!dtypes.includes(dtype)) throw missingDType(name, dtypes, dtype)
      return k.cast(x, dtype)
    },
    (g, _, x) => [() => g.cast(x.dtype)],
    'broadcast',
    'linear',
  ),
)

/** Whether each element is NaN, as bool. */
// biome-ignore lint/suspicious/noShadowRestrictedNames: the name that is looked for
export const isNaN: Unary = takes('x.isNaN()', [is.tensor], (x: Tensor): Tensor => x.notEqual(x))
/** Whether each element is ∞ or -∞, as bool. */
export const isInf: Unary = takes('x.isInf()', [is.tensor], (x: Tensor): Tensor => x.abs().equal(Infinity))
/** Whether each element is neither NaN nor infinite, as bool; true for all integers. */
// biome-ignore lint/suspicious/noShadowRestrictedNames: the name that is looked for
export const isFinite: Unary = takes('x.isFinite()', [is.tensor], (x: Tensor): Tensor => x.abs().less(Infinity))

/** What `nanToNum` puts in the place of values that are not finite. */
export interface NanToNumOptions {
  /** in place of NaN; default 0 */
  readonly nan?: number
  /** in place of ∞; default the largest number of the dtype */
  readonly posInf?: number
  /** in place of -∞; default the lowest number of the dtype */
  readonly negInf?: number
}
const nanToNumOptions = {
  nan: 0,
  posInf: is.optional(is.number),
  negInf: is.optional(is.number),
} satisfies Settings<NanToNumOptions>

/**
 * x with numbers in place of NaN, ∞ and -∞, element by element. The gradient passes where x is finite and is 0 elsewhere. Integers
 * are returned as they are.
 *
 * x.nanToNum({ nan: 0, posInf: 1e6 })
 */
export const nanToNum: (x: Tensor, options?: NanToNumOptions) => Tensor = takes(
  'x.nanToNum(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: NanToNumOptions): Tensor => {
    const most = x.dtype === 'float64' ? Number.MAX_VALUE : LARGEST_FLOAT32
    const { nan, posInf = most, negInf = -most } = settle('x.nanToNum(options)', options, nanToNumOptions)
    if (!isFloating(x.dtype)) return stopGradient(x)
    return where(isNaN(x), nan, where(x.equal(Infinity), posInf, where(x.equal(-Infinity), negInf, x)))
  },
)
const LARGEST_FLOAT32 = (2 - 2 ** -23) * 2 ** 127

/** The same values, as a separate tensor on the tape. */
export const identity: Unary = takes(
  'identity(x)',
  [is.tensor],
  defineOp(
    'identity',
    (_, x: Tensor) => x.view(x.shape, x.strides),
    g => [() => g],
    'broadcast',
  ),
)

/** The same values as a constant: gradients stop here. */
export const stopGradient: Unary = takes('x.stopGradient()', [is.tensor], (x: Tensor): Tensor => sameValues(x))

/** The part of a gradient that an operand gets: nothing where it has lost, half where both are equal, else all. */
const shared = (g: Tensor, x: Operand, y: Operand, hasLost: Tensor): Tensor =>
  where(hasLost, 0, where(equal(x, y), g.mul(0.5), g))

/** y xʸ⁻¹, which is 0 and not 0·∞ where x and y are both 0. */
function powerBelow(x: Operand, y: Operand): Tensor {
  if (typeof y === 'number') return y === 0 ? zerosLike(x as Tensor) : pow(x, y - 1).mul(y)
  const base = typeof x === 'number' ? (x === 0 ? 1 : x) : where(logicalAnd(x.equal(0), y.equal(0)), 1, x)
  return pow(base, y.sub(1)).mul(y)
}

/** log x where x is positive, -∞ where it is 0 and the power y negative, 0 elsewhere. */
function safeLog(x: Operand, y: Tensor): Operand {
  if (typeof x === 'number') return x > 0 ? Math.log(x) : x === 0 ? where(y.less(0), -Infinity, 0) : 0
  return where(logicalAnd(x.equal(0), y.less(0)), 0, where(x.greater(0), x, 1)).log()
}
