// Operations that are one line on the tape and may be one kernel on a device. Each is defined by other operations;
// where a shorter way to its gradient is known, it stands beside the definition and must agree with it.

import { takes } from '../../tensor/arguments.ts'
import { floating, normalizeAxis, ShapeError, show, type Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { defineFused } from '../op.ts'
import { oneHot } from './gather.ts'
import { concat } from './movement.ts'
import { type AxisOptions, lastAxis } from './reduce.ts'

const last = { axis: -1, keepDims: true }

/** y (g - Σ g y), the gradient of y = softmax(x) */
export const softmaxGradient = defineFused('softmaxGradient', {
  definition: (g: Tensor, y: Tensor) => {
    const gy = g.mul(y)
    return gy.sub(y.mul(gy.sum(last)))
  },
  kernel: (k, g, y) => k.softmaxGradient?.(g, y),
})

const softmaxLast = defineFused('softmax', {
  definition: (x: Tensor) => {
    const e = x.sub(x.max(last).stopGradient()).exp()
    return e.div(e.sum(last))
  },
  kernel: (k, x) => k.softmax?.(x),
  rule: (g, y) => [() => softmaxGradient(g, y)],
})

/** g - exp(y) Σ g, the gradient of y = logSoftmax(x) */
const logSoftmaxGradient = defineFused('logSoftmaxGradient', {
  definition: (g: Tensor, y: Tensor) => g.sub(y.exp().mul(g.sum(last))),
  kernel: (k, g, y) => k.logSoftmaxGradient?.(g, y),
})

const logSoftmaxLast = defineFused('logSoftmax', {
  definition: (x: Tensor) => {
    const shifted = x.sub(x.max(last).stopGradient())
    return shifted.sub(shifted.exp().sum(last).log())
  },
  kernel: (k, x) => k.logSoftmax?.(x),
  rule: (g, y) => [() => logSoftmaxGradient(g, y)],
})

/** Applies a function of the last axis along another one; what has no elements stays as it is. */
function along(name: string, f: (x: Tensor) => Tensor, x: Tensor, axis: number): Tensor {
  const at = normalizeAxis(name, axis, x.shape)
  if (x.size === 0) return x.cast(floating(x.dtype))
  return at === x.rank - 1 ? f(x) : f(x.transpose(at, -1)).transpose(at, -1)
}

/**
 * eˣ / Σ eˣ along an axis (default the last), computed as exp(x - max x) so that it is finite for every finite x.
 * @throws AxisError if x does not have the axis
 */
export const softmax: (x: Tensor, options?: AxisOptions) => Tensor = takes(
  'x.softmax(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: AxisOptions): Tensor =>
    along('softmax', softmaxLast, x, settle('x.softmax(options)', options, lastAxis).axis),
)

/**
 * x - log Σ eˣ along an axis (default the last), finite for every finite x.
 * @throws AxisError if x does not have the axis
 */
export const logSoftmax: (x: Tensor, options?: AxisOptions) => Tensor = takes(
  'x.logSoftmax(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: AxisOptions): Tensor =>
    along('logSoftmax', logSoftmaxLast, x, settle('x.logSoftmax(options)', options, lastAxis).axis),
)

/** r (g - mean g - y mean(g y)) with y = standardize(x) and r = 1/√(variance + ε), the gradient of standardize */
const standardizeGradient = defineFused('standardizeGradient', {
  definition: (g: Tensor, x: Tensor, epsilon: number) => {
    const centred = x.sub(x.mean(last))
    const r = centred.square().mean(last).add(epsilon).rsqrt()
    const y = centred.mul(r)
    return g
      .sub(g.mean(last))
      .sub(y.mul(g.mul(y).mean(last)))
      .mul(r)
  },
  kernel: (k, g, x, epsilon) => k.standardizeGradient?.(g, x, epsilon),
})

/** (x - mean) / √(variance + ε) over the last axis, with the variance of what is there (biased) */
export const standardize = takes(
  'standardize(x, epsilon)',
  [is.tensor, is.number],
  defineFused('standardize', {
    definition: (x: Tensor, epsilon: number) => {
      const centred = x.sub(x.mean(last))
      return centred.mul(centred.square().mean(last).add(epsilon).rsqrt())
    },
    kernel: (k, x, epsilon) => k.standardize?.(x, epsilon),
    rule: (g, _, x, epsilon) => [() => standardizeGradient(g, x, epsilon)],
  }),
)

/** Options of layerNorm: learned scale and shift of the last axis, [width] each. */
export interface LayerNormOptions {
  readonly weight?: Tensor
  readonly bias?: Tensor
  /** added to the variance; default 1e-5 */
  readonly epsilon?: number
}
const layerNormOptions = {
  weight: is.optional(is.tensor),
  bias: is.optional(is.tensor),
  epsilon: 1e-5,
} satisfies Settings<LayerNormOptions>

/** The gradients of layerNorm by x, weight and bias, packed: what all three need is computed once. */
const layerNormGradient = defineFused('layerNormGradient', {
  definition: (g: Tensor, x: Tensor, weight: Tensor, epsilon: number) => {
    const width = weight.shape
    const ofX = standardizeGradient(g.mul(weight), x, epsilon)
    return concat([ofX.reshape([-1]), g.mul(standardize(x, epsilon)).sumTo(width), g.sumTo(width)])
  },
  kernel: (k, g, x, weight, epsilon) => k.layerNormGradient?.(g, x, weight, epsilon),
})

const scaledAndShifted = defineFused('layerNorm', {
  definition: (x: Tensor, weight: Tensor, bias: Tensor, epsilon: number) =>
    standardize(x, epsilon).mul(weight).add(bias),
  kernel: (k, x, weight, bias, epsilon) => k.layerNorm?.(x, weight, bias, epsilon),
  rule: (g, _, x, weight, _bias, epsilon) => {
    let packed: Tensor | undefined
    const part = (start: number, stop: number) => {
      packed ??= layerNormGradient(g, x, weight, epsilon)
      return packed.slice([{ start, stop }])
    }
    const [ofWeight, ofBias] = [x.size, x.size + weight.size]
    return [
      () => part(0, ofWeight).reshape(x.shape),
      () => part(ofWeight, ofBias),
      () => part(ofBias, ofBias + weight.size),
    ]
  },
})

/**
 * weight (x - mean) / √(variance + ε) + bias over the last axis, with the variance of its elements (Ba et al. 2016).
 * @param options weight and bias [width], both left out by default, and epsilon, default 1e-5
 * @throws ShapeError unless weight and bias are as long as the last axis
 */
export const layerNorm: (x: Tensor, options?: LayerNormOptions) => Tensor = takes(
  'x.layerNorm(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: LayerNormOptions): Tensor => {
    const { weight, bias, epsilon } = settle('x.layerNorm(options)', options, layerNormOptions)
    const width = x.shape[normalizeAxis('layerNorm', -1, x.shape)]
    for (const [name, row] of Object.entries({ weight, bias }))
      if (row && (row.rank !== 1 || row.shape[0] !== width))
        throw new ShapeError(
          `layerNorm: a ${name} of ${show(row.shape)} for a last axis of ${width} in ${show(x.shape)}`,
          x.shape,
          row.shape,
        )
    if (weight && bias) return scaledAndShifted(x, weight, bias, epsilon)
    const standard = standardize(x, epsilon)
    const scaled = weight ? standard.mul(weight) : standard
    return bias ? scaled.add(bias) : scaled
  },
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
  /** of the normal distribution function; default none */
  readonly approximate?: 'none' | 'tanh'
}
const geluOptions = { approximate: is.choice('none', 'tanh') } satisfies Settings<GeluOptions>

/**
 * x Φ(x), element by element, with the distribution function Φ of the normal distribution, or with its tanh approximation
 * (Hendrycks and Gimpel 2016).
 *
 * x.gelu({ approximate: 'tanh' })
 */
export const gelu: (x: Tensor, options?: GeluOptions) => Tensor = takes(
  'x.gelu(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: GeluOptions): Tensor =>
    settle('x.gelu(options)', options, geluOptions).approximate === 'tanh' ? tanhGelu(x) : exactGelu(x),
)

/** g (softmax(x) - oneHot(ids)), the gradient of negativeLogLikelihood */
const negativeLogLikelihoodGradient = defineFused('negativeLogLikelihoodGradient', {
  definition: (g: Tensor, x: Tensor, ids: Tensor) =>
    x
      .softmax()
      .sub(oneHot(ids, x.shape[x.rank - 1], x.dtype))
      .mul(g.unsqueeze(-1)),
  kernel: (k, g, x, ids) => k.negativeLogLikelihoodGradient?.(g, x, ids),
})

/** -log softmax(x)[id] over the last axis: [..., classes], ids int32 [...] → [...] */
export const negativeLogLikelihood = defineFused('negativeLogLikelihood', {
  definition: (x: Tensor, ids: Tensor) => x.logSoftmax().gather(ids.unsqueeze(-1), { axis: -1 }).squeeze(-1).neg(),
  kernel: (k, x, ids) => k.negativeLogLikelihood?.(x, ids),
  rule: (g, _, x, ids) => [() => negativeLogLikelihoodGradient(g, x, ids)],
})

/** The fused operations of this file and the gradients among them. */
export const fusedRows = {
  softmax: softmaxLast,
  softmaxGradient,
  logSoftmax: logSoftmaxLast,
  logSoftmaxGradient,
  standardize,
  standardizeGradient,
  layerNorm: scaledAndShifted,
  layerNormGradient,
  negativeLogLikelihood,
  negativeLogLikelihoodGradient,
  gelu: exactGelu,
  geluGradient,
  geluTanh: tanhGelu,
}
