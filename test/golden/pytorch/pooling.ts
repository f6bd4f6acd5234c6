// The functions of pooling.py, here.

import type { Functions } from './functions.ts'

const wide = { kernel: 3, stride: 2, padding: 1, ceilMode: true }

export const pooling: Functions = {
  maxPool1d: x => x.maxPool1d({ kernel: 3, stride: 2, padding: 1 }),
  maxPool2d: x => x.maxPool2d({ kernel: 2 }),
  'maxPool2d, dilated and rounded up': x =>
    x.maxPool2d({ kernel: [2, 3], stride: [2, 1], padding: [1, 0], dilation: [1, 2], ceilMode: true }),
  'maxPool2d of equal numbers': x => x.maxPool2d({ kernel: 2, stride: 1 }),
  'maxPool1d with NaN': x => x.maxPool1d({ kernel: 2 }),
  'maxPool1d, rounded up to a window beyond x': x => x.maxPool1d({ kernel: 1, stride: 3, ceilMode: true }),
  'avgPool1d, rounded up to a window beyond x': x => x.avgPool1d({ kernel: 2, stride: 4, padding: 1, ceilMode: true }),
  maxPool3d: x => x.maxPool3d({ kernel: [1, 2, 2], padding: [0, 1, 1], stride: 2 }),
  avgPool1d: x => x.avgPool1d({ kernel: 3, stride: 2, padding: 1 }),
  avgPool2d: x => x.avgPool2d({ kernel: [2, 3] }),
  'avgPool2d, rounded up': x => x.avgPool2d(wide),
  'avgPool2d, rounded up without its padding': x => x.avgPool2d({ ...wide, countIncludePad: false }),
  avgPool3d: x => x.avgPool3d({ kernel: 2, padding: 1, countIncludePad: false }),
  'adaptiveAvgPool of one axis': x => x.adaptiveAvgPool([3]),
  'adaptiveAvgPool of two axes': x => x.adaptiveAvgPool([2, 3]),
  'adaptiveAvgPool of three axes': x => x.adaptiveAvgPool([1, 2, 4]),
  'adaptiveMaxPool of one axis': x => x.adaptiveMaxPool([3]),
  'adaptiveMaxPool of two axes': x => x.adaptiveMaxPool([2, 3]),
  'adaptiveMaxPool of equal numbers': x => x.adaptiveMaxPool([2, 3]),
  'adaptiveMaxPool of three axes': x => x.adaptiveMaxPool([1, 2, 4]),
}
