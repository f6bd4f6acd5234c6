// The matrix product of float32 in machine code. A tile of c, 12 rows of two vectors with AVX-512 and 6 with AVX2, stays in registers
// while it adds up. a is read where it lies, unless its rows lie a multiple of a page apart. b is read where it lies if its rows are short or few rows of a
// need it; otherwise 32 (16) of its columns are copied first, in the order in which they are read. The inner axis is cut so that these
// columns stay near: in the first and second cache.

import {
  type Assembler,
  at,
  indexed,
  type Label,
  type Place,
  r8,
  r9,
  r10,
  r11,
  r12,
  r13,
  r14,
  r15,
  rax,
  rbp,
  rbx,
  rcx,
  rdi,
  rdx,
  restOf,
  rsi,
} from './assembler.ts'
import { entry } from './entry.ts'
import { rows } from './rows.ts'

/** The longest piece of the inner axis. */
const DEPTH = 384
/** The most rows of a for which columns of b are copied once: their pieces stay in the second cache. */
const ROWS = 480
/** The longest rows of b, in bytes, that many rows of a read where they lie. */
const NEAR = 1024

/** The least number of columns of b for which rows of a that lie pages apart are copied: such rows take each other's places in the cache. */
const MANY = 128
const PAGE = 4096

/** Bytes of the copied columns of b, and the step between copied rows of a. */
const PANEL_BYTES = DEPTH * 32 * 4
const COPIED_STEP = DEPTH * 4 + 64

/** Bytes of temporary memory that a product needs: the copied columns and rows, and what is left out before the first whole line. */
export const SCRATCH_BYTES = PANEL_BYTES + ROWS * COPIED_STEP + 64

/** The arguments of a product and its state, in the memory that rbp points to. */
export const frame = {
  c: at(rbp, 0),
  a: at(rbp, 8),
  b: at(rbp, 16),
  m: at(rbp, 24),
  n: at(rbp, 32),
  k: at(rbp, 40),
  rowA: at(rbp, 48),
  columnA: at(rbp, 56),
  rowB: at(rbp, 64),
  columnB: at(rbp, 72),
  stepC: at(rbp, 80),
  /** memory for the copied columns */
  scratch: at(rbp, 88),
  /** added to every row, or 0 */
  bias: at(rbp, 96),
  /** what is left of the inner axis, and the size of this piece */
  left: at(rbp, 104),
  depth: at(rbp, 112),
  /** the pieces of a and b */
  pieceA: at(rbp, 120),
  pieceB: at(rbp, 128),
  /** of these columns: what is left, where they start in b, in c and in the bias */
  columns: at(rbp, 136),
  fromB: at(rbp, 144),
  toC: at(rbp, 152),
  biasHere: at(rbp, 160),
  /** where the columns are read, the step between rows, and that between vectors */
  panel: at(rbp, 168),
  step: at(rbp, 176),
  second: at(rbp, 184),
  /** where rows of a are read, and the step between them */
  tileA: at(rbp, 240),
  stepA: at(rbp, 248),
  rows: at(rbp, 192),
  /** whether c already holds a sum */
  adds: at(rbp, 200),
  saved: at(rbp, 208),
  /** the height of the taller tiles, their number, and that of those of one row less */
  height: at(rbp, 216),
  tall: at(rbp, 224),
  less: at(rbp, 232),
} as const

/** The size of `frame`. */
export const FRAME_BYTES = 264

const [rowStep, columnStep, bRow, bSecond, cRow] = [rcx, rdx, rdi, rbx, r13]
/** Every third row of a. */
const rowsOfA = [r8, r9, r10, r11]

const tallest = (a: Assembler): number => (a.lanes === 8 ? 6 : 12)

/** Row i of a tile of a, from every third row. */
function elementOfA(i: number): Place {
  const base = rowsOfA[Math.floor(i / 3)]
  return i % 3 === 0 ? at(base) : indexed(base, rowStep, i % 3 === 1 ? 1 : 2)
}

/**
 * `rows` rows of c in `width` vectors, as a subroutine: a from r8, b from rsi, c from r12. r8 and r12 are left after these rows.
 */
function tile(a: Assembler, rows: number, width: 1 | 2): Label {
  a.align()
  const start = a.here()
  const mask = restOf(a)
  const sum = (i: number, v: number) => i * width + v
  const [b, spare] = [rows * width, rows * width + width]
  /** registers for numbers of a: neighbours take different ones, where there are enough */
  const spares = Math.max(1, Math.min(4, a.registers - spare - (a.lanes === 8 ? 1 : 0)))
  const isLast = (v: number) => v === width - 1
  const groups = Math.ceil(rows / 3)
  // from bias, or from zero
  const [noBias, begin] = [a.label(), a.label()]
  a.compare(r15, { value: 0 })
  a.jumpIf('equal', noBias)
  for (let v = 0; v < width; v++) {
    a.loadVector(sum(0, v), at(r15, 4 * a.lanes * v), isLast(v) ? mask : undefined)
    for (let i = 1; i < rows; i++) a.loadVector(sum(i, v), sum(0, v))
  }
  a.jump(begin)
  a.bind(noBias)
  for (let j = 0; j < rows * width; j++) a.zero(j)
  a.bind(begin)
  a.move(r14, r8)
  for (let g = 1; g < groups; g++) {
    a.address(rowsOfA[g], indexed(rowsOfA[g - 1], rowStep, 2))
    a.plus(rowsOfA[g], rowStep)
  }
  a.move(rax, frame.depth)
  a.align()
  const loop = a.here()
  for (let v = 0; v < width; v++)
    a.loadVector(b + v, v === 0 ? at(rsi) : indexed(rsi, bSecond), isLast(v) ? mask : undefined)
  for (let i = 0; i < rows; i++) {
    const x = spare + (i % spares)
    a.broadcast(x, elementOfA(i))
    for (let v = 0; v < width; v++) a.combine('addProduct', sum(i, v), x, b + v)
  }
  a.plus(rsi, bRow)
  for (let g = 0; g < groups; g++) a.plus(rowsOfA[g], columnStep)
  a.minus(rax, { value: 1 })
  a.jumpIf('greater', loop)
  // to c
  const store = a.label()
  a.move(rax, frame.adds)
  a.compare(rax, { value: 0 })
  a.jumpIf('equal', store)
  a.move(rax, r12)
  for (let i = 0; i < rows; i++) {
    for (let v = 0; v < width; v++) {
      if (isLast(v)) {
        a.loadVector(b, at(rax, 4 * a.lanes * v), mask)
        a.combine('add', sum(i, v), sum(i, v), b)
      } else a.combine('add', sum(i, v), sum(i, v), at(rax, 4 * a.lanes * v))
    }
    a.plus(rax, cRow)
  }
  a.bind(store)
  for (let i = 0; i < rows; i++) {
    for (let v = 0; v < width; v++) a.storeVector(at(r12, 4 * a.lanes * v), sum(i, v), isLast(v) ? mask : undefined)
    a.plus(r12, cRow)
  }
  // the next rows of a
  a.set(r8, rows)
  a.times(r8, rowStep)
  a.plus(r8, r14)
  a.back()
  return start
}

/**
 * Transposes 4 × 4 blocks of columns from rsi on to rdi, until less than four of rdx rows are left. The last of `used` fours of columns
 * may have fewer than rcx says: its last column is read again in place of those that are missing.
 */
function transposeFours(a: Assembler, used: number): void {
  const bytes = 4 * a.lanes
  const firsts = [rsi, r10, r11].slice(0, used - 1)
  for (let p = 1; p < firsts.length; p++) a.address(firsts[p], indexed(firsts[p - 1], r9, 4))
  /** the columns of the last four */
  const last = [rbx, r12, r13, r14]
  if (used === 1) a.move(rbx, rsi)
  else a.address(rbx, indexed(firsts[used - 2], r9, 4))
  for (let i = 1; i < 4; i++) {
    a.address(last[i], indexed(last[i - 1], r9))
    a.compare(rcx, { value: 4 * (used - 1) + i })
    a.moveIf('atMost', last[i], last[i - 1])
  }
  a.steps(rdx, 4, () => {
    for (let i = 0; i < 4; i++) {
      const place = (p: number) => {
        if (p === used - 1) return at(last[i])
        return i === 0 ? at(firsts[p]) : i === 3 ? indexed(firsts[p], r15) : indexed(firsts[p], r9, i === 1 ? 1 : 2)
      }
      a.loadFour(i, place(0))
      for (let p = 1; p < used; p++) a.insertFour(i, i, place(p), p)
    }
    a.combine('unpackLow', 4, 0, 1)
    a.combine('unpackLow', 5, 2, 3)
    a.combine('unpackHigh', 6, 0, 1)
    a.combine('unpackHigh', 7, 2, 3)
    for (let i = 0; i < 4; i++) {
      a.shuffle(i, i < 2 ? 4 : 6, i < 2 ? 5 : 7, i % 2 === 0 ? 0x44 : 0xee)
      a.storeVector(at(rdi, bytes * i), i)
    }
    for (const column of [...firsts, ...last]) a.plus(column, { value: 16 })
    if (used === 1) a.plus(rsi, { value: 16 })
    a.plus(rdi, { value: 4 * bytes })
  })
}

/** Copies `depth` rows of one vector of columns of b from rsi to rdi, which is left behind them; rcx: how many columns there are. */
function strip(a: Assembler): Label {
  a.align()
  const start = a.here()
  const { lanes } = a
  const mask = restOf(a)
  const [transposed, scattered] = [a.label(), a.label()]
  const bytes = 4 * lanes
  a.move(r8, frame.rowB)
  a.move(r9, frame.columnB)
  a.move(rdx, frame.depth)
  a.compare(r9, { value: 4 })
  a.jumpIf('notEqual', transposed)
  a.maskOf(mask, rcx, rax)
  a.countDown(rdx, 1, () => {
    a.loadVector(0, at(rsi), mask)
    a.storeVector(at(rdi), 0)
    a.plus(rsi, r8)
    a.plus(rdi, { value: bytes })
  })
  a.back()
  a.bind(transposed)
  a.compare(r8, { value: 4 })
  a.jumpIf('notEqual', scattered)
  // four numbers of each column at a time: blocks of 4 × 4 are transposed, as many as there are fours of columns
  const parts = lanes / 4
  a.address(r15, indexed(r9, r9, 2))
  for (let used = 1; used <= parts; used++) {
    const more = a.label()
    if (used < parts) {
      a.compare(rcx, { value: 4 * used })
      a.jumpIf('greater', more)
    }
    transposeFours(a, used)
    a.jump(scattered)
    a.bind(more)
  }
  // one by one
  a.bind(scattered)
  a.countDown(rdx, 1, () => {
    a.move(r10, rsi)
    a.move(r11, rdi)
    a.move(r12, rcx)
    a.countDown(r12, 1, () => {
      a.loadBits(rax, at(r10))
      a.storeBits(at(r11), rax)
      a.plus(r10, r9)
      a.plus(r11, { value: 4 })
    })
    a.plus(rsi, r8)
    a.plus(rdi, { value: bytes })
  })
  a.back()
  return start
}

/** All rows of c in `width` vectors of columns. */
function rowsOfC(a: Assembler, width: 1 | 2): Label {
  const table = a.table(Array.from({ length: tallest(a) }, (_, i) => tile(a, i + 1, width)))
  a.align()
  const start = a.here()
  a.move(rowStep, frame.stepA)
  a.move(columnStep, frame.columnA)
  a.move(bRow, frame.step)
  a.move(bSecond, frame.second)
  a.move(cRow, frame.stepC)
  a.move(r15, frame.biasHere)
  a.move(r8, frame.tileA)
  a.move(r12, frame.toC)
  // the taller tiles, then those of one row less
  for (const [count, shorter] of [
    [frame.tall, 0],
    [frame.less, 1],
  ] as const) {
    const [loop, end] = [a.label(), a.label()]
    a.move(rax, count)
    a.compare(rax, { value: 0 })
    a.jumpIf('atMost', end)
    a.store(frame.rows, rax)
    a.bind(loop)
    a.move(rax, frame.height)
    a.address(rsi, table)
    a.loadInteger(rax, indexed(rsi, rax, 4, -4 * (1 + shorter)))
    a.plus(rax, rsi)
    a.move(rsi, frame.panel)
    a.callRegister(rax)
    a.move(rax, frame.rows)
    a.minus(rax, { value: 1 })
    a.store(frame.rows, rax)
    a.jumpIf('greater', loop)
    a.bind(end)
  }
  a.back()
  return start
}

/**
 * The heights of tiles: as few as possible, and as equal as possible, because a tile of one row takes as long as one of four, the time of an
 * addition.
 */
function heights(a: Assembler): void {
  const [tiles, height] = [r8, r9]
  a.move(rax, frame.m)
  a.set(rcx, tallest(a))
  a.plus(rax, { value: tallest(a) - 1 })
  a.divide(rcx)
  a.move(tiles, rax)
  a.plus(rax, frame.m)
  a.minus(rax, { value: 1 })
  a.divide(tiles)
  a.move(height, rax)
  a.store(frame.height, height)
  // m = tall height + less (height - 1)
  a.minus(height, { value: 1 })
  a.times(height, tiles)
  a.move(rax, frame.m)
  a.minus(rax, height)
  a.store(frame.tall, rax)
  a.minus(tiles, rax)
  a.store(frame.less, tiles)
}

/** Copies the rows of this piece of a behind the place for columns, if they lie pages apart. */
function copyPages(a: Assembler): void {
  const done = a.label()
  a.move(rsi, frame.pieceA)
  a.move(rcx, frame.rowA)
  a.store(frame.tileA, rsi)
  a.store(frame.stepA, rcx)
  a.move(rax, rcx)
  a.bitsAnd(rax, PAGE - 1)
  a.jumpIf('notEqual', done)
  a.move(rax, frame.columnA)
  a.compare(rax, { value: 4 })
  a.jumpIf('notEqual', done)
  a.move(rax, frame.n)
  a.compare(rax, { value: MANY })
  a.jumpIf('less', done)
  a.move(rax, frame.m)
  a.compare(rax, { value: tallest(a) })
  a.jumpIf('less', done)
  a.move(rdi, frame.scratch)
  a.plus(rdi, { value: 63 + PANEL_BYTES })
  a.bitsAnd(rdi, -64)
  a.store(frame.tileA, rdi)
  a.set(r8, COPIED_STEP)
  a.store(frame.stepA, r8)
  a.move(r9, frame.m)
  a.move(r10, frame.depth)
  a.countDown(r9, 1, () => {
    rows(a, r10, (place, mask) => {
      a.loadVector(0, place(rsi), mask)
      a.storeVector(place(rdi), 0)
    })
    a.plus(rsi, rcx)
    a.plus(rdi, r8)
  })
  a.bind(done)
}

/** The product in `frame` as a subroutine. All registers but rbp and rsp are overwritten. */
export function multiply(a: Assembler): Label {
  const { lanes } = a
  const two = 2 * lanes
  const copy = strip(a)
  const [narrow, wide] = [rowsOfC(a, 1), rowsOfC(a, 2)]
  a.align()
  const start = a.here()
  heights(a)
  a.move(rax, frame.a)
  a.store(frame.pieceA, rax)
  a.move(rax, frame.b)
  a.store(frame.pieceB, rax)
  a.move(rax, frame.k)
  a.store(frame.left, rax)
  a.set(rax, 0)
  a.store(frame.adds, rax)
  const pieces = a.here()
  // a piece of the inner axis: all of it, half of it, or DEPTH
  const sized = a.label()
  a.move(rax, frame.left)
  a.compare(rax, { value: DEPTH })
  a.jumpIf('atMost', sized)
  a.set(rcx, DEPTH)
  a.move(rdx, rax)
  a.plus(rax, { value: 7 })
  a.shiftRight(rax, 3)
  a.shiftLeft(rax, 2)
  a.compare(rdx, { value: 2 * DEPTH })
  a.moveIf('atLeast', rax, rcx)
  a.bind(sized)
  a.store(frame.depth, rax)
  copyPages(a)
  a.move(rax, frame.n)
  a.store(frame.columns, rax)
  a.move(rax, frame.pieceB)
  a.store(frame.fromB, rax)
  a.move(rax, frame.c)
  a.store(frame.toC, rax)
  // the bias is added with the first piece
  a.move(rax, frame.bias)
  a.set(rcx, 0)
  a.move(rdx, frame.adds)
  a.compare(rdx, { value: 0 })
  a.moveIf('notEqual', rax, rcx)
  a.store(frame.biasHere, rax)
  const columns = a.here()
  const [copies, ready, one, next] = [a.label(), a.label(), a.label(), a.label()]
  a.move(rax, frame.columnB)
  a.compare(rax, { value: 4 })
  a.jumpIf('notEqual', copies)
  const direct = a.label()
  a.move(rax, frame.m)
  a.compare(rax, { value: 2 * tallest(a) })
  a.jumpIf('atMost', direct)
  a.move(rax, frame.rowB)
  a.compare(rax, { value: NEAR })
  a.jumpIf('greater', copies)
  a.bind(direct)
  a.move(rax, frame.fromB)
  a.store(frame.panel, rax)
  a.move(rax, frame.rowB)
  a.store(frame.step, rax)
  a.set(rax, 4 * lanes)
  a.store(frame.second, rax)
  a.jump(ready)
  a.bind(copies)
  // to whole lines of the cache
  a.move(rdi, frame.scratch)
  a.plus(rdi, { value: 63 })
  a.bitsAnd(rdi, -64)
  a.store(frame.panel, rdi)
  a.set(rax, 4 * lanes)
  a.store(frame.step, rax)
  a.move(rax, frame.depth)
  a.shiftLeft(rax, Math.log2(4 * lanes))
  a.store(frame.second, rax)
  // one vector of columns, then the other
  a.move(rcx, frame.columns)
  a.set(rax, lanes)
  a.compare(rcx, rax)
  a.moveIf('greater', rcx, rax)
  a.move(rsi, frame.fromB)
  a.call(copy)
  a.move(rcx, frame.columns)
  a.minus(rcx, { value: lanes })
  a.jumpIf('atMost', ready)
  a.set(rax, lanes)
  a.compare(rcx, rax)
  a.moveIf('greater', rcx, rax)
  a.move(rsi, frame.columnB)
  a.shiftLeft(rsi, Math.log2(lanes))
  a.plus(rsi, frame.fromB)
  a.call(copy)
  a.bind(ready)
  a.move(rcx, frame.columns)
  a.compare(rcx, { value: lanes })
  a.jumpIf('atMost', one)
  a.minus(rcx, { value: lanes })
  a.set(rax, lanes)
  a.compare(rcx, rax)
  a.moveIf('greater', rcx, rax)
  a.maskOf(restOf(a), rcx, rax)
  a.call(wide)
  a.jump(next)
  a.bind(one)
  a.maskOf(restOf(a), rcx, rax)
  a.call(narrow)
  a.bind(next)
  // the next columns
  a.move(rax, frame.columnB)
  a.shiftLeft(rax, Math.log2(two))
  a.plus(rax, frame.fromB)
  a.store(frame.fromB, rax)
  a.move(rax, frame.toC)
  a.plus(rax, { value: 4 * two })
  a.store(frame.toC, rax)
  const noBias = a.label()
  a.move(rax, frame.biasHere)
  a.compare(rax, { value: 0 })
  a.jumpIf('equal', noBias)
  a.plus(rax, { value: 4 * two })
  a.store(frame.biasHere, rax)
  a.bind(noBias)
  a.move(rax, frame.columns)
  a.minus(rax, { value: two })
  a.store(frame.columns, rax)
  a.jumpIf('greater', columns)
  // the next piece
  a.move(rax, frame.depth)
  a.move(rcx, frame.columnA)
  a.times(rcx, rax)
  a.plus(rcx, frame.pieceA)
  a.store(frame.pieceA, rcx)
  a.move(rcx, frame.rowB)
  a.times(rcx, rax)
  a.plus(rcx, frame.pieceB)
  a.store(frame.pieceB, rcx)
  a.set(rcx, 1)
  a.store(frame.adds, rcx)
  a.move(rcx, frame.left)
  a.minus(rcx, rax)
  a.store(frame.left, rcx)
  a.jumpIf('greater', pieces)
  a.back()
  return start
}

/** The function product(c, a, b, m, n, k, rowA, columnA, rowB, columnB, stepC, scratch, bias) of addresses, sizes and steps in bytes. */
export function productFunction(a: Assembler, core: Label): number {
  const { c, a: left, b, m, n, k, rowA, columnA, rowB, columnB, stepC, scratch, bias, saved } = frame
  const passed = [c, left, b, saved, n, k, rowA, columnA, rowB, columnB, stepC, scratch, bias]
  return entry(a, FRAME_BYTES, passed, () => {
    const rows = a.here()
    a.move(rax, saved)
    a.set(rcx, ROWS)
    a.compare(rax, rcx)
    a.moveIf('greater', rax, rcx)
    a.store(m, rax)
    a.call(core)
    a.move(rax, m)
    for (const [pointer, step] of [
      [c, stepC],
      [left, rowA],
    ] as const) {
      a.move(rcx, step)
      a.times(rcx, rax)
      a.plus(rcx, pointer)
      a.store(pointer, rcx)
    }
    a.move(rcx, saved)
    a.minus(rcx, rax)
    a.store(saved, rcx)
    a.jumpIf('greater', rows)
  })
}
