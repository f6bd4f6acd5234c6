// Pictures on a canvas.

import type { Picture } from './protocol.ts'

/** @param shade the share of light at each pixel, 0 to 1 */
export function paint(
  canvas: HTMLCanvasElement | null,
  { pixels, side }: Picture,
  shade?: (p: number) => number,
): void {
  const image = new ImageData(side, side)
  for (let p = 0; p < side * side; p++) {
    const light = shade?.(p) ?? 1
    for (let c = 0; c < 3; c++) image.data[4 * p + c] = light * pixels[3 * p + c]
    image.data[4 * p + 3] = 255
  }
  canvas?.getContext('2d')?.putImageData(image, 0, 0)
}
