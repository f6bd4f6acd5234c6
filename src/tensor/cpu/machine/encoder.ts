// The encodings of x86-64's instructions, as in Intel's Software Developer's Manual, volume 2: of those on integers, and of those on vectors
// with VEX for AVX2 and EVEX for AVX-512.

/** A general register, by its number. */
export type Register = number
/** A vector register, by its number. */
export type Vector = number

/** The general registers. System V passes the first arguments in rdi, rsi, rdx, rcx, r8, r9; rbx, rbp, r12 to r15 belong to the caller. */
export const [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15]: readonly Register[] =
  Array.from({ length: 16 }, (_, i) => i)

/** A place in memory: base + index scale + offset, or a constant of the code. */
export type Place =
  | { readonly base: Register; readonly index?: Register; readonly scale?: 1 | 2 | 4 | 8; readonly offset: number }
  | { readonly constant: Label }

/** [base + offset] */
export const at = (base: Register, offset = 0): Place => ({ base, offset })

/** [base + index scale + offset] */
export const indexed = (base: Register, index: Register, scale: 1 | 2 | 4 | 8 = 1, offset = 0): Place => ({
  base,
  index,
  scale,
  offset,
})

/** A place in the code. */
export interface Label {
  position: number | undefined
}

/** The instructions of a processor that are used. */
export type Instructions = 'AVX2' | 'AVX-512'

/** Instructions of vectors: prefix, map and number. */
export interface VectorOperation {
  /** 0 none, 1 66, 2 F3, 3 F2 */
  readonly prefix: 0 | 1 | 2 | 3
  /** 1 0F, 2 0F38, 3 0F3A */
  readonly map: 1 | 2 | 3
  readonly code: number
  /** the bit W; of float64 with EVEX */
  readonly wide?: boolean
}

export const op = (prefix: VectorOperation['prefix'], map: VectorOperation['map'], code: number): VectorOperation => ({
  prefix,
  map,
  code,
})

/** Machine code as it is written: bytes, places in them, constants behind them, and the encodings of instructions. */
export class Encoder {
  readonly instructions: Instructions
  /** numbers in a vector */
  readonly lanes: 8 | 16
  /** the number of vector registers */
  readonly registers: 16 | 32
  #bytes = new Uint8Array(4096)
  #length = 0
  /** places where the distance to a label stands */
  readonly #references: { readonly at: number; readonly label: Label }[] = []
  readonly #constants = new Map<string, { readonly words: readonly number[]; readonly label: Label }>()

  readonly #tables: { readonly label: Label; readonly targets: readonly Label[] }[] = []

  constructor(instructions: Instructions) {
    this.instructions = instructions
    this.lanes = instructions === 'AVX2' ? 8 : 16
    this.registers = instructions === 'AVX2' ? 16 : 32
  }

  /** The machine code, with its constants at the end. Throws if a label has no place. */
  finish(): Uint8Array {
    while (this.#length % 64 !== 0) this.byte(0)
    for (const { words, label } of this.#constants.values()) {
      this.bind(label)
      for (const word of words) this.word(word)
    }
    for (const { label, targets } of this.#tables) {
      this.bind(label)
      for (const target of targets) this.word((target.position ?? 0) - (label.position ?? 0))
    }
    const code = this.#bytes.slice(0, this.#length)
    const view = new DataView(code.buffer)
    for (const { at: place, label } of this.#references) {
      if (label.position === undefined) throw new Error('a label of the machine code has no place')
      view.setInt32(place, label.position - place - 4, true)
    }
    return code
  }

  /** Where the next instruction will stand. */
  get position(): number {
    return this.#length
  }

  label(): Label {
    return { position: undefined }
  }

  bind(label: Label): void {
    label.position = this.#length
  }

  /** A new label at this place. */
  here(): Label {
    return { position: this.#length }
  }

  /** A place with these 32-bit words, which is aligned to the size of a vector. */
  words(words: readonly number[]): Place {
    const key = words.join()
    const known = this.#constants.get(key)
    if (known) return { constant: known.label }
    const label = this.label()
    const padded = [...words, ...new Array<number>((16 - (words.length % 16)) % 16).fill(0)]
    this.#constants.set(key, { words: padded, label })
    return { constant: label }
  }

  /** A table of the distances from its beginning to places in the code, 32 bits each. */
  table(targets: readonly Label[]): Place {
    const label = this.label()
    this.#tables.push({ label, targets })
    return { constant: label }
  }

  /** A place with the same float32 for every lane. */
  number(value: number): Place {
    return this.words(new Array<number>(this.lanes).fill(bitsOf(value)))
  }

  /** A place with the same integer for every lane. */
  integer(value: number): Place {
    return this.words(new Array<number>(this.lanes).fill(value >>> 0))
  }

  protected byte(...bytes: number[]): void {
    if (this.#length + bytes.length > this.#bytes.length) {
      const longer = new Uint8Array(2 * this.#bytes.length)
      longer.set(this.#bytes)
      this.#bytes = longer
    }
    for (const byte of bytes) this.#bytes[this.#length++] = byte
  }

  protected word(value: number): void {
    this.byte(value, value >> 8, value >> 16, value >> 24)
  }

  protected distance(label: Label): void {
    this.#references.push({ at: this.#length, label })
    this.word(0)
  }

  protected general(code: number, register: Register, operand: Register | Place, isWide = true): void {
    const { x, b } = extensions(operand)
    const rex = 0x40 | (isWide ? 8 : 0) | (register > 7 ? 4 : 0) | (x << 1) | b
    this.byte(rex)
    if (code > 255) this.byte(code >> 8)
    this.byte(code)
    this.#operand(register, operand, 1, 0)
  }

  protected arithmetic(
    immediate: number,
    code: number,
    to: Register,
    from: Register | Place | { readonly value: number },
  ): void {
    if (typeof from === 'number' || !('value' in from)) {
      this.general(code, to, from)
      return
    }
    this.byte(0x48 | (to >> 3))
    const isShort = from.value >= -128 && from.value <= 127
    this.byte(isShort ? 0x83 : 0x81, 0xc0 | (immediate << 3) | (to & 7))
    if (isShort) this.byte(from.value)
    else this.word(from.value)
  }

  /**
   * An instruction of vectors.
   * @param mask with AVX-512, a mask register
   * @param clears whether the lanes outside of the mask become zero
   * @param bytes of memory that it reads or writes
   * @param length 0 for vectors of four, otherwise those of the instructions
   */
  protected vector(
    { prefix, map, code, wide }: VectorOperation,
    register: number,
    second: number,
    operand: Vector | Place,
    mask = 0,
    clears = false,
    bytes = 4 * this.lanes,
    length = this.lanes === 8 ? 1 : 2,
  ): void {
    const isRegister = typeof operand === 'number'
    const { x, b } = extensions(operand)
    const r = (register >> 3) & 1
    if (this.lanes === 8) {
      this.byte(
        0xc4,
        (r ? 0 : 0x80) | (x && !isRegister ? 0 : 0x40) | (b ? 0 : 0x20) | map,
        (wide ? 0x80 : 0) | ((~second & 15) << 3) | (length << 2) | prefix,
        code,
      )
      this.#operand(register, operand, 1, immediates(map, code))
      return
    }
    // a register of 32 takes X as its fifth bit
    const fifth = isRegister ? (operand >> 4) & 1 : x
    this.byte(
      0x62,
      (r ? 0 : 0x80) | (fifth ? 0 : 0x40) | (b ? 0 : 0x20) | ((register >> 4) & 1 ? 0 : 0x10) | map,
      (wide ? 0x80 : 0) | ((~second & 15) << 3) | 4 | prefix,
      (clears && mask ? 0x80 : 0) | (length << 5) | ((second >> 4) & 1 ? 0 : 8) | mask,
      code,
    )
    this.#operand(register, operand, bytes, immediates(map, code))
  }

  /** The bytes that name the operands; short offsets are multiples of `unit`, and `after` bytes follow. */
  #operand(register: number, operand: number | Place, unit: number, after: number): void {
    const field = (register & 7) << 3
    if (typeof operand === 'number') {
      this.byte(0xc0 | field | (operand & 7))
      return
    }
    if ('constant' in operand) {
      this.byte(field | 5)
      this.#references.push({ at: this.#length, label: shiftedBy(operand.constant, -after) })
      this.word(0)
      return
    }
    const { base, index, scale = 1, offset } = operand
    const isShort = offset % unit === 0 && offset / unit >= -128 && offset / unit <= 127
    const isNone = offset === 0 && (base & 7) !== 5
    const mode = isNone ? 0 : isShort ? 0x40 : 0x80
    if (index !== undefined) this.byte(mode | field | 4, (Math.log2(scale) << 6) | ((index & 7) << 3) | (base & 7))
    else if ((base & 7) === 4) this.byte(mode | field | 4, 0x24)
    else this.byte(mode | field | (base & 7))
    if (mode === 0x40) this.byte(offset / unit)
    else if (mode === 0x80) this.word(offset)
  }
}

/** The label, as seen from an instruction that has more bytes after the distance. */
const shiftedBy = (label: Label, by: number): Label =>
  by === 0
    ? label
    : {
        get position() {
          return label.position === undefined ? undefined : label.position + by
        },
        set position(_) {},
      }

/** The number of bytes after the operand. */
const immediates = (map: number, code: number): number =>
  map === 3 || (map === 1 && (code === 0xc2 || code === 0xc6 || code === 0x72)) ? 1 : 0

/** The upper bits of the registers of an operand. */
function extensions(operand: number | Place): { readonly x: number; readonly b: number } {
  if (typeof operand === 'number') return { x: 0, b: (operand >> 3) & 1 }
  if ('constant' in operand) return { x: 0, b: 0 }
  return { x: ((operand.index ?? 0) >> 3) & 1, b: (operand.base >> 3) & 1 }
}

const numbers = new Float32Array(1)
const words = new Uint32Array(numbers.buffer)

/** The bits of a float32. */
function bitsOf(value: number): number {
  numbers[0] = value
  return words[0]
}
