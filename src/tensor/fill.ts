// Fills an array with values that come in pieces.

import type { TypedArray } from './dtype.ts'
import { ShapeError } from './shape.ts'

/** Writes the values of pieces into an array, from its first element to its last. @throws ShapeError if they do not fill it */
export function fill(whole: TypedArray, pieces: Iterable<TypedArray>): void {
  let filled = 0
  for (const piece of pieces) {
    if (filled + piece.length <= whole.length) whole.set(piece, filled)
    filled += piece.length
  }
  checkFilled(whole.length, filled)
}

/** @throws ShapeError if a number of values is not the length of an array */
export function checkFilled(length: number, filled: number): void {
  if (filled !== length) throw new ShapeError(`the pieces have ${filled} values, not ${length}`, [length])
}
