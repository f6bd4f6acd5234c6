// Activation functions: sigmoid, ReLU, softplus, SiLU and GELU with its approximations.

import { takes } from '../../tensor/arguments.ts'
import type { Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { asFloating, defineFused, defineOp } from '../op.ts'
import { sub } from './elementwise.ts'
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
    (g, _, x) => [() => g.mul(x.greater(0))],
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
  ),
)
/** x sigmoid(x), element by element (Hendrycks and Gimpel 2016); also called swish. */
export const silu: Unary = takes('x.silu()', [is.tensor], (x: Tensor): Tensor => x.mul(x.sigmoid()))
/** x sigmoid(1.702 x), element by element: the approximation of GELU in OpenAI's released CLIP weights. */
export const quickGelu: Unary = takes(
  'x.quickGelu()',
  [is.tensor],
  (x: Tensor): Tensor => x.mul(x.mul(1.702).sigmoid()),
)

/** Φ(x), the normal distribution function */
const normalCdf = (x: Tensor): Tensor => x.mul(Math.SQRT1_2).erf().add(1).mul(0.5)

/** g (Φ(x) + x φ(x)), the gradient of gelu */
const geluGradient = defineFused('geluGradient', {
  definition: (g: Tensor, x: Tensor) => {
    const density = x
      .square()
      .mul(-0.5)
      .exp()
      .mul(1 / Math.sqrt(2 * Math.PI))
    return g.mul(normalCdf(x).add(x.mul(density)))
  },
  kernel: (k, g, x) => k.geluGradient?.(g, x),
})

const exactGelu = defineFused('gelu', {
  definition: (x: Tensor) => x.mul(normalCdf(x)),
  kernel: (k, x) => k.gelu?.(x),
  rule: (g, _, x) => [() => geluGradient(g, x)],
})

const tanhGelu = defineFused('geluTanh', {
  definition: (x: Tensor) => {
    const inner = x.add(x.square().mul(x).mul(0.044715)).mul(Math.sqrt(2 / Math.PI))
    return x.mul(inner.tanh().add(1)).mul(0.5)
  },
})

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
export const fusedActivation = { gelu: exactGelu, geluGradient, geluTanh: tanhGelu }
