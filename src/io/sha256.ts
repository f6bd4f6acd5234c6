// SHA-256 of bytes, synchronously, in Node and in a browser, whose own is asynchronous. Fingerprints of data are compared across both.
// Source: FIPS 180-4, section 6.2.

import { askNode } from '../tensor/host.ts'

/** Node's own is several times faster. */
const inNode = askNode(node => node.getBuiltinModule('node:crypto'))

/** The SHA-256 of bytes, or of a text in UTF-8, as 64 hexadecimal digits. */
export function sha256(data: Uint8Array | string): string {
  if (inNode) return inNode.createHash('sha256').update(data).digest('hex')
  return plainSha256(typeof data === 'string' ? new TextEncoder().encode(data) : data)
}

const BLOCK = 64

/** As {@link sha256}, without Node. */
export function plainSha256(bytes: Uint8Array): string {
  const state = FIRST_STATE.slice()
  const whole = bytes.length - (bytes.length % BLOCK)
  const words = new Int32Array(BLOCK)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 0; at < whole; at += BLOCK) addBlock(state, view, at, words)

  // the rest, a one bit, zeros, and the number of bits
  const rest = bytes.subarray(whole)
  const end = new Uint8Array(rest.length + 9 > BLOCK ? 2 * BLOCK : BLOCK)
  end.set(rest)
  end[rest.length] = 0x80
  const last = new DataView(end.buffer)
  last.setBigUint64(end.length - 8, BigInt(bytes.length) * 8n)
  for (let at = 0; at < end.length; at += BLOCK) addBlock(state, last, at, words)
  return Array.from(state, word => (word >>> 0).toString(16).padStart(8, '0')).join('')
}

const rotated = (x: number, by: number): number => (x >>> by) | (x << (32 - by))

function addBlock(state: Int32Array, view: DataView, at: number, words: Int32Array): void {
  for (let i = 0; i < 16; i++) words[i] = view.getInt32(at + 4 * i)
  for (let i = 16; i < BLOCK; i++) {
    const x = words[i - 15]
    const y = words[i - 2]
    const early = rotated(x, 7) ^ rotated(x, 18) ^ (x >>> 3)
    const late = rotated(y, 17) ^ rotated(y, 19) ^ (y >>> 10)
    words[i] = words[i - 16] + early + words[i - 7] + late
  }
  let a = state[0]
  let b = state[1]
  let c = state[2]
  let d = state[3]
  let e = state[4]
  let f = state[5]
  let g = state[6]
  let h = state[7]
  for (let i = 0; i < BLOCK; i++) {
    const chosen = (e & f) ^ (~e & g)
    const one = (h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + chosen + CONSTANTS[i] + words[i]) | 0
    const majority = (a & b) ^ (a & c) ^ (b & c)
    const two = ((rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + majority) | 0
    h = g
    g = f
    f = e
    e = (d + one) | 0
    d = c
    c = b
    b = a
    a = (one + two) | 0
  }
  state[0] += a
  state[1] += b
  state[2] += c
  state[3] += d
  state[4] += e
  state[5] += f
  state[6] += g
  state[7] += h
}

const primes = (count: number): number[] => {
  const found: number[] = []
  for (let n = 2; found.length < count; n++) if (found.every(prime => n % prime !== 0)) found.push(n)
  return found
}

/** The first 32 bits of the fraction of a root, exactly: of root · 2^32 the integer part, modulo 2^32. */
function fractionOfRoot(prime: number, degree: 2 | 3): number {
  const power = BigInt(prime) << BigInt(32 * degree)
  let low = 0n
  let high = 1n << 40n
  while (high - low > 1n) {
    const middle = (low + high) >> 1n
    if (middle ** BigInt(degree) <= power) low = middle
    else high = middle
  }
  return Number(BigInt.asIntN(32, low))
}

/** Of the square roots of the first 8 primes, and of the cube roots of the first 64 (sections 5.3.3 and 4.2.2). */
const FIRST_STATE = Int32Array.from(primes(8), prime => fractionOfRoot(prime, 2))
const CONSTANTS = Int32Array.from(primes(64), prime => fractionOfRoot(prime, 3))
