// An assembler for x86-64: integer instructions for addresses and loops, and instructions on vectors of float32, with AVX2 and
// FMA (vectors of 8 numbers, 16 registers) or with AVX-512 (16 numbers, 32 registers). Encodings are those of Intel's Software
// Developer's Manual, volume 2: VEX for AVX2, EVEX for AVX-512. Kernels are written once for both: what differs, such as
// the part of a vector beyond the end of a row, has one name here.

import {
  at,
  Encoder,
  type Label,
  op,
  type Place,
  type Register,
  rax,
  type Vector,
  type VectorOperation,
} from './encoder.ts'

export * from './encoder.ts'

/** The conditions of jumps and moves, for signed numbers, by their numbers. */
export const conditions = { equal: 4, notEqual: 5, less: 12, atLeast: 13, atMost: 14, greater: 15 } as const
export type Condition = keyof typeof conditions

/** The comparisons of vectors, by their numbers; false for NaN, but for `notAtMost`. */
export const comparisons = { equal: 0, less: 17, notAtMost: 22, greater: 30 } as const

/** Operations of two sources on float32, or on integers of 32 bits. */
const binaries = {
  add: op(0, 1, 0x58),
  multiply: op(0, 1, 0x59),
  subtract: op(0, 1, 0x5c),
  minimum: op(0, 1, 0x5d),
  divide: op(0, 1, 0x5e),
  maximum: op(0, 1, 0x5f),
  and: op(0, 1, 0x54),
  or: op(0, 1, 0x56),
  xor: op(0, 1, 0x57),
  addIntegers: op(1, 1, 0xfe),
  subtractIntegers: op(1, 1, 0xfa),
  unpackLow: op(0, 1, 0x14),
  unpackHigh: op(0, 1, 0x15),
} as const

/** Operations that add a product: the name says what is computed from the three operands. */
const products = {
  /** first += second third */
  addProduct: op(1, 2, 0xb8),
  /** first -= second third */
  subtractProduct: op(1, 2, 0xbc),
  /** first = first second + third */
  multiplyAdd: op(1, 2, 0xa8),
} as const

type Binary = keyof typeof binaries | keyof typeof products

const operations = { ...binaries, ...products } as const

const wide = (prefix: VectorOperation['prefix'], map: VectorOperation['map'], code: number): VectorOperation => ({
  prefix,
  map,
  code,
  wide: true,
})

/** Operations of two sources on vectors of float64. */
const binariesOfDoubles = {
  add: wide(1, 1, 0x58),
  multiply: wide(1, 1, 0x59),
  subtract: wide(1, 1, 0x5c),
  unpackLow: wide(1, 1, 0x14),
  unpackHigh: wide(1, 1, 0x15),
} as const

/** Operations of two sources on one float64. */
const binariesOfDouble = {
  add: wide(3, 1, 0x58),
  multiply: wide(3, 1, 0x59),
  subtract: wide(3, 1, 0x5c),
  divide: wide(3, 1, 0x5e),
  /** the first if it is greater, otherwise the second: NaN of the second stays */
  maximum: wide(3, 1, 0x5f),
} as const

const LOAD = op(0, 1, 0x10)
const STORE = op(0, 1, 0x11)
const MOVE = op(0, 1, 0x28)
const BROADCAST = op(1, 2, 0x18)
const SQUARE_ROOT = op(0, 1, 0x51)
const COMPARE = op(0, 1, 0xc2)
const SHUFFLE = op(0, 1, 0xc6)
const INSERT_128 = op(1, 3, 0x18)
const EXTRACT_128 = op(1, 3, 0x19)
const SHIFT = op(1, 1, 0x72)
const MASKED_LOAD = op(1, 2, 0x2c)
const MASKED_STORE = op(1, 2, 0x2e)
const BLEND = op(1, 3, 0x4a)
const SIGNS = op(0, 1, 0x50)
const LOAD_FLOAT = op(2, 1, 0x10)
const STORE_FLOAT = op(2, 1, 0x11)
const LOAD_DOUBLE = wide(3, 1, 0x10)
const STORE_DOUBLE = wide(3, 1, 0x11)
const TO_DOUBLES = op(0, 1, 0x5a)
const TO_FLOATS = wide(1, 1, 0x5a)
const TO_DOUBLE = op(2, 1, 0x5a)
const TO_FLOAT = wide(3, 1, 0x5a)
const INTEGER_TO_DOUBLE = wide(3, 1, 0x2a)
const SQUARE_ROOT_OF_DOUBLE = wide(3, 1, 0x51)
const INSERT_256 = wide(1, 3, 0x1a)
const EXTRACT_256 = wide(1, 3, 0x1b)

const lengths = { 4: 0, 8: 1, 16: 2 } as const

/** A choice of some of a vector's numbers. */
export interface Mask {
  /** a mask register with AVX-512, a vector register with AVX2 */
  readonly register: number
}

/** The mask of what is left of a row behind its whole vectors: mask register `register`, or with AVX2 the last vector register. */
export const restOf = ({ lanes, registers }: Encoder, register = 1): Mask => ({
  register: lanes === 8 ? registers - 1 : register,
})

export class Assembler extends Encoder {
  // ── integers ──────────────────────────────────────────────────────────────

  move(to: Register, from: Register | Place): void {
    this.general(0x8b, to, from)
  }

  set(to: Register, value: number): void {
    this.byte(0x48 | (to >> 3), 0xc7, 0xc0 | (to & 7))
    this.word(value)
  }

  store(to: Place, from: Register): void {
    this.general(0x89, from, to)
  }

  /** to = the 32-bit integer there, with its sign */
  loadInteger(to: Register, from: Place): void {
    this.general(0x63, to, from)
  }

  /** The 32 bits of a number. */
  loadBits(to: Register, from: Place): void {
    this.general(0x8b, to, from, false)
  }

  storeBits(to: Place, from: Register): void {
    this.general(0x89, from, to, false)
  }

  address(to: Register, of: Place): void {
    this.general(0x8d, to, of)
  }

  plus(to: Register, from: Register | Place | { readonly value: number }): void {
    this.arithmetic(0, 0x03, to, from)
  }

  minus(to: Register, from: Register | Place | { readonly value: number }): void {
    this.arithmetic(5, 0x2b, to, from)
  }

  bitsAnd(to: Register, value: number): void {
    this.arithmetic(4, 0x23, to, { value })
  }

  compare(a: Register, b: Register | Place | { readonly value: number }): void {
    this.arithmetic(7, 0x3b, a, b)
  }

  times(to: Register, from: Register | Place): void {
    this.general(0x0faf, to, from)
  }

  /** to = dividend / divisor, rounded towards zero, of rax; the rest is left in rdx */
  divide(divisor: Register): void {
    this.byte(0x48, 0x99)
    this.byte(0x48 | (divisor >> 3), 0xf7, 0xc0 | (7 << 3) | (divisor & 7))
  }

  shiftLeft(to: Register, bits: number): void {
    this.byte(0x48 | (to >> 3), 0xc1, 0xc0 | (4 << 3) | (to & 7), bits)
  }

  shiftRight(to: Register, bits: number): void {
    this.byte(0x48 | (to >> 3), 0xc1, 0xc0 | (7 << 3) | (to & 7), bits)
  }

  /** to = from, if the condition of the last comparison holds */
  moveIf(condition: Condition, to: Register, from: Register): void {
    this.general(0x0f40 | conditions[condition], to, from)
  }

  push(register: Register): void {
    if (register > 7) this.byte(0x41)
    this.byte(0x50 | (register & 7))
  }

  pop(register: Register): void {
    if (register > 7) this.byte(0x41)
    this.byte(0x58 | (register & 7))
  }

  jump(to: Label): void {
    this.byte(0xe9)
    this.distance(to)
  }

  jumpIf(condition: Condition, to: Label): void {
    this.byte(0x0f, 0x80 | conditions[condition])
    this.distance(to)
  }

  call(to: Label): void {
    this.byte(0xe8)
    this.distance(to)
  }

  callRegister(register: Register): void {
    if (register > 7) this.byte(0x41)
    this.byte(0xff, 0xd0 | (register & 7))
  }

  return(): void {
    // the upper halves of the vectors are cleared: code with SSE is slow while they are not
    this.byte(0xc5, 0xf8, 0x77)
    this.byte(0xc3)
  }

  /** The return of a subroutine of the code. */
  back(): void {
    this.byte(0xc3)
  }

  align(): void {
    while (this.position % 32 !== 0) this.byte(0x90)
  }

  /** `body` again and again, while `register` minus `step` stays above zero; not at all if it is zero or less. */
  countDown(register: Register, step: number, body: () => void): void {
    const end = this.label()
    this.compare(register, { value: 0 })
    this.jumpIf('atMost', end)
    const start = this.here()
    body()
    this.minus(register, { value: step })
    this.jumpIf('greater', start)
    this.bind(end)
  }

  /** `body` as long as `register` is at least `step`, which is taken away each time. */
  steps(register: Register, step: number, body: () => void): void {
    const end = this.label()
    const start = this.label()
    this.minus(register, { value: step })
    this.jumpIf('less', end)
    this.align()
    this.bind(start)
    body()
    this.minus(register, { value: step })
    this.jumpIf('atLeast', start)
    this.bind(end)
    this.plus(register, { value: step })
  }

  /** to = the float64 there, without its fraction */
  truncate(to: Register, from: Place): void {
    this.byte(0xf2)
    this.general(0x0f2c, to, from)
  }

  /** Compares a byte with zero. */
  isZeroByte(place: Place): void {
    // the field beside the operand is part of the instruction: cmp
    this.general(0x80, 7, place, false)
    this.byte(0)
  }

  /** Writes 32 bits. */
  storeNumber(to: Place, bits: number): void {
    this.general(0xc7, 0, to, false)
    this.word(bits)
  }

  // ── vectors ───────────────────────────────────────────────────────────────

  /** to = a binary operation of a and b, or an addition of a product, where `to` is an operand too */
  combine(name: Binary, to: Vector, a: Vector, b: Vector | Place): void {
    this.vector(operations[name], to, a, b)
  }

  /** to = from, and zero in the lanes outside of the mask */
  loadVector(to: Vector, from: Vector | Place, mask?: Mask): void {
    if (mask && this.lanes === 8) {
      if (typeof from === 'number') this.combine('and', to, mask.register, from)
      else this.vector(MASKED_LOAD, to, mask.register, from)
    } else this.vector(typeof from === 'number' ? MOVE : LOAD, to, 0, from, mask?.register, true)
  }

  /** The numbers of a mask from memory, and elsewhere those of `otherwise`. */
  loadOr(to: Vector, from: Place, mask: Mask, otherwise: Vector): void {
    if (this.lanes === 8) {
      this.vector(MASKED_LOAD, to, mask.register, from)
      this.vector(BLEND, to, otherwise, to)
      this.byte(mask.register << 4)
      return
    }
    this.loadVector(to, otherwise)
    this.vector(LOAD, to, 0, from, mask.register)
  }

  /** `name` of all numbers of a vector, in every lane of it. */
  fold(name: Binary, of: Vector, [x, y, z]: readonly [Vector, Vector, Vector]): void {
    this.extractFour(x, of, 1)
    if (this.lanes === 16) {
      this.extractFour(y, of, 2)
      this.extractFour(z, of, 3)
      this.combineLow(name, 4, y, y, z)
    }
    this.combineLow(name, 4, x, x, of)
    if (this.lanes === 16) this.combineLow(name, 4, x, x, y)
    this.shuffleFour(y, x, x, 0x4e)
    this.combineLow(name, 4, x, x, y)
    this.shuffleFour(y, x, x, 0xb1)
    this.combineLow(name, 4, x, x, y)
    this.broadcast(of, x)
  }

  storeVector(to: Place, from: Vector, mask?: Mask): void {
    if (mask && this.lanes === 8) this.vector(MASKED_STORE, from, mask.register, to)
    else this.vector(STORE, from, 0, to, mask?.register)
  }

  zero(to: Vector): void {
    this.combine('xor', to, to, to)
  }

  /** The number there in every lane. */
  broadcast(to: Vector, from: Vector | Place): void {
    this.vector(BROADCAST, to, 0, from, undefined, false, 4)
  }

  squareRoot(to: Vector, from: Vector): void {
    this.vector(SQUARE_ROOT, to, 0, from)
  }

  /** Bits shifted to the left, or to the right without a sign. */
  shift(direction: 'left' | 'right' | 'rightSigned', to: Vector, from: Vector, bits: number): void {
    const way = { left: 6, right: 2, rightSigned: 4 }[direction]
    this.vector(SHIFT, way, to, from)
    this.byte(bits)
  }

  /** Numbers of a and b in each four: two of a, then two of b, by two bits each. */
  shuffle(to: Vector, a: Vector, b: Vector, choice: number): void {
    this.vector(SHUFFLE, to, a, b)
    this.byte(choice)
  }

  /** to = a with its `part`-th four numbers from memory */
  insertFour(to: Vector, a: Vector, from: Place, part: number): void {
    this.vector(INSERT_128, to, a, from, undefined, false, 16)
    this.byte(part)
  }

  /** The low four numbers of `to` = the `part`-th four of `from`. */
  extractFour(to: Vector, from: Vector, part: number): void {
    this.vector(EXTRACT_128, from, 0, to)
    this.byte(part)
  }

  /** Four numbers from memory; the others are zero. */
  loadFour(to: Vector, from: Place): void {
    this.vector(LOAD, to, 0, from, undefined, false, 16, 0)
  }

  shuffleFour(to: Vector, a: Vector, b: Vector, choice: number): void {
    this.vector(SHUFFLE, to, a, b, undefined, false, 16, 0)
    this.byte(choice)
  }

  /**
   * to = where a and b compare, x, and elsewhere y. `to` may be y, not x.
   * @param free a vector register that may be overwritten
   */
  select(
    comparison: keyof typeof comparisons,
    a: Vector,
    b: Vector | Place,
    to: Vector,
    x: Vector,
    y: Vector,
    free: Vector,
  ): void {
    if (this.lanes === 8) {
      this.vector(COMPARE, free, a, b)
      this.byte(comparisons[comparison])
      this.vector(BLEND, to, y, x)
      this.byte(free << 4)
      return
    }
    this.vector(COMPARE, 7, a, b)
    this.byte(comparisons[comparison])
    if (to !== y) this.loadVector(to, y)
    this.vector(MOVE, to, 0, x, 7)
  }

  /** Jumps if one of the numbers compares. */
  jumpIfAny(comparison: keyof typeof comparisons, a: Vector, b: Vector | Place, free: Vector, to: Label): void {
    this.vector(COMPARE, this.lanes === 8 ? free : 7, a, b)
    this.byte(comparisons[comparison])
    if (this.lanes === 8) {
      // vmovmskps eax, free; test eax, eax
      this.vector(SIGNS, rax, 0, free)
      this.byte(0x85, 0xc0)
    } else {
      // kortestw k7, k7
      this.byte(0xc5, 0xf8, 0x98, 0xff)
    }
    this.jumpIf('notEqual', to)
  }

  /**
   * A mask of the first `count` lanes, 0 to all of them.
   * @param count is overwritten
   */
  maskOf(mask: Mask, count: Register, free: Register): void {
    if (this.lanes === 8) {
      const table = [...new Array<number>(8).fill(0xffffffff), ...new Array<number>(8).fill(0)]
      this.address(free, this.words(table))
      this.shiftLeft(count, 2)
      this.minus(free, count)
      this.loadVector(mask.register, at(free, 32))
      return
    }
    // bzhi: all bits, and those from `count` on cleared
    this.set(free, -1)
    const [r, b] = [free > 7 ? 0 : 0x80, free > 7 ? 0 : 0x20]
    this.byte(0xc4, r | 0x40 | b | 2, (~count & 15) << 3, 0xf5, 0xc0 | ((free & 7) << 3) | (free & 7))
    // kmovw
    this.byte(0xc4, 0xc0 | b | 1, 0x78, 0x92, 0xc0 | (mask.register << 3) | (free & 7))
  }

  // ── parts of vectors, and float64 ─────────────────────────────────────────

  /** An operation on the low numbers of vectors, `count` of them, at most the lanes. */
  combineLow(name: Binary, count: 4 | 8 | 16, to: Vector, a: Vector, b: Vector): void {
    this.vector(operations[name], to, a, b, undefined, false, 4 * count, lengths[count])
  }

  /** The low half of `to` = the upper half of `from`, of which `bytes` are looked at: a vector, or a part of it. */
  upperHalf(to: Vector, from: Vector, bytes: 32 | 64 = this.lanes === 8 ? 32 : 64): void {
    const [operation, length] = bytes === 64 ? [EXTRACT_256, 2] : [EXTRACT_128, 1]
    this.vector(operation, from, 0, to, undefined, false, bytes / 2, length)
    this.byte(1)
  }

  /** to = the low half of `low`, and above it that of `high` */
  join(to: Vector, low: Vector, high: Vector): void {
    this.vector(this.lanes === 8 ? INSERT_128 : INSERT_256, to, low, high)
    this.byte(1)
  }

  /** A vector of float64 = as many float32, in memory or in the low half of a vector. */
  toDoubles(to: Vector, from: Vector | Place): void {
    this.vector(TO_DOUBLES, to, 0, from, undefined, false, 2 * this.lanes)
  }

  /** Four float64 = the low four float32. */
  toFourDoubles(to: Vector, from: Vector): void {
    this.vector(TO_DOUBLES, to, 0, from, undefined, false, 16, 1)
  }

  /** The low half of `to`, of float32 = a vector of float64, rounded; the upper half is zero. */
  toFloats(to: Vector, from: Vector): void {
    this.vector(TO_FLOATS, to, 0, from)
  }

  /** An operation on vectors of float64, or on the low `count` of them. */
  combineDoubles(
    name: keyof typeof binariesOfDoubles,
    to: Vector,
    a: Vector,
    b: Vector | Place,
    count: 2 | 4 | 8 = this.lanes === 8 ? 4 : 8,
  ): void {
    const length = lengths[(2 * count) as 4 | 8 | 16]
    this.vector(binariesOfDoubles[name], to, a, b, undefined, false, 8 * count, length)
  }

  /** A place with one float64. */
  double(value: number): Place {
    return this.words([...new Uint32Array(Float64Array.of(value).buffer)])
  }

  /** The lowest float64 of `to` = that in memory. */
  loadDouble(to: Vector, from: Place): void {
    this.vector(LOAD_DOUBLE, to, 0, from, undefined, false, 8, 0)
  }

  storeDouble(to: Place, from: Vector): void {
    this.vector(STORE_DOUBLE, from, 0, to, undefined, false, 8, 0)
  }

  /** The lowest float32 of `to` = that in memory. */
  loadFloat(to: Vector, from: Place): void {
    this.vector(LOAD_FLOAT, to, 0, from, undefined, false, 4, 0)
  }

  storeFloat(to: Place, from: Vector): void {
    this.vector(STORE_FLOAT, from, 0, to, undefined, false, 4, 0)
  }

  /** An operation on one float64, the lowest of a vector. */
  combineDouble(name: keyof typeof binariesOfDouble, to: Vector, a: Vector, b: Vector | Place): void {
    this.vector(binariesOfDouble[name], to, a, b, undefined, false, 8, 0)
  }

  squareRootOfDouble(to: Vector, from: Vector): void {
    this.vector(SQUARE_ROOT_OF_DOUBLE, to, from, from, undefined, false, 8, 0)
  }

  /** The lowest float64 of `to` = an integer. */
  integerToDouble(to: Vector, from: Register): void {
    this.vector(INTEGER_TO_DOUBLE, to, to, from, undefined, false, 8, 0)
  }

  /** The lowest float64 of `to` = the lowest float32. */
  toDouble(to: Vector, from: Vector): void {
    this.vector(TO_DOUBLE, to, from, from, undefined, false, 4, 0)
  }

  /** The lowest float32 of `to` = the lowest float64, rounded. */
  toFloat(to: Vector, from: Vector): void {
    this.vector(TO_FLOAT, to, from, from, undefined, false, 8, 0)
  }
}
