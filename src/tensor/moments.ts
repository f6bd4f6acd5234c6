// Moments of optimizers in 16 or 8 bits, and their definition in plain numbers; a device may have faster kernels with the same results.
//
// Numbers are rounded stochastically: x between two neighbours a < b becomes b with probability (x - a) / (b - a), so that the expected
// value is x. Rounded to nearest, a second moment with β₂ = 0.999 would not move at all: a step changes it by about 0.001 of itself, and
// half the distance between neighbours is 0.002 of a number or more in bfloat16, 0.03 in 8 bits. The random bits are a hash of
// a seed and the index of the number, so that they depend on no state, no order and no number of threads.

import { DTypeError } from './dtype.ts'
import type { Shape } from './shape.ts'
import type { DeviceName } from './storage.ts'
import type { Tensor } from './tensor.ts'

/**
 * | format       | bits | a code is                                             | relative distance of neighbours | smallest, of the block's largest |
 * | ------------ | ---- | ----------------------------------------------------- | ------------------------------- | -------------------------------- |
 * | `bfloat16`   | 16   | the upper half of a float32                           | 2⁻⁷                             | that of float32                  |
 * | `float8`     | 8    | sign, 4 bits of exponent, 3 bits of fraction (E4M3)   | 2⁻³                             | 2⁻¹⁸ to 2⁻¹⁷                     |
 * | `rootFloat8` | 8    | of √x, x ≥ 0: 4 bits of exponent, 4 bits of fraction  | 2⁻⁴ of √x                       | 2⁻¹⁹ to 2⁻¹⁸ of √x               |
 *
 * The 8-bit formats have one exponent for each block of 128 numbers: that of the largest of them. A number above 0 is not
 * rounded to 0 in `rootFloat8`, so that nothing is divided by 0.
 */
export type MomentFormat = 'bfloat16' | 'float8' | 'rootFloat8'

/** The formats, in the order of their numbers in cpu/assembly/moments.ts. */
export const momentFormats: readonly MomentFormat[] = ['bfloat16', 'float8', 'rootFloat8']

/** Numbers in a block; each tensor has whole blocks. */
export const MOMENT_BLOCK = 128

/** int32 words of a block: 2 codes a word, or an exponent and 4 codes a word. */
export const wordsPerBlock = (format: MomentFormat): number => (format === 'bfloat16' ? 64 : 33)

/** int32 words of so many numbers. */
export const momentWords = (format: MomentFormat, count: number): number =>
  Math.ceil(count / MOMENT_BLOCK) * wordsPerBlock(format)

/** A device stores the words as they are; gpu stores every element as float32, which has only 24 bits for a whole number. */
export function checkMomentDevice(device: DeviceName): void {
  if (device === 'gpu')
    throw new DTypeError(
      "moments in 16 or 8 bits are stored in int32 of 32 bits, but device gpu stores all elements as float32; set moments: 'float32', or work on cpu",
      'int32',
    )
}

// one number in several views of its memory
const float = new Float32Array(1)
const word = new Int32Array(float.buffer)
const bitsOf = (x: number): number => {
  float[0] = x
  return word[0]
}
const fromBits = (bits: number): number => {
  word[0] = bits
  return float[0]
}
const { fround, imul } = Math

/** 2¹¹³ and its inverse: the exponent of the largest number of a block becomes 14 of the 15 that a code has. */
const UP = 2 ** 113
const DOWN = 2 ** -113

/** 16 random bits for the number of an index. */
function randomBits(index: number, seed: number): number {
  let x = (imul(index, 0x9e3779b9) + seed) | 0
  x ^= x >>> 16
  x = imul(x, 0x7feb352d)
  x ^= x >>> 15
  x = imul(x, 0x846ca68b)
  return x >>> 16
}

/** Packs float32 numbers, rounded stochastically. */
export function packMoments(format: MomentFormat, values: Float32Array, seed: number): Int32Array {
  const words = new Int32Array(momentWords(format, values.length))
  const [bytes, halves] = [new Uint8Array(words.buffer), new Uint16Array(words.buffer)]
  if (format === 'bfloat16') {
    for (const [i, value] of values.entries()) {
      const bits = bitsOf(value)
      const size = Math.min((bits & 0x7fffffff) + randomBits(i, seed), 0x7fffffff)
      halves[i] = (size >>> 16) | ((bits >>> 31) << 15)
    }
    return words
  }
  const isRoot = format === 'rootFloat8'
  const [shift, most] = isRoot ? [19, 255] : [20, 127]
  for (let block = 0; block * MOMENT_BLOCK < values.length; block++) {
    const first = block * MOMENT_BLOCK
    const sizes = values.subarray(first, first + MOMENT_BLOCK).map(x => (isRoot ? Math.sqrt(x) : Math.abs(x)))
    const exponent = Math.max(1, ...Array.from(sizes, size => (bitsOf(size) & 0x7fffffff) >>> 23))
    const inverse = fromBits((254 - Math.min(exponent, 253)) << 23)
    words[block * 33] = exponent
    for (const [i, size] of sizes.entries()) {
      const scaled = bitsOf(fround(fround(size * inverse) * DOWN))
      const code = Math.min((scaled + (randomBits(first + i, seed) << (shift - 16))) >>> shift, most)
      const value = values[first + i]
      bytes[block * 132 + 4 + i] = isRoot ? Math.max(code, value > 0 ? 1 : 0) : code | ((bitsOf(value) >>> 31) << 7)
    }
  }
  return words
}

/** The float32 numbers that words stand for. */
export function unpackMoments(format: MomentFormat, words: Int32Array, count: number): Float32Array {
  const values = new Float32Array(count)
  const { buffer, byteOffset, byteLength } = words
  if (format === 'bfloat16') {
    const halves = new Uint16Array(buffer, byteOffset, byteLength / 2)
    return values.map((_, i) => fromBits(halves[i] << 16))
  }
  const bytes = new Uint8Array(buffer, byteOffset, byteLength)
  return values.map((_, i) => {
    const block = Math.floor(i / MOMENT_BLOCK)
    const scale = fromBits(words[block * 33] << 23)
    const code = bytes[block * 132 + 4 + (i % MOMENT_BLOCK)]
    if (format === 'rootFloat8') {
      const root = fround(fround(fromBits(code << 19) * UP) * scale)
      return fround(root * root)
    }
    const size = fround(fround(fromBits((code & 127) << 20) * UP) * scale)
    return code > 127 ? -size : size
  })
}

/** A 32-bit hash of a text and a number (FNV-1a), as a seed. */
export function seedOf(text: string, n: number): number {
  let hash = 0x811c9dc5 ^ n
  for (const c of text) hash = imul(hash ^ c.codePointAt(0)!, 0x01000193)
  return hash | 0
}

/** A moment in a few bits, of the shape of its parameter. */
export interface PackedMoment {
  /** how numbers are stored in the words */
  readonly format: MomentFormat
  /** int32 [words] */
  readonly words: Tensor
  /** shape of the parameter */
  readonly shape: Shape
  /** for the random bits of the next rounding */
  readonly seed: number
}
