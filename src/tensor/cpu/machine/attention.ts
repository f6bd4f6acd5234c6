// Attention, one head at a time, as in ../assembly/attention.ts: the scores of a head stay in the cache, and the gradient computes them
// again.

import {
  type Assembler,
  at,
  indexed,
  type Label,
  type Mask,
  type Place,
  type Register,
  r8,
  r9,
  r10,
  r11,
  rax,
  rbp,
  rcx,
  rdi,
  rdx,
  rsi,
  type Vector,
} from './assembler.ts'
import { entry } from './entry.ts'
import { exponentialShare } from './exponential.ts'
import { FRAME_BYTES, frame } from './products.ts'
import { rows, shortRow } from './rows.ts'

/** The offsets of the class Heads in ../assembly/attention.ts. An address is a float64, a step or size an integer of 32 bits. */
const heads = {
  q: 0,
  k: 8,
  v: 16,
  mask: 24,
  heads: 32,
  queries: 36,
  keys: 40,
  width: 44,
  size: 48,
  causal: 52,
  scale: 56,
  qSteps: 60,
  kSteps: 72,
  vSteps: 84,
  maskSteps: 96,
} as const

const local = (i: number): Place => at(rbp, FRAME_BYTES + 8 * i)

/** What is kept beside the state of a product. */
const state = {
  out: local(0),
  numbers: local(1),
  next: local(2),
  last: local(3),
  scores: local(4),
  base: local(5),
  batch: local(6),
  head: local(7),
  q: local(8),
  k: local(9),
  v: local(10),
  mask: local(11),
  queries: local(12),
  keys: local(13),
  width: local(14),
  size: local(15),
  qToken: local(16),
  kToken: local(17),
  vToken: local(18),
  /** bytes of a row of scores */
  row: local(19),
  row2: local(20),
  i: local(21),
  outK: local(22),
  outV: local(23),
  g: local(24),
  gBatch: local(25),
  gHead: local(26),
  gToken: local(27),
  slopes: local(28),
} as const

/** The size of a frame with `state`. */
export const ATTENTION_BYTES = FRAME_BYTES + 8 * 32

type Field = keyof typeof frame

/** What a field of a product is set to. */
type Source = Place | { readonly value: number }

/** Calls the product with these fields; bias and scratch are as they are. */
function product(a: Assembler, core: Label, fields: Partial<Record<Field, Source>>): void {
  for (const [name, source] of Object.entries(fields)) {
    if ('value' in source) a.set(rax, source.value)
    else a.move(rax, source)
    a.store(frame[name as Field], rax)
  }
  a.call(core)
}

/** What does not change between heads. */
function begin(a: Assembler): void {
  a.move(r8, state.numbers)
  for (const name of ['queries', 'keys', 'width', 'size'] as const) {
    a.loadInteger(rax, at(r8, heads[name]))
    a.store(state[name], rax)
  }
  for (const name of ['q', 'k', 'v'] as const) {
    a.loadInteger(rax, at(r8, heads[`${name}Steps`] + 8))
    a.store(state[`${name}Token`], rax)
  }
  a.move(rax, state.keys)
  a.shiftLeft(rax, 2)
  a.store(state.row, rax)
  a.set(rax, 0)
  a.store(frame.bias, rax)
}

/** `to` += batch and head times these two steps. */
function step(a: Assembler, to: Register, batch: Place, head: Place, isShort: boolean): void {
  for (const [place, count] of [
    [batch, state.batch],
    [head, state.head],
  ] as const) {
    if (isShort) a.loadInteger(rcx, place)
    else a.move(rcx, place)
    a.times(rcx, count)
    a.plus(to, rcx)
  }
}

/** The batch and head of number `next`, and where their parts are. */
function locate(a: Assembler): void {
  a.move(r8, state.numbers)
  a.loadInteger(r9, at(r8, heads.heads))
  a.move(rax, state.next)
  a.divide(r9)
  a.store(state.batch, rax)
  a.store(state.head, rdx)
  for (const name of ['q', 'k', 'v', 'mask'] as const) {
    a.truncate(rdx, at(r8, heads[name]))
    const done = a.label()
    if (name === 'mask') {
      a.compare(rdx, { value: 0 })
      a.jumpIf('equal', done)
    }
    a.plus(rdx, state.base)
    const steps = heads[`${name}Steps`]
    step(a, rdx, at(r8, steps), at(r8, steps + 4), true)
    a.bind(done)
    a.store(state[name], rdx)
  }
}

/** rdx = the part of batch and head in a tensor [batch, tokens, heads, width] at `to`; `rowBytes`: bytes of all heads of a token */
function resultOf(a: Assembler, to: Place, tokens: Place, width: Place, rowBytes: Place): void {
  a.move(rdx, state.batch)
  a.times(rdx, tokens)
  a.times(rdx, rowBytes)
  a.move(rcx, state.head)
  a.times(rcx, width)
  a.shiftLeft(rcx, 2)
  a.plus(rdx, rcx)
  a.plus(rdx, to)
}

/** rax = bytes of all heads of a token of this width */
function rowOf(a: Assembler, width: Place): void {
  a.move(r8, state.numbers)
  a.loadInteger(rax, at(r8, heads.heads))
  a.times(rax, width)
  a.shiftLeft(rax, 2)
}

/** The weights of one head, at `scores`, as a subroutine: softmax(q kᵀ scale) over the allowed keys, 0 elsewhere. */
export function weigh(a: Assembler, core: Label): Label {
  a.align()
  const start = a.here()
  product(a, core, {
    c: state.scores,
    a: state.q,
    b: state.k,
    m: state.queries,
    n: state.keys,
    k: state.width,
    rowA: state.qToken,
    columnA: { value: 4 },
    rowB: { value: 4 },
    columnB: state.kToken,
    stepC: state.row,
  })
  const [scale, x] = [2, 3]
  a.move(rdi, state.scores)
  a.move(r11, state.mask)
  a.set(rax, 0)
  a.store(state.i, rax)
  const [loop, positive, unmasked] = [a.label(), a.label(), a.label()]
  a.bind(loop)
  // r10: the keys that this query sees
  a.move(r10, state.keys)
  a.move(r8, state.numbers)
  const all = a.label()
  a.loadInteger(rax, at(r8, heads.causal))
  a.compare(rax, { value: 0 })
  a.jumpIf('equal', all)
  a.move(rcx, state.i)
  a.plus(rcx, r10)
  a.minus(rcx, state.queries)
  a.plus(rcx, { value: 1 })
  a.set(rax, 0)
  a.compare(rcx, rax)
  a.moveIf('less', rcx, rax)
  a.compare(rcx, r10)
  a.moveIf('less', r10, rcx)
  a.bind(all)
  a.broadcast(scale, at(r8, heads.scale))
  // a scale of zero or less changes the order, so it is applied before the largest is looked for
  a.loadInteger(rax, at(r8, heads.scale))
  a.compare(rax, { value: 0 })
  a.jumpIf('greater', positive)
  rows(a, r10, (place, mask) => {
    a.loadVector(x, place(rdi), mask)
    a.combine('multiply', x, x, scale)
    a.storeVector(place(rdi), x, mask)
  })
  a.broadcast(scale, a.number(1))
  a.bind(positive)
  a.compare(r11, { value: 0 })
  a.jumpIf('equal', unmasked)
  a.loadInteger(r9, at(r8, heads.maskSteps + 12))
  a.move(rsi, rdi)
  a.move(rcx, r11)
  a.move(rax, r10)
  a.countDown(rax, 1, () => {
    const isAllowed = a.label()
    a.isZeroByte(at(rcx))
    a.jumpIf('notEqual', isAllowed)
    a.storeNumber(at(rsi), 0xff800000)
    a.bind(isAllowed)
    a.plus(rcx, r9)
    a.plus(rsi, { value: 4 })
  })
  a.loadInteger(r9, at(r8, heads.maskSteps + 8))
  a.plus(r11, r9)
  a.bind(unmasked)
  // the keys that it does not see
  a.move(rcx, state.keys)
  a.minus(rcx, r10)
  a.address(rsi, indexed(rdi, r10, 4))
  a.zero(x)
  rows(a, rcx, (place, mask) => a.storeVector(place(rsi), x, mask))
  shares(a, scale)
  a.plus(rdi, state.row)
  a.move(rax, state.i)
  a.plus(rax, { value: 1 })
  a.store(state.i, rax)
  a.compare(rax, state.queries)
  a.jumpIf('less', loop)
  a.back()
  return start
}

/** The row of r10 numbers at rdi ← e^((x - largest) scale), divided by their sum. Vectors 0 to 11 are overwritten. */
function shares(a: Assembler, scale: Vector): void {
  const [largest, sum, x, low] = [0, 1, 3, 7]
  const free = [4, 5, 6] as const
  a.broadcast(low, a.number(Number.NEGATIVE_INFINITY))
  a.loadVector(largest, low)
  a.zero(sum)
  const load = (to: Vector, from: Place, mask?: Mask) => {
    if (mask) a.loadOr(to, from, mask, low)
    else a.loadVector(to, from)
  }
  const largestOf = () => {
    a.fold('maximum', largest, free)
    // without allowed keys all differences are -∞, and their exponentials 0
    a.combine('maximum', largest, largest, a.number(-3.4028234663852886e38))
  }
  const share = (of: Vector) => {
    a.combine('subtract', of, of, largest)
    a.combine('multiply', of, of, scale)
    exponentialShare(a, of, free)
    a.combine('add', sum, sum, of)
  }
  const partOf = () => {
    a.fold('add', sum, free)
    // a sum of zero leaves zeros; it may be NaN
    a.broadcast(x, a.number(1))
    a.zero(free[0])
    a.select('equal', sum, free[0], sum, x, sum, free[1])
    a.combine('divide', sum, x, sum)
  }
  shortRow(
    a,
    r10,
    4,
    parts => {
      const kept = (i: number) => 8 + i
      parts.forEach(({ place, mask }, i) => {
        load(kept(i), place(rdi), mask)
        // NaN is not the largest
        a.combine('maximum', largest, kept(i), largest)
      })
      largestOf()
      parts.forEach((_, i) => {
        share(kept(i))
      })
      partOf()
      parts.forEach(({ place, mask }, i) => {
        a.combine('multiply', kept(i), kept(i), sum)
        a.storeVector(place(rdi), kept(i), mask)
      })
    },
    () => {
      rows(a, r10, (place, mask) => {
        load(x, place(rdi), mask)
        a.combine('maximum', largest, x, largest)
      })
      largestOf()
      rows(a, r10, (place, mask) => {
        load(x, place(rdi), mask)
        share(x)
        a.storeVector(place(rdi), x, mask)
      })
      partOf()
      rows(a, r10, (place, mask) => {
        a.loadVector(x, place(rdi), mask)
        a.combine('multiply', x, x, sum)
        a.storeVector(place(rdi), x, mask)
      })
    },
  )
}

/** Number `next`, and so on until `last`. */
function overHeads(a: Assembler, body: () => void): void {
  const [loop, end] = [a.label(), a.label()]
  a.bind(loop)
  a.move(rax, state.next)
  a.compare(rax, state.last)
  a.jumpIf('atLeast', end)
  locate(a)
  body()
  a.move(rax, state.next)
  a.plus(rax, { value: 1 })
  a.store(state.next, rax)
  a.jump(loop)
  a.bind(end)
}

/** attention(out, numbers, first, last, scores, scratch, base), with addresses in the process; base: that of the linear memory */
export function attention(a: Assembler, core: Label, weights: Label): number {
  const passed = [state.out, state.numbers, state.next, state.last, state.scores, frame.scratch, state.base]
  return entry(a, ATTENTION_BYTES, passed, () => {
    begin(a)
    rowOf(a, state.size)
    a.store(state.row2, rax)
    overHeads(a, () => {
      a.call(weights)
      resultOf(a, state.out, state.queries, state.size, state.row2)
      a.store(frame.c, rdx)
      product(a, core, {
        a: state.scores,
        b: state.v,
        m: state.queries,
        n: state.size,
        k: state.keys,
        rowA: state.row,
        columnA: { value: 4 },
        rowB: state.vToken,
        columnB: { value: 4 },
        stepC: state.row2,
      })
    })
  })
}

/** attentionGradient(outQ, outK, outV, numbers, g, gBatch, gHead, gToken, first, last, scores, scratch, base), with addresses in the process */
export function attentionGradient(a: Assembler, core: Label, weights: Label): number {
  const { out, outK, outV, numbers, g, gBatch, gHead, gToken, next, last, scores, base } = state
  const passed = [out, outK, outV, numbers, g, gBatch, gHead, gToken, next, last, scores, frame.scratch, base]
  return entry(a, ATTENTION_BYTES, passed, () => {
    begin(a)
    a.move(rax, state.queries)
    a.times(rax, state.row)
    a.plus(rax, state.scores)
    a.store(state.slopes, rax)
    overHeads(a, () => {
      a.call(weights)
      // by v: weightsᵀ g
      rowOf(a, state.size)
      a.store(state.row2, rax)
      resultOf(a, outV, state.keys, state.size, state.row2)
      a.store(frame.c, rdx)
      a.move(rdx, g)
      step(a, rdx, gBatch, gHead, false)
      a.store(frame.b, rdx)
      product(a, core, {
        a: state.scores,
        m: state.keys,
        n: state.size,
        k: state.queries,
        rowA: { value: 4 },
        columnA: state.row,
        rowB: state.gToken,
        columnB: { value: 4 },
        stepC: state.row2,
      })
      // by the weights: g vᵀ
      a.move(rdx, g)
      step(a, rdx, gBatch, gHead, false)
      a.store(frame.a, rdx)
      product(a, core, {
        c: state.slopes,
        b: state.v,
        m: state.queries,
        n: state.keys,
        k: state.size,
        rowA: state.gToken,
        columnA: { value: 4 },
        rowB: { value: 4 },
        columnB: state.vToken,
        stepC: state.row,
      })
      slopes(a)
      // by q: slopes k, and by k: slopesᵀ q
      rowOf(a, state.width)
      a.store(state.row2, rax)
      resultOf(a, out, state.queries, state.width, state.row2)
      a.store(frame.c, rdx)
      product(a, core, {
        a: state.slopes,
        b: state.k,
        m: state.queries,
        n: state.width,
        k: state.keys,
        rowA: state.row,
        columnA: { value: 4 },
        rowB: state.kToken,
        columnB: { value: 4 },
        stepC: state.row2,
      })
      resultOf(a, outK, state.keys, state.width, state.row2)
      a.store(frame.c, rdx)
      product(a, core, {
        a: state.slopes,
        b: state.q,
        m: state.keys,
        n: state.width,
        k: state.queries,
        rowA: { value: 4 },
        columnA: state.row,
        rowB: state.qToken,
        columnB: { value: 4 },
        stepC: state.row2,
      })
    })
  })
}

/** slopes ← scale weights (slopes - Σ slopes weights) in every row: from the gradient of the weights to that of q kᵀ. */
function slopes(a: Assembler): void {
  const [dot, scale, x, y] = [0, 1, 2, 3]
  const free = [4, 5, 6] as const
  a.move(r8, state.numbers)
  a.broadcast(scale, at(r8, heads.scale))
  a.move(rdi, state.slopes)
  a.move(rsi, state.scores)
  a.move(r10, state.keys)
  a.move(r9, state.queries)
  a.countDown(r9, 1, () => {
    a.zero(dot)
    const slope = (g: Vector, y: Vector) => {
      a.combine('subtract', g, g, dot)
      a.combine('multiply', g, g, y)
      a.combine('multiply', g, g, scale)
    }
    shortRow(
      a,
      r10,
      4,
      parts => {
        const [x, y] = [(i: number) => 7 + i, (i: number) => 11 + i]
        parts.forEach(({ place, mask }, i) => {
          a.loadVector(x(i), place(rdi), mask)
          a.loadVector(y(i), place(rsi), mask)
          a.combine('addProduct', dot, x(i), y(i))
        })
        a.fold('add', dot, free)
        parts.forEach(({ place, mask }, i) => {
          slope(x(i), y(i))
          a.storeVector(place(rdi), x(i), mask)
        })
      },
      () => {
        rows(a, r10, (place, mask) => {
          a.loadVector(x, place(rdi), mask)
          a.loadVector(y, place(rsi), mask)
          a.combine('addProduct', dot, x, y)
        })
        a.fold('add', dot, free)
        rows(a, r10, (place, mask) => {
          a.loadVector(x, place(rdi), mask)
          a.loadVector(y, place(rsi), mask)
          slope(x, y)
          a.storeVector(place(rdi), x, mask)
        })
      },
    )
    a.plus(rdi, state.row)
    a.plus(rsi, state.row)
  })
}
