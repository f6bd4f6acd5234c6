// Reads the tensors of a checkpoint when they are needed, as float32 on the device that was current when it was opened.

import { type RowRange, type TensorFile, WeightFile } from '../io/index.ts'
import { device, type Shape, type Tensor } from '../tensor/index.ts'
import { fromPieces } from '../tensor/pieces.ts'

/** Reads a tensor of a file, or some of its rows, in a shape of as many elements. */
export type WeightReader = (name: string, shape: Shape, rows?: RowRange) => Tensor

/**
 * @param names all tensors that may be read, for messages
 * @returns a function that throws NonFiniteWeightsError naming all of them with values that are not finite in float32, and DataError if
 *   the file has changed since it was opened
 */
export function weightReader(file: TensorFile, names: readonly string[]): WeightReader {
  const advice = 'Download or convert the checkpoint again, or use another one'
  const weights = new WeightFile(file, names, { advice, single: true })
  const on = device.get()
  return (name, shape, rows) => fromPieces(weights.pieces(name, rows), shape, on, 'float32')
}
