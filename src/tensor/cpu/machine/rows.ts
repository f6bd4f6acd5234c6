// A pass over the numbers of a row: whole vectors, and what is left of it.

import {
  type Assembler,
  at,
  indexed,
  type Mask,
  type Place,
  type Register,
  r13,
  rax,
  rdx,
  restOf,
} from './assembler.ts'

/**
 * Emits `body` for the whole vectors of a row, in a loop, and for the rest with a mask. rax, rdx and r13 are overwritten, and with AVX-512 mask
 * register 2, with AVX2 vector register 15.
 * @param count the register with the number of elements, which stays as it is
 * @param body gets the place of the vector in memory that begins at a register
 */
export function rows(
  a: Assembler,
  count: Register,
  body: (place: (start: Register) => Place, mask?: Mask) => void,
): void {
  const { lanes } = a
  const [rest, end] = [a.label(), a.label()]
  const place = (start: Register) => indexed(start, rax, 4)
  const mask = restOf(a, 2)
  // rax: the first element of the vector; rdx: the elements from it on
  a.set(rax, 0)
  a.move(rdx, count)
  a.minus(rdx, { value: lanes })
  a.jumpIf('less', rest)
  const loop = a.here()
  body(place)
  a.plus(rax, { value: lanes })
  a.minus(rdx, { value: lanes })
  a.jumpIf('atLeast', loop)
  a.bind(rest)
  a.plus(rdx, { value: lanes })
  a.jumpIf('atMost', end)
  a.maskOf(mask, rdx, r13)
  body(place, mask)
  a.bind(end)
}

/** One vector of a row: its place in memory, where the row begins at a register, and the mask of the last one. */
export interface RowPart {
  place(start: Register): Place
  readonly mask?: Mask
}

/**
 * Emits code for rows of up to `most` vectors that are kept in registers, for each number of them, and for longer rows. rdx and r13 are
 * overwritten, and the same mask as by `rows`.
 * @param count the register with the number of elements
 */
export function shortRow(
  a: Assembler,
  count: Register,
  most: number,
  short: (parts: readonly RowPart[]) => void,
  long: () => void,
): void {
  const { lanes } = a
  const end = a.label()
  for (let used = 1; used <= most; used++) {
    const more = a.label()
    a.compare(count, { value: used * lanes })
    a.jumpIf('greater', more)
    a.move(rdx, count)
    a.minus(rdx, { value: (used - 1) * lanes })
    const mask = restOf(a, 2)
    a.maskOf(mask, rdx, r13)
    short(
      Array.from({ length: used }, (_, i) => ({
        place: start => at(start, 4 * lanes * i),
        mask: i === used - 1 ? mask : undefined,
      })),
    )
    a.jump(end)
    a.bind(more)
  }
  long()
  a.bind(end)
}
