// Elementwise operations: one line a rule. Where a function has a kink, its gradient there is the one that PyTorch
// takes: 0 for abs, sign and relu, the mean of both sides for a tie of maximum and minimum.

import { takes } from '../../tensor/arguments.ts'
import {
  type BinaryName,
  type ComparisonName,
  type DType,
  deviceOf,
  floating,
  type Kernels,
  missingDType,
  type Operand,
  promote,
  promoteScalar,
  type Tensor,
  type UnaryName,
} from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { asFloating, defineOp } from '../op.ts'
import type { Thunks } from '../tape.ts'

type UnaryRule = (gradient: Tensor, result: Tensor, x: Tensor) => Tensor
type BinaryRule = (gradient: Tensor, result: Tensor, x: Operand, y: Operand) => readonly [() => Tensor, () => Tensor]

/** The dtype in which two operands meet: the wider one; a number adapts to its tensor. */
function meet(x: Operand, y: Operand): DType {
  if (typeof x === 'number') return typeof y === 'number' ? 'float32' : promoteScalar(y.dtype, x)
  return typeof y === 'number' ? promoteScalar(x.dtype, y) : promote(x.dtype, y.dtype)
}

const keepsIntegers = new Set<string>(['neg', 'abs', 'sign'])

const unary = (name: UnaryName, rule: UnaryRule) =>
  takes(
    `x.${name}()`,
    [is.tensor],
    defineOp(
      name,
      (k, x: Tensor) => k.unary(name, keepsIntegers.has(name) && x.dtype === 'int32' ? x : asFloating(k, x)),
      (g, out, x) => [() => rule(g, out, x)],
    ),
  )

/** What an operation makes of operands that meet in a dtype: a quotient is no integer, a sum of truths is a count. */
function resultOf(name: BinaryName, dtype: DType): DType {
  if (name === 'div') return floating(dtype)
  return dtype === 'bool' && (name === 'add' || name === 'sub' || name === 'pow') ? 'int32' : dtype
}

const binary = (name: BinaryName, rule: BinaryRule) =>
  takes(
    `x.${name}(y)`,
    [is.operand, is.operand],
    defineOp(name, (k, x: Operand, y: Operand) => k.binary(name, x, y, resultOf(name, meet(x, y))), rule),
  )

const comparison = (name: ComparisonName) =>
  takes(
    `x.${name}(y)`,
    [is.operand, is.operand],
    defineOp(name, (k, x: Operand, y: Operand) => k.compare(name, x, y)),
  )

/** x + y */
export const add = binary('add', g => [() => g, () => g])
/** x - y */
export const sub = binary('sub', g => [() => g, () => g.neg()])
/** x y */
export const mul = binary('mul', (g, _, x, y) => [() => g.mul(y), () => g.mul(x)])
/** x / y */
export const div = binary('div', (g, out, _, y) => [() => g.div(y), () => g.mul(out).div(y).neg()])
/** xʸ; the derivative by y is 0 where x ≤ 0 */
export const pow = binary('pow', (g, out, x, y) => [() => g.mul(powerBelow(x, y)), () => g.mul(out).mul(safeLog(x))])
/** the larger one */
export const maximum = binary('maximum', (g, _, x, y) => [() => g.mul(wins(x, y)), () => g.mul(wins(y, x))])
/** the smaller one */
export const minimum = binary('minimum', (g, _, x, y) => [() => g.mul(wins(y, x)), () => g.mul(wins(x, y))])

/** -x */
export const neg = unary('neg', g => g.neg())
/** |x| */
export const abs = unary('abs', (g, _, x) => g.mul(x.sign()))
/** -1, 0 or 1; its gradient is 0 */
export const sign = unary('sign', g => g.mul(0))
/** eˣ */
export const exp = unary('exp', (g, out) => g.mul(out))
/** eˣ - 1, exact for small x */
export const expm1 = unary('expm1', (g, out) => g.mul(out.add(1)))
/** natural logarithm */
export const log = unary('log', (g, _, x) => g.div(x))
/** log(1 + x), exact for small x */
export const log1p = unary('log1p', (g, _, x) => g.div(x.add(1)))
/** √x */
export const sqrt = unary('sqrt', (g, out) => g.div(out).mul(0.5))
/** 1 / √x */
export const rsqrt = unary('rsqrt', (g, out) => g.mul(out).mul(out).mul(out).mul(-0.5))
export const sin = unary('sin', (g, _, x) => g.mul(x.cos()))
export const cos = unary('cos', (g, _, x) => g.mul(x.sin()).neg())
/** hyperbolic tangent */
export const tanh = unary('tanh', (g, out) => g.mul(sub(1, out.square())))
/** 1 / (1 + e⁻ˣ) */
export const sigmoid = unary('sigmoid', (g, out) => g.mul(out).mul(sub(1, out)))
/** 2/√π ∫₀ˣ exp(-t²) dt */
export const erf = unary('erf', (g, _, x) => g.mul(x.square().neg().exp()).mul(2 / Math.sqrt(Math.PI)))

/** x², with one rule for both factors */
export const square = takes(
  'x.square()',
  [is.tensor],
  defineOp(
    'square',
    (k, x: Tensor) => k.binary('mul', x, x, x.dtype),
    (g, _, x) => [() => g.mul(x).mul(2)],
  ),
)
/** max(x, 0) */
export const relu = takes(
  'x.relu()',
  [is.tensor],
  defineOp(
    'relu',
    (k, x: Tensor) => k.binary('maximum', x, 0, x.dtype),
    (g, _, x) => [() => g.mul(x.greater(0))],
  ),
)
/** log(1 + eˣ), computed as max(x, 0) + log1p(exp(-|x|)) */
export const softplus = takes(
  'x.softplus()',
  [is.tensor],
  defineOp(
    'softplus',
    (k, x: Tensor) => {
      const y = asFloating(k, x)
      const tail = k.unary('log1p', k.unary('exp', k.unary('neg', k.unary('abs', y))))
      return k.binary('add', k.binary('maximum', y, 0, y.dtype), tail, y.dtype)
    },
    (g, _, x) => [() => g.mul(x.sigmoid())],
  ),
)
/** x sigmoid(x) */
export const silu = takes('x.silu()', [is.tensor], (x: Tensor): Tensor => x.mul(x.sigmoid()))
/** x sigmoid(1.702 x), the approximation of GELU in CLIP's released weights */
export const quickGelu = takes('x.quickGelu()', [is.tensor], (x: Tensor): Tensor => x.mul(x.mul(1.702).sigmoid()))

export interface ClampOptions {
  /** default -Infinity */
  readonly min?: number
  /** default Infinity */
  readonly max?: number
}
const clampOptions = { min: -Infinity, max: Infinity } satisfies Settings<ClampOptions>
const limitsOf = (limits: ClampOptions) => settle('x.clamp(limits)', limits, clampOptions)

/** x limited to [min, max]; the gradient passes where nothing was cut, ends included */
export const clamp = takes(
  'x.clamp(limits)',
  [is.tensor, is.options],
  defineOp(
    'clamp',
    (k, x: Tensor, limits: ClampOptions) => {
      const { min, max } = limitsOf(limits)
      return bounded(k, bounded(k, x, 'maximum', min), 'minimum', max)
    },
    (g, _, x, limits) => {
      const { min, max } = limitsOf(limits)
      return [() => g.mul(x.greaterEqual(min)).mul(x.lessEqual(max))]
    },
  ),
)
const bounded = (k: Kernels, x: Tensor, name: BinaryName, limit: number) =>
  Number.isFinite(limit) ? k.binary(name, x, limit, promoteScalar(x.dtype, limit)) : x

/** x = y, as bool; like all comparisons it cannot be differentiated */
export const equal = comparison('equal')
export const notEqual = comparison('notEqual')
export const greater = comparison('greater')
export const greaterEqual = comparison('greaterEqual')
export const less = comparison('less')
export const lessEqual = comparison('lessEqual')
/** true where both are; a number is true unless it is 0, as in NumPy */
export const logicalAnd = takes(
  'x.logicalAnd(y)',
  [is.tensor, is.tensor],
  (x: Tensor, y: Tensor): Tensor => mul(truth(x), truth(y)),
)
/** true where one is; a number is true unless it is 0 */
export const logicalOr = takes(
  'x.logicalOr(y)',
  [is.tensor, is.tensor],
  (x: Tensor, y: Tensor): Tensor => maximum(truth(x), truth(y)),
)
/** true where x is not; a number is true unless it is 0 */
export const logicalNot = takes('x.logicalNot()', [is.tensor], (x: Tensor): Tensor => equal(x, 0))
const truth = (x: Tensor): Tensor => (x.dtype === 'bool' ? x : notEqual(x, 0))

/** condition ? x : y, element by element; what is not chosen gets no gradient */
export const where: (condition: Tensor, x: Operand, y: Operand) => Tensor = takes(
  'where(condition, x, y)',
  [is.tensor, is.operand, is.operand],
  defineOp(
    'where',
    (k, condition: Tensor, x: Operand, y: Operand) => k.where(condition, x, y, meet(x, y)),
    (g, _, condition): Thunks => [undefined, () => where(condition, g, 0), () => where(condition, 0, g)],
  ),
)

/**
 * Another dtype; between floating ones the gradient passes.
 * @throws DTypeError where the device does not have it
 */
export const cast = takes(
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
  ),
)

/** The same values as a tensor of its own to the tape. */
export const identity = takes(
  'identity(x)',
  [is.tensor],
  defineOp(
    'identity',
    (_, x: Tensor) => x.view(x.shape, x.strides),
    g => [() => g],
  ),
)

/** The same values, as a constant: gradients stop here. */
export const stopGradient = takes('x.stopGradient()', [is.tensor], (x: Tensor): Tensor => x.view(x.shape, x.strides))

/** 1 where a is larger, ½ where both are equal, 0 elsewhere. */
const wins = (a: Operand, b: Operand): Tensor => where(greater(a, b), 1, where(equal(a, b), 0.5, 0))

/** y xʸ⁻¹, which is 0 and not 0·∞ where x and y are both 0. */
function powerBelow(x: Operand, y: Operand): Tensor {
  if (typeof y === 'number') return y === 0 ? mul(x, 0) : pow(x, y - 1).mul(y)
  const base = typeof x === 'number' ? (x === 0 ? 1 : x) : where(logicalAnd(x.equal(0), y.equal(0)), 1, x)
  return pow(base, y.sub(1)).mul(y)
}

/** log x where x is positive, 0 elsewhere. */
const safeLog = (x: Operand): Operand =>
  typeof x === 'number' ? (x > 0 ? Math.log(x) : 0) : where(x.greater(0), x, 1).log()
