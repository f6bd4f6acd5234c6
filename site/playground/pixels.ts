// Pictures on a canvas.

import { SIDE } from './protocol.ts'

/**
 * @param pixels red, green and blue bytes, [side, side, 3]
 * @param shade the share of light at each pixel, 0 to 1
 */
export function paint(canvas: HTMLCanvasElement | null, pixels: Uint8Array, shade?: (p: number) => number): void {
  const image = new ImageData(SIDE, SIDE)
  for (let p = 0; p < SIDE * SIDE; p++) {
    const light = shade?.(p) ?? 1
    for (let c = 0; c < 3; c++) image.data[4 * p + c] = light * pixels[3 * p + c]
    image.data[4 * p + 3] = 255
  }
  canvas?.getContext('2d')?.putImageData(image, 0, 0)
}
