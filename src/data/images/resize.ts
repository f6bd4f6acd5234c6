// Resizing and turning, bitwise equal to the Python package Pillow, so that a model gets the pixels that it was trained
// on. Shrinking without a low-pass filter makes patterns that are not in the picture (aliasing); here the filter widens
// with the shrinking factor, so every input pixel counts.

import { type Size2d, sidesOf } from '../../tensor/sides.ts'
import { BITS, resample, type Taps } from './resample.ts'

/** Pixels row by row, three bytes each: [height, width, 3]. */
export interface RgbImage {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}

/** Pixels row by row, of any number of channels. */
interface Pixels {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array | Uint16Array
}

/** A rectangle of pixels. */
export interface Box {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/**
 * Undoes an EXIF orientation, so that the picture is upright.
 * @param orientation 1 to 8 (Exif 2.3, 4.6.4, tag 0x0112): 1 to 4 keep rows as rows, 5 to 8 exchange rows and columns
 */
export function orient<Image extends Pixels>(image: Image, orientation: number): Image {
  if (orientation === 1) return image
  const { width, height, data } = image
  const channels = data.length / (width * height)
  const swapped = orientation >= 5
  const turned = {
    ...image,
    width: swapped ? height : width,
    height: swapped ? width : height,
    data: data.slice(),
  }
  const flipX = [2, 3, 7, 8].includes(orientation)
  const flipY = [3, 4, 6, 7].includes(orientation)
  for (let y = 0; y < turned.height; y++)
    for (let x = 0; x < turned.width; x++) {
      const across = swapped ? y : x
      const down = swapped ? x : y
      const sourceX = flipX ? width - 1 - across : across
      const sourceY = flipY ? height - 1 - down : down
      const from = (sourceY * width + sourceX) * channels
      const to = (y * turned.width + x) * channels
      for (let c = 0; c < channels; c++) turned.data[to + c] = data[from + c]
    }
  return turned
}

/** How one side of a picture is scaled: `length` inputs from `start` on to `scaled` outputs, of which `count` from `first` on are kept. */
export interface ScaledSide {
  readonly start: number
  readonly length: number
  readonly scaled: number
  readonly first: number
  readonly count: number
}

/**
 * Width and height of a picture, or of a part of it, to a size. Without a part the picture keeps its aspect ratio, covers the size, and
 * its centre is kept. For a square this is CLIP's `Resize(size)` and `CenterCrop(size)`: the shorter side becomes `size`, the longer one
 * is rounded down. For a rectangle it is OpenCLIP's `ResizeKeepRatio(size)` and `CenterCrop(size)`: both are rounded. The first pixel of
 * the centre is rounded to the even one.
 */
export function scaledSides(
  { width, height }: { readonly width: number; readonly height: number },
  size: Size2d,
  part?: Box,
): [across: ScaledSide, down: ScaledSide] {
  const [rows, columns] = sidesOf(size)
  if (part)
    return [
      { scaled: columns, first: 0, count: columns, start: part.left, length: part.width },
      { scaled: rows, first: 0, count: rows, start: part.top, length: part.height },
    ]
  const shorter = Math.min(width, height)
  const ratio = Math.min(height / rows, width / columns)
  const side = (length: number, count: number) => {
    const longer = rows === columns ? Math.floor((count * length) / shorter) : roundHalfToEven(length / ratio)
    const scaled = rows === columns && length === shorter ? count : longer
    return { start: 0, length, scaled, first: roundHalfToEven((scaled - count) / 2), count }
  }
  return [side(width, columns), side(height, rows)]
}

/**
 * Scales a picture, bicubic and anti-aliased: [height, width, 3] of the picture to that of the size.
 * @param part a part of the picture, of any aspect ratio; default its centre, as in {@link scaledSides}
 */
export function resizeTo(image: RgbImage, size: Size2d, part?: Box): RgbImage {
  const [across, down] = scaledSides(image, size, part).map(bicubicTaps)
  return resample(image, across, down)
}

/** Rounds as Python's `round`. */
export function roundHalfToEven(x: number): number {
  const below = Math.floor(x)
  return x - below === 0.5 ? below + (below % 2) : Math.round(x)
}

/** The inputs of every output, with weights that sum to 1. */
export interface BicubicWeights extends Omit<Taps, 'weights'> {
  readonly weights: Float64Array
}

/** The inputs and weights of every output that is kept. Inputs outside of the side's range are not used. */
export function bicubicWeights({ start, length, scaled, first, count }: ScaledSide): BicubicWeights {
  const step = length / scaled
  const stretch = Math.max(1, step)
  const support = 2 * stretch
  const width = Math.min(length, Math.ceil(support) * 2 + 1)
  const result = {
    count,
    width,
    first: new Int32Array(count),
    counts: new Int32Array(count),
    weights: new Float64Array(count * width),
  }
  for (let i = 0; i < count; i++) {
    const centre = (first + i + 0.5) * step
    const from = Math.max(0, Math.trunc(centre - support + 0.5))
    const to = Math.min(length, Math.trunc(centre + support + 0.5))
    const own = i * width - from
    let total = 0
    for (let x = from; x < to; x++) {
      const weight = catmullRom((x - centre + 0.5) / stretch)
      result.weights[own + x] = weight
      total += weight
    }
    result.first[i] = start + from
    result.counts[i] = to - from
    for (let x = from; x < to; x++) result.weights[own + x] /= total
  }
  return result
}

function bicubicTaps(side: ScaledSide): Taps {
  const { weights, ...places } = bicubicWeights(side)
  const rounded = new Int32Array(weights.length)
  for (let i = 0; i < weights.length; i++)
    rounded[i] = Math.trunc(weights[i] * 2 ** BITS + (weights[i] < 0 ? -0.5 : 0.5))
  return { ...places, weights: rounded }
}

/** The cubic convolution kernel with a = -1/2 (Keys 1981, "Cubic convolution interpolation"). */
function catmullRom(x: number): number {
  const t = Math.abs(x)
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1
  if (t < 2) return ((t - 5) * t + 8) * t * -0.5 + 2
  return 0
}
