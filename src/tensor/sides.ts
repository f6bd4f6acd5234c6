// Sizes of images and patches: a number for a square, or height and width.

import { given } from './given.ts'

/** The size of an image or of a patch in pixels: a number for a square, or height and width, as in PyTorch and timm. */
export type Size2d = number | readonly [height: number, width: number]

/** Height and width. */
export const sidesOf = (size: Size2d): readonly [height: number, width: number] =>
  typeof size === 'number' ? [size, size] : size

/** The size with this height and width: of a square, a number. */
export const sizeOfSides = ([height, width]: readonly [number, number]): Size2d =>
  height === width ? height : [height, width]

/** The shape of an image: channels, height and width. */
export const imageShape = (size: Size2d, channels = 3): [channels: number, height: number, width: number] => [
  channels,
  ...sidesOf(size),
]

/** Number of patches of an image, in a column and in a row. What does not fill a patch is left out. */
export function patchGrid(size: Size2d, patch: Size2d): readonly [rows: number, columns: number] {
  const [[height, width], [down, across]] = [sidesOf(size), sidesOf(patch)]
  return [Math.floor(height / down), Math.floor(width / across)]
}

/**
 * Why images cannot be cut into patches; undefined if they can.
 * @param crop whether pixels that do not fill a patch are left out
 */
export function patchProblem(size: Size2d, patch: Size2d, crop: boolean): string | undefined {
  const [sides, own] = [sidesOf(size), sidesOf(patch)]
  const fits = sides.every((side, axis) => (crop ? own[axis] <= side : side % own[axis] === 0))
  return fits ? undefined : `${crop ? 'is more than' : 'does not divide'} the image size ${given(size)}`
}
