// Positions of patches in images and of tokens in sequences.

import { checkArguments } from '../tensor/arguments.ts'
import { allocate, DTypeError, deviceOf, fromData, isFloating, ShapeError, show, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { ConfigError } from './attention.ts'
import { Linear } from './layers.ts'
import { Module } from './module.ts'

export interface PatchEmbeddingOptions {
  /** side of the square image in pixels */
  readonly imageSize: number
  /** side of a square patch in pixels */
  readonly patchSize: number
  readonly width: number
  /** default 3 */
  readonly channels?: number
  /** default true */
  readonly bias?: boolean
  /** drop the pixels at the right and at the bottom that do not fill a patch; default false: they are an error */
  readonly cropToPatches?: boolean
}
const patchEmbeddingOptions = {
  imageSize: is.count,
  patchSize: is.number,
  width: is.count,
  channels: is.byDefault(3, is.count),
  bias: true,
  cropToPatches: false,
} satisfies Settings<PatchEmbeddingOptions>

/** Cuts images into patches, row by row, and applies one linear layer to each: [batch, channels, size, size] → [batch, patches, width] */
export class PatchEmbedding extends Module {
  readonly projection: Linear // of [channels · patch · patch], channel by channel
  readonly imageSize: number
  readonly patchSize: number
  readonly channels: number

  constructor(options: PatchEmbeddingOptions) {
    super()
    const settled = settle('new PatchEmbedding(options)', options, patchEmbeddingOptions)
    const { imageSize, patchSize, width, channels, bias, cropToPatches } = settled
    if (cropToPatches ? patchSize > imageSize : imageSize % patchSize !== 0)
      throw new ConfigError(
        'patchSize',
        patchSize,
        `${cropToPatches ? 'is more than' : 'does not divide'} the image size ${imageSize}`,
      )
    this.imageSize = imageSize
    this.patchSize = patchSize
    this.channels = channels
    this.projection = new Linear(channels * patchSize * patchSize, width, { bias })
  }

  /** Number of patches along each side of an image. */
  get across(): number {
    return Math.floor(this.imageSize / this.patchSize)
  }

  /** Number of patches of an image. */
  get patches(): number {
    return this.across ** 2
  }

  forward(images: Tensor): Tensor {
    checkArguments('patches.forward(images)', [is.tensor], [images])
    const { imageSize: size, patchSize: side, channels, across } = this
    const [batch] = images.shape
    if (images.rank !== 4 || images.shape[1] !== channels || images.shape[2] !== size || images.shape[3] !== size) {
      const isOne = images.rank === 3 && images.shape[0] === channels
      throw new ShapeError(
        `PatchEmbedding: images must be [batch, ${channels}, ${size}, ${size}], not ${show(images.shape)}${isOne ? '; write images.unsqueeze(0) for a batch of one' : ''}`,
        images.shape,
      )
    }
    if (!isFloating(images.dtype))
      throw new DTypeError(
        `PatchEmbedding: images ${show(images.shape)} must be floating, not ${images.dtype}; write images.cast('float32').div(255)`,
        images.dtype,
      )
    const stop = across * side
    const patches = (stop === size ? images : images.slice([{}, {}, { stop }, { stop }]))
      .reshape([batch, channels, across, side, across, side])
      .permute([0, 2, 4, 1, 3, 5]) // [batch, row, column, channel, y, x]
      .reshape([batch, across * across, channels * side * side])
    return this.projection.forward(patches)
  }
}

/**
 * Sines and cosines of growing wavelength (Vaswani et al. 2017, section 3.5): [length, width], with
 * sin(p / 10000^(2i/width)) at 2i and the cosine at 2i + 1.
 */
export function sinusoidalPositions(length: number, width: number): Tensor {
  checkArguments('sinusoidalPositions(length, width)', [is.size, is.size], [length, width])
  const data = allocate('float32', [length, width], 'sinusoidalPositions')
  for (let p = 0; p < length; p++) {
    for (let i = 0; i < width; i++) {
      const angle = p / 10000 ** ((i - (i % 2)) / width)
      data[p * width + i] = i % 2 === 0 ? Math.sin(angle) : Math.cos(angle)
    }
  }
  return fromData(data, [length, width])
}

/**
 * Positions on a square grid, row by row: [side², width]. A quarter of the columns each are sines and cosines of the row and
 * of the column, at frequencies from a quarter of a period across the grid to a period of four positions; columns left over after
 * division by four are 0.
 * @param amplitude root mean square of a position
 */
export function gridPositions(side: number, width: number, amplitude = 1): Tensor {
  const kinds = [is.size, is.size, is.number]
  checkArguments('gridPositions(side, width, amplitude)', kinds, [side, width, amplitude])
  const count = Math.floor(width / 4)
  const data = allocate('float32', [side * side, width], 'gridPositions')
  const turns = (i: number) => 0.25 + (count > 1 ? (i / (count - 1)) * (side / 4 - 0.25) : 0)
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const at = (row * side + column) * width
      for (let i = 0; i < count; i++) {
        const angle = (2 * Math.PI * turns(i)) / side
        const waves = [row + 0.5, column + 0.5].flatMap(p => [Math.sin(p * angle), Math.cos(p * angle)])
        for (const [part, wave] of waves.entries()) data[at + part * count + i] = amplitude * Math.SQRT2 * wave
      }
    }
  }
  return fromData(data, [side * side, width])
}

/** The weight of a sample at distance x: cubic convolution (Keys 1981) with a = -½. */
function cubic(x: number): number {
  const d = Math.abs(x)
  if (d < 1) return (1.5 * d - 2.5) * d * d + 1
  return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0
}

/** The weight of each of `from` samples in each of `to` samples: [to, from], rows sum to 1. The kernel is widened for downsampling. */
function cubicWeights(from: number, to: number): Float64Array {
  const weights = new Float64Array(to * from)
  const scale = from / to
  const reach = Math.max(scale, 1)
  for (let i = 0; i < to; i++) {
    const centre = scale * (i + 0.5)
    const row = weights.subarray(i * from, (i + 1) * from)
    row.forEach((_, j) => {
      row[j] = cubic((j + 0.5 - centre) / reach)
    })
    const total = row.reduce((sum, weight) => sum + weight, 0)
    row.forEach((weight, j) => {
      row[j] = weight / total
    })
  }
  return weights
}

/**
 * Resamples values on a square grid of `from`² places to one of `to`² places by bicubic interpolation: converts learned positions
 * from one image size to another (Dosovitskiy et al. 2020, section 3.2). Smoothed first if the grid becomes coarser.
 * @param positions [from², width], row by row
 * @returns [to², width]
 */
export function resizeGrid(positions: Tensor, from: number, to: number): Tensor {
  checkArguments('resizeGrid(positions, from, to)', [is.tensor, is.count, is.count], [positions, from, to])
  const [count, width] = positions.shape
  if (positions.rank !== 2 || count !== from * from)
    throw new ShapeError(
      `resizeGrid: positions must be [${from * from}, width], for a grid of ${from} × ${from}, not ${show(positions.shape)}`,
      positions.shape,
    )
  if (from === to) return positions
  const numbers = cubicWeights(from, to)
  const weights = positions.dtype === 'float64' ? numbers : Float32Array.from(numbers)
  const rows = fromData(weights, [to, from], deviceOf(positions))
  const along = (x: Tensor, rest: number[]) => rows.matmul(x.reshape([from, -1])).reshape([to, ...rest])
  const byRows = along(positions, [from, width]) // [row, from, width]
  const byColumns = along(byRows.permute([1, 0, 2]), [to, width]) // [column, row, width]
  return byColumns.permute([1, 0, 2]).reshape([to * to, width])
}
