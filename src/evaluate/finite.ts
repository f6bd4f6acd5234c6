// Detects results of a model that are not finite, and names the example that they belong to: a share, a rank or a
// nearest neighbour computed from NaN looks like any other.

import { LogitsError } from '../models/index.ts'
import { indexOfNonFinite, NonFiniteError } from '../tensor/index.ts'

/** The error for an example whose result is not finite. */
export const NOT_COMPUTED =
  'the model does not compute finite numbers there. An intermediate value is too large for its dtype, or training has damaged a weight: use an earlier checkpoint; for a run, cocagrad doctor finds where it begins'

/**
 * Checks that rows of numbers are finite.
 * @param what describes the result of a row: the embedding of 3.png
 * @throws NonFiniteError for the first row that is not finite
 */
export function checkRows(data: ArrayLike<number>, width: number, what: (row: number) => string): void {
  const index = indexOfNonFinite(data)
  if (index < 0) return
  const row = Math.floor(index / width)
  throw new NonFiniteError(`number ${index % width} of ${what(row)}`, data[index], NOT_COMPUTED)
}

/**
 * Generates captions of some images.
 * @throws NonFiniteError naming the image if its logits are not finite
 */
export async function namingImages<T>(nameOf: (image: number) => string, write: () => Promise<T>): Promise<T> {
  try {
    return await write()
  } catch (error) {
    if (!(error instanceof LogitsError)) throw error
    throw new NonFiniteError(`${nameOf(error.place.image)}: ${error.what}`, error.value, NOT_COMPUTED, { cause: error })
  }
}
