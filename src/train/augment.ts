// Random augmentation of training images: mirroring, shifts by a few pixels, changes of brightness.

import type { Augmentation } from '../data/index.ts'
import type { RunConfig } from './config.ts'

/**
 * The augmentation that the settings describe, in this order; undefined if they leave images unchanged. Mirroring needs
 * captions that do not distinguish left and right.
 */
export function augmentation({ flip, shift = 0, brightness = 0 }: RunConfig['augment']): Augmentation | undefined {
  if (!flip && shift === 0 && brightness === 0) return undefined
  return (image, generator, side) => {
    const mirrored = flip === true && generator.uniform() < 0.5
    const [dx, dy] = [shift, shift].map(most => generator.integer(2 * most + 1) - most)
    const factor = 1 + brightness * (2 * generator.uniform() - 1)
    return redraw(image, side, {
      column: x => (mirrored ? side - 1 - clamp(x - dx, side) : clamp(x - dx, side)),
      row: y => clamp(y - dy, side),
      tone: value => Math.min(1, value * factor),
    })
  }
}

/** The pixels at the edge of a picture are repeated beyond it. */
const clamp = (position: number, side: number) => Math.min(side - 1, Math.max(0, position))

interface Redrawing {
  /** the source of a pixel */
  column(x: number): number
  row(y: number): number
  tone(value: number): number
}

/** [3, side, side] → [3, side, side] */
function redraw(image: Float32Array, side: number, { column, row, tone }: Redrawing): Float32Array {
  const drawn = new Float32Array(image.length)
  for (let y = 0; y < image.length / side; y++) {
    const from = (y - (y % side) + row(y % side)) * side
    for (let x = 0; x < side; x++) drawn[y * side + x] = tone(image[from + column(x)])
  }
  return drawn
}
