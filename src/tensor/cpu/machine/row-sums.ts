// What machine code for rows has in common: a row in vectors, the last of them with a mask, and sums over it. Sums are computed as in the
// compiled kernels (../assembly/rows.ts): float32 in short runs in many lanes, and float64 over runs.

import { type Assembler, at, type Mask, type Place, type Register, restOf, rsp, type Vector } from './assembler.ts'

/** Vectors in a group, which are added in as many sums. */
const GROUP = 4
/** Groups in a run: so many terms a float32 sum has, beside three of what is left behind the groups. */
const RUN = 8

/** General registers for a row, and two that may be overwritten. */
export interface RowRegisters {
  /** the place in a row, in bytes */
  readonly index: Register
  /** the bytes of a row */
  readonly bytes: Register
  readonly spare: readonly [Register, Register]
}

/** Numbers in the memory below the stack, 128 bytes of which no signal overwrites: float64 1 / n, float64 epsilon. */
export const share = at(rsp, -8)
export const epsilon = at(rsp, -16)

/** The mask of the rest of a row; n, which `bytes` holds, becomes bytes. */
export function beginRows(a: Assembler, { bytes, spare: [count, free] }: RowRegisters): void {
  a.move(count, bytes)
  a.bitsAnd(count, a.lanes - 1)
  a.maskOf(restOf(a), count, free)
  a.shiftLeft(bytes, 2)
}

/** `share` and `epsilon`, of n in `bytes` and a float64 in vector register 0. */
export function keepShare(a: Assembler, { bytes }: RowRegisters): void {
  a.storeDouble(epsilon, 0)
  a.integerToDouble(1, bytes)
  a.loadDouble(0, a.double(1))
  a.combineDouble('divide', 0, 0, 1)
  a.storeDouble(share, 0)
}

/**
 * body(offset, mask) for the vectors of a row: groups of them, single ones, and the last one with a mask. `offset` is added to the index.
 * @param count vectors in a group
 */
export function eachVector(
  a: Assembler,
  { index, bytes, spare: [end] }: RowRegisters,
  body: (offset: number, mask?: Mask) => void,
  count = GROUP,
): void {
  const size = 4 * a.lanes
  a.set(index, 0)
  for (const vectors of count > 1 ? [count, 1] : [1]) {
    const done = a.label()
    a.move(end, bytes)
    a.bitsAnd(end, -vectors * size)
    a.compare(index, end)
    a.jumpIf('atLeast', done)
    const loop = a.here()
    for (let i = 0; i < vectors; i++) body(i * size)
    a.plus(index, { value: vectors * size })
    a.compare(index, end)
    a.jumpIf('less', loop)
    a.bind(done)
  }
  const done = a.label()
  a.compare(index, bytes)
  a.jumpIf('equal', done)
  body(0, restOf(a))
  a.bind(done)
}

/** The four sums from `first` on as one, whose four parts are float64. */
function fold(a: Assembler, first: Vector, free: Vector): void {
  a.combine('add', first, first, first + 1)
  a.combine('add', first + 2, first + 2, first + 3)
  a.combine('add', first, first, first + 2)
  if (a.lanes === 16) {
    a.upperHalf(free, first, 64)
    a.combineLow('add', 8, first, first, free)
  }
  a.upperHalf(free, first, 32)
  a.combineLow('add', 4, first, first, free)
  a.toFourDoubles(first, first)
}

/** The vector register that the body of `twoSums` may overwrite, and the last one that `twoSums` does. */
export const free = 11

/**
 * Two sums over a row: `body` adds vectors to float32 sums, and the results are the lowest float64 of registers 1 and 2. Registers 1 to
 * 11 are overwritten.
 */
export function twoSums(
  a: Assembler,
  { index, bytes, spare: [groups, end] }: RowRegisters,
  body: (offset: number, sum: Vector, second: Vector, mask?: Mask) => void,
): void {
  const size = 4 * a.lanes
  const [first, second, total, totalSecond] = [1, 1 + GROUP, 1 + 2 * GROUP, 2 + 2 * GROUP]
  const [rest, whole, runs, folded, done] = [a.label(), a.label(), a.label(), a.label(), a.label()]
  for (let i = first; i <= totalSecond; i++) a.zero(i)
  a.move(groups, bytes)
  a.bitsAnd(groups, -GROUP * size)
  a.move(end, bytes)
  a.bitsAnd(end, -size)
  a.move(index, groups)
  // behind the groups
  a.compare(index, end)
  a.jumpIf('atLeast', rest)
  const single = a.here()
  body(0, first, second)
  a.plus(index, { value: size })
  a.compare(index, end)
  a.jumpIf('less', single)
  a.bind(rest)
  a.compare(index, bytes)
  a.jumpIf('equal', whole)
  body(0, first + 1, second + 1, restOf(a))
  a.bind(whole)
  a.set(index, 0)
  a.compare(groups, { value: 0 })
  a.jumpIf('equal', folded)
  // runs of groups
  a.bind(runs)
  a.address(end, at(index, RUN * GROUP * size))
  a.compare(end, groups)
  a.moveIf('greater', end, groups)
  const loop = a.here()
  for (let i = 0; i < GROUP; i++) body(i * size, first + i, second + i)
  a.plus(index, { value: GROUP * size })
  a.compare(index, end)
  a.jumpIf('less', loop)
  a.bind(folded)
  fold(a, first, free)
  fold(a, second, free)
  a.combineDoubles('add', total, total, first, 4)
  a.combineDoubles('add', totalSecond, totalSecond, second, 4)
  a.compare(index, groups)
  a.jumpIf('atLeast', done)
  for (let i = first; i < total; i++) a.zero(i)
  a.jump(runs)
  a.bind(done)
  // four to two, and two to one
  for (const sum of [total, totalSecond]) {
    a.upperHalf(free, sum, 32)
    a.combineDoubles('add', sum, sum, free, 2)
  }
  a.combineDoubles('unpackLow', 1, total, totalSecond, 2)
  a.combineDoubles('unpackHigh', free, total, totalSecond, 2)
  a.combineDoubles('add', 1, 1, free, 2)
  a.combineDoubles('unpackHigh', 2, 1, 1, 2)
}

/** Vector registers of `moments`. */
export const [mean, deviation] = [12, 13] as const

/**
 * The mean of the row at x as float32 in every lane of `mean`, and √(variance + ε) as the lowest float64 of `deviation`. With d = x₀ - x
 * the variance is that of Σ d² - (Σ d)² / n. Registers 0 to 11 are overwritten.
 */
export function moments(a: Assembler, x: (offset: number) => Place, row: RowRegisters): void {
  a.set(row.index, 0)
  a.broadcast(0, x(0))
  twoSums(a, row, (offset, sum, squares, mask) => {
    if (mask) {
      a.loadVector(free, x(offset), mask)
      a.combine('subtract', free, 0, free)
      a.loadVector(free, free, mask)
    } else a.combine('subtract', free, 0, x(offset))
    a.combine('add', sum, sum, free)
    a.combine('addProduct', squares, free, free)
  })
  a.combineDouble('multiply', 3, 1, share)
  a.toDouble(4, 0)
  a.combineDouble('subtract', 4, 4, 3)
  a.combineDouble('multiply', 3, 3, 1)
  a.combineDouble('subtract', 2, 2, 3)
  a.zero(3)
  a.combineDouble('maximum', 2, 3, 2)
  a.combineDouble('multiply', 2, 2, share)
  a.combineDouble('add', 2, 2, epsilon)
  a.squareRootOfDouble(deviation, 2)
  a.toFloat(4, 4)
  a.broadcast(mean, 4)
}
