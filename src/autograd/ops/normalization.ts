// Normalization along an axis, over groups of channels or over a batch: to mean 0 and variance 1, with an optional learned scale and
// shift; or along an axis to a mean square or a length of 1.

import { takes } from '../../tensor/arguments.ts'
import {
  floating,
  isFloating,
  normalizeAxis,
  type Shape,
  ShapeError,
  show,
  sizeOf,
  type Tensor,
} from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { defineFused, defineTogether } from '../op.ts'
import { where } from './elementwise.ts'
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
    // its Jacobian is symmetric
    jvp: ([tangent], _, x, epsilon) => standardizeGradient(tangent!, x, epsilon),
  }),
)

/** Options of layerNorm: learned scale and shift of the last axis, [width] each. */
export interface LayerNormOptions {
  /** γ, [width]; default 1 */
  readonly weight?: Tensor
  /** β, [width]; default 0 */
  readonly bias?: Tensor
  /** added to the variance; default 1e-5 */
  readonly epsilon?: number
}
const layerNormOptions = {
  weight: is.optional(is.tensor),
  bias: is.optional(is.tensor),
  epsilon: 1e-5,
} satisfies Settings<LayerNormOptions>

/** The gradients of layerNorm with respect to x, weight and bias. */
const layerNormGradients = defineTogether(
  {
    layerNormGradient: {
      definition: (g: Tensor, x: Tensor, weight: Tensor, epsilon: number) =>
        standardizeGradient(g.mul(weight), x, epsilon),
    },
    layerNormWeightGradient: {
      definition: (g: Tensor, x: Tensor, weight: Tensor, epsilon: number) =>
        g.mul(standardize(x, epsilon)).sumTo(weight.shape),
    },
    layerNormBiasGradient: { definition: (g: Tensor, _x: Tensor, weight: Tensor) => g.sumTo(weight.shape) },
  },
  (k, g, x, weight, epsilon) => k.layerNormGradient?.(g, x, weight, epsilon),
)

const scaledAndShifted = defineFused('layerNorm', {
  definition: (x: Tensor, weight: Tensor, bias: Tensor, epsilon: number) =>
    standardize(x, epsilon).mul(weight).add(bias),
  kernel: (k, x, weight, bias, epsilon) => k.layerNorm?.(x, weight, bias, epsilon),
  rule: (g, _, x, weight, _bias, epsilon) => {
    const part = layerNormGradients.results(g, x, weight, epsilon)
    return [() => part(0), () => part(1), () => part(2)]
  },
  batching: (op, batch, x, weight, bias, epsilon) =>
    batch.has(weight) || batch.has(bias)
      ? standardize(x, epsilon).mul(weight).add(bias)
      : op(batch.whole(x), weight, bias, epsilon),
  jvp: 'definition',
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
    checkRows('layerNorm', x.shape, width, { weight, bias })
    if (weight && bias) return scaledAndShifted(x, weight, bias, epsilon)
    const standard = standardize(x, epsilon)
    const scaled = weight ? standard.mul(weight) : standard
    return bias ? scaled.add(bias) : scaled
  },
)

/** Options of rmsNorm: a learned scale of the last axis, [width]. */
export interface RMSNormOptions {
  /** γ, [width]; default 1 */
  readonly weight?: Tensor
  /** added to the mean of squares; default 1e-6 */
  readonly epsilon?: number
}
const rmsNormOptions = { weight: is.optional(is.tensor), epsilon: 1e-6 } satisfies Settings<RMSNormOptions>

/**
 * weight x / √(mean x² + ε) over the last axis (Zhang and Sennrich 2019): the layer normalization of Llama and others, which
 * subtracts no mean.
 * @param options weight [width], left out by default, and epsilon, default 1e-6 (in PyTorch, that of the dtype)
 * @throws ShapeError unless the weight is as long as the last axis
 */
export const rmsNorm: (x: Tensor, options?: RMSNormOptions) => Tensor = takes(
  'x.rmsNorm(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: RMSNormOptions): Tensor => {
    const { weight, epsilon } = settle('x.rmsNorm(options)', options, rmsNormOptions)
    const width = x.shape[normalizeAxis('rmsNorm', -1, x.shape)]
    checkRows('rmsNorm', x.shape, width, { weight })
    const scaled = x.mul(x.square().mean(keptLast).add(epsilon).rsqrt())
    return weight ? scaled.mul(weight) : scaled
  },
)

/** Checks that rows of numbers, where they are given, are [width]. */
function checkRows(
  call: string,
  shape: Shape,
  width: number,
  rows: Readonly<Record<string, Tensor | undefined>>,
): void {
  for (const [name, row] of Object.entries(rows))
    if (row && (row.rank !== 1 || row.shape[0] !== width))
      throw new ShapeError(
        `${call}: the ${name} must be [${width}] for x ${show(shape)}, not ${show(row.shape)}`,
        shape,
        row.shape,
      )
}

/** The number of channels of [batch, channels, ...]. */
function channelsOf(call: string, { rank, shape }: Tensor): number {
  if (rank < 2) throw new ShapeError(`${call}: x must be [batch, channels, ...], not ${show(shape)}`, shape)
  return shape[1]
}

/** One number a channel, for [batch, channels, ...]. */
const perChannel = (row: Tensor, { rank }: Tensor): Tensor => row.reshape([row.size, ...Array(rank - 2).fill(1)])

/** y weight + bias, with one weight and one bias a channel. */
function scaledChannels(y: Tensor, weight: Tensor | undefined, bias: Tensor | undefined): Tensor {
  const scaled = weight ? y.mul(perChannel(weight, y)) : y
  return bias ? scaled.add(perChannel(bias, y)) : scaled
}

/** Options of groupNorm: learned scale and shift of each channel, [channels] each. */
export interface GroupNormOptions {
  /** number of groups, which divides that of the channels; as many as channels gives the instance normalization */
  readonly groups: number
  /** γ, [channels]; default 1 */
  readonly weight?: Tensor
  /** β, [channels]; default 0 */
  readonly bias?: Tensor
  /** added to the variance; default 1e-5 */
  readonly epsilon?: number
}
const groupNormOptions = {
  groups: is.count,
  weight: is.optional(is.tensor),
  bias: is.optional(is.tensor),
  epsilon: 1e-5,
} satisfies Settings<GroupNormOptions>

/**
 * weight (x - mean) / √(variance + ε) + bias, with the mean and the biased variance of each group of channels of each example
 * (Wu and He 2018).
 * @param x [batch, channels, ...]
 * @param options groups, which must be given; weight and bias [channels], both left out by default; epsilon, default 1e-5
 * @throws ShapeError unless the groups divide the channels, and weight and bias have one number a channel
 */
export const groupNorm: (x: Tensor, options: GroupNormOptions) => Tensor = takes(
  'x.groupNorm(options)',
  [is.tensor, is.options],
  (x: Tensor, options: GroupNormOptions): Tensor => {
    const { groups, weight, bias, epsilon } = settle('x.groupNorm(options)', options, groupNormOptions)
    const channels = channelsOf('groupNorm', x)
    if (channels % groups !== 0)
      throw new ShapeError(`groupNorm: ${groups} groups must divide the channels of x ${show(x.shape)}`, x.shape)
    checkRows('groupNorm', x.shape, channels, { weight, bias })
    const [batch, ...rest] = x.shape
    const rows = x.reshape([batch, groups, sizeOf(rest) / groups])
    return scaledChannels(standardize(rows, epsilon).reshape(x.shape), weight, bias)
  },
)

/** All axes but the second. */
const besideChannels = ({ shape }: Tensor): number[] => shape.map((_, i) => i).filter(i => i !== 1)

/** The mean over all axes but the second, which are kept. */
const channelMean = (x: Tensor): Tensor => x.mean({ axis: besideChannels(x), keepDims: true })

/** y = (x - mean) r with r = 1/√(variance + ε) of each channel */
function standardizedChannels(x: Tensor, epsilon: number): { readonly y: Tensor; readonly r: Tensor } {
  const centred = x.sub(channelMean(x))
  const r = channelMean(centred.square()).add(epsilon).rsqrt()
  return { y: centred.mul(r), r }
}

/** The gradients of batchNorm with respect to x, weight and bias. */
const batchNormGradients = defineTogether(
  {
    batchNormGradient: {
      definition: (g: Tensor, x: Tensor, weight: Tensor, epsilon: number) => {
        const { y, r } = standardizedChannels(x, epsilon)
        return g
          .sub(channelMean(g))
          .sub(y.mul(channelMean(g.mul(y))))
          .mul(r)
          .mul(perChannel(weight, x))
      },
    },
    batchNormWeightGradient: {
      definition: (g: Tensor, x: Tensor, _weight: Tensor, epsilon: number) =>
        g.mul(standardizedChannels(x, epsilon).y).sum({ axis: besideChannels(x) }),
    },
    batchNormBiasGradient: { definition: (g: Tensor, x: Tensor) => g.sum({ axis: besideChannels(x) }) },
  },
  (k, g, x, weight, epsilon) => k.batchNormGradient?.(g, x, weight, epsilon),
)

/** weight (x - mean) / √(variance + ε) + bias, with the mean and the biased variance of each channel */
const normalizedChannels = defineFused('batchNorm', {
  definition: (x: Tensor, weight: Tensor, bias: Tensor, epsilon: number) =>
    scaledChannels(standardizedChannels(x, epsilon).y, weight, bias),
  kernel: (k, x, weight, bias, epsilon) => k.batchNorm?.(x, weight, bias, epsilon),
  rule: (g, _, x, weight, _bias, epsilon) => {
    const part = batchNormGradients.results(g, x, weight, epsilon)
    return [() => part(0), () => part(1), () => part(2)]
  },
  jvp: 'definition',
})

/** Options of batchNorm: numbers for each channel, [channels] each. */
export interface BatchNormOptions {
  /** the mean that is subtracted; default that of the batch */
  readonly mean?: Tensor
  /** the variance that is divided by, given together with the mean; default the biased one of the batch */
  readonly variance?: Tensor
  /** γ, [channels]; default 1 */
  readonly weight?: Tensor
  /** β, [channels]; default 0 */
  readonly bias?: Tensor
  /** added to the variance; default 1e-5 */
  readonly epsilon?: number
}
const batchNormOptions = {
  mean: is.optional(is.tensor),
  variance: is.optional(is.tensor),
  weight: is.optional(is.tensor),
  bias: is.optional(is.tensor),
  epsilon: 1e-5,
} satisfies Settings<BatchNormOptions>

/**
 * weight (x - mean) / √(variance + ε) + bias, with a mean and a variance for each channel (Ioffe and Szegedy 2015): those of all
 * examples and positions of the batch, which are part of the gradient, or given ones. The module `BatchNorm2d` remembers those of
 * training for evaluation; this function remembers nothing.
 * @param x [batch, channels, ...]
 * @param options mean and variance [channels], both or neither; weight and bias [channels]; epsilon, default 1e-5
 * @throws ShapeError unless all of them have one number a channel, TypeError for a mean without a variance, or the other way around
 */
export const batchNorm: (x: Tensor, options?: BatchNormOptions) => Tensor = takes(
  'x.batchNorm(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: BatchNormOptions): Tensor => {
    const { mean, variance, weight, bias, epsilon } = settle('x.batchNorm(options)', options, batchNormOptions)
    checkRows('batchNorm', x.shape, channelsOf('batchNorm', x), { mean, variance, weight, bias })
    if ((mean === undefined) !== (variance === undefined))
      throw new TypeError('batchNorm: mean and variance must be given together, or neither of them')
    if (mean && variance) {
      const y = x.sub(perChannel(mean, x)).mul(perChannel(variance, x).add(epsilon).rsqrt())
      return scaledChannels(y, weight, bias)
    }
    if (weight && bias) return normalizedChannels(x, weight, bias, epsilon)
    return scaledChannels(standardizedChannels(x, epsilon).y, weight, bias)
  },
)

/** Options of `normalize`. */
export interface NormalizeOptions extends AxisOptions {
  /** smallest divisor; default 1e-12 */
  readonly epsilon?: number
}
const normalizeOptions = { ...lastAxis, epsilon: 1e-12 } satisfies Settings<NormalizeOptions>

/** r (g - y Σ g y) with y = r x and r = 1/max(‖x‖, ε), and r g where ‖x‖ < ε: the gradient of normalize */
const normalizeGradient = defineFused('normalizeGradient', {
  definition: (g: Tensor, x: Tensor, epsilon: number) => {
    const length = x.norm(keptLast)
    const divisor = length.clamp({ min: epsilon })
    const y = x.div(divisor)
    const radial = where(length.greaterEqual(epsilon), g.mul(y).sum(keptLast), 0)
    return g.sub(y.mul(radial)).div(divisor)
  },
  kernel: (k, g, x, epsilon) => k.normalizeGradient?.(g, x, epsilon),
  batching: 'broadcast',
})

/** x / max(‖x‖, ε) over the last axis */
const normalizeLast = defineFused('normalize', {
  definition: (x: Tensor, epsilon: number) => x.div(x.norm(keptLast).clamp({ min: epsilon })),
  kernel: (k, x, epsilon) => k.normalize?.(x, epsilon),
  rule: (g, _, x, epsilon) => [() => normalizeGradient(g, x, epsilon)],
  batching: 'broadcast',
})

/**
 * x / max(‖x‖, ε) along an axis (default the last): vectors of length 1; a zero vector stays zero.
 * @throws AxisError if x does not have the axis
 */
export const normalize: (x: Tensor, options?: NormalizeOptions) => Tensor = takes(
  'x.normalize(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: NormalizeOptions): Tensor => {
    const { axis, epsilon } = settle('x.normalize(options)', options, normalizeOptions)
    const at = normalizeAxis('normalize', axis, x.shape)
    const floats = isFloating(x.dtype) ? x : x.cast(floating(x.dtype))
    if (at === x.rank - 1) return normalizeLast(floats, epsilon)
    return normalizeLast(floats.transpose(at, -1), epsilon).transpose(at, -1)
  },
)

/** The fused operations of this file, with their gradients. */
export const fusedNormalization = {
  standardize,
  standardizeGradient,
  layerNorm: scaledAndShifted,
  ...layerNormGradients.ops,
  batchNorm: normalizedChannels,
  ...batchNormGradients.ops,
  normalize: normalizeLast,
  normalizeGradient,
}
