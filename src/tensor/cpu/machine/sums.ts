// Sums over rows in machine code: of every column of a matrix, as gradients of biases need them. As in the compiled kernels
// (../assembly/reduce.ts) float32 are added over runs of 64 rows, and float64 over runs; of the last columns, fewer than 16, all are float64.

import {
  type Assembler,
  at,
  type Mask,
  r8,
  r9,
  r10,
  r11,
  rax,
  rbp,
  rbx,
  rcx,
  rdi,
  rdx,
  restOf,
  rsi,
  type Vector,
} from './assembler.ts'
import { saving } from './entry.ts'

/** Rows in a run. */
const RUN = 64
/** Columns that the compiled kernel adds in float32 together. */
const TOGETHER = 16

const [out, x, outer, n, inner, step] = [rdi, rsi, rdx, rcx, r8, r9]
const [from, left, count, columns, top] = [rax, r10, r11, rbx, rbp]

/** Two vectors of float64 += the float32 of a vector, which is overwritten, as is `free`. */
function addDoubles(a: Assembler, low: Vector, high: Vector, from: Vector, free: Vector): void {
  a.toDoubles(free, from)
  a.combineDoubles('add', low, low, free)
  a.upperHalf(from, from)
  a.toDoubles(from, from)
  a.combineDoubles('add', high, high, from)
}

/** The sums of some columns, from `top` on, and the next ones. With a mask it is one vector, whose numbers are added in float64. */
function columnSums(a: Assembler, vectors: number, mask?: Mask): void {
  const size = 4 * a.lanes
  const low = (i: number) => vectors + 2 * i
  const free = 3 * vectors
  for (let i = vectors; i < free; i++) a.zero(i)
  a.move(from, top)
  a.move(left, n)
  if (mask)
    a.countDown(left, 1, () => {
      a.loadVector(0, at(from), mask)
      addDoubles(a, low(0), low(0) + 1, 0, free)
      a.plus(from, step)
    })
  else
    a.countDown(left, RUN, () => {
      a.set(count, RUN)
      a.compare(count, left)
      a.moveIf('greater', count, left)
      for (let i = 0; i < vectors; i++) a.zero(i)
      a.countDown(count, 1, () => {
        for (let i = 0; i < vectors; i++) a.combine('add', i, i, at(from, size * i))
        a.plus(from, step)
      })
      for (let i = 0; i < vectors; i++) addDoubles(a, low(i), low(i) + 1, i, free)
    })
  for (let i = 0; i < vectors; i++) {
    a.toFloats(i, low(i))
    a.toFloats(free, low(i) + 1)
    a.join(i, i, free)
    a.storeVector(at(out, size * i), i, mask)
  }
}

/** The function sumColumns(out, x, outer, n, inner, step): out[o, j] = Σ_i x[o, i, j], of rows of x that are `step` bytes apart. */
export function sumColumnsFunction(a: Assembler): number {
  a.align()
  const start = a.position
  const mask = restOf(a)
  const advance = (vectors: number) => {
    for (const pointer of [top, out]) a.plus(pointer, { value: 4 * a.lanes * vectors })
  }
  saving(a, [rbx, rbp], () => {
    a.countDown(outer, 1, () => {
      a.move(columns, inner)
      a.move(top, x)
      for (let vectors = a.registers / 4; vectors * a.lanes >= TOGETHER; vectors /= 2)
        a.steps(columns, vectors * a.lanes, () => {
          columnSums(a, vectors)
          advance(vectors)
        })
      a.countDown(columns, a.lanes, () => {
        a.set(count, a.lanes)
        a.compare(count, columns)
        a.moveIf('greater', count, columns)
        a.maskOf(mask, count, left)
        columnSums(a, 1, mask)
        advance(1)
      })
      // what is beyond the last column
      a.shiftLeft(columns, 2)
      a.plus(out, columns)
      a.move(left, step)
      a.times(left, n)
      a.plus(x, left)
    })
  })
  a.return()
  return start
}
