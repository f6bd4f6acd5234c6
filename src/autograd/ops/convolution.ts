// Convolutions over any number of spatial axes, as matrix products of the weight with columns: the windows of x, copied. For x, a
// weight and a gradient of the result there is one number, Σ gradient · convolution(x, weight), which is linear in each of the
// three. Its three derivatives are the three operations below, and each is the gradient of the two others, to every order.

import { takes } from '../../tensor/arguments.ts'
import {
  type ConvolutionSteps,
  type Padding,
  type Range,
  type Shape,
  ShapeError,
  scope,
  show,
  sizeOf,
  type Tensor,
} from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { defineFused } from '../op.ts'
import type { Thunks } from '../recording.ts'
import { concat, type PaddingMode, pad } from './movement.ts'
import {
  checkKernel,
  checkSpatial,
  countOf,
  countPerAxis,
  forEachAxis,
  overlap,
  type PerAxis,
  reachOf,
  sizePerAxis,
  windows,
} from './spatial.ts'

type Steps = Pick<ConvolutionSteps, 'stride' | 'dilation'>

/** [lead…, spatial…] → [lead…, kernel…, count…], a view; the spatial axes are the last ones. */
function windowsOf(x: Tensor, kernel: readonly number[], { stride, dilation }: Steps): Tensor {
  const lead = x.rank - kernel.length
  const beside = kernel.reduceRight((y, n, i) => windows(y, lead + i, n, stride[i], dilation[i]), x)
  return beside.permute([
    ...x.shape.slice(0, lead).keys(),
    ...kernel.map((_, i) => lead + 2 * i),
    ...kernel.map((_, i) => lead + 2 * i + 1),
  ])
}

/** The adjoint: [lead…, kernel…, count…] → [lead…, sizes…]. */
function overlapOf(columns: Tensor, sizes: readonly number[], { stride, dilation }: Steps): Tensor {
  const lead = columns.rank - 2 * sizes.length
  const beside = columns.permute([
    ...columns.shape.slice(0, lead).keys(),
    ...sizes.flatMap((_, i) => [lead + i, lead + sizes.length + i]),
  ])
  return sizes.reduceRight((y, n, i) => overlap(y, lead + 2 * i, n, stride[i], dilation[i]), beside)
}

/** Elements of the columns that are in memory at once; one example may have more. */
const MOST_COLUMNS = 2 ** 22

/** Parts of the batch whose columns are in memory at once, computed one after the other. */
function inPieces(batch: number, columns: number, compute: (part: Range) => Tensor): Tensor[] {
  const size = Math.max(1, Math.floor(MOST_COLUMNS / Math.max(1, columns)))
  const count = Math.max(1, Math.ceil(batch / size))
  return Array.from({ length: count }, (_, i) => scope(() => compute({ start: i * size, stop: (i + 1) * size })))
}

const joined = (parts: readonly Tensor[]): Tensor => (parts.length === 1 ? parts[0] : concat(parts))

const spatialOf = (x: Tensor): Shape => x.shape.slice(2)
const countsOf = (sizes: Shape, kernel: Shape, { stride, dilation }: Steps): Shape =>
  sizes.map((n, i) => countOf(n, kernel[i], stride[i], dilation[i]))
const paddedSizes = (sizes: Shape, padding: Padding): Shape => sizes.map((n, i) => n + padding[i][0] + padding[i][1])

/** [outputs, inputs / groups, kernel…] → [groups, outputs / groups, inputs / groups · kernel] */
const rowsOf = (weight: Tensor, groups: number): Tensor =>
  weight.reshape([groups, weight.shape[0] / groups, sizeOf(weight.shape.slice(1))])

/** [batch, channels, counts…] → [batch, groups, channels / groups, counts] */
const grouped = (g: Tensor, groups: number): Tensor =>
  g.reshape([g.shape[0], groups, g.shape[1] / groups, sizeOf(spatialOf(g))])

/** x [batch, channels, spatial…] → [batch, groups, channels / groups · kernel, counts] */
function columnsOf(x: Tensor, kernel: Shape, steps: ConvolutionSteps): Tensor {
  const { groups, padding } = steps
  const all = windowsOf(padBoth(x, padding, 'constant'), kernel, steps)
  const counts = all.shape.slice(2 + kernel.length)
  return all.reshape([x.shape[0], groups, (x.shape[1] / groups) * sizeOf(kernel), sizeOf(counts)])
}

/** The counts of the windows of a convolution. */
const countsOfConvolution = (x: Tensor, weight: Tensor, steps: ConvolutionSteps): Shape =>
  countsOf(paddedSizes(spatialOf(x), steps.padding), spatialOf(weight), steps)

/** x [batch, inputs, spatial…], weight [outputs, inputs / groups, kernel…] → [batch, outputs, counts…] */
const convolution = defineFused('convolution', {
  definition: (x: Tensor, weight: Tensor, steps: ConvolutionSteps) => {
    const kernel = spatialOf(weight)
    const counts = countsOfConvolution(x, weight, steps)
    const rows = rowsOf(weight, steps.groups)
    const parts = inPieces(x.shape[0], x.shape[1] * sizeOf(kernel) * sizeOf(counts), part => {
      const some = x.slice([part])
      return rows.matmul(columnsOf(some, kernel, steps)).reshape([some.shape[0], weight.shape[0], ...counts])
    })
    return joined(parts)
  },
  kernel: (k, x, weight, steps) => k.convolution?.(x, weight, countsOfConvolution(x, weight, steps), steps),
  rule: (g, _, x, weight, steps): Thunks => [
    () => convolutionTransposed(g, weight, spatialOf(x), steps),
    () => convolutionByWeight(x, g, spatialOf(weight), steps),
  ],
  jvp: 'bilinear',
})

/** The derivative by x: g [batch, outputs, counts…] → [batch, inputs, sizes…] */
const convolutionTransposed = defineFused('convolutionTransposed', {
  definition: (g: Tensor, weight: Tensor, sizes: Shape, steps: ConvolutionSteps) => {
    const { groups, padding } = steps
    const inputs = weight.shape[1] * groups
    const kernel = spatialOf(weight)
    const counts = spatialOf(g)
    const columns = rowsOf(weight, groups).transpose()
    const parts = inPieces(g.shape[0], inputs * sizeOf(kernel) * sizeOf(counts), part => {
      const some = g.slice([part])
      const terms = columns.matmul(grouped(some, groups)).reshape([some.shape[0], inputs, ...kernel, ...counts])
      const all = overlapOf(terms, paddedSizes(sizes, padding), steps)
      return within(
        all,
        sizes,
        padding.map(([before]) => before),
      )
    })
    return joined(parts)
  },
  kernel: (k, g, weight, sizes, steps) => k.convolutionTransposed?.(g, weight, sizes, steps),
  rule: (g, _, x, weight, _sizes, steps): Thunks => [
    () => convolution(g, weight, steps),
    () => convolutionByWeight(g, x, spatialOf(weight), steps),
  ],
  jvp: 'bilinear',
})

/**
 * The derivative by the weight: x [batch, inputs, spatial…], g [batch, outputs, counts…] → [outputs, inputs / groups, kernel…]
 */
const convolutionByWeight = defineFused('convolutionByWeight', {
  definition: (x: Tensor, g: Tensor, kernel: Shape, steps: ConvolutionSteps) => {
    const { groups } = steps
    const parts = inPieces(x.shape[0], x.shape[1] * sizeOf(kernel) * sizeOf(spatialOf(g)), part => {
      const columns = columnsOf(x.slice([part]), kernel, steps)
      return grouped(g.slice([part]), groups)
        .matmul(columns.transpose())
        .sum({ axis: 0 })
    })
    return parts.reduce((a, b) => a.add(b)).reshape([g.shape[1], x.shape[1] / groups, ...kernel])
  },
  kernel: (k, x, g, kernel, steps) => k.convolutionByWeight?.(x, g, kernel, steps),
  rule: (h, _, x, g, _kernel, steps): Thunks => [
    () => convolutionTransposed(g, h, spatialOf(x), steps),
    () => convolution(x, h, steps),
  ],
  jvp: 'bilinear',
})

/** The fused operations of this file. */
export const fusedConvolution = { convolution, convolutionTransposed, convolutionByWeight }

/** The windows of `unfold`. */
export interface UnfoldOptions {
  /** sizes of a window; their number is that of the spatial axes, which are the last ones of x */
  readonly kernel: readonly number[]
  /** default 1 */
  readonly stride?: PerAxis
  /** distance of neighbours in a window; default 1 */
  readonly dilation?: PerAxis
  /** zeros on both sides of each axis; default 0 */
  readonly padding?: PerAxis
}
const isKernel = new is.Kind<readonly number[]>(
  'a list of whole numbers above 0 such as [3, 3], one for each spatial axis',
  x => Array.isArray(x) && x.length > 0 && x.every(is.count.fits),
  ([n]) => (is.count.fits(n) ? { text: `[${n}, ${n}]`, values: 1 } : undefined),
)
const stepOptions = {
  stride: is.byDefault(1, countPerAxis),
  dilation: is.byDefault(1, countPerAxis),
  padding: is.byDefault(0, sizePerAxis),
} satisfies Settings<Omit<UnfoldOptions, 'kernel'>>
const unfoldOptions = { kernel: isKernel, ...stepOptions } satisfies Settings<UnfoldOptions>

/** The same margin before as after each axis. */
const bothSides = (widths: readonly number[]): Padding => widths.map(n => [n, n])

/** The last axes with margins. */
function padBoth(x: Tensor, padding: Padding, mode: PaddingMode): Tensor {
  if (padding.every(([before, after]) => before + after === 0)) return x
  const none = x.shape.slice(padding.length).map((): readonly [number, number] => [0, 0])
  return pad(x, [...none, ...padding], { mode })
}

/** The elements of the last axes from `first` on, as many as the sizes say. */
function within(x: Tensor, sizes: Shape, first: readonly number[]): Tensor {
  const lead = x.rank - sizes.length
  if (sizes.every((n, i) => n === x.shape[lead + i])) return x
  const parts = sizes.map((n, i): Range => ({ start: first[i], stop: first[i] + n }))
  return x.slice([...x.shape.slice(0, lead).map(() => ({})), ...parts])
}

/**
 * The windows of the last axes, which slide in steps of the stride: x [..., n…] → [..., kernel…, count…], with count = ⌊(n + 2
 * padding - dilation (kernel - 1) - 1) / stride⌋ + 1 and, for one axis, out[j, i] = x[i stride + j dilation - padding]. PyTorch's
 * `unfold` of x [batch, channels, height, width] has the same numbers as [batch, channels · kernel, count].
 *
 * x.unfold({ kernel: [3, 3], padding: 1 })
 *
 * @throws ShapeError if x has fewer axes than the kernel, or the kernel is larger than the padded axes
 */
export const unfold: (x: Tensor, options: UnfoldOptions) => Tensor = takes(
  'x.unfold(options)',
  [is.tensor, is.options],
  (x: Tensor, options: UnfoldOptions): Tensor => {
    const { kernel, ...steps } = settle('x.unfold(options)', options, unfoldOptions)
    const count = kernel.length
    if (x.rank < count)
      throw new ShapeError(`unfold: x ${show(x.shape)} has fewer axes than the kernel ${show(kernel)}`, x.shape, kernel)
    const { padding, ...geometry } = stepsOf('unfold', steps, count)
    const all = padBoth(x, bothSides(padding), 'constant')
    checkKernel('unfold', x, all.shape.slice(x.rank - count), kernel, geometry.dilation)
    return windowsOf(all, kernel, geometry)
  },
)

const stepsOf = (name: string, steps: { stride: PerAxis; dilation: PerAxis; padding: PerAxis }, count: number) => ({
  stride: forEachAxis(name, 'stride', steps.stride, count),
  dilation: forEachAxis(name, 'dilation', steps.dilation, count),
  padding: forEachAxis(name, 'padding', steps.padding, count),
})

/** Options of `fold`: those of the `unfold` that made the columns, without the kernel. */
export type FoldOptions = Omit<UnfoldOptions, 'kernel'>

/**
 * The sum of overlapping windows, the adjoint of `unfold`: columns [..., kernel…, count…] → [..., sizes…], where each element is
 * the sum of all its copies in the windows, and 0 if it is in none. The options are those of the `unfold` that made the columns.
 * PyTorch's `fold` takes the columns as [batch, channels · kernel, count].
 *
 * x.unfold({ kernel: [3, 3], padding: 1 }).fold([28, 28], { padding: 1 })
 *
 * @throws ShapeError if the columns are not those of axes of these sizes
 */
export const fold: (columns: Tensor, sizes: Shape, options?: FoldOptions) => Tensor = takes(
  'columns.fold(sizes, options)',
  [is.tensor, is.shape, is.options],
  (columns: Tensor, sizes: Shape, options?: FoldOptions): Tensor => {
    const steps = settle('columns.fold(sizes, options)', options, stepOptions)
    const { padding, ...geometry } = stepsOf('fold', steps, sizes.length)
    const all = sizes.map((n, i) => n + 2 * padding[i])
    const lead = columns.rank - 2 * sizes.length
    const kernel = columns.shape.slice(Math.max(0, lead), lead + sizes.length)
    const counts = countsOf(all, kernel, geometry)
    if (lead < 0 || counts.some((n, i) => n < 1 || n !== columns.shape[lead + sizes.length + i])) {
      const form = [...sizes.map(() => 'kernel'), ...counts.map(n => (Number.isNaN(n) ? 'count' : n))].join(', ')
      throw new ShapeError(
        `fold: columns ${show(columns.shape)} must be [..., ${form}] for the sizes ${show(sizes)}, ${show(all)} with padding`,
        columns.shape,
        sizes,
      )
    }
    return within(overlapOf(columns, all, geometry), sizes, padding)
  },
)

/** What stands around x: zeros, or its own values as in `pad`. */
export type ConvPaddingMode = 'zeros' | Exclude<PaddingMode, 'constant'>

/** Options of `conv1d`, `conv2d` and `conv3d`. */
export interface ConvOptions {
  /** [outputs], added to each channel of the result */
  readonly bias?: Tensor
  /** step of the windows; default 1 */
  readonly stride?: PerAxis
  /**
   * what is added on both sides of each axis; default 0. `same` keeps the sizes (with an odd total, there is one more after than
   * before) and needs the stride 1; `valid` is 0
   */
  readonly padding?: PerAxis | 'same' | 'valid'
  /** distance of neighbours in a window; default 1 */
  readonly dilation?: PerAxis
  /** parts of the channels that are convolved by themselves; default 1. Depthwise: as many as x has channels */
  readonly groups?: number
  /** default `zeros` */
  readonly paddingMode?: ConvPaddingMode
}
const convOptions = {
  bias: is.optional(is.tensor),
  stride: is.byDefault(1, countPerAxis),
  padding: is.byDefault<PerAxis | 'same' | 'valid'>(0, is.convolutionPadding),
  dilation: is.byDefault(1, countPerAxis),
  groups: is.byDefault(1, is.count),
  paddingMode: is.choice<ConvPaddingMode>('zeros', 'reflect', 'replicate', 'circular'),
} satisfies Settings<ConvOptions>

/** Checks a weight and a bias. @param first name of the weight's first axis, which the groups divide */
function checkWeight(
  name: string,
  x: Tensor,
  weight: Tensor,
  rank: number,
  groups: number,
  [first, second]: readonly [string, string],
): void {
  const form = `[${first}, ${second} / groups${', kernel'.repeat(rank)}]`
  if (weight.rank !== rank + 2 || weight.size === 0)
    throw new ShapeError(`${name}: the weight must be ${form}, not ${show(weight.shape)}`, weight.shape)
  const [channels, own] = [x.shape[1], first === 'in' ? weight.shape[0] : weight.shape[1] * groups]
  if (channels !== own)
    throw new ShapeError(
      `${name}: x ${show(x.shape)} has ${channels} channels, and the weight ${form} ${show(weight.shape)} with groups ${groups} takes ${own}`,
      x.shape,
      weight.shape,
    )
  if (weight.shape[0] % groups !== 0)
    throw new ShapeError(
      `${name}: groups ${groups} must divide the first axis of the weight ${form} ${show(weight.shape)}`,
      weight.shape,
    )
}

function withBias(name: string, y: Tensor, bias: Tensor | undefined): Tensor {
  if (!bias) return y
  const outputs = y.shape[1]
  if (bias.rank !== 1 || bias.shape[0] !== outputs)
    throw new ShapeError(`${name}: the bias must be [${outputs}], not ${show(bias.shape)}`, bias.shape)
  return y.add(bias.reshape([outputs, ...spatialOf(y).map(() => 1)]))
}

type Convolve = (x: Tensor, weight: Tensor, options?: ConvOptions) => Tensor

function convolving(rank: 1 | 2 | 3): Convolve {
  const name = `conv${rank}d`
  const call = `x.${name}(weight, options)`
  return takes(call, [is.tensor, is.tensor, is.options], (x: Tensor, weight: Tensor, options?: ConvOptions): Tensor => {
    const { bias, groups, paddingMode, ...given } = settle(call, options, convOptions)
    checkSpatial(name, x, rank)
    checkWeight(name, x, weight, rank, groups, ['out', 'in'])
    const kernel = spatialOf(weight)
    const stride = forEachAxis(name, 'stride', given.stride, rank)
    const dilation = forEachAxis(name, 'dilation', given.dilation, rank)
    if (given.padding === 'same' && stride.some(n => n !== 1))
      throw new RangeError(
        `${name}: padding 'same' needs the stride 1, not ${show(stride)}; write the padding as a number`,
      )
    const sides: Padding =
      given.padding === 'same'
        ? kernel.map((n, i): [number, number] => {
            const all = reachOf(n, dilation[i]) - 1
            return [Math.floor(all / 2), Math.ceil(all / 2)]
          })
        : bothSides(forEachAxis(name, 'padding', given.padding === 'valid' ? 0 : given.padding, rank))
    const hasZeros = paddingMode === 'zeros'
    const all = hasZeros ? x : padBoth(x, sides, paddingMode)
    const padding = hasZeros ? sides : sides.map((): [number, number] => [0, 0])
    checkKernel(name, x, paddedSizes(spatialOf(all), padding), kernel, dilation)
    return withBias(name, convolution(all, weight, { stride, dilation, groups, padding }), bias)
  })
}

/**
 * The convolution over one axis: out[b, o, i] = bias[o] + Σ weight[o, c, j] x[b, c, i stride + j dilation - padding], where the
 * sum is over the channels c of the group of o and over the positions j of the kernel; the kernel is not flipped, as in PyTorch.
 * The columns of as many examples as fit into 16 MiB are in memory at once, and at least those of one: `kernel` times as much as
 * its part of x; on `cpu` those of float32 take about 256 KiB for each thread. The product of integers is int32, as in `matmul`.
 *
 * x.conv1d(weight, { padding: 'same' })
 *
 * @param x [batch, in, width]
 * @param weight [out, in / groups, kernel]
 * @returns [batch, out, count] with count = ⌊(width + 2 padding - dilation (kernel - 1) - 1) / stride⌋ + 1
 * @throws ShapeError if the shapes do not fit each other or the groups, or the kernel is larger than the padded x; RangeError
 *   for the padding `same` with a stride
 */
export const conv1d: (x: Tensor, weight: Tensor, options?: ConvOptions) => Tensor = convolving(1)

/**
 * The convolution over two axes, as `conv1d`.
 *
 * x.conv2d(weight, { stride: 2, padding: [1, 2] })
 *
 * @param x [batch, in, height, width]
 * @param weight [out, in / groups, kernel, kernel]
 * @returns [batch, out, count, count]
 * @throws ShapeError if the shapes do not fit each other or the groups, or the kernel is larger than the padded x; RangeError
 *   for the padding `same` with a stride
 */
export const conv2d: (x: Tensor, weight: Tensor, options?: ConvOptions) => Tensor = convolving(2)

/**
 * The convolution over three axes, as `conv1d`.
 *
 * x.conv3d(weight, { groups: 2 })
 *
 * @param x [batch, in, depth, height, width]
 * @param weight [out, in / groups, kernel, kernel, kernel]
 * @returns [batch, out, count, count, count]
 * @throws ShapeError if the shapes do not fit each other or the groups, or the kernel is larger than the padded x; RangeError
 *   for the padding `same` with a stride
 */
export const conv3d: (x: Tensor, weight: Tensor, options?: ConvOptions) => Tensor = convolving(3)

/** Options of `convTranspose1d`, `convTranspose2d` and `convTranspose3d`. */
export interface ConvTransposeOptions {
  /** [outputs], added to each channel of the result */
  readonly bias?: Tensor
  /** distance of the windows in the result; default 1 */
  readonly stride?: PerAxis
  /** what is cut from both sides of each axis of the result; default 0 */
  readonly padding?: PerAxis
  /** what is added to the result after each axis; default 0. It is smaller than the stride or than the dilation */
  readonly outputPadding?: PerAxis
  /** distance of neighbours in a window; default 1 */
  readonly dilation?: PerAxis
  /** parts of the channels that are convolved by themselves; default 1 */
  readonly groups?: number
}
const convTransposeOptions = {
  bias: is.optional(is.tensor),
  ...stepOptions,
  outputPadding: is.byDefault(0, sizePerAxis),
  groups: is.byDefault(1, is.count),
} satisfies Settings<ConvTransposeOptions>

type ConvolveTransposed = (x: Tensor, weight: Tensor, options?: ConvTransposeOptions) => Tensor

function transposing(rank: 1 | 2 | 3): ConvolveTransposed {
  const name = `convTranspose${rank}d`
  const call = `x.${name}(weight, options)`
  return takes(
    call,
    [is.tensor, is.tensor, is.options],
    (x: Tensor, weight: Tensor, options?: ConvTransposeOptions): Tensor => {
      const { bias, groups, outputPadding, ...steps } = settle(call, options, convTransposeOptions)
      checkSpatial(name, x, rank)
      checkWeight(name, x, weight, rank, groups, ['in', 'out'])
      const { padding, ...geometry } = stepsOf(name, steps, rank)
      const { stride, dilation } = geometry
      const extra = forEachAxis(name, 'outputPadding', outputPadding, rank)
      if (extra.some((n, i) => n >= Math.max(stride[i], dilation[i])))
        throw new RangeError(
          `${name}: outputPadding ${show(extra)} must be smaller than the stride ${show(stride)} or the dilation ${show(dilation)}`,
        )
      const full = spatialOf(x).map((n, i) => (n - 1) * stride[i] + reachOf(weight.shape[2 + i], dilation[i]))
      const sizes = full.map((n, i) => n + extra[i] - 2 * padding[i])
      if (spatialOf(x).includes(0) || sizes.some(n => n < 1))
        throw new ShapeError(
          `${name}: the padding ${show(padding)} leaves nothing of the result ${show(full.map((n, i) => n + extra[i]))} of x ${show(x.shape)}`,
          x.shape,
        )
      const all = padBoth(
        convolutionTransposed(x, weight, full, { ...geometry, groups, padding: full.map(() => [0, 0]) }),
        extra.map((n): [number, number] => [0, n]),
        'constant',
      )
      return withBias(name, within(all, sizes, padding), bias)
    },
  )
}

/**
 * The transposed convolution over one axis, the gradient of `conv1d` by its x: every element of x adds the kernel, times itself,
 * to the result. out[b, o, i stride + j dilation - padding] += weight[c, o, j] x[b, c, i], summed over the channels c of the
 * group of o.
 *
 * x.convTranspose1d(weight, { stride: 2, padding: 1, outputPadding: 1 })
 *
 * @param x [batch, in, width]
 * @param weight [in, out / groups, kernel]
 * @returns [batch, out, n] with n = (width - 1) stride - 2 padding + dilation (kernel - 1) + outputPadding + 1
 * @throws ShapeError if the shapes do not fit each other or the groups, or nothing is left of the result; RangeError if
 *   outputPadding is neither smaller than the stride nor than the dilation
 */
export const convTranspose1d: (x: Tensor, weight: Tensor, options?: ConvTransposeOptions) => Tensor = transposing(1)

/**
 * The transposed convolution over two axes, as `convTranspose1d`.
 *
 * x.convTranspose2d(weight, { stride: 2 })
 *
 * @param x [batch, in, height, width]
 * @param weight [in, out / groups, kernel, kernel]
 * @returns [batch, out, n, n]
 * @throws ShapeError if the shapes do not fit each other or the groups, or nothing is left of the result; RangeError if
 *   outputPadding is neither smaller than the stride nor than the dilation
 */
export const convTranspose2d: (x: Tensor, weight: Tensor, options?: ConvTransposeOptions) => Tensor = transposing(2)

/**
 * The transposed convolution over three axes, as `convTranspose1d`.
 *
 * x.convTranspose3d(weight, { stride: [1, 2, 2] })
 *
 * @param x [batch, in, depth, height, width]
 * @param weight [in, out / groups, kernel, kernel, kernel]
 * @returns [batch, out, n, n, n]
 * @throws ShapeError if the shapes do not fit each other or the groups, or nothing is left of the result; RangeError if
 *   outputPadding is neither smaller than the stride nor than the dilation
 */
export const convTranspose3d: (x: Tensor, weight: Tensor, options?: ConvTransposeOptions) => Tensor = transposing(3)
