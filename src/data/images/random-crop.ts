// A random crop of a picture with random area and aspect ratio, as CLIP and its descendants use it in training (Szegedy
// et al. 2015, section 6, as torchvision's RandomResizedCrop).

import { Generator } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import type { Settings } from '../../tensor/options.ts'

import { type Box, roundHalfToEven } from './resize.ts'

/** Crops of random size and shape, as PyTorch's RandomResizedCrop makes them. */
export interface RandomCrop {
  /** minimum and maximum share of the picture's area, from 0 to 1; CLIP uses 0.9 to 1 */
  readonly scale: readonly [number, number]
  /** minimum and maximum of width / height; default 3/4 to 4/3 */
  readonly ratio?: readonly [number, number]
  /** equal seeds give equal crops */
  readonly seed: number
}

const isRange = new is.Kind<readonly [number, number]>(
  'two numbers such as [0.9, 1]',
  x => Array.isArray(x) && x.length === 2 && x.every(n => typeof n === 'number'),
)
/** The seed is different for each picture. */
export const cropOptions = {
  scale: isRange,
  ratio: is.byDefault([3 / 4, 4 / 3], isRange),
} satisfies Settings<Omit<RandomCrop, 'seed'>>

const TRIES = 10

/** Uniform in the area, in the logarithm of the ratio, and in the position; the centre if no such crop fits. */
export function chooseCrop(picture: { readonly width: number; readonly height: number }, crop: RandomCrop): Box {
  const { scale, ratio = cropOptions.ratio.value, seed } = crop
  const generator = new Generator(seed)
  const between = (low: number, high: number) => low + (high - low) * generator.uniform()
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const area = picture.width * picture.height * between(...scale)
    const aspect = Math.exp(between(Math.log(ratio[0]), Math.log(ratio[1])))
    const width = roundHalfToEven(Math.sqrt(area * aspect))
    const height = roundHalfToEven(Math.sqrt(area / aspect))
    if (width < 1 || height < 1 || width > picture.width || height > picture.height) continue
    const left = generator.integer(picture.width - width + 1)
    return { left, top: generator.integer(picture.height - height + 1), width, height }
  }
  return middleOf(picture, ratio)
}

/** The largest central part with an allowed ratio. */
function middleOf(
  picture: { readonly width: number; readonly height: number },
  [low, high]: readonly [number, number],
): Box {
  const aspect = Math.min(high, Math.max(low, picture.width / picture.height))
  const width = Math.max(1, Math.min(picture.width, roundHalfToEven(picture.height * aspect)))
  const height = Math.max(1, Math.min(picture.height, roundHalfToEven(picture.width / aspect)))
  return { left: (picture.width - width) >> 1, top: (picture.height - height) >> 1, width, height }
}
