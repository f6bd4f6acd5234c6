// Moments of optimizers in 16 or 8 bits, in blocks of 128 numbers, and a step of AdamW on them. ../../moments.ts defines the formats; the
// results are the same to the bit.

import { adamw } from './optimize'
import { f } from './vector'

/** numbers in a block */
const BLOCK: i32 = 128
/** bytes of a block in float32 */
const PLAIN: usize = 512

const BFLOAT16: i32 = 0
const ROOT_FLOAT8: i32 = 2

/** 2^113 and its inverse: the largest exponent of a block becomes 14 of the 15 that a code has */
const UP: f32 = reinterpret<f32>(240 << 23)
const DOWN: f32 = reinterpret<f32>(14 << 23)

/** Bytes of a block. */
@inline
function bytesOf(format: i32): usize {
  return format == BFLOAT16 ? 256 : 132
}

/** 16 random bits for each of four numbers, from their indices. */
@inline
function bits(first: i32, seed: i32): v128 {
  let x = i32x4.add(i32x4.splat(first), i32x4(0, 1, 2, 3))
  x = i32x4.add(i32x4.mul(x, i32x4.splat(0x9e3779b9)), i32x4.splat(seed))
  x = v128.xor(x, i32x4.shr_u(x, 16))
  x = i32x4.mul(x, i32x4.splat(0x7feb352d))
  x = v128.xor(x, i32x4.shr_u(x, 15))
  x = i32x4.mul(x, i32x4.splat(0x846ca68b))
  return i32x4.shr_u(x, 16)
}

/** Four numbers in 16 bits. */
@inline
function halves(x: usize, first: i32, seed: i32): v128 {
  const value = v128.load(x)
  const size = i32x4.add(v128.and(value, i32x4.splat(0x7fffffff)), bits(first, seed))
  const code = i32x4.shr_u(i32x4.min_u(size, i32x4.splat(0x7fffffff)), 16)
  return v128.or(code, i32x4.shl(i32x4.shr_u(value, 31), 15))
}

/** Four numbers in 8 bits, with a sign. */
@inline
function codes(x: usize, inverse: v128, first: i32, seed: i32): v128 {
  const value = v128.load(x)
  const scaled = f32x4.mul(f32x4.mul(f32x4.abs(value), inverse), f(DOWN))
  const size = i32x4.shr_u(i32x4.add(scaled, i32x4.shl(bits(first, seed), 4)), 20)
  return v128.or(i32x4.min_u(size, i32x4.splat(127)), i32x4.shl(i32x4.shr_u(value, 31), 7))
}

/** Four roots in 8 bits: never 0 for a number that is not. */
@inline
function rootCodes(x: usize, inverse: v128, first: i32, seed: i32): v128 {
  const value = v128.load(x)
  const scaled = f32x4.mul(f32x4.mul(f32x4.sqrt(value), inverse), f(DOWN))
  const size = i32x4.shr_u(i32x4.add(scaled, i32x4.shl(bits(first, seed), 3)), 19)
  const least = i32x4.shr_u(f32x4.gt(value, f(0)), 31)
  return i32x4.max_u(i32x4.min_u(size, i32x4.splat(255)), least)
}

/** The biased exponent of the largest number of a block, or of its root; at least 1. */
function exponent(x: usize, isRoot: bool): i32 {
  let most = i32x4.splat(0)
  for (let at: usize = 0; at < PLAIN; at += 16) {
    const value = isRoot ? f32x4.sqrt(v128.load(x + at)) : f32x4.abs(v128.load(x + at))
    most = i32x4.max_u(most, v128.and(value, i32x4.splat(0x7fffffff)))
  }
  const a = max<u32>(i32x4.extract_lane(most, 0), i32x4.extract_lane(most, 1))
  const b = max<u32>(i32x4.extract_lane(most, 2), i32x4.extract_lane(most, 3))
  return max<i32>(i32(max<u32>(a, b) >>> 23), 1)
}

/** Writes a block of 128 numbers. `first` is the index of its first number. */
function packBlock(format: i32, out: usize, x: usize, first: i32, seed: i32): void {
  if (format == BFLOAT16) {
    for (let i: i32 = 0; i < BLOCK; i += 8) {
      const from = x + (usize(i) << 2)
      const code = i16x8.narrow_i32x4_u(halves(from, first + i, seed), halves(from + 16, first + i + 4, seed))
      v128.store(out + (usize(i) << 1), code)
    }
    return
  }
  const isRoot = format == ROOT_FLOAT8
  const most = exponent(x, isRoot)
  store<i32>(out, most)
  const inverse = f(reinterpret<f32>((254 - min(most, 253)) << 23))
  for (let i: i32 = 0; i < BLOCK; i += 16) {
    const from = x + (usize(i) << 2)
    const at = first + i
    let a: v128, b: v128
    if (isRoot) {
      a = i16x8.narrow_i32x4_u(rootCodes(from, inverse, at, seed), rootCodes(from + 16, inverse, at + 4, seed))
      b = i16x8.narrow_i32x4_u(rootCodes(from + 32, inverse, at + 8, seed), rootCodes(from + 48, inverse, at + 12, seed))
    } else {
      a = i16x8.narrow_i32x4_u(codes(from, inverse, at, seed), codes(from + 16, inverse, at + 4, seed))
      b = i16x8.narrow_i32x4_u(codes(from + 32, inverse, at + 8, seed), codes(from + 48, inverse, at + 12, seed))
    }
    v128.store(out + 4 + usize(i), i8x16.narrow_i16x8_u(a, b))
  }
}

/** Reads a block of 128 numbers. */
function unpackBlock(format: i32, out: usize, words: usize): void {
  if (format == BFLOAT16) {
    for (let i: usize = 0; i < usize(BLOCK); i += 4)
      v128.store(out + (i << 2), i32x4.shl(v128.load16x4_u(words + (i << 1)), 16))
    return
  }
  const scale = f(reinterpret<f32>(load<i32>(words) << 23))
  const isRoot = format == ROOT_FLOAT8
  for (let i: usize = 0; i < usize(BLOCK); i += 4) {
    const code = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(words + 4 + i)))
    if (isRoot) {
      const root = f32x4.mul(f32x4.mul(i32x4.shl(code, 19), f(UP)), scale)
      v128.store(out + (i << 2), f32x4.mul(root, root))
    } else {
      const size = f32x4.mul(f32x4.mul(i32x4.shl(v128.and(code, i32x4.splat(127)), 20), f(UP)), scale)
      v128.store(out + (i << 2), v128.or(size, i32x4.shl(i32x4.shr_u(code, 7), 31)))
    }
  }
}

/** Writes n numbers in whole blocks. `first` is the index of the first one, `scratch` has 512 bytes. */
export function packMoments(format: i32, out: usize, x: usize, n: i32, first: i32, seed: i32, scratch: usize): void {
  for (let i: i32 = 0; i < n; i += BLOCK) {
    const count = usize(min(BLOCK, n - i)) << 2
    memory.copy(scratch, x + (usize(i) << 2), count)
    memory.fill(scratch + count, 0, PLAIN - count)
    packBlock(format, out, scratch, first + i, seed)
    out += bytesOf(format)
  }
}

/** Reads n numbers from whole blocks. `scratch` has 512 bytes. */
export function unpackMoments(format: i32, out: usize, words: usize, n: i32, scratch: usize): void {
  for (let i: i32 = 0; i < n; i += BLOCK) {
    unpackBlock(format, scratch, words)
    memory.copy(out + (usize(i) << 2), scratch, usize(min(BLOCK, n - i)) << 2)
    words += bytesOf(format)
  }
}

/** A step of AdamW on whole blocks of moments, which are overwritten, and n numbers of the parameter. `scratch` has 1024 bytes. */
export function adamwPacked(
  x: usize, g: usize, m: usize, v: usize, n: i32,
  mFormat: i32, vFormat: i32, mSeed: i32, vSeed: i32, first: i32, scratch: usize,
  beta1: f32, fresh1: f32, beta2: f32, fresh2: f32, epsilon: f32, kept: f32, rate: f32, deviation: f32,
): void {
  const square = scratch + PLAIN
  for (let i: i32 = 0; i < n; i += BLOCK) {
    unpackBlock(mFormat, scratch, m)
    unpackBlock(vFormat, square, v)
    const at = usize(i) << 2
    adamw(x + at, g + at, scratch, square, min(BLOCK, n - i), beta1, fresh1, beta2, fresh2, epsilon, kept, rate, deviation)
    packBlock(mFormat, m, scratch, first + i, mSeed)
    packBlock(vFormat, v, square, first + i, vSeed)
    m += bytesOf(mFormat)
    v += bytesOf(vFormat)
  }
}
