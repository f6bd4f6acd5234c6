// The functions of interpolation.py, here.

import { type Tensor, tensor } from '../../../src/tensor/index.ts'
import type { Functions } from './functions.ts'

/** From one end to the other, on halves, and outside of both. */
const line = [-1.9, -1, -0.75, -0.5, -0.1, 0, 0.3, 0.5, 1, 1.4]
const grid = (): Tensor => tensor([line.toReversed().map(y => line.map(x => [x, y]))], { dtype: 'float64' })

export const interpolation: Functions = {
  nearest: x => x.interpolate({ size: [5, 2] }),
  'nearest by a factor': x => x.interpolate({ scale: [1.7, 0.6] }),
  linear: x => x.interpolate({ size: 7, mode: 'bilinear' }),
  bilinear: x => x.interpolate({ size: [5, 3], mode: 'bilinear' }),
  'bilinear by a factor': x => x.interpolate({ scale: 1.7, mode: 'bilinear' }),
  'bilinear, corners aligned': x => x.interpolate({ size: [5, 1], mode: 'bilinear', alignCorners: true }),
  'bilinear, smoothed': x => x.interpolate({ size: [3, 8], mode: 'bilinear', antialias: true }),
  'bilinear, smoothed by a factor': x => x.interpolate({ scale: 0.4, mode: 'bilinear', antialias: true }),
  trilinear: x => x.interpolate({ size: [3, 2, 4], mode: 'bilinear' }),
  bicubic: x => x.interpolate({ size: [5, 3], mode: 'bicubic' }),
  'bicubic, corners aligned': x => x.interpolate({ size: [5, 3], mode: 'bicubic', alignCorners: true }),
  'bicubic, smoothed': x => x.interpolate({ size: [3, 8], mode: 'bicubic', antialias: true }),
  area: x => x.interpolate({ size: [2, 3], mode: 'area' }),
  gridSample: (x, at) => x.gridSample(at),
  'gridSample of volumes': (x, at) => x.gridSample(at, { alignCorners: true }),
  'gridSample, border': (x, at) => x.gridSample(at, { paddingMode: 'border' }),
  'gridSample, reflection': (x, at) => x.gridSample(at.mul(2), { paddingMode: 'reflection' }),
  'gridSample, reflection with corners aligned': (x, at) =>
    x.gridSample(at.mul(2), { paddingMode: 'reflection', alignCorners: true }),
  'gridSample, nearest': x => x.gridSample(grid(), { mode: 'nearest', alignCorners: true }),
  'gridSample, nearest in a mirror': x => x.gridSample(grid(), { mode: 'nearest', paddingMode: 'reflection' }),
  pixelShuffle: x => x.pixelShuffle(2),
  pixelUnshuffle: x => x.pixelUnshuffle(2),
}
