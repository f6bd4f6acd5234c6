// Activation functions. Those with a definition only are composed of the others, so their gradients are too.

import { takes } from '../../tensor/arguments.ts'
import { normalizeAxis, ShapeError, show, type Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { asFloating, defineFused, defineOp, type FusedOp } from '../op.ts'
import { type ClampOptions, sub, where } from './elementwise.ts'
import { split } from './movement.ts'
import { type Unary, unary } from './pointwise.ts'
import { type AxisOptions, lastAxis } from './reduce.ts'

/** 1 / (1 + e⁻ˣ), element by element. */
export const sigmoid: Unary = unary('sigmoid', (g, out) => g.mul(out).mul(sub(1, out)))
/** max(x, 0), element by element; the derivative at 0 is 0. */
export const relu: Unary = takes(
  'x.relu()',
  [is.tensor],
  defineOp(
    'relu',
    (k, x: Tensor) => k.binary('maximum', x, 0, x.dtype),
    (g, _, x) => [() => where(x.greater(0), g, 0)],
    'broadcast',
    'elementwise',
  ),
)
/** log(1 + eˣ), element by element, computed as max(x, 0) + log1p(exp(-|x|)), which is finite for every finite x. */
export const softplus: Unary = takes(
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
    'broadcast',
    'elementwise',
  ),
)
/**
 * x σ(u(x)) as one operation. Its gradient, g (σ + x σ (1 - σ) u'), has no product of g and x, which could overflow where the
 * result does not depend on it.
 * @param bounds limits of x beyond which σ is 0 or 1; default none
 */
function gated(
  name: string,
  u: (x: Tensor) => Tensor,
  slope: (x: Tensor) => Tensor | number,
  bounds: ClampOptions = {},
): FusedOp<[x: Tensor]> {
  const inner = (x: Tensor) => x.clamp(bounds)
  return defineFused(name, {
    definition: (x: Tensor) => x.mul(u(inner(x)).sigmoid()),
    rule: (g, _, x) => [
      () => {
        const y = inner(x)
        const s = u(y).sigmoid()
        const rise = s.mul(sub(1, s)).mul(y)
        return g.mul(s.add(rise.mul(slope(y))))
      },
    ],
    batching: 'broadcast',
    jvp: 'elementwise',
  })
}

const siluOp = gated(
  'silu',
  x => x,
  () => 1,
)
/** x sigmoid(x), element by element (Hendrycks and Gimpel 2016); also called swish. It is NaN at -∞, as in PyTorch. */
export const silu: Unary = takes('x.silu()', [is.tensor], siluOp)

const quickGeluOp = gated(
  'quickGelu',
  x => x.mul(1.702),
  () => 1.702,
)
/** x sigmoid(1.702 x), element by element: the approximation of GELU in OpenAI's released CLIP weights. */
export const quickGelu: Unary = takes('x.quickGelu()', [is.tensor], quickGeluOp)

/** the factor of the argument in the tanh approximation, doubled */
const TANH_SCALE = 2 * Math.sqrt(2 / Math.PI)

/** Φ(x), the normal distribution function, with its relative accuracy in the lower tail */
const normalCdf = unary('normalCdf', (g, _, x) => g.mul(density(x)))

/** φ(x), the normal density */
const density = (x: Tensor): Tensor =>
  x
    .square()
    .mul(-0.5)
    .exp()
    .mul(1 / Math.sqrt(2 * Math.PI))

/** g (Φ(x) + x φ(x)), the gradient of gelu */
const geluGradient = defineFused('geluGradient', {
  definition: (g: Tensor, x: Tensor) => g.mul(normalCdf(x).add(x.mul(density(x)))),
  kernel: (k, g, x) => k.geluGradient?.(g, x),
  batching: 'broadcast',
})

const exactGelu = defineFused('gelu', {
  definition: (x: Tensor) => x.mul(normalCdf(x)),
  kernel: (k, x) => k.gelu?.(x),
  rule: (g, _, x) => [() => geluGradient(g, x)],
  batching: 'broadcast',
  jvp: 'elementwise',
})

/** (1 + tanh u) / 2 = σ(2 u), which keeps its digits in the lower tail. At ±30 it is 0 or 1, in float64 too. */
const tanhGelu = gated(
  'geluTanh',
  x => x.square().mul(0.044715).add(1).mul(x).mul(TANH_SCALE),
  x =>
    x
      .square()
      .mul(3 * 0.044715)
      .add(1)
      .mul(TANH_SCALE),
  { min: -30, max: 30 },
)

/** Options of `gelu`. */
export interface GeluOptions {
  /** approximation of the normal distribution function; default none */
  readonly approximate?: 'none' | 'tanh'
}
const geluOptions = { approximate: is.choice('none', 'tanh') } satisfies Settings<GeluOptions>

/**
 * x Φ(x), element by element, with the standard normal distribution function Φ or its tanh approximation (Hendrycks and
 * Gimpel 2016).
 *
 * x.gelu({ approximate: 'tanh' })
 */
export const gelu: (x: Tensor, options?: GeluOptions) => Tensor = takes(
  'x.gelu(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: GeluOptions): Tensor =>
    settle('x.gelu(options)', options, geluOptions).approximate === 'tanh' ? tanhGelu(x) : exactGelu(x),
)

/** log(1 / (1 + e⁻ˣ)), element by element, computed as -softplus(-x), which is finite for every finite x. */
export const logSigmoid: Unary = takes('x.logSigmoid()', [is.tensor], (x: Tensor): Tensor => x.neg().softplus().neg())

/** Options of `leakyRelu`. */
export interface LeakyReluOptions {
  /** derivative for x ≤ 0; default 0.01 */
  readonly negativeSlope?: number
}
const leakyReluOptions = { negativeSlope: is.byDefault(0.01, is.number) } satisfies Settings<LeakyReluOptions>

/**
 * x where x > 0, and s x elsewhere, element by element, with s = `negativeSlope` (Maas et al. 2013); the derivative at 0 is s.
 *
 * x.leakyRelu({ negativeSlope: 0.2 })
 */
export const leakyRelu: (x: Tensor, options?: LeakyReluOptions) => Tensor = takes(
  'x.leakyRelu(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: LeakyReluOptions): Tensor => {
    const { negativeSlope } = settle('x.leakyRelu(options)', options, leakyReluOptions)
    return where(x.greater(0), x, x.mul(negativeSlope))
  },
)

/** Options of `elu`. */
export interface EluOptions {
  /** -α is the limit at -∞; default 1 */
  readonly alpha?: number
}
const eluOptions = { alpha: is.byDefault(1, is.number) } satisfies Settings<EluOptions>

/**
 * x where x > 0, and α (eˣ - 1) elsewhere, element by element (Clevert et al. 2015); the derivative at 0 is α.
 *
 * x.elu({ alpha: 0.5 })
 */
export const elu: (x: Tensor, options?: EluOptions) => Tensor = takes(
  'x.elu(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: EluOptions): Tensor => {
    const { alpha } = settle('x.elu(options)', options, eluOptions)
    const positive = x.greater(0)
    // the exponential sees no positive x: it would overflow there, and its gradient with it
    return where(positive, x, where(positive, 0, x).expm1().mul(alpha))
  },
)

/** α and λ of SELU, with which the mean 0 and the variance 1 of activations are a fixed point */
const SELU = { alpha: 1.6732632423543772, scale: 1.0507009873554805 } as const

/** λ elu(x) with α = 1.6733 and λ = 1.0507, element by element (Klambauer et al. 2017); the derivative at 0 is λ α. */
export const selu: Unary = takes(
  'x.selu()',
  [is.tensor],
  (x: Tensor): Tensor => elu(x, { alpha: SELU.alpha }).mul(SELU.scale),
)

/** x tanh(softplus(x)), element by element (Misra 2019). It is NaN at -∞, as in PyTorch. */
export const mish: Unary = takes('x.mish()', [is.tensor], (x: Tensor): Tensor => x.mul(x.softplus().tanh()))

/**
 * x min(max(x + 3, 0), 6) / 6, element by element (Howard et al. 2019). The derivative at ±3 is that of the inside,
 * (2 x + 3) / 6. It is NaN at -∞, as in PyTorch.
 */
export const hardswish: Unary = takes(
  'x.hardswish()',
  [is.tensor],
  (x: Tensor): Tensor => x.mul(x.add(3).clamp({ min: 0, max: 6 }).div(6)),
)

/** x / (1 + |x|), element by element. It is NaN at ±∞, as in PyTorch. */
export const softsign: Unary = takes('x.softsign()', [is.tensor], (x: Tensor): Tensor => x.div(x.abs().add(1)))

/** The two halves of an axis. */
function halves(name: string, x: Tensor, axis: number): Tensor[] {
  const size = x.shape[normalizeAxis(name, axis, x.shape)]
  if (size % 2 !== 0)
    throw new ShapeError(`${name}: axis ${axis} of ${show(x.shape)} cannot be halved: ${size} is odd`, x.shape)
  return split(x, [size / 2, size / 2], axis)
}

/**
 * a sigmoid(b) for the halves a and b of an axis (default the last): [..., 2 n] → [..., n], the gated linear unit (Dauphin et al.
 * 2016).
 * @throws AxisError if x does not have the axis; ShapeError if its size is odd
 */
export const glu: (x: Tensor, options?: AxisOptions) => Tensor = takes(
  'x.glu(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: AxisOptions): Tensor => {
    const [a, b] = halves('glu', x, settle('x.glu(options)', options, lastAxis).axis)
    return a.mul(b.sigmoid())
  },
)

/**
 * silu(a) b for the halves a and b of an axis (default the last): [..., 2 n] → [..., n] (Shazeer 2020).
 * @throws AxisError if x does not have the axis; ShapeError if its size is odd
 */
export const swiglu: (x: Tensor, options?: AxisOptions) => Tensor = takes(
  'x.swiglu(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: AxisOptions): Tensor => {
    const [a, b] = halves('swiglu', x, settle('x.swiglu(options)', options, lastAxis).axis)
    return a.silu().mul(b)
  },
)

/** The fused operations of this file, with their gradients. */
export const fusedActivation = {
  silu: siluOp,
  quickGelu: quickGeluOp,
  gelu: exactGelu,
  geluGradient,
  geluTanh: tanhGelu,
}
