// The functions of convolution.py, here.

import type { Functions } from './functions.ts'

export const convolution: Functions = {
  conv1d: (x, weight, bias) => x.conv1d(weight, { bias }),
  'conv1d, same': (x, weight) => x.conv1d(weight, { padding: 'same', dilation: 2 }),
  conv2d: (x, weight, bias) => x.conv2d(weight, { bias, stride: [2, 1], padding: [1, 2], dilation: [2, 1] }),
  'conv2d, groups': (x, weight) => x.conv2d(weight, { groups: 2, padding: 1 }),
  'conv2d, depthwise': (x, weight) => x.conv2d(weight, { groups: 3, stride: 2 }),
  'conv2d, strides and dilations': (x, weight) => x.conv2d(weight, { stride: 2, dilation: 3 }),
  // of the 3 that are missing, 1 is before and 2 are after
  'conv2d, reflect': (x, weight) => x.flip(3).conv2d(weight.flip(3), { padding: 'same', paddingMode: 'reflect' }).flip(3),
  'conv2d, replicate': (x, weight) =>
    x.flip(3).conv2d(weight.flip(3), { padding: 'same', paddingMode: 'replicate' }).flip(3),
  'conv2d, circular': (x, weight) =>
    x.flip(3).conv2d(weight.flip(3), { padding: 'same', paddingMode: 'circular' }).flip(3),
  conv3d: (x, weight) => x.conv3d(weight, { stride: [1, 2, 1], padding: [0, 1, 0] }),
  convTranspose1d: (x, weight, bias) => x.convTranspose1d(weight, { bias, stride: 2 }),
  convTranspose2d: (x, weight) =>
    x.convTranspose2d(weight, { stride: [2, 3], padding: [1, 0], outputPadding: [1, 2], dilation: [1, 2] }),
  'convTranspose2d, groups': (x, weight) =>
    x.convTranspose2d(weight, { groups: 2, dilation: 3, outputPadding: 2, padding: 2 }),
  convTranspose3d: (x, weight) => x.convTranspose3d(weight, { stride: 2, padding: 1 }),
  unfold: x => x.unfold({ kernel: [2, 3], dilation: [2, 1], padding: 1, stride: [1, 2] }).reshape([2, 12, -1]),
  fold: x => x.reshape([2, 1, 2, 3, 3, 3]).fold([4, 5], { padding: 1, stride: 2 }),
  'pad, reflect': x =>
    x.pad(
      [
        [0, 0],
        [0, 0],
        [0, 2],
        [2, 1],
      ],
      { mode: 'reflect' },
    ),
  'pad, replicate': x =>
    x.pad(
      [
        [0, 0],
        [0, 0],
        [0, 2],
        [4, 1],
      ],
      { mode: 'replicate' },
    ),
  'pad, circular': x =>
    x.pad(
      [
        [0, 0],
        [0, 0],
        [0, 3],
        [2, 1],
      ],
      { mode: 'circular' },
    ),
}
