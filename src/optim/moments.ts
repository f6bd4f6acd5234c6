// Moments in less memory: state of an optimizer in 16 or 8 bits a number. ../tensor/moments.ts defines the formats.

import {
  type DType,
  deviceOf,
  fromData,
  type MomentFormat,
  type PackedMoment,
  sizeOf,
  type Tensor,
} from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { packMoments, unpackMoments } from '../tensor/moments.ts'

/**
 * How moments are stored: `float32` (of parameters in float64: float64), `bfloat16` in 2 bytes a number, or `float8` in 1.03: 8 bits and an
 * exponent for each 128 numbers (Dettmers et al. 2022, with floating-point codes as in Peng et al. 2023). Steps compute in float32,
 * and round the new moments stochastically.
 */
export type MomentStorage = 'float32' | 'bfloat16' | 'float8'

/** The option `moments`. */
export const momentStorage = is.choice<MomentStorage>('float32', 'bfloat16', 'float8')

/** The format of a mean of gradients. */
export const signedFormat = (storage: MomentStorage): MomentFormat | undefined =>
  storage === 'float32' ? undefined : storage

/** The format of a mean of squares. */
export const squareFormat = (storage: MomentStorage): MomentFormat | undefined =>
  storage === 'float8' ? 'rootFloat8' : signedFormat(storage)

/** The numbers of a moment, of its shape. */
export function readMoment(packed: PackedMoment, dtype: DType): Tensor {
  const { format, words, shape } = packed
  const device = deviceOf(words)
  const plain = () => fromData(unpackMoments(format, words.dataSync() as Int32Array, sizeOf(shape)), shape, device)
  const moment = device.kernels.unpackMoments?.(packed) ?? plain()
  return moment.dtype === dtype ? moment : moment.cast(dtype)
}

/** The words of a new value of a moment, rounded stochastically. */
export function writeMoment(value: Tensor, { format, seed, words }: PackedMoment): Tensor {
  const float = value.dtype === 'float32' ? value : value.cast('float32')
  const device = deviceOf(float)
  const plain = () => fromData(packMoments(format, float.dataSync() as Float32Array, seed), words.shape, device)
  return device.kernels.packMoments?.(float, format, seed) ?? plain()
}
