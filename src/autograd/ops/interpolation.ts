// Resampling: values between the elements of the spatial axes. Each result is a sum of few elements with weights, so that it
// costs as many products as it has terms, and a NaN changes only the results next to it.

import { takes } from '../../tensor/arguments.ts'
import { deviceOf, fromData, type Shape, ShapeError, show, sizeOf, type Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { where } from './elementwise.ts'
import { adaptiveAvgPool } from './pooling.ts'
import { besides, checkSpatial, constant, countPerAxis, forEachAxis, level, type PerAxis, takeRows } from './spatial.ts'

/** `bilinear` and `bicubic` are linear and cubic along each of the spatial axes, however many there are. */
export type InterpolationMode = 'nearest' | 'bilinear' | 'bicubic' | 'area'

/** Options of `interpolate`, and of the module `Upsample`. */
export interface InterpolateOptions {
  /** sizes of the spatial axes of the result; either they or the scale are given */
  readonly size?: PerAxis
  /** factors of the sizes, which are rounded down */
  readonly scale?: number | readonly number[]
  /** default `nearest` */
  readonly mode?: InterpolationMode
  /** whether the first and last elements of an axis stay where they are, in the modes `bilinear` and `bicubic`; default false */
  readonly alignCorners?: boolean
  /**
   * whether every element counts where there are fewer results than elements, in the modes `bilinear` and `bicubic`; default
   * false
   */
  readonly antialias?: boolean
}
const interpolateOptions = {
  size: is.optional(countPerAxis),
  scale: is.optional(is.perAxis(is.positive)),
  mode: is.choice<InterpolationMode>('nearest', 'bilinear', 'bicubic', 'area'),
  alignCorners: false,
  antialias: false,
} satisfies Settings<InterpolateOptions>

/** An element of x and its share of a result. */
interface Term {
  readonly at: number
  readonly weight: number
}

const limited = (at: number, n: number): number => Math.min(Math.max(at, 0), n - 1)

/** The cubic convolution kernel (Keys 1981). @param a its slope at 1 */
function cubic(distance: number, a: number): number {
  const d = Math.abs(distance)
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0
}
const triangle = (distance: number): number => Math.max(0, 1 - Math.abs(distance))

/** How the results of one axis are computed. */
interface Resampling {
  readonly mode: Exclude<InterpolationMode, 'area'>
  readonly alignCorners: boolean
  readonly antialias: boolean
  /** size of the axis */
  readonly n: number
  /** distance of two results, in elements of x */
  readonly step: number
}

/** The terms of the i-th result of an axis, as in PyTorch. */
function termsOf(i: number, { mode, alignCorners, antialias, n, step }: Resampling): Term[] {
  if (mode === 'nearest') return [{ at: limited(Math.floor(i * step), n), weight: 1 }]
  if (antialias) return smoothed(i, mode, n, step)
  const position = alignCorners ? i * step : (i + 0.5) * step - 0.5
  const first = Math.floor(position)
  if (mode === 'bilinear') {
    const part = position - first
    return [
      { at: limited(first, n), weight: 1 - part },
      { at: limited(first + 1, n), weight: part },
    ]
  }
  return [-1, 0, 1, 2].map(j => ({ at: limited(first + j, n), weight: cubic(position - first - j, -0.75) }))
}

/** The terms of a result whose kernel is as wide as the distance of results, normalized, as in PyTorch and Pillow. */
function smoothed(i: number, mode: 'bilinear' | 'bicubic', n: number, step: number): Term[] {
  const wide = Math.max(1, step)
  const support = (mode === 'bilinear' ? 1 : 2) * wide
  const centre = step * (i + 0.5)
  const first = Math.max(Math.trunc(centre - support + 0.5), 0)
  const end = Math.min(Math.trunc(centre + support + 0.5), n)
  const terms = Array.from({ length: end - first }, (_, j) => {
    const distance = (first + j - centre + 0.5) / wide
    return { at: first + j, weight: mode === 'bilinear' ? triangle(distance) : cubic(distance, -0.5) }
  })
  const total = terms.reduce((sum, { weight }) => sum + weight, 0)
  return terms.map(({ at, weight }) => ({ at, weight: weight / total }))
}

/** An axis whose every result is a sum of terms. */
function resampled(x: Tensor, axis: number, results: readonly (readonly Term[])[]): Tensor {
  const { filled, own, isLevel } = level(results)
  const picked = takeRows(
    x,
    axis,
    filled.map(terms => terms.map(({ at }) => at)),
  )
  if (filled[0].length === 1) return picked.squeeze(axis + 1)
  const beside = besides(picked, axis)
  const weights = constant(
    x,
    filled.flatMap(terms => terms.map(({ weight }) => weight)),
    beside,
  )
  const values = isLevel
    ? picked
    : where(fromData(Uint8Array.from(own, Number), beside, deviceOf(x), 'bool'), picked, 0)
  return values.mul(weights).sum({ axis: axis + 1 })
}

/** Sizes of the results, and how far apart they are if a scale says it. */
function resultsOf(
  x: Tensor,
  size: PerAxis | undefined,
  scale: number | readonly number[] | undefined,
): { sizes: readonly number[]; steps?: readonly number[] } {
  const spatial = x.shape.slice(2)
  if ((size === undefined) === (scale === undefined))
    throw new RangeError(
      'interpolate: either the size or the scale must be given; write x.interpolate({ size: [32, 32] }) or x.interpolate({ scale: 2 })',
    )
  if (size !== undefined) return { sizes: forEachAxis('interpolate', 'size', size, spatial.length) }
  const factors = forEachAxis('interpolate', 'scale', scale!, spatial.length)
  const sizes = spatial.map((n, i) => Math.floor(n * factors[i]))
  if (sizes.includes(0))
    throw new ShapeError(
      `interpolate: the scale ${show(factors)} leaves nothing of the spatial axes of x ${show(x.shape)}`,
      x.shape,
    )
  return { sizes, steps: factors.map(factor => 1 / factor) }
}

/**
 * x with other sizes of its spatial axes, by values between its elements: the nearest one (which keeps the dtype), a linear or a
 * cubic interpolation along each axis, or the mean of an area, which is `adaptiveAvgPool`. With `alignCorners` the first and the
 * last results are the first and the last elements of an axis; without it, elements and results are squares of the same area, as
 * pixels are. Results beyond the first and last element repeat them. With `antialias` the kernel is wider where the result is
 * smaller than x, as in Pillow. A scale is used as it is given, also where the sizes are rounded, as in PyTorch.
 *
 * x.interpolate({ size: [224, 224], mode: 'bicubic', antialias: true })
 * x.interpolate({ scale: 2 })
 *
 * @param x [batch, channels, n…] with one to three spatial axes
 * @returns [batch, channels, size…]
 * @throws ShapeError if x has an empty spatial axis or none, or nothing would be left of one; RangeError if not one of size and
 *   scale is given, or an option does not belong to the mode
 */
export const interpolate: (x: Tensor, options: InterpolateOptions) => Tensor = takes(
  'x.interpolate(options)',
  [is.tensor, is.options],
  (x: Tensor, options: InterpolateOptions): Tensor => {
    const { size, scale, mode, alignCorners, antialias } = settle('x.interpolate(options)', options, interpolateOptions)
    const isSmooth = mode === 'bilinear' || mode === 'bicubic'
    for (const [name, isGiven] of Object.entries({ alignCorners, antialias }))
      if (isGiven && !isSmooth)
        throw new RangeError(`interpolate: ${name} belongs to the modes 'bilinear' and 'bicubic', not to '${mode}'`)
    checkSpatial('interpolate', x, Math.min(3, Math.max(1, x.rank - 2)))
    if (x.shape.slice(2).includes(0))
      throw new ShapeError(`interpolate: the spatial axes of x ${show(x.shape)} must have elements`, x.shape)
    const { sizes, steps } = resultsOf(x, size, scale)
    if (mode === 'area') return adaptiveAvgPool(x, sizes)
    return sizes.reduceRight((y, m, i) => {
      const n = x.shape[2 + i]
      const step = alignCorners ? (m > 1 ? (n - 1) / (m - 1) : 0) : (steps?.[i] ?? n / m)
      if (step === 1 && n === m) return y
      const axis = { mode, alignCorners, antialias, n, step }
      return resampled(
        y,
        2 + i,
        Array.from({ length: m }, (_, at) => termsOf(at, axis)),
      )
    }, x)
  },
)

/** Which values there are outside of x: 0, those of its border, or x as in a mirror. */
export type GridPaddingMode = 'zeros' | 'border' | 'reflection'

/** Options of `gridSample`. */
export interface GridSampleOptions {
  /** default `bilinear`: linear along each axis */
  readonly mode?: 'bilinear' | 'nearest'
  /** default `zeros` */
  readonly paddingMode?: GridPaddingMode
  /**
   * whether -1 and 1 are the centres of the first and last elements; default false: they are the outer edges of these elements
   */
  readonly alignCorners?: boolean
}
const gridSampleOptions = {
  mode: is.choice<'bilinear' | 'nearest'>('bilinear', 'nearest'),
  paddingMode: is.choice<GridPaddingMode>('zeros', 'border', 'reflection'),
  alignCorners: false,
} satisfies Settings<GridSampleOptions>

/** ⌊x⌋ as int32, without a gradient, of positions near an axis of size n; others become ones that are outside of it too. */
function floorNear(x: Tensor, n: number): Tensor {
  const near = x.stopGradient().clamp({ min: -2, max: n + 1 })
  const whole = near.cast('int32')
  return whole.sub(near.less(whole))
}

/** Rounded to the nearest whole number, halves to the even one. */
function roundNear(x: Tensor, n: number): Tensor {
  const below = floorNear(x, n)
  const part = x.stopGradient().sub(below)
  const isOdd = below.notEqual(below.div(2).cast('int32').mul(2))
  return below.add(part.greater(0.5).logicalOr(part.equal(0.5).logicalAnd(isOdd)))
}

/** Positions as in a mirror at both ends of an axis of size n. */
function reflected(x: Tensor, n: number, alignCorners: boolean): Tensor {
  const [low, span] = alignCorners ? [0, n - 1] : [-0.5, n]
  if (span === 0) return x.mul(0)
  const away = x.sub(low).abs()
  // there are no more turns than this far from any axis
  const turns = floorNear(away.div(span), 2 ** 24)
  const rest = away.sub(turns.mul(span))
  const isOdd = turns.notEqual(turns.div(2).cast('int32').mul(2))
  return where(isOdd, rest.neg().add(span), rest).add(low)
}

/**
 * Values of x at the positions of a grid, between its elements: `bilinear` is linear along each axis, `nearest` the nearest
 * element, of two the even one. A position is [x, y] or [x, y, z], the last axis of x first; -1 is the beginning and 1 the end of
 * an axis, as `alignCorners` says. Gradients go to x, and to the grid in the mode `bilinear`; that of a position that is moved to
 * the border is 0.
 *
 * x.gridSample(grid, { paddingMode: 'border' })
 *
 * @param x [batch, channels, n…] with one to three spatial axes
 * @param grid [batch, m…, axes], with as many axes m as x has spatial axes
 * @returns [batch, channels, m…]
 * @throws ShapeError if the shapes do not fit each other, or a spatial axis of x is empty
 */
export const gridSample: (x: Tensor, grid: Tensor, options?: GridSampleOptions) => Tensor = takes(
  'x.gridSample(grid, options)',
  [is.tensor, is.tensor, is.options],
  (x: Tensor, grid: Tensor, options?: GridSampleOptions): Tensor => {
    const { mode, paddingMode, alignCorners } = settle('x.gridSample(grid, options)', options, gridSampleOptions)
    const rank = x.rank - 2
    checkSpatial('gridSample', x, Math.min(3, Math.max(1, rank)))
    if (grid.rank !== x.rank || grid.shape[0] !== x.shape[0] || grid.shape[rank + 1] !== rank)
      throw new ShapeError(
        `gridSample: the grid must be [${x.shape[0]}${', n'.repeat(rank)}, ${rank}] for x ${show(x.shape)}, not ${show(grid.shape)}`,
        grid.shape,
        x.shape,
      )
    const [batch, channels, ...spatial] = x.shape
    if (spatial.includes(0))
      throw new ShapeError(`gridSample: the spatial axes of x ${show(x.shape)} must have elements`, x.shape)
    const results = grid.shape.slice(1, -1)
    const count = sizeOf(results)
    const points = grid.reshape([batch, 1, count, rank])
    const positions = spatial.map((n, i) => {
      const along = points.slice([{}, {}, {}, rank - 1 - i])
      const position = alignCorners
        ? along.add(1).mul((n - 1) / 2)
        : along
            .add(1)
            .mul(n / 2)
            .sub(0.5)
      if (paddingMode === 'zeros') return position
      const inside = paddingMode === 'border' ? position : reflected(position, n, alignCorners)
      return inside.clamp({ min: 0, max: n - 1 })
    })
    const flat = x.reshape([batch, channels, sizeOf(spatial)])
    /** the elements at whole positions, 0 outside of x */
    const at = (whole: readonly Tensor[]): Tensor => {
      const isInside = whole
        .map((p, i) => p.greaterEqual(0).logicalAnd(p.less(spatial[i])))
        .reduce((a, b) => a.logicalAnd(b))
      const index = whole
        .map((p, i) => p.clamp({ min: 0, max: spatial[i] - 1 }))
        .reduce((sum, p, i) => sum.mul(spatial[i]).add(p))
      return where(isInside, flat.gather(index.expand([batch, channels, count]), { axis: 2 }), 0)
    }
    const shape: Shape = [batch, channels, ...results]
    if (mode === 'nearest') return at(positions.map((p, i) => roundNear(p, spatial[i]))).reshape(shape)
    const lower = positions.map((p, i) => floorNear(p, spatial[i]))
    const parts = positions.map((p, i) => p.sub(lower[i]))
    const corners = Array.from({ length: 2 ** rank }, (_, corner) => {
      const isUpper = spatial.map((_, i) => ((corner >> i) & 1) === 1)
      const weight = parts.map((part, i) => (isUpper[i] ? part : part.neg().add(1))).reduce((a, b) => a.mul(b))
      return at(lower.map((p, i) => (isUpper[i] ? p.add(1) : p))).mul(weight)
    })
    return corners.reduce((a, b) => a.add(b)).reshape(shape)
  },
)

/**
 * Channels as pixels: [..., c r², h, w] → [..., c, h r, w r], with out[c, i r + k, j r + l] = x[c r² + k r + l, i, j] (Shi et al.
 * 2016).
 *
 * x.pixelShuffle(2)
 *
 * @throws ShapeError if x has fewer than three axes, or r² does not divide the channels
 */
export const pixelShuffle: (x: Tensor, factor: number) => Tensor = takes(
  'x.pixelShuffle(factor)',
  [is.tensor, is.count],
  (x: Tensor, factor: number): Tensor => {
    const [channels, height, width] = x.shape.slice(-3)
    if (x.rank < 3 || channels % factor ** 2 !== 0)
      throw new ShapeError(
        `pixelShuffle: x must be [..., channels, height, width] with a multiple of ${factor ** 2} channels for the factor ${factor}, not ${show(x.shape)}`,
        x.shape,
      )
    const lead = x.shape.slice(0, -3)
    const n = lead.length
    return x
      .reshape([...lead, channels / factor ** 2, factor, factor, height, width])
      .permute([...lead.keys(), n, n + 3, n + 1, n + 4, n + 2])
      .reshape([...lead, channels / factor ** 2, height * factor, width * factor])
  },
)

/**
 * Pixels as channels, the inverse of `pixelShuffle`: [..., c, h r, w r] → [..., c r², h, w].
 *
 * x.pixelUnshuffle(2)
 *
 * @throws ShapeError if x has fewer than three axes, or r does not divide its height and width
 */
export const pixelUnshuffle: (x: Tensor, factor: number) => Tensor = takes(
  'x.pixelUnshuffle(factor)',
  [is.tensor, is.count],
  (x: Tensor, factor: number): Tensor => {
    const [channels, height, width] = x.shape.slice(-3)
    if (x.rank < 3 || height % factor !== 0 || width % factor !== 0)
      throw new ShapeError(
        `pixelUnshuffle: x must be [..., channels, height, width] with a height and a width that ${factor} divides, not ${show(x.shape)}`,
        x.shape,
      )
    const lead = x.shape.slice(0, -3)
    const n = lead.length
    const [h, w] = [height / factor, width / factor]
    return x
      .reshape([...lead, channels, h, factor, w, factor])
      .permute([...lead.keys(), n, n + 2, n + 4, n + 1, n + 3])
      .reshape([...lead, channels * factor ** 2, h, w])
  },
)
