// The allocator: one linear memory for all tensors, divided into blocks. Free blocks of similar size form a list (two
// levels of sizes, as in Masmano et al. 2004, "TLSF"), so allocating and freeing take constant time. Free neighbours
// are joined into one block, so the memory does not fragment over thousands of steps.

import { OutOfMemoryError } from '../out-of-memory.ts'
import { Claim, uncollectedBytes } from '../pressure.ts'
import { type Shape, show } from '../shape.ts'

/** A piece of linear memory that a tensor owns. */
export interface Block {
  /** address in bytes, a multiple of 64 */
  readonly pointer: number
  /** bytes that were requested */
  readonly bytes: number
  /** the arena that it is in; absent for a block of the heap itself */
  readonly arena?: Arena
}

/** A range of the memory, at multiples of 64. */
interface Range {
  readonly from: number
  readonly to: number
}

const PAGE = 65536
/** What to do where 4 GiB are not enough. */
const MORE =
  "Where the engine has 64-bit memory (Node 24 and Chromium 133 or later), `await device.use('cpu')` before the first tensor opens the device with up to 16 GiB"
/** Block sizes are in units of a cache line; each block starts with a header in the last 16 bytes before its pointer. */
const UNIT = 64
const HEADER = 16
/** The maximum growth beyond what is needed, in pages: 256 MiB. */
const GREATEST_STEP = 4096
/** enough for 64 GiB */
const BINS = 448
/** With 64-bit addresses kernels compute the place within a tensor in 32 bits with a sign. */
const LARGEST_BLOCK = 2 ** 31 - UNIT

/** Below 16 units a bin holds one size; above, sixteen bins share each power of two. */
function binOf(units: number): number {
  if (units < 16) return units
  const power = 31 - Math.clz32(units)
  return (power - 3) * 16 + ((units >>> (power - 4)) & 15)
}

/**
 * A header is four words before a block's pointer: its units times two, plus one if it is free; the units of the block
 * before it; and, if free, the next and the previous block of its list, as pointers in units.
 */
export class Heap {
  readonly memory: WebAssembly.Memory
  /** The whole memory as elements; replaced after every growth. */
  f32!: Float32Array
  f64!: Float64Array
  i32!: Int32Array
  u8!: Uint8Array
  bytes = 0
  buffers = 0
  /** the most bytes that were in use at once; the caller sets it back */
  most = 0
  /** where blocks are taken from instead, as long as they fit */
  arena: Arena | undefined
  /** maximum size of the memory in bytes */
  readonly limit: number
  /** maximum size of a block in bytes */
  readonly largest: number
  readonly #addresses: 32 | 64
  readonly #isFixed: boolean
  #end: number
  readonly #first = new Uint32Array(BINS)
  readonly #filled = new Uint32Array(BINS / 32)

  /**
   * @param memory its first page belongs to the module
   * @param limit maximum number of pages; with 32-bit addresses at most 65536, which is 4 GiB
   * @param addresses the number of bits of an address in the memory
   * @param range the only part of the memory that is used; default: all but the first page, and the memory grows
   */
  constructor(memory: WebAssembly.Memory, limit = 65536, addresses: 32 | 64 = 32, range?: Range) {
    this.memory = memory
    this.limit = limit * PAGE
    this.largest = addresses === 64 ? LARGEST_BLOCK : this.limit
    this.#addresses = addresses
    this.#isFixed = range !== undefined
    this.#refresh()
    const { from, to } = range ?? { from: PAGE, to: memory.buffer.byteLength }
    this.#end = from
    this.#setHeader(from, 0, false)
    this.#put(from, 1, 0)
    this.#extend(to)
  }

  /**
   * Allocates memory, which is not cleared.
   * @param shape of the tensor that it is for, for the error
   * @throws OutOfMemoryError
   */
  take(bytes: number, shape?: Shape): Block {
    const inside = this.arena?.take(bytes)
    if (inside) return inside
    if (bytes > this.largest) throw this.#shortage(bytes, shape)
    const units = Math.ceil((bytes + HEADER) / UNIT)
    let pointer = this.#find(units)
    if (pointer === 0) {
      this.#grow(units, bytes, shape)
      pointer = this.#find(units)
    }
    this.#unlink(pointer)
    const rest = this.#units(pointer) - units
    this.#setHeader(pointer, units, false)
    const next = pointer + units * UNIT
    if (rest > 0) {
      this.#put(next, 1, units)
      this.#link(next, rest)
      this.#put(next + rest * UNIT, 1, rest)
    }
    this.bytes += bytes
    this.buffers += 1
    if (this.bytes > this.most) this.most = this.bytes
    return { pointer, bytes }
  }

  /** A heap in a block of this one. */
  within({ pointer, bytes }: Block): Heap {
    const range = { from: pointer + UNIT, to: pointer + Math.floor(bytes / UNIT) * UNIT }
    return new Heap(this.memory, this.limit / PAGE, this.#addresses, range)
  }

  give(block: Block): void {
    const { pointer, bytes, arena } = block
    if (arena) arena.give(block)
    else {
      if (this.#isFree(pointer)) throw new RangeError(`cpu: the memory at ${pointer} was freed twice`)
      this.bytes -= bytes
      this.buffers -= 1
      this.#release(pointer, this.#units(pointer))
    }
  }

  /** Frees a block and joins it with free neighbours. */
  #release(pointer: number, units: number): void {
    let start = pointer
    let size = units
    const before = this.#word(pointer, 1)
    if (before > 0 && this.#isFree(pointer - before * UNIT)) {
      start = pointer - before * UNIT
      this.#unlink(start)
      size += before
    }
    const after = pointer + units * UNIT
    if (after < this.#end && this.#isFree(after)) {
      this.#unlink(after)
      size += this.#units(after)
    }
    this.#link(start, size)
    this.#put(start + size * UNIT, 1, size)
  }

  /** A free block of at least this many units, or 0. */
  #find(units: number): number {
    const bin = binOf(units)
    // blocks of one bin differ in size: the first few are tried, and blocks of the next bins always fit
    let tries = 8
    for (let at = this.#first[bin]; at !== 0 && tries > 0; at = this.#word(at * UNIT, 2), tries--)
      if (this.#units(at * UNIT) >= units) return at * UNIT
    const next = bin + 1
    for (let word = next >>> 5; word < this.#filled.length; word++) {
      const bits = word === next >>> 5 ? this.#filled[word] & (-1 << (next & 31)) : this.#filled[word]
      if (bits !== 0) return this.#first[word * 32 + 31 - Math.clz32(bits & -bits)] * UNIT
    }
    return 0
  }

  #link(pointer: number, units: number): void {
    const bin = binOf(units)
    const at = pointer / UNIT
    const head = this.#first[bin]
    this.#setHeader(pointer, units, true)
    this.#put(pointer, 2, head)
    this.#put(pointer, 3, 0)
    if (head !== 0) this.#put(head * UNIT, 3, at)
    this.#first[bin] = at
    this.#filled[bin >>> 5] |= 1 << (bin & 31)
  }

  #unlink(pointer: number): void {
    const bin = binOf(this.#units(pointer))
    const next = this.#word(pointer, 2)
    const previous = this.#word(pointer, 3)
    if (next !== 0) this.#put(next * UNIT, 3, previous)
    if (previous !== 0) this.#put(previous * UNIT, 2, next)
    else {
      this.#first[bin] = next
      if (next === 0) this.#filled[bin >>> 5] &= ~(1 << (bin & 31))
    }
  }

  /**
   * Grows the memory so that a block of this size fits at its end: to twice its size, within limits. A loop whose tensors only
   * the garbage collector could free, and that never lets it run, fails here and not minutes later at the limit.
   */
  #grow(units: number, bytes: number, shape?: Shape): void {
    const { memory } = this
    if (this.#isFixed) throw this.#shortage(bytes, shape)
    if (uncollectedBytes() > this.limit / 4) throw this.#shortage(bytes, shape)
    const pages = memory.buffer.byteLength / PAGE
    const limit = this.limit / PAGE
    const needed = Math.ceil((units * UNIT) / PAGE)
    const generous = Math.min(Math.max(needed, Math.min(pages, GREATEST_STEP)), limit - pages)
    for (const step of [generous, needed]) {
      if (step < needed || pages + step > limit) continue
      try {
        // 64-bit memories take a BigInt
        memory.grow((this.#addresses === 64 ? BigInt(step) : step) as number)
      } catch {
        continue
      }
      this.#refresh()
      this.#extend((pages + step) * PAGE)
      return
    }
    throw this.#shortage(bytes, shape)
  }

  #shortage(bytes: number, shape?: Shape): OutOfMemoryError {
    const purpose = shape && `a tensor ${show(shape)}`
    return new OutOfMemoryError({
      device: 'cpu',
      bytes,
      used: this.bytes,
      limit: this.limit,
      largest: this.largest,
      uncollected: uncollectedBytes(),
      purpose,
      more: this.#addresses === 64 ? undefined : MORE,
    })
  }

  /** Frees the memory beyond the last block; a header that is never free marks the end. */
  #extend(end: number): void {
    const last = this.#end
    const units = (end - last) / UNIT
    if (units === 0) return
    this.#end = end
    this.#setHeader(end, 0, false)
    this.#put(end, 1, units)
    this.#release(last, units)
  }

  #refresh(): void {
    const { buffer } = this.memory
    this.f32 = new Float32Array(buffer)
    this.f64 = new Float64Array(buffer)
    this.i32 = new Int32Array(buffer)
    this.u8 = new Uint8Array(buffer)
  }

  #word(pointer: number, n: number): number {
    return this.i32[(pointer - HEADER) / 4 + n]
  }

  #put(pointer: number, n: number, value: number): void {
    this.i32[(pointer - HEADER) / 4 + n] = value
  }

  #setHeader(pointer: number, units: number, isFree: boolean): void {
    this.#put(pointer, 0, units * 2 + (isFree ? 1 : 0))
  }

  #units(pointer: number): number {
    return this.#word(pointer, 0) >>> 1
  }

  #isFree(pointer: number): boolean {
    return (this.#word(pointer, 0) & 1) === 1
  }
}

/**
 * A block of a heap in which smaller blocks are taken as in a heap of its own: the same sequence of blocks is in the same places each
 * time.
 */
export class Arena {
  readonly #outer: Heap
  readonly #memory: Block
  readonly #heap: Heap
  /** open: blocks come and go; sealed: nothing is given back; left: the memory is given back with the last block */
  #state: 'open' | 'sealed' | 'left' = 'open'
  /** of a sealed arena on its memory */
  #claim: Claim | undefined
  /** bytes that did not fit */
  missing = 0

  /** @param memory a block of `outer` */
  constructor(outer: Heap, memory: Block) {
    this.#outer = outer
    this.#memory = memory
    this.#heap = outer.within(memory)
  }

  /** number of blocks in use */
  get buffers(): number {
    return this.#heap.buffers
  }

  /** A block, or undefined if it does not fit. */
  take(bytes: number): Block | undefined {
    try {
      return { ...this.#heap.take(bytes), arena: this }
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error
      this.missing += bytes
      return undefined
    }
  }

  give({ pointer, bytes }: Block): void {
    if (this.#state === 'sealed') return
    this.#heap.give({ pointer, bytes })
    if (this.#state === 'left') this.leave()
  }

  /**
   * From now on blocks that are given back do not count. The memory is given back when nothing refers to the arena and its blocks any
   * more, unless `unseal` is called before.
   */
  seal(): void {
    this.#state = 'sealed'
    const outer = this.#outer
    this.#claim = new Claim(
      { memory: { free: block => outer.give(block as Block) }, handle: this.#memory },
      this.#memory.bytes,
    )
    this.#claim.keep()
  }

  /** The memory of a sealed arena, for other uses. */
  unseal(): Block {
    this.#claim?.cancel()
    this.#claim = undefined
    return this.#memory
  }

  /** Gives the memory back as soon as all blocks are. */
  leave(): void {
    this.#state = 'left'
    if (this.buffers > 0) return
    this.#state = 'sealed'
    this.#outer.give(this.#memory)
  }
}
