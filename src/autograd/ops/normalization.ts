// Normalization along an axis: to mean 0 and variance 1, with an optional learned scale and shift, or to length 1.

import { takes } from '../../tensor/arguments.ts'
import { normalizeAxis, ShapeError, show, type Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { defineFused } from '../op.ts'
import { pack, unpacking } from './packed.ts'
import { type AxisOptions, keptLast, lastAxis } from './reduce.ts'

/** r (g - mean g - y mean(g y)) with y = standardize(x) and r = 1/√(variance + ε), the gradient of standardize */
const standardizeGradient = defineFused('standardizeGradient', {
  definition: (g: Tensor, x: Tensor, epsilon: number) => {
    const centred = x.sub(x.mean(keptLast))
    const r = centred.square().mean(keptLast).add(epsilon).rsqrt()
    const y = centred.mul(r)
    return g
      .sub(g.mean(keptLast))
      .sub(y.mul(g.mul(y).mean(keptLast)))
      .mul(r)
  },
  kernel: (k, g, x, epsilon) => k.standardizeGradient?.(g, x, epsilon),
  batching: 'broadcast',
})

/** (x - mean) / √(variance + ε) over the last axis, with the biased variance */
export const standardize = takes(
  'standardize(x, epsilon)',
  [is.tensor, is.number],
  defineFused('standardize', {
    definition: (x: Tensor, epsilon: number) => {
      const centred = x.sub(x.mean(keptLast))
      return centred.mul(centred.square().mean(keptLast).add(epsilon).rsqrt())
    },
    kernel: (k, x, epsilon) => k.standardize?.(x, epsilon),
    rule: (g, _, x, epsilon) => [() => standardizeGradient(g, x, epsilon)],
    batching: 'broadcast',
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

/** The gradients of layerNorm with respect to x, weight and bias, packed: their common part is computed once. */
const layerNormGradient = defineFused('layerNormGradient', {
  definition: (g: Tensor, x: Tensor, weight: Tensor, epsilon: number) => {
    const width = weight.shape
    const gradX = standardizeGradient(g.mul(weight), x, epsilon)
    return pack([gradX, g.mul(standardize(x, epsilon)).sumTo(width), g.sumTo(width)])
  },
  kernel: (k, g, x, weight, epsilon) => k.layerNormGradient?.(g, x, weight, epsilon),
})

const scaledAndShifted = defineFused('layerNorm', {
  definition: (x: Tensor, weight: Tensor, bias: Tensor, epsilon: number) =>
    standardize(x, epsilon).mul(weight).add(bias),
  kernel: (k, x, weight, bias, epsilon) => k.layerNorm?.(x, weight, bias, epsilon),
  rule: (g, _, x, weight, _bias, epsilon) => {
    const shapes = [x.shape, weight.shape, weight.shape]
    const part = unpacking(() => layerNormGradient(g, x, weight, epsilon), shapes)
    return [() => part(0), () => part(1), () => part(2)]
  },
  batching: (op, batch, x, weight, bias, epsilon) =>
    batch.has(weight) || batch.has(bias)
      ? standardize(x, epsilon).mul(weight).add(bias)
      : op(batch.whole(x), weight, bias, epsilon),
})

/**
 * weight (x - mean) / √(variance + ε) + bias over the last axis, with the biased variance (Ba et al. 2016).
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
          `layerNorm: the ${name} must be [${width}] for x ${show(x.shape)}, not ${show(row.shape)}`,
          x.shape,
          row.shape,
        )
    if (weight && bias) return scaledAndShifted(x, weight, bias, epsilon)
    const standard = standardize(x, epsilon)
    const scaled = weight ? standard.mul(weight) : standard
    return bias ? scaled.add(bias) : scaled
  },
)

export interface NormalizeOptions extends AxisOptions {
  /** smallest divisor; default 1e-12 */
  readonly epsilon?: number
}
const normalizeOptions = { ...lastAxis, epsilon: 1e-12 } satisfies Settings<NormalizeOptions>

/**
 * x / max(‖x‖, ε) along an axis (default the last): vectors of length 1; a zero vector stays zero.
 * @throws AxisError if x does not have the axis
 */
export const normalize: (x: Tensor, options?: NormalizeOptions) => Tensor = takes(
  'x.normalize(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: NormalizeOptions): Tensor => {
    const { axis, epsilon } = settle('x.normalize(options)', options, normalizeOptions)
    return x.div(x.norm({ axis, keepDims: true }).clamp({ min: epsilon }))
  },
)

/** The fused operations of this file, with their gradients. */
export const fusedNormalization = { standardize, standardizeGradient, layerNorm: scaledAndShifted, layerNormGradient }
