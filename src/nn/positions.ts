// Positions of patches in images and of tokens in sequences.

import { checkArguments } from '../tensor/arguments.ts'
import {
  allocate,
  DTypeError,
  deviceOf,
  fromData,
  isFloating,
  ShapeError,
  sameShape,
  show,
  type Tensor,
} from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { patchGrid, patchProblem, type Size2d, sidesOf } from '../tensor/sides.ts'
import { ConfigError } from './attention.ts'
import { Linear } from './layers.ts'
import { Module } from './module.ts'

/** Options of `PatchEmbedding`. */
export interface PatchEmbeddingOptions {
  /** pixels of an image: the side of a square, or [height, width] */
  readonly imageSize: Size2d
  /** pixels of a patch: the side of a square, or [height, width] */
  readonly patchSize: Size2d
  /** width of the result */
  readonly width: number
  /** default 3 */
  readonly channels?: number
  /** default true */
  readonly bias?: boolean
  /** drop the pixels at the right and at the bottom that do not fill a patch; default false: they are an error */
  readonly cropToPatches?: boolean
}
const patchEmbeddingOptions = {
  imageSize: is.size2d,
  patchSize: is.size2d,
  width: is.count,
  channels: is.byDefault(3, is.count),
  bias: true,
  cropToPatches: false,
} satisfies Settings<PatchEmbeddingOptions>

/** Cuts images into patches, row by row, and applies one linear layer to each: [batch, channels, height, width] → [batch, patches, width] */
export class PatchEmbedding extends Module {
  /** of [channels · height · width] of a patch, channel by channel */
  readonly projection: Linear
  /** height and width of an image in pixels */
  readonly imageSize: readonly [height: number, width: number]
  /** height and width of a patch in pixels */
  readonly patchSize: readonly [height: number, width: number]
  /** number of patches in a column and in a row */
  readonly grid: readonly [rows: number, columns: number]
  /** channels of an image */
  readonly channels: number

  constructor(options: PatchEmbeddingOptions) {
    super()
    const settled = settle('new PatchEmbedding(options)', options, patchEmbeddingOptions)
    const { imageSize, patchSize, width, channels, bias, cropToPatches } = settled
    const problem = patchProblem(imageSize, patchSize, cropToPatches)
    if (problem !== undefined) throw new ConfigError('patchSize', patchSize, problem)
    this.imageSize = sidesOf(imageSize)
    this.patchSize = sidesOf(patchSize)
    this.grid = patchGrid(imageSize, patchSize)
    this.channels = channels
    this.projection = new Linear(channels * this.patchSize[0] * this.patchSize[1], width, { bias })
  }

  /** The shape of an image: channels, height and width. */
  get imageShape(): readonly [channels: number, height: number, width: number] {
    return [this.channels, ...this.imageSize]
  }

  /** Number of patches of an image. */
  get patches(): number {
    return this.grid[0] * this.grid[1]
  }

  /** Patches in rows: images [batch, channels, height, width] → [batch, patches, width]. */
  forward(images: Tensor): Tensor {
    checkArguments('patches.forward(images)', [is.tensor], [images])
    const { channels, imageShape } = this
    const [[height, width], [patchHeight, patchWidth], [rows, columns]] = [this.imageSize, this.patchSize, this.grid]
    const [batch] = images.shape
    if (images.rank !== 4 || !sameShape(images.shape.slice(1), imageShape)) {
      const isOne = images.rank === 3 && images.shape[0] === channels
      throw new ShapeError(
        `PatchEmbedding: images must be [batch, ${imageShape.join(', ')}], not ${show(images.shape)}${isOne ? '; write images.unsqueeze(0) for a batch of one' : ''}`,
        images.shape,
      )
    }
    if (!isFloating(images.dtype))
      throw new DTypeError(
        `PatchEmbedding: images ${show(images.shape)} must be floating, not ${images.dtype}; write images.cast('float32').div(255)`,
        images.dtype,
      )
    const [bottom, right] = [rows * patchHeight, columns * patchWidth]
    const isWhole = bottom === height && right === width
    const patches = (isWhole ? images : images.slice([{}, {}, { stop: bottom }, { stop: right }]))
      .reshape([batch, channels, rows, patchHeight, columns, patchWidth])
      .permute([0, 2, 4, 1, 3, 5]) // [batch, row, column, channel, y, x]
      .reshape([batch, rows * columns, channels * patchHeight * patchWidth])
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
 * Positions on a grid, row by row: [rows · columns, width]. A quarter of the columns of the result each are sines and cosines of the row
 * and of the column, at frequencies from a quarter of a period across the grid to a period of four positions; those left over after
 * division by four are 0.
 * @param grid the side of a square grid, or [rows, columns]
 * @param amplitude root mean square of a position
 */
export function gridPositions(
  grid: number | readonly [rows: number, columns: number],
  width: number,
  amplitude = 1,
): Tensor {
  const kinds = [isGrid, is.size, is.number]
  checkArguments('gridPositions(grid, width, amplitude)', kinds, [grid, width, amplitude])
  const [rows, columns] = sidesOf(grid)
  const count = Math.floor(width / 4)
  const data = allocate('float32', [rows * columns, width], 'gridPositions')
  const turns = (i: number, side: number) => 0.25 + (count > 1 ? (i / (count - 1)) * (side / 4 - 0.25) : 0)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = (row * columns + column) * width
      for (let i = 0; i < count; i++) {
        const waves = [row, column].flatMap((place, axis) => {
          const side = axis === 0 ? rows : columns
          const angle = (2 * Math.PI * turns(i, side)) / side
          return [Math.sin((place + 0.5) * angle), Math.cos((place + 0.5) * angle)]
        })
        for (const [part, wave] of waves.entries()) data[at + part * count + i] = amplitude * Math.SQRT2 * wave
      }
    }
  }
  return fromData(data, [rows * columns, width])
}

const isGrid = new is.Kind<number | readonly [number, number]>(
  'a whole number, 0 or more, or [rows, columns]',
  x => is.size.fits(x) || (Array.isArray(x) && x.length === 2 && x.every(side => is.size.fits(side))),
)

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
 * Resamples values on a grid to another grid by bicubic interpolation, along each axis on its own: converts learned positions from one
 * image size to another (Dosovitskiy et al. 2020, section 3.2). Smoothed first along an axis that becomes coarser.
 * @param positions [rows · columns, width] of the grid `from`, row by row
 * @param from the side of a square grid, or [rows, columns]
 * @param to the same of the new grid
 * @returns [rows · columns, width] of the grid `to`
 */
export function resizeGrid(
  positions: Tensor,
  from: number | readonly [rows: number, columns: number],
  to: number | readonly [rows: number, columns: number],
): Tensor {
  checkArguments('resizeGrid(positions, from, to)', [is.tensor, isFilled, isFilled], [positions, from, to])
  const [[rows, columns], [newRows, newColumns]] = [sidesOf(from), sidesOf(to)]
  const [count, width] = positions.shape
  if (positions.rank !== 2 || count !== rows * columns)
    throw new ShapeError(
      `resizeGrid: positions must be [${rows * columns}, width], for a grid of ${rows} × ${columns}, not ${show(positions.shape)}`,
      positions.shape,
    )
  if (rows === newRows && columns === newColumns) return positions
  const byRows = along(positions, rows, newRows, [columns, width]) // [row, column, width]
  const byColumns = along(byRows.permute([1, 0, 2]), columns, newColumns, [newRows, width]) // [column, row, width]
  return byColumns.permute([1, 0, 2]).reshape([newRows * newColumns, width])
}

const isFilled = new is.Kind<number | readonly [number, number]>('a whole number above 0, or [rows, columns]', x =>
  is.size2d.fits(x),
)

/** Resamples the first axis, of length `from`, to length `to`. */
function along(x: Tensor, from: number, to: number, rest: readonly number[]): Tensor {
  if (from === to) return x.reshape([to, ...rest])
  const numbers = cubicWeights(from, to)
  const weights = fromData(x.dtype === 'float64' ? numbers : Float32Array.from(numbers), [to, from], deviceOf(x))
  return weights.matmul(x.reshape([from, -1])).reshape([to, ...rest])
}
