// Some examples of a batch on the host.

import type { ImageShape, MultiImageShape } from '../../data/index.ts'

/** Pixels [batch, channels, height, width], or [batch, images, channels, height, width], row by row. */
export interface Pixels<Shape extends ImageShape | MultiImageShape = ImageShape | MultiImageShape> {
  readonly images: Float32Array | Float64Array
  readonly imageShape: Readonly<Shape>
}

/** The examples start … stop - 1. */
export function slicePixels<Shape extends ImageShape | MultiImageShape>(
  { images, imageShape }: Pixels<Shape>,
  start: number,
  stop: number,
) {
  const [, ...example] = imageShape as Shape
  const pixels = example.reduce((a, b) => a * b)
  return {
    images: images.slice(start * pixels, stop * pixels),
    imageShape: [stop - start, ...example] as Shape,
  }
}
