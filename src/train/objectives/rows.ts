// Some images of a batch on the host.

/** Pixels [batch, channels, height, width], row by row. */
export interface Pixels {
  readonly images: Float32Array | Float64Array
  readonly imageShape: readonly [batch: number, channels: 3, height: number, width: number]
}

/** The images start … stop - 1. */
export function slicePixels({ images, imageShape }: Pixels, start: number, stop: number) {
  const [, channels, height, width] = imageShape
  const pixels = channels * height * width
  return {
    images: images.slice(start * pixels, stop * pixels),
    imageShape: [stop - start, channels, height, width] as [number, 3, number, number],
  }
}
