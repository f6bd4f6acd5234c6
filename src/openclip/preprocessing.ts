// The preprocessing of images in a checkpoint's configuration, `preprocess_cfg`. What would change the pixels and is not done here is
// refused by name.

import { given } from '../tensor/given.ts'
import type { Size2d } from '../tensor/sides.ts'
import { isRecord, JsonSettings } from './settings.ts'

/** The preprocessing of images with pixels in 0 … 1: scaled to a size and normalised. */
export interface Preprocessing {
  /** the side of a square, or [height, width] */
  readonly size: Size2d
  /** scaled until the picture covers the size, and cropped (default), or the whole picture to the size (as for SigLIP) */
  readonly resize?: 'shortest' | 'squash'
  /** per channel: (x - mean) / std */
  readonly mean: readonly number[]
  /** standard deviation of each channel, in 0 … 1 */
  readonly std: readonly number[]
}

/** The normalisation of CLIP. */
export const MEAN = [0.48145466, 0.4578275, 0.40821073]
export const STD = [0.26862954, 0.26130258, 0.27577711]

const PIXELS =
  'is not supported: images are scaled by bicubic interpolation until the shorter side fits, and cropped, or squashed'

/**
 * Reads `preprocess_cfg` of a configuration, if it has one.
 * @param size that of the model's images
 * @throws ConfigError naming a setting that is invalid or unknown, or would need other pixels
 */
export function readPreprocessing(json: unknown, size: Size2d): Preprocessing {
  const all = new JsonSettings('preprocess_cfg', (isRecord(json) ? json.preprocess_cfg : undefined) ?? {})
  const own = all.size('size', size)
  if (given(own) !== given(size)) throw all.refuse('size', own, `must be the model's image size, ${given(size)}`)
  all.only('is not supported: images have three channels', { mode: 'RGB' })
  const resize = all.oneOf('resize_mode', 'shortest', 'squash', 'longest')
  if (resize === 'longest') throw all.refuse('resize_mode', resize, PIXELS)
  // 'random' is for training; in evaluation it is bicubic
  const interpolation = all.oneOf('interpolation', 'bicubic', 'bilinear', 'random')
  if (interpolation === 'bilinear') throw all.refuse('interpolation', interpolation, PIXELS)
  // the colour beside a picture that does not fill the square, which happens with another resize_mode only
  all.ignore('fill_color')
  const mean = all.triple('mean', MEAN, () => true)
  const std = all.triple('std', STD, x => x > 0)
  all.end()
  return { size, resize, mean, std }
}

/** `preprocess_cfg` as OpenCLIP writes it. */
export const writePreprocessing = ({ size, resize = 'shortest', mean, std }: Preprocessing) => ({
  size,
  mode: 'RGB',
  mean,
  std,
  interpolation: 'bicubic',
  resize_mode: resize,
  fill_color: 0,
})
