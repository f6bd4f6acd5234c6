// Tensors from values that come in pieces, and pieces of tensors, so that values need not be in the memory of the host together.

import { checkPossible, upload } from './create.ts'
import type { Device } from './device.ts'
import { allocate, type DType, missingDType, type TypedArray } from './dtype.ts'
import { fill } from './fill.ts'
import { type Shape, sizeOf } from './shape.ts'
import { Storage } from './storage.ts'
import { Tensor } from './tensor.ts'

/**
 * A tensor of the values of pieces, one after the other. A piece is used up before the next is asked for.
 * @param pieces typed arrays of the dtype
 * @throws ShapeError if they do not fill the shape; OutOfMemoryError; any error of the pieces, and then no memory is kept
 */
export function fromPieces(pieces: Iterable<TypedArray>, shape: Shape, on: Device, dtype: DType): Tensor {
  checkPossible('fromPieces', shape, dtype, on)
  if (!on.dtypes.includes(dtype)) throw missingDType(on.name, on.dtypes, dtype)
  const length = sizeOf(shape)
  if (on.uploadPieces) return new Tensor(new Storage(on, dtype, length, on.uploadPieces(dtype, length, pieces)), shape)
  const whole = allocate(dtype, shape, 'fromPieces')
  fill(whole, pieces)
  return upload('fromPieces', whole, shape, on, dtype)
}

/** Elements of a piece of a tensor: 4 MiB of float32. */
const PIECE = 2 ** 20

/** The elements of a contiguous tensor in row-major order, in pieces that are copied to the host one after the other. */
export async function* piecesOf(x: Tensor): AsyncGenerator<TypedArray> {
  const { storage } = x
  for (let first = 0; first < x.size; first += PIECE)
    yield await new Tensor(storage, [Math.min(PIECE, x.size - first)], [1], x.offset + first).data()
}
