// Kernels over the windows of spatial axes and over channels, and the first elements in order.

import * as ops from '../../../src/autograd/index.ts'
import { all, type Call, type Calls, each, floats, integers, truth } from './calls.ts'

/** A convolution of so many axes, with a bias of the kernel's margin on one side or on both. */
const convolved = (x: readonly number[], weight: readonly number[], options: ops.ConvOptions): Call => ({
  inputs: floats(x, weight),
  f: (y, w) => [x.length === 3 ? y.conv1d(w, options) : x.length === 4 ? y.conv2d(w, options) : y.conv3d(w, options)],
  once: x.reduce((a, b) => a * b) > 1000,
})

/** How windows lie: side by side, apart, overlapping, with margins that hold some of them whole. */
const laid = [
  { stride: 1, padding: 1, dilation: 1 },
  { stride: 2, padding: 0, dilation: 1 },
  { stride: 3, padding: 1, dilation: 2 },
  { stride: 1, padding: 3, dilation: 2 },
] as const

/** Products of columns with a weight, by BLAS where there is one and where they are large enough. */
export const windowProducts: Calls = {
  'convolutions of small planes': [
    ...laid.map(steps => convolved([2, 2, 5, 7], [4, 1, 2, 3], { ...steps, groups: 2 })),
    ...laid.map(steps => convolved([1, 3, 9], [2, 3, 3], steps)),
    ...laid.map(steps => convolved([2, 2, 3, 5, 4], [2, 2, 1, 2, 2], steps)),
    // x is its own columns, or nearly
    ...[{}, { stride: 2 }, { padding: 1 }, { groups: 3 }].map(steps =>
      convolved([2, 3, 4, 5], [6, 'groups' in steps ? 1 : 3, 1, 1], steps),
    ),
    convolved([2, 4, 5, 5], [4, 1, 3, 3], { padding: 'same', groups: 4 }),
    convolved([1, 1, 4], [1, 1, 2], { padding: 'same' }),
  ],

  'convolutions that threads share': [
    // examples; channels of one example, not as many as threads have parts; and parts of one plane
    convolved([3, 8, 12, 12], [16, 8, 3, 3], { padding: 1 }),
    convolved([1, 5, 20, 20], [16, 5, 3, 3], {}),
    convolved([1, 16, 20, 20], [40, 16, 1, 1], {}),
    // so many columns that only some rows, or a part of a row, are in memory
    convolved([1, 24, 20, 20], [8, 24, 5, 5], {}),
    convolved([1, 32, 150], [8, 32, 17], { padding: 1 }),
  ],
}

/** [batch, channels, spatial…], where four windows at a time have one element or more to the left of them and to the right. */
const planes: readonly number[][] = [
  ...[3, 4, 5, 8, 9, 13].map(n => [1, 2, 4, n]),
  [2, 1, 6],
  [1, 2, 3, 4, 6],
  [3, 5, 33, 34],
]

const pools: readonly ops.MaxPoolOptions[] = [
  { kernel: 2 },
  { kernel: 3, stride: 2, padding: 1 },
  { kernel: 2, stride: 1, dilation: 2, padding: 1 },
  { kernel: 2, stride: 3, ceilMode: true },
]

/**
 * So many elements of lines: one of fewer than 32 times as many is sorted whole. Up to 16 are kept in order, more are sorted when
 * there are twice as many.
 */
const firsts = [
  [1, 31, 32, 33],
  [3, 95, 96, 131],
  [16, 511, 512],
  [17, 543, 544, 545],
]

export const windows: Calls = {
  'largest elements of windows': planes.flatMap(shape =>
    pools
      .filter(({ kernel, dilation = 1 }) => shape.slice(2).every(n => n >= (Number(kernel) - 1) * Number(dilation) + 1))
      .map(
        (options): Call => ({
          inputs: floats(shape),
          f: x => [
            shape.length === 3
              ? x.maxPool1d(options)
              : shape.length === 4
                ? x.maxPool2d(options)
                : x.maxPool3d(options),
          ],
          once: shape[0] === 3,
        }),
      ),
  ),

  'normalized channels': each(
    [...all([1, 2, 3], [1, 3], [1, 15, 16, 17, 35]), [2, 3, 1040], [5, 7, 257]].map(([b, c, n]) => [b, c, n]),
    ([b, c, n]) => ({
      inputs: floats([b, c, n], [c], [c]),
      f: (x, weight, bias) => [ops.batchNorm(x, { weight, bias, epsilon: 0.25 })],
    }),
  ),

  'first positions in order': firsts.flatMap(([k, ...lengths]) =>
    lengths.map(
      (n): Call => ({
        inputs: [...floats([3, n]), integers([3, n], 2 ** 31 - 1), truth(3, n), ...floats([n, 2])],
        f: (x, i, p, y) => [
          ...[x, i, p].flatMap(z => [z.topk(k).indices, z.topk(k, { largest: false }).indices]),
          y.topk(k, { axis: 0 }).indices,
        ],
        gradients: false,
      }),
    ),
  ),

  'first positions that threads share': each([[2801, 97]], shape => ({
    inputs: floats(shape),
    f: x => [x.topk(3).values],
    once: true,
  })),
}
