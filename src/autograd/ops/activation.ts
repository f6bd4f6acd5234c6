// Activation functions: sigmoid, ReLU, softplus, SiLU and GELU with its approximations.

import { takes } from '../../tensor/arguments.ts'
import type { Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { asFloating, defineFused, defineOp, type FusedOp } from '../op.ts'
import { type ClampOptions, sub, where } from './elementwise.ts'
import { type Unary, unary } from './pointwise.ts'

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

/** The fused operations of this file, with their gradients. */
export const fusedActivation = {
  silu: siluOp,
  quickGelu: quickGeluOp,
  gelu: exactGelu,
  geluGradient,
  geluTanh: tanhGelu,
}
