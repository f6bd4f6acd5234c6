// Resizing and turning, bitwise equal to the Python package Pillow, so that a model gets the pixels that it was trained
// on. Shrinking without a low-pass filter makes patterns that are not in the picture (aliasing); here the filter widens
// with the shrinking factor, so every input pixel counts.

import { type Size2d, sidesOf } from '../../tensor/sides.ts'

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

/** The inputs and weights of every output. */
interface Taps {
  readonly count: number
  /** weights of an output; unused ones are 0 */
  readonly width: number
  /** first input of every output */
  readonly first: Int32Array
  /** [count, width], in units of 2^-22 */
  readonly weights: Int32Array
}

/** Weights are integers with this number of fractional bits: the sum of their products with 255 fits in 32 bits. */
const BITS = 22

/** The same, with weights that sum to 1. */
export interface BicubicWeights extends Omit<Taps, 'weights'> {
  readonly weights: Float64Array
}

/** The inputs and weights of every output that is kept. Inputs outside of the side's range are not used. */
export function bicubicWeights({ start, length, scaled, first, count }: ScaledSide): BicubicWeights {
  const step = length / scaled
  const stretch = Math.max(1, step)
  const support = 2 * stretch
  const width = Math.min(length, Math.ceil(support) * 2 + 1)
  const result = { count, width, first: new Int32Array(count), weights: new Float64Array(count * width) }
  for (let i = 0; i < count; i++) {
    const centre = (first + i + 0.5) * step
    const from = Math.max(0, Math.trunc(centre - support + 0.5))
    const to = Math.min(length, Math.trunc(centre + support + 0.5))
    const weights = result.weights.subarray(i * width, i * width + to - from)
    let total = 0
    for (let x = from; x < to; x++) {
      weights[x - from] = catmullRom((x - centre + 0.5) / stretch)
      total += weights[x - from]
    }
    result.first[i] = start + from
    for (let x = 0; x < to - from; x++) weights[x] /= total
  }
  return result
}

function bicubicTaps(side: ScaledSide): Taps {
  const { weights, ...places } = bicubicWeights(side)
  const rounded = Int32Array.from(weights, weight => Math.trunc(weight * 2 ** BITS + (weight < 0 ? -0.5 : 0.5)))
  return { ...places, weights: rounded }
}

/** The cubic convolution kernel with a = -1/2 (Keys 1981, "Cubic convolution interpolation"). */
function catmullRom(x: number): number {
  const t = Math.abs(x)
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1
  if (t < 2) return ((t - 5) * t + 8) * t * -0.5 + 2
  return 0
}

/** Horizontally, then vertically; the intermediate result is bytes. */
function resample({ width, height, data }: RgbImage, across: Taps, down: Taps): RgbImage {
  const top = down.first[0]
  const bottom = Math.min(height, down.first[down.count - 1] + down.width)
  const columns = across.count
  const narrow = new Uint8Array((bottom - top) * columns * 3)
  for (let y = top; y < bottom; y++)
    for (let x = 0; x < columns; x++) {
      const to = ((y - top) * columns + x) * 3
      addPixels(data, (y * width + across.first[x]) * 3, 3, across, x, narrow, to, y * width * 3 + width * 3)
    }
  const result = new Uint8Array(down.count * columns * 3)
  for (let y = 0; y < down.count; y++)
    for (let x = 0; x < columns; x++) {
      const from = ((down.first[y] - top) * columns + x) * 3
      addPixels(narrow, from, columns * 3, down, y, result, (y * columns + x) * 3, narrow.length)
    }
  return { width: columns, height: down.count, data: result }
}

/** One output: the weighted sum of pixels that are `stride` bytes apart, up to `end`. */
function addPixels(
  data: Uint8Array,
  from: number,
  stride: number,
  { width, weights }: Taps,
  output: number,
  into: Uint8Array,
  to: number,
  end: number,
): void {
  let red = 1 << (BITS - 1)
  let green = red
  let blue = red
  for (let k = output * width, at = from; k < (output + 1) * width && at < end; k++, at += stride) {
    const weight = weights[k]
    red += weight * data[at]
    green += weight * data[at + 1]
    blue += weight * data[at + 2]
  }
  into[to] = clip(red >> BITS)
  into[to + 1] = clip(green >> BITS)
  into[to + 2] = clip(blue >> BITS)
}

const clip = (value: number) => (value < 0 ? 0 : value > 255 ? 255 : value)
