// Random tensors of further distributions. All are computed from the numbers of a generator by basic arithmetic (portable.ts) in
// float64 and rounded to the dtype of the tensor: equal seeds give equal numbers on every engine and device, in float32 as in
// float64. No gradient passes through a sample to the parameters of its distribution.

import { takes } from './arguments.ts'
import { below, checkFractions, filled, type RandomOptions, random, randomOptions } from './draw.ts'
import { type DType, INT32 } from './dtype.ts'
import { given } from './given.ts'
import * as is from './kinds.ts'
import { type Settings, settle } from './options.ts'
import { exponentiate, logarithm, logGamma } from './portable.ts'
import type { Generator } from './random.ts'
import type { Shape } from './shape.ts'
import type { Tensor } from './tensor.ts'

function checkPositive(name: string, parameter: string, value: number): void {
  if (!(value > 0 && value < Infinity))
    throw new RangeError(`${name}: ${parameter} must be a finite number above 0, not ${value}`)
}

function checkFinite(name: string, parameter: string, value: number): void {
  if (!Number.isFinite(value)) throw new RangeError(`${name}: ${parameter} must be a finite number, not ${value}`)
}

// one number each

/** Exponential with mean 1, above 0. */
export const drawExponential = (g: Generator): number => -logarithm(g.inside())

/** Standard Gumbel. */
export const drawGumbel = (g: Generator): number => -logarithm(drawExponential(g))

/** Standard normal under the condition low ≤ z ≤ high: by rejection, from the distribution that is nearest in each case. */
function drawTruncated(g: Generator, low: number, high: number): number {
  if (low > 0.5) return drawTail(g, low, high)
  if (high < -0.5) return -drawTail(g, -high, -low)
  if (high - low < 2) return drawFromUniform(g, low, high)
  let z = g.normal()
  while (z < low || z > high) z = g.normal()
  return z
}

/** Of a part of the upper tail; beyond a narrow one from an exponential distribution (Robert 1995). */
function drawTail(g: Generator, low: number, high: number): number {
  if ((high - low) * low < 2) return drawFromUniform(g, low, high)
  const rate = (low + Math.sqrt(low * low + 4)) / 2
  for (;;) {
    const z = low + drawExponential(g) / rate
    if (z <= high && 2 * logarithm(g.inside()) < -((z - rate) ** 2)) return z
  }
}

function drawFromUniform(g: Generator, low: number, high: number): number {
  const highest = low > 0 ? low : high < 0 ? high : 0
  for (;;) {
    const z = low + (high - low) * g.uniform()
    if (2 * logarithm(g.inside()) < highest * highest - z * z) return z
  }
}

/** A number of the gamma distribution as a product v · eᵖ, whose second factor is below every float64 for a small shape. */
function drawGamma(g: Generator, alpha: number): { readonly v: number; readonly p: number } {
  // Γ(α) is Γ(α + 1) · u^(1/α)
  if (alpha < 1) {
    const { v } = drawGamma(g, alpha + 1)
    return { v, p: logarithm(g.inside()) / alpha }
  }
  // Marsaglia and Tsang 2000
  const d = alpha - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (;;) {
    const x = g.normal()
    const t = 1 + c * x
    if (t <= 0) continue
    const cube = t * t * t
    if (logarithm(g.inside()) < (x * x) / 2 + d * (1 - cube + logarithm(cube))) return { v: d * cube, p: 0 }
  }
}

const drawLogGamma = (g: Generator, alpha: number): number => {
  const { v, p } = drawGamma(g, alpha)
  return logarithm(v) + p
}

/** A count of the Poisson distribution: the events within a time, or by rejection (Hörmann 1993, PTRS). */
function drawPoisson(g: Generator, rate: number): number {
  if (rate < 10) {
    let count = 0
    for (let time = drawExponential(g); time <= rate; time += drawExponential(g)) count++
    return count
  }
  const root = Math.sqrt(rate)
  const b = 0.931 + 2.53 * root
  const a = -0.059 + 0.02483 * b
  const scale = 1.1239 + 1.1328 / (b - 3.4)
  const certain = 0.9277 - 3.6224 / (b - 2)
  const logRate = logarithm(rate)
  for (;;) {
    const u = g.inside() - 0.5
    const v = g.inside()
    const us = 0.5 - Math.abs(u)
    const k = Math.floor(((2 * a) / us + b) * u + rate + 0.43)
    if (us >= 0.07 && v <= certain) return k
    if (k < 0 || (us < 0.013 && v > us)) continue
    if (logarithm((v * scale) / (a / (us * us) + b)) <= k * logRate - rate - logGamma(k + 1)) return k
  }
}

// tensors of them

/** Options of `truncatedNormal`. */
export interface TruncatedNormalOptions extends RandomOptions {
  /** of the normal distribution before it is truncated; default 0 */
  readonly mean?: number
  /** of the normal distribution before it is truncated; default 1 */
  readonly std?: number
  /** the least number; default -2. -Infinity leaves this side open */
  readonly low?: number
  /** the largest number; default 2. Infinity leaves this side open */
  readonly high?: number
}
const truncatedNormalOptions = {
  ...randomOptions,
  mean: 0,
  std: 1,
  low: -2,
  high: 2,
} satisfies Settings<TruncatedNormalOptions>

/**
 * Normal numbers under the condition that they are in [low, high], by default within 2 of 0 as in PyTorch's `trunc_normal_`: the ends
 * are numbers, not multiples of `std`.
 * @throws RangeError for ends that are not in ascending order, and for a `std` that is not above 0
 */
export const truncatedNormal = takes(
  'truncatedNormal(shape, options)',
  [is.shape, is.options],
  (shape: Shape, options?: TruncatedNormalOptions): Tensor => {
    const { mean, std, low, high, ...others } = settle(
      'truncatedNormal(shape, options)',
      options,
      truncatedNormalOptions,
    )
    checkFinite('truncatedNormal', 'mean', mean)
    checkPositive('truncatedNormal', 'std', std)
    if (!(low < high)) throw new RangeError(`truncatedNormal: high must be above low, not ${high} and ${low}`)
    const { dtype = 'float32' } = others
    checkFractions('truncatedNormal', dtype)
    const [least, most] = [-atMost(-low, dtype), atMost(high, dtype)]
    const [from, to] = [(low - mean) / std, (high - mean) / std]
    return random('truncatedNormal', shape, others, generator =>
      Math.min(Math.max(mean + std * drawTruncated(generator, from, to), least), most),
    )
  },
)

/** The largest number of a dtype that is not above a limit. */
const atMost = (limit: number, dtype: DType): number =>
  dtype === 'float32' && Math.fround(limit) > limit ? below(limit, dtype) : limit

/** Options of `exponential`. */
export interface ExponentialRandomOptions extends RandomOptions {
  /** 1 / mean; default 1 */
  readonly rate?: number
}
const exponentialOptions = { ...randomOptions, rate: 1 } satisfies Settings<ExponentialRandomOptions>

/**
 * Numbers of the exponential distribution, with density rate · e^(-rate x) for x > 0 and mean 1 / rate.
 * @throws RangeError for a rate that is not above 0
 */
export const exponential = takes(
  'exponential(shape, options)',
  [is.shape, is.options],
  (shape: Shape, options?: ExponentialRandomOptions): Tensor => {
    const { rate, ...others } = settle('exponential(shape, options)', options, exponentialOptions)
    checkPositive('exponential', 'rate', rate)
    checkFractions('exponential', others.dtype ?? 'float32')
    return random('exponential', shape, others, generator => drawExponential(generator) / rate)
  },
)

/** Options of `gumbel`. */
export interface GumbelOptions extends RandomOptions {
  /** the most probable number; default 0 */
  readonly location?: number
  /** default 1 */
  readonly scale?: number
}
const gumbelOptions = { ...randomOptions, location: 0, scale: 1 } satisfies Settings<GumbelOptions>

/**
 * Numbers of the Gumbel distribution, location - scale · log(-log u) for u uniform on (0, 1): its distribution function is
 * exp(-exp(-(x - location) / scale)). The position of the largest of logits plus these numbers is a sample of softmax(logits).
 * @throws RangeError for a location that is not finite, and for a scale that is not above 0
 */
export const gumbel = takes(
  'gumbel(shape, options)',
  [is.shape, is.options],
  (shape: Shape, options?: GumbelOptions): Tensor => {
    const { location, scale, ...others } = settle('gumbel(shape, options)', options, gumbelOptions)
    checkFinite('gumbel', 'location', location)
    checkPositive('gumbel', 'scale', scale)
    checkFractions('gumbel', others.dtype ?? 'float32')
    return random('gumbel', shape, others, generator => location + scale * drawGumbel(generator))
  },
)

/**
 * Numbers of the gamma distribution, with density ∝ x^(alpha - 1) e^(-rate x) for x > 0 and mean alpha / rate. For a small alpha many
 * are below the least number of the dtype, and 0.
 * @param alpha the shape of the distribution; PyTorch calls it concentration
 * @throws RangeError for an alpha or a rate that is not above 0
 */
export const gamma = takes(
  'gamma(alpha, shape, options)',
  [is.number, is.shape, is.options],
  (alpha: number, shape: Shape, options?: ExponentialRandomOptions): Tensor => {
    const { rate, ...others } = settle('gamma(alpha, shape, options)', options, exponentialOptions)
    checkPositive('gamma', 'alpha', alpha)
    checkPositive('gamma', 'rate', rate)
    checkFractions('gamma', others.dtype ?? 'float32')
    return random('gamma', shape, others, generator => {
      const { v, p } = drawGamma(generator, alpha)
      return (v * exponentiate(p)) / rate
    })
  },
)

/**
 * Numbers of the beta distribution on [0, 1], with density ∝ x^(alpha - 1) (1 - x)^(beta - 1) and mean alpha / (alpha + beta).
 * @throws RangeError for an alpha or a beta that is not above 0
 */
export const beta = takes(
  'beta(alpha, beta, shape, options)',
  [is.number, is.number, is.shape, is.options],
  (alpha: number, second: number, shape: Shape, options?: RandomOptions): Tensor => {
    const settled = settle('beta(alpha, beta, shape, options)', options, randomOptions)
    checkPositive('beta', 'alpha', alpha)
    checkPositive('beta', 'beta', second)
    checkFractions('beta', settled.dtype ?? 'float32')
    return random('beta', shape, settled, generator => {
      const x = drawLogGamma(generator, alpha)
      return 1 / (1 + exponentiate(drawLogGamma(generator, second) - x))
    })
  },
)

/**
 * Vectors of the Dirichlet distribution: k numbers, 0 or more, that sum to 1, with density ∝ Π xᵢ^(alphasᵢ - 1) and means
 * alphasᵢ / Σ alphas.
 * @param alphas k numbers above 0
 * @param shape [...]
 * @returns [..., k]
 * @throws RangeError for no alphas, and for one that is not above 0
 */
export const dirichlet = takes(
  'dirichlet(alphas, shape, options)',
  [is.shape, is.shape, is.options],
  (alphas: readonly number[], shape: Shape, options?: RandomOptions): Tensor => {
    const settled = settle('dirichlet(alphas, shape, options)', options, randomOptions)
    if (alphas.length === 0)
      throw new RangeError(`dirichlet: alphas must have at least one number, not ${given(alphas)}`)
    for (const [i, alpha] of alphas.entries()) checkPositive('dirichlet', `alpha ${i}`, alpha)
    checkFractions('dirichlet', settled.dtype ?? 'float32')
    const k = alphas.length
    return filled('dirichlet', [...shape, k], settled, (data, generator) => {
      for (let row = 0; row < data.length; row += k) {
        const logs = alphas.map(alpha => drawLogGamma(generator, alpha))
        const most = Math.max(...logs)
        const powers = logs.map(x => exponentiate(x - most))
        const total = powers.reduce((a, b) => a + b, 0)
        powers.forEach((power, i) => {
          data[row + i] = power / total
        })
      }
    })
  },
)

/**
 * Counts of the Poisson distribution, with probabilities rateᵏ e^(-rate) / k! and mean `rate`; int32 by default.
 * @throws RangeError for a rate below 0, or above 10⁹
 */
export const poisson = takes(
  'poisson(rate, shape, options)',
  [is.number, is.shape, is.options],
  (rate: number, shape: Shape, options?: RandomOptions): Tensor => {
    const { dtype = 'int32', ...others } = settle('poisson(rate, shape, options)', options, randomOptions)
    if (!(rate >= 0 && rate <= 1e9)) throw new RangeError(`poisson: the rate must be from 0 to 10^9, not ${rate}`)
    return random('poisson', shape, { ...others, dtype }, generator =>
      Math.min(drawPoisson(generator, rate), INT32.max),
    )
  },
)
