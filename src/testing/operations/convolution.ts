// Cases of convolutions and windows. Sizes of axes follow from those of windows, so that every kernel fits.

import fc from 'fast-check'
import type { ConvPaddingMode } from '../../autograd/index.ts'
import * as ops from '../../autograd/index.ts'
import type { Tensor } from '../../tensor/index.ts'
import { drawn } from './case.ts'

/** Numbers that become sizes by the remainder, so that they are drawn independently and shrink separately. */
const draws = fc.array(fc.integer({ min: 0, max: 11 }), { minLength: 24, maxLength: 24 })

/** How windows lie along each axis. */
export interface Lie {
  readonly stride: readonly number[]
  readonly dilation: readonly number[]
  readonly padding: readonly number[]
}
interface Spatial extends Lie {
  readonly kernel: readonly number[]
  /** of axes with at least one window, and some elements that are in none */
  readonly sizes: readonly number[]
  readonly counts: readonly number[]
}

/** @param largest kernel */
export function spatial(rank: number, n: readonly number[], largest = rank === 3 ? 2 : 3): Spatial {
  const axes = Array.from({ length: rank }, (_, i) => {
    const [a, b, c, d, e] = n.slice(5 * i)
    const [kernel, stride, dilation, padding] = [1 + (a % largest), 1 + (b % 3), 1 + (c % 2), d % 3]
    const reach = dilation * (kernel - 1) + 1
    const size = Math.max(1, reach - 2 * padding + (e % 4))
    return { kernel, stride, dilation, padding, size, count: Math.floor((size + 2 * padding - reach) / stride) + 1 }
  })
  return {
    kernel: axes.map(axis => axis.kernel),
    stride: axes.map(axis => axis.stride),
    dilation: axes.map(axis => axis.dilation),
    padding: axes.map(axis => axis.padding),
    sizes: axes.map(axis => axis.size),
    counts: axes.map(axis => axis.count),
  }
}

/** Mostly one or two examples, and sometimes none. */
export const batchOf = (n: number): number => (n === 11 ? 0 : 1 + (n % 2))

/** Channels of x and of the result, in groups. */
const channels = ([a, b, c]: readonly number[]) => {
  const groups = 1 + (a % 2)
  return { groups, inputs: 1 + (b % 2), outputs: 1 + (c % 2) }
}

type Conv = typeof ops.conv1d

const modes = ['reflect', 'replicate', 'circular'] as const

/** x, weight and bias. */
const withZeros = (rank: number, conv: Conv) => ({
  'zeros around': drawn(
    draws.map(n => {
      const { groups, inputs, outputs } = channels(n.slice(20))
      const { kernel, sizes, stride, dilation, padding } = spatial(rank, n)
      const all = groups * outputs
      return {
        shapes: [[batchOf(n[19]), groups * inputs, ...sizes], [all, inputs, ...kernel], [all]],
        options: { stride, dilation, padding, groups },
      }
    }),
    {},
    (options, x, weight, bias) => conv(x, weight, { ...options, bias }),
  ),
})

/** The ways to pad are the same for any number of axes. */
const withMargins = (rank: number, conv: Conv) => ({
  'its own values around': drawn(
    draws.map(n => {
      const { kernel } = spatial(rank, n)
      const mode = modes[n[22] % 3]
      const sizes = kernel.map((k, i) => k + (n[15 + i] % 2) + (mode === 'reflect' ? 1 : 0))
      return {
        shapes: [
          [1, 1, ...sizes],
          [1, 1, ...kernel],
        ],
        options: { mode, padding: n[23] % 2 },
      }
    }),
    {},
    ({ mode, padding }: { readonly mode: ConvPaddingMode; readonly padding: number }, x, weight) =>
      conv(x, weight, { paddingMode: mode, padding }),
  ),
  'of the same sizes': drawn(
    draws.map(n => {
      const { kernel } = spatial(rank, n)
      return {
        shapes: [
          [1, 2, ...kernel.map((_, i) => 1 + (n[15 + i] % 3))],
          [1, 2, ...kernel],
        ],
        options: 1 + (n[22] % 2),
      }
    }),
    {},
    (dilation, x, weight) => conv(x, weight, { padding: 'same', dilation }),
  ),
})

const transposing = (rank: number, conv: typeof ops.convTranspose1d) => ({
  'what a convolution takes apart': drawn(
    draws.map(n => {
      const { groups, inputs, outputs } = channels(n.slice(20))
      const { kernel, stride, dilation, padding } = spatial(rank, n)
      const sizes = kernel.map((_, i) => 1 + (n[15 + i] % 3))
      const outputPadding = stride.map((s, i) => n[16 + i] % Math.max(s, dilation[i]))
      const full = sizes.map((size, i) => (size - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1 + outputPadding[i])
      return {
        shapes: [
          [batchOf(n[19]), groups * inputs, ...sizes],
          [groups * inputs, outputs, ...kernel],
          [groups * outputs],
        ],
        options: {
          stride,
          dilation,
          outputPadding,
          groups,
          padding: padding.map((p, i) => Math.min(p, Math.floor((full[i] - 1) / 2))),
        },
      }
    }),
    {},
    (options, x, weight, bias) => conv(x, weight, { ...options, bias }),
  ),
})

/** Axes before the spatial ones. */
const lead = (n: readonly number[]): number[] => [[], [2], [1, 2], [0]][n[20] % 4]

export const convolution = {
  unfold: {
    'windows of the last axes': drawn(
      draws.map(n => {
        const { sizes, counts: _, ...options } = spatial(1 + (n[21] % 2), n)
        return { shapes: [[...lead(n), ...sizes]], options }
      }),
      {},
      (options, x) => ops.unfold(x, options),
    ),
  },
  fold: {
    'windows added up': drawn(
      draws.map(n => {
        const { kernel, counts, sizes, stride, dilation, padding } = spatial(1 + (n[21] % 2), n)
        return { shapes: [[...lead(n), ...kernel, ...counts]], options: { sizes, stride, dilation, padding } }
      }),
      {},
      ({ sizes, ...options }, columns: Tensor) => ops.fold(columns, sizes, options),
    ),
  },
  conv1d: withZeros(1, ops.conv1d),
  conv2d: { ...withZeros(2, ops.conv2d), ...withMargins(2, ops.conv2d) },
  conv3d: withZeros(3, ops.conv3d),
  convTranspose1d: transposing(1, ops.convTranspose1d),
  convTranspose2d: transposing(2, ops.convTranspose2d),
  convTranspose3d: transposing(3, ops.convTranspose3d),
}
