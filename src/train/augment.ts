// Random augmentation of training images: mirroring, shifts by a few pixels, changes of brightness.

import type { Augmentation } from '../data/index.ts'
import type { RunConfig } from './config.ts'

/**
 * The augmentation that the settings describe, in this order; undefined if they leave images unchanged. Mirroring needs
 * captions that do not distinguish left and right.
 */
export function augmentation({ flip, shift = 0, brightness = 0 }: RunConfig['augment']): Augmentation | undefined {
  if (!flip && shift === 0 && brightness === 0) return undefined
  return (image, generator, [height, width]) => {
    const mirrored = flip === true && generator.uniform() < 0.5
    const [dx, dy] = [shift, shift].map(most => generator.integer(2 * most + 1) - most)
    const factor = 1 + brightness * (2 * generator.uniform() - 1)
    return redraw(image, [height, width], {
      column: x => (mirrored ? width - 1 - clamp(x - dx, width) : clamp(x - dx, width)),
      row: y => clamp(y - dy, height),
      tone: value => Math.min(1, value * factor),
    })
  }
}

/** The pixels at the edge of a picture are repeated beyond it. */
const clamp = (position: number, length: number) => Math.min(length - 1, Math.max(0, position))

interface Redrawing {
  /** the source of a pixel */
  column(x: number): number
  row(y: number): number
  tone(value: number): number
}

/** [channels, height, width] → [channels, height, width] */
function redraw(
  image: Float32Array,
  [height, width]: readonly [number, number],
  { column, row, tone }: Redrawing,
): Float32Array {
  const drawn = new Float32Array(image.length)
  // the rows of all channels
  for (let y = 0; y < image.length / width; y++) {
    const from = (y - (y % height) + row(y % height)) * width
    for (let x = 0; x < width; x++) drawn[y * width + x] = tone(image[from + column(x)])
  }
  return drawn
}
