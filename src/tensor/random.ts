// One stream of random numbers, the same on every device and platform: Philox 4x32-10, a counter-based
// generator (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). Its state is a seed and a position, so a run
// can be saved and resumed with bitwise equal results.

import { checkArguments } from './arguments.ts'
import { text } from './kinds.ts'
import { logarithm } from './portable.ts'

const M0 = 0xd2511f53
const M1 = 0xcd9e8d57
const W0 = 0x9e3779b9
const W1 = 0xbb67ae85

/** High and low 32 bits of a product of two unsigned 32-bit integers, through 16-bit halves. */
function mulHigh(a: number, b: number): number {
  const aLow = a & 0xffff
  const aHigh = a >>> 16
  const bLow = b & 0xffff
  const bHigh = b >>> 16
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16)
  const carry = aLow * bHigh + (middle & 0xffff)
  return (aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(carry / 65536)) >>> 0
}

/**
 * The Philox 4x32-10 bijection: ten rounds over a 128-bit counter under a 64-bit key.
 * @param counter four unsigned 32-bit words
 * @param key two unsigned 32-bit words
 * @returns four unsigned 32-bit words
 */
export function philox4x32(counter: ArrayLike<number>, key: ArrayLike<number>): Uint32Array {
  let [c0, c1, c2, c3] = [counter[0] >>> 0, counter[1] >>> 0, counter[2] >>> 0, counter[3] >>> 0]
  let [k0, k1] = [key[0] >>> 0, key[1] >>> 0]
  for (let round = 0; round < 10; round++) {
    const high0 = mulHigh(M0, c0)
    const low0 = Math.imul(M0, c0) >>> 0
    const high1 = mulHigh(M1, c2)
    const low1 = Math.imul(M1, c2) >>> 0
    c0 = (high1 ^ c1 ^ k0) >>> 0
    c1 = low1
    c2 = (high0 ^ c3 ^ k1) >>> 0
    c3 = low0
    k0 = (k0 + W0) >>> 0
    k1 = (k1 + W1) >>> 0
  }
  return Uint32Array.of(c0, c1, c2, c3)
}

/** The number of 32-bit words that one number of `uniform` takes. */
export const WORDS_PER_UNIFORM = 2

/** The state of a generator, which can be saved as JSON. */
export interface GeneratorState {
  /** the seed that it was made with */
  readonly seed: number
  /** 32-bit words drawn so far */
  readonly position: number
}

/**
 * A stream of random numbers. They are computed with +, -, *, / and sqrt only, which IEEE 754 rounds the same way
 * everywhere, so equal seeds give equal numbers on every engine and device.
 */
export class Generator {
  /** the seed that it was made with */
  readonly seed: number
  #position: number
  #block: Uint32Array = new Uint32Array(4)
  #blockIndex = -1

  /** @param seed a non-negative safe integer */
  constructor(seed = 0, position = 0) {
    if (!Number.isSafeInteger(seed) || seed < 0)
      throw new RangeError(`Generator: the seed must be a non-negative integer, not ${seed}`)
    this.seed = seed
    this.#position = position
  }

  /** A generator that goes on where another one was. */
  static fromState(state: GeneratorState): Generator {
    return new Generator(state.seed, state.position)
  }

  /** The seed and the position, for `fromState`. */
  get state(): GeneratorState {
    return { seed: this.seed, position: this.#position }
  }

  /** Sets the position in the stream. */
  seek(position: number): void {
    this.#position = position
  }

  /** A separate generator for a named purpose, which depends on the seed and not on the position of this one. */
  fork(purpose: string): Generator {
    checkArguments('generator.fork(purpose)', [text], [purpose])
    let hash = 0x811c9dc5
    for (const character of purpose) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193) >>> 0
    const [a, b] = philox4x32([hash, 0x666f726b, 0, 0], [this.seed >>> 0, Math.floor(this.seed / 2 ** 32)])
    return new Generator((b & 0x1fffff) * 2 ** 32 + a)
  }

  /** An unsigned 32-bit integer. */
  uint32(): number {
    const index = Math.floor(this.#position / 4)
    if (index !== this.#blockIndex) {
      this.#block = philox4x32(
        [index >>> 0, Math.floor(index / 2 ** 32), 0, 0],
        [this.seed >>> 0, Math.floor(this.seed / 2 ** 32)],
      )
      this.#blockIndex = index
    }
    return this.#block[this.#position++ % 4]
  }

  /** Uniform on [0, 1), with 53 bits. */
  uniform(): number {
    const high = this.uint32() >>> 5
    const low = this.uint32() >>> 6
    return (high * 2 ** 26 + low) * 2 ** -53
  }

  /** Uniform on (0, 1), without its ends: a number that has a logarithm, and so has 1 minus it. */
  inside(): number {
    return Math.min(this.uniform() + 2 ** -54, 1 - 2 ** -53)
  }

  /** Standard normal, by the inverse of the cumulative distribution. */
  normal(): number {
    return inverseNormal(this.inside())
  }

  /** A uniform integer in [0, n), without bias. */
  integer(n: number): number {
    if (!Number.isSafeInteger(n) || n < 1 || n > 2 ** 32)
      throw new RangeError(`Generator.integer: n must be an integer from 1 to 2^32, not ${n}`)
    const limit = 2 ** 32 - (2 ** 32 % n)
    let word = this.uint32()
    while (word >= limit) word = this.uint32()
    return word % n
  }

  /** A random order of 0 … n-1 (Fisher-Yates). */
  permutation(n: number): Int32Array {
    const order = Int32Array.from({ length: n }, (_, i) => i)
    for (let i = n - 1; i > 0; i--) {
      const j = this.integer(i + 1)
      const held = order[i]
      order[i] = order[j]
      order[j] = held
    }
    return order
  }
}

const horner = (coefficients: readonly number[], x: number) => coefficients.reduceRight((sum, c) => sum * x + c, 0)

/** Quantile of the standard normal to 16 digits: Wichura (1988), algorithm AS 241, routine PPND16. */
function inverseNormal(p: number): number {
  const q = p - 0.5
  if (Math.abs(q) <= 0.425) {
    const r = 0.180625 - q * q
    return (q * horner(CENTRE[0], r)) / horner(CENTRE[1], r)
  }
  const r = Math.sqrt(-logarithm(q < 0 ? p : 1 - p))
  const [numerator, denominator] = r <= 5 ? MIDDLE : TAIL
  const shifted = r <= 5 ? r - 1.6 : r - 5
  const value = horner(numerator, shifted) / horner(denominator, shifted)
  return q < 0 ? -value : value
}

// biome-ignore format: one coefficient table per region
const CENTRE = [
  [3.3871328727963666080, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
   4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3],
  [1, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3, 2.1213794301586595867e4,
   3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3],
] as const
// biome-ignore format: one coefficient table per region
const MIDDLE = [
  [1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550, 3.64784832476320460504,
   1.27045825245236838258, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4],
  [1, 2.05319162663775882187, 1.67638483018380384940, 6.89767334985100004550e-1, 1.48103976427480074590e-1,
   1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9],
] as const
// biome-ignore format: one coefficient table per region
const TAIL = [
  [6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580, 2.96560571828504891230e-1,
   2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7],
  [1, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
   7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15],
] as const
