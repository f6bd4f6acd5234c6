// Pictures as OpenCLIP prepares them: `Resize`, `CenterCrop` and only then `convert('RGB')`, on what Pillow's `Image.open` gives.
// A picture is therefore scaled in the form in which its file stores it: a palette has no values between two of its colours, so
// the nearest pixel is taken; colours with transparency are weighted by it; 16 bits of grey are clipped to 8 in the end. EXIF
// orientation is not applied.

import { type Size2d, sidesOf } from '../../tensor/sides.ts'
import {
  type BicubicWeights,
  type Box,
  bicubicWeights,
  type RgbImage,
  resizeTo,
  type ScaledSide,
  scaledSides,
} from './resize.ts'

/** A picture before its conversion to RGB. The names are Pillow's modes; `P` stands also for `1`, and `RGB` for `L`. */
export type StoredImage =
  | (RgbImage & { readonly mode: 'RGB' | 'P' })
  /** [height, width, 4] */
  | { readonly mode: 'RGBA' | 'CMYK'; readonly width: number; readonly height: number; readonly data: Uint8Array }
  /** [height, width] */
  | { readonly mode: 'I;16'; readonly width: number; readonly height: number; readonly data: Uint16Array }

/**
 * Scales a picture and converts it to RGB, bitwise as Pillow does: [height, width, 3] of the size.
 * @param part a part of the picture instead of its centre
 */
export function resizeStored(image: StoredImage, size: Size2d, part?: Box): RgbImage {
  const scaled = (rgb: RgbImage) => resizeTo(rgb, size, part)
  // Pillow does not scale a picture that has its size already
  const isKept = scaledSides(image, size, part).every(({ length, scaled }) => length === scaled)
  switch (image.mode) {
    case 'RGB':
      return scaled(image)
    case 'P':
      return nearest(image, size, part)
    case 'CMYK': {
      const [colours, black] = split(image).map(scaled)
      return { ...colours, data: cmykToRgb(join(colours, black)) }
    }
    case 'RGBA': {
      const [colours, alpha] = split(isKept ? image : { ...image, data: premultiplied(image.data) }).map(scaled)
      return isKept ? colours : { ...colours, data: unmultiplied(colours.data, alpha.data) }
    }
    case 'I;16':
      return clippedGrey(image, size, part)
  }
}

/** The first three channels, and the fourth in all three. */
function split({ width, height, data }: { width: number; height: number; data: Uint8Array }): [RgbImage, RgbImage] {
  const [three, fourth] = [new Uint8Array(width * height * 3), new Uint8Array(width * height * 3)]
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3)
    for (let c = 0; c < 3; c++) {
      three[to + c] = data[from + c]
      fourth[to + c] = data[from + 3]
    }
  return [
    { width, height, data: three },
    { width, height, data: fourth },
  ]
}

function join(three: RgbImage, fourth: RgbImage): Uint8Array {
  const data = new Uint8Array((three.data.length / 3) * 4)
  for (let from = 0, to = 0; to < data.length; from += 3, to += 4) {
    data.set(three.data.subarray(from, from + 3), to)
    data[to + 3] = fourth.data[from]
  }
  return data
}

/** a b / 255, rounded as Pillow rounds it. */
function scaledBy(a: number, b: number): number {
  const product = a * b + 128
  return ((product >> 8) + product) >> 8
}

/** White paper less ink, (255 - colour) (255 - black) / 255: [pixels, 4] to [pixels, 3]. */
export function cmykToRgb(pixels: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((pixels.length / 4) * 3)
  for (let from = 0, to = 0; from < pixels.length; from += 4) {
    const paper = 255 - pixels[from + 3]
    for (let c = 0; c < 3; c++) rgb[to++] = Math.max(0, paper - scaledBy(pixels[from + c], paper))
  }
  return rgb
}

function premultiplied(data: Uint8Array): Uint8Array {
  const result = data.slice()
  for (let at = 0; at < data.length; at += 4)
    for (let c = 0; c < 3; c++) result[at + c] = scaledBy(data[at + c], data[at + 3])
  return result
}

/** @param alpha of every pixel, three times */
function unmultiplied(colours: Uint8Array, alpha: Uint8Array): Uint8Array {
  return colours.map((value, i) =>
    alpha[i] === 0 || alpha[i] === 255 ? value : Math.min(255, Math.floor((255 * value) / alpha[i])),
  )
}

/** The nearest pixel. The position is a sum of steps, as in Pillow, because its rounding errors decide between two pixels. */
function nearest(image: RgbImage, size: Size2d, part?: Box): RgbImage {
  const [columns, rows] = scaledSides(image, size, part).map(nearestInputs)
  const [height, width] = sidesOf(size)
  const data = new Uint8Array(height * width * 3)
  for (let y = 0, to = 0; y < height; y++)
    for (let x = 0; x < width; x++, to += 3) {
      const from = (rows[y] * image.width + columns[x]) * 3
      for (let c = 0; c < 3; c++) data[to + c] = image.data[from + c]
    }
  return { width, height, data }
}

function nearestInputs({ start, length, scaled, first, count }: ScaledSide): Int32Array {
  const inputs = new Int32Array(count)
  const step = length / scaled
  let position = step * 0.5
  for (let output = 0; output < first + count; output++, position += step)
    if (output >= first) inputs[output - first] = start + Math.min(length - 1, Math.trunc(position))
  return inputs
}

/** 16 bits of grey, scaled as they are and then clipped to 255: all but the darkest are white. */
function clippedGrey(
  image: { readonly width: number; readonly height: number; readonly data: Uint16Array },
  size: Size2d,
  part?: Box,
): RgbImage {
  const [across, down] = scaledSides(image, size, part).map(bicubicWeights)
  const [height, width] = sidesOf(size)
  const top = down.first[0]
  const bottom = Math.min(image.height, down.first[height - 1] + down.width)
  const narrow = new Uint16Array((bottom - top) * width)
  for (let y = top; y < bottom; y++)
    for (let x = 0; x < width; x++)
      narrow[(y - top) * width + x] = weighted(across, x, at => image.data[y * image.width + at])
  const data = new Uint8Array(height * width * 3)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const value = weighted(down, y, at => narrow[(at - top) * width + x])
      data.fill(Math.min(255, value), (y * width + x) * 3, (y * width + x) * 3 + 3)
    }
  return { width, height, data }
}

/** One output of 16 bits: Pillow clips its two bytes one by one, so that a value above 65535 keeps its lower byte. */
function weighted({ first, width, weights }: BicubicWeights, output: number, input: (at: number) => number): number {
  let sum = 0
  for (let k = 0; k < width; k++) {
    const weight = weights[output * width + k]
    if (weight !== 0) sum += weight * input(first[output] + k)
  }
  const value = Math.round(sum)
  return value < 0 ? 0 : Math.min(255, value >> 8) * 256 + (value & 255)
}
