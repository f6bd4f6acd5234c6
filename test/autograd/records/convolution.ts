// Records of convolutions and windows.

import * as ops from '../../../src/autograd/index.ts'
import { ShapeError, zeros } from '../../../src/tensor/index.ts'
import { make, type Plain, positions, read } from '../plain.ts'
import { type OperationRecord, record } from './record.ts'

interface Lie {
  readonly stride: readonly number[]
  readonly dilation: readonly number[]
  readonly padding: readonly number[]
}

/** Which element of an axis of size n stands at a position, or -1. */
export type Outside = (i: number, n: number) => number
export const outside: Readonly<Record<string, Outside>> = {
  zeros: (i, n) => (i >= 0 && i < n ? i : -1),
  replicate: (i, n) => (i < 0 ? 0 : i >= n ? n - 1 : i),
  reflect: (i, n) => (i < 0 ? -i : i >= n ? n - 1 - (i - (n - 1)) : i),
  circular: (i, n) => (i < 0 ? i + n : i >= n ? i - n : i),
}

/** The element j of the window i. */
const placeOf = (i: number, j: number, axis: number, { stride, dilation, padding }: Lie): number =>
  i * stride[axis] + j * dilation[axis] - padding[axis]

const countsOf = (sizes: readonly number[], kernel: readonly number[], { stride, dilation, padding }: Lie): number[] =>
  sizes.map((n, axis) => {
    let count = 0
    while (count * stride[axis] + dilation[axis] * (kernel[axis] - 1) < n + 2 * padding[axis]) count++
    return count
  })

function unfolded({ kernel, ...lie }: Lie & { readonly kernel: readonly number[] }, x: Plain): Plain {
  const n = kernel.length
  const sizes = x.shape.slice(-n)
  const lead = x.shape.slice(0, -n)
  return make([...lead, ...kernel, ...countsOf(sizes, kernel, lie)], at => {
    const [j, i] = [at.slice(lead.length, -n), at.slice(-n)]
    const from = sizes.map((size, axis) => outside.zeros(placeOf(i[axis], j[axis], axis, lie), size))
    return from.includes(-1) ? 0 : read(x, [...at.slice(0, lead.length), ...from])
  })
}

function folded({ sizes, ...lie }: Lie & { readonly sizes: readonly number[] }, columns: Plain): Plain {
  const n = sizes.length
  const lead = columns.shape.slice(0, -2 * n)
  return make([...lead, ...sizes], at =>
    positions(columns.shape.slice(lead.length)).reduce((sum, both) => {
      const [j, i] = [both.slice(0, n), both.slice(n)]
      const isHere = sizes.every((_, axis) => placeOf(i[axis], j[axis], axis, lie) === at[lead.length + axis])
      return isHere ? sum + read(columns, [...at.slice(0, lead.length), ...both]) : sum
    }, 0),
  )
}

function convolved(
  lie: Lie,
  groups: number,
  counts: readonly number[],
  from: Outside,
  x: Plain,
  weight: Plain,
  bias?: Plain,
): Plain {
  const [outputs, inputs, ...kernel] = weight.shape
  return make([x.shape[0], outputs, ...counts], ([b, o, ...i]) => {
    const group = Math.floor(o / (outputs / groups))
    let sum = bias ? read(bias, [o]) : 0
    for (let c = 0; c < inputs; c++)
      for (const j of positions(kernel)) {
        const at = kernel.map((_, axis) => from(placeOf(i[axis], j[axis], axis, lie), x.shape[2 + axis]))
        if (!at.includes(-1)) sum += read(weight, [o, c, ...j]) * read(x, [b, group * inputs + c, ...at])
      }
    return sum
  })
}

const withZeros = {
  'zeros around': ({ groups, ...lie }: Lie & { readonly groups: number }, x: Plain, weight: Plain, bias: Plain) =>
    convolved(lie, groups, countsOf(x.shape.slice(2), weight.shape.slice(2), lie), outside.zeros, x, weight, bias),
}

const withMargins = {
  'its own values around': (
    { mode, padding }: { readonly mode: string; readonly padding: number },
    x: Plain,
    weight: Plain,
  ) => {
    const kernel = weight.shape.slice(2)
    const each = (n: number) => kernel.map(() => n)
    const lie = { stride: each(1), dilation: each(1), padding: each(padding) }
    return convolved(lie, 1, countsOf(x.shape.slice(2), kernel, lie), outside[mode], x, weight)
  },
  'of the same sizes': (dilation: number, x: Plain, weight: Plain) => {
    const kernel = weight.shape.slice(2)
    const lie = {
      stride: kernel.map(() => 1),
      dilation: kernel.map(() => dilation),
      padding: kernel.map(k => Math.floor((dilation * (k - 1)) / 2)),
    }
    return convolved(lie, 1, x.shape.slice(2), outside.zeros, x, weight)
  },
}

const transposed = {
  'what a convolution takes apart': (
    { groups, outputPadding, ...lie }: Lie & { readonly groups: number; readonly outputPadding: readonly number[] },
    x: Plain,
    weight: Plain,
    bias: Plain,
  ) => {
    const [inputs, own, ...kernel] = weight.shape
    const sizes = kernel.map(
      (k, a) =>
        (x.shape[2 + a] - 1) * lie.stride[a] - 2 * lie.padding[a] + lie.dilation[a] * (k - 1) + outputPadding[a] + 1,
    )
    return make([x.shape[0], groups * own, ...sizes], ([b, o, ...at]) => {
      const group = Math.floor(o / own)
      let sum = read(bias, [o])
      for (let c = 0; c < inputs / groups; c++)
        for (const j of positions(kernel))
          for (const i of positions(x.shape.slice(2)))
            if (at.every((n, axis) => n === placeOf(i[axis], j[axis], axis, lie))) {
              const channel = group * (inputs / groups) + c
              sum += read(weight, [channel, o % own, ...j]) * read(x, [b, channel, ...i])
            }
      return sum
    })
  },
}

export const convolution: readonly OperationRecord[] = [
  record('unfold', { 'windows of the last axes': unfolded }, [
    [
      () => ops.unfold(zeros([2, 3]), { kernel: [1, 4] }),
      ShapeError,
      'unfold: the kernel [1, 4] is larger than the spatial axes [2, 3] of x [2, 3]',
    ],
    [
      () => ops.unfold(zeros([3]), { kernel: [3], dilation: 3, padding: 1 }),
      ShapeError,
      'unfold: the kernel [3], which is [7] with its dilation, is larger than the spatial axes [3] of x [3], [5] with its padding',
    ],
    [
      () => ops.unfold(zeros([3]), { kernel: [1, 1] }),
      ShapeError,
      'unfold: x [3] has fewer axes than the kernel [1, 1]',
    ],
    [
      () => ops.unfold(zeros([3, 3]), { kernel: [1, 1], stride: [1, 1, 1] }),
      ShapeError,
      'unfold: stride [1, 1, 1] must have one number for each of the 2 spatial axes, or be one number for all',
    ],
  ]),
  record('fold', { 'windows added up': folded }, [
    [
      () => ops.fold(zeros([2, 3]), [5]),
      ShapeError,
      'fold: columns [2, 3] must be [..., kernel, 4] for the sizes [5], [5] with padding',
    ],
    [
      () => ops.fold(zeros([3]), [3]),
      ShapeError,
      'fold: columns [3] must be [..., kernel, count] for the sizes [3], [3] with padding',
    ],
  ]),
  record('conv1d', withZeros, [
    [
      () => ops.conv1d(zeros([2, 3]), zeros([1, 2, 1])),
      ShapeError,
      'conv1d: x must be [batch, channels, width], not [2, 3]; write x.unsqueeze(0) for one example',
    ],
    [
      () => ops.conv1d(zeros([1, 2, 3]), zeros([1, 2, 4])),
      ShapeError,
      'conv1d: the kernel [4] is larger than the spatial axes [3] of x [1, 2, 3]',
    ],
    [
      () => ops.conv1d(zeros([1, 2, 3]), zeros([1, 2, 2]), { padding: 'same', stride: 2 }),
      RangeError,
      "conv1d: padding 'same' needs the stride 1, not [2]; write the padding as a number",
    ],
  ]),
  record('conv2d', { ...withZeros, ...withMargins }, [
    [
      () => ops.conv2d(zeros([1, 3, 5, 5]), zeros([4, 2, 3, 3])),
      ShapeError,
      'conv2d: x [1, 3, 5, 5] has 3 channels, and the weight [out, in / groups, kernel, kernel] [4, 2, 3, 3] with groups 1 takes 2',
    ],
    [
      () => ops.conv2d(zeros([1, 4, 5, 5]), zeros([3, 2, 3, 3]), { groups: 2 }),
      ShapeError,
      'conv2d: groups 2 must divide the first axis of the weight [out, in / groups, kernel, kernel] [3, 2, 3, 3]',
    ],
    [
      () => ops.conv2d(zeros([1, 2, 5, 5]), zeros([3, 2, 3])),
      ShapeError,
      'conv2d: the weight must be [out, in / groups, kernel, kernel], not [3, 2, 3]',
    ],
    [
      () => ops.conv2d(zeros([1, 2, 5, 5]), zeros([3, 2, 3, 3]), { bias: zeros([2]) }),
      ShapeError,
      'conv2d: the bias must be [3], not [2]',
    ],
    [
      () => ops.conv2d(zeros([1, 2, 2, 5]), zeros([3, 2, 1, 1]), { padding: 2, paddingMode: 'reflect' }),
      ShapeError,
      "pad: axis 2 of [1, 2, 2, 5] can have margins of at most 1 in the mode 'reflect', not [2,2]",
    ],
  ]),
  record('conv3d', withZeros, [
    [
      () => ops.conv3d(zeros([1, 2, 3, 3]), zeros([1, 2, 1, 1, 1])),
      ShapeError,
      'conv3d: x must be [batch, channels, depth, height, width], not [1, 2, 3, 3]',
    ],
  ]),
  record('convTranspose1d', transposed, [
    [
      () => ops.convTranspose1d(zeros([1, 2, 3]), zeros([2, 1, 2]), { outputPadding: 2, stride: 2 }),
      RangeError,
      'convTranspose1d: outputPadding [2] must be smaller than the stride [2] or the dilation [1]',
    ],
    [
      () => ops.convTranspose1d(zeros([1, 2, 1]), zeros([2, 1, 2]), { padding: 1 }),
      ShapeError,
      'convTranspose1d: the padding [1] leaves nothing of the result [2] of x [1, 2, 1]',
    ],
  ]),
  record('convTranspose2d', transposed, [
    [
      () => ops.convTranspose2d(zeros([1, 2, 3, 3]), zeros([3, 1, 2, 2])),
      ShapeError,
      'convTranspose2d: x [1, 2, 3, 3] has 2 channels, and the weight [in, out / groups, kernel, kernel] [3, 1, 2, 2] with groups 1 takes 3',
    ],
  ]),
  record('convTranspose3d', transposed, [
    [
      () => ops.convTranspose3d(zeros([1, 2, 3]), zeros([2, 1, 2])),
      ShapeError,
      'convTranspose3d: x must be [batch, channels, depth, height, width], not [1, 2, 3]',
    ],
  ]),
]
