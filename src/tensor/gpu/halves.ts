// Float32 numbers in 16 bits each, for what a tape keeps until its backward pass. The numbers are converted by integer arithmetic on
// their bits: WGSL's own conversion (pack2x16float) may round either way and has no result beyond 65504, and the feature
// shader-f16 is not on every adapter. So the bits are the same on all of them.
//
// BLOCK neighbours share an exponent E, that of the largest finite one, 2^E to 2^(E+1), and are
// - float16 whose exponents count from E instead of 15: 11 bits from 2^(E−29) on and multiples of 2^(E−39) below, so that the error is
//   at most 2^-11 of the number or 2^-40 of the largest one;
// - bfloat16, where the largest one is 65536 or more: 8 bits and the range of float32, so that one large number, such as that of a
//   mask, leaves its neighbours as they are; the error is at most 2^-8 of the number.
// Infinity and NaN stay, numbers below 2^-126 become 0, and rounding again changes nothing.

import type { Handle, Strided } from './handle.ts'
import { inRows, type Shader, shader } from './shader.ts'

/** What runs the shaders: a runtime. */
interface Runtime {
  shade(call: {
    readonly name: string
    readonly shader: Shader
    readonly inputs: readonly Strided[]
    readonly integers: readonly number[]
    readonly length: number
    readonly groups: readonly [number, number, number]
  }): Handle
}

const wholeOf = (handle: Handle): Strided => ({ handle, shape: [handle.length], strides: [1], offset: 0 })

/** The number of elements that share an exponent: two for each thread of a workgroup. */
const BLOCK = 512
/** Tensors of fewer elements stay as they are: a kernel call takes longer than to move them. */
const LEAST = 4096

/** The words of a packed memory: pairs of elements, then an exponent for each block. */
const wordsOf = (length: number): number => Math.ceil(length / 2) + Math.ceil(length / BLOCK)

/** Whether packing makes this memory smaller: it is neither small nor shared. */
export const canPack = ({ memory, length, home }: Handle): boolean => memory !== null && length >= LEAST && !home

const packShader: Shader = shader(
  'pack16',
  {
    arrays: ['u32'],
    result: 'u32',
    numbers: 'length : i32',
    outside: `
var<workgroup> largest : atomic<u32>;
fn exponentOf(x : u32) -> u32 { return (x >> 23u) & 255u; }
fn finite(x : u32) -> u32 { let e = exponentOf(x); return select(e, 0u, e == 255u); }
// v / 2^n, to the nearest, and to the even one in the middle
fn rounded(v : u32, n : u32) -> u32 { return (v + (1u << (n - 1u)) - 1u + ((v >> n) & 1u)) >> n; }
fn packed(x : u32, e : u32) -> u32 {
  let sign = (x >> 16u) & 0x8000u;
  let magnitude = x & 0x7fffffffu;
  let own = exponentOf(x);
  if (own == 0u) { return sign; }
  let isWide = e > 142u;
  if (own == 255u) {
    let infinity = select(0x7c00u, 0x7f80u, isWide);
    return sign | infinity | select(0u, 0x40u, magnitude > 0x7f800000u);
  }
  if (isWide) { return sign | min(rounded(magnitude, 16u), 0x7f7fu); }
  let f = i32(own) - i32(e) + 30;
  let mantissa = x & 0x7fffffu;
  // the shared exponent stays that of the largest one
  if (f > 0) { return sign | min(rounded((u32(f) << 23u) | mantissa, 13u), 0x7bffu); }
  if (f < -10) { return sign; }
  return sign | rounded(mantissa | 0x800000u, u32(14 - f));
}`,
  },
  () => `
  let word = group * ${BLOCK / 2} + thread;
  let i = 2 * word;
  var x = 0u; var y = 0u;
  if (i < params.length) { x = a0[i]; }
  if (i + 1 < params.length) { y = a0[i + 1]; }
  atomicMax(&largest, max(finite(x), finite(y)));
  workgroupBarrier();
  let e = atomicLoad(&largest);
  if (i < params.length) {
    result[word] = packed(x, e) | (packed(y, e) << 16u);
    if (thread == 0) { result[(params.length + 1) / 2 + group] = e; }
  }`,
)

const unpackShader: Shader = shader(
  'unpack16',
  {
    arrays: ['u32'],
    result: 'u32',
    numbers: 'length : i32',
    outside: `
fn unpacked(h : u32, e : u32) -> u32 {
  let sign = (h & 0x8000u) << 16u;
  if (e > 142u) { return h << 16u; }
  let f = (h >> 10u) & 31u;
  let m = h & 1023u;
  if (f == 31u) { return sign | 0x7f800000u | (m << 13u); }
  let first = i32(e) - 30;
  if (f > 0u) { return sign | (u32(i32(f) + first) << 23u) | (m << 13u); }
  if (m == 0u) { return sign; }
  let top = firstLeadingBit(m);
  let own = i32(top) - 9 + first;
  if (own <= 0) { return sign; }
  return sign | (u32(own) << 23u) | ((m << (23u - top)) & 0x7fffffu);
}`,
  },
  () => `
  let word = group * ${BLOCK / 2} + thread;
  let i = 2 * word;
  if (i < params.length) {
    let e = a0[(params.length + 1) / 2 + group];
    let both = a0[word];
    result[i] = unpacked(both & 0xffffu, e);
    if (i + 1 < params.length) { result[i + 1] = unpacked(both >> 16u, e); }
  }`,
)

const groupsOf = (length: number) => inRows(Math.ceil(length / BLOCK))

/** The same numbers in half of the memory, rounded. */
export function pack(runtime: Runtime, from: Handle): Handle {
  const { length } = from
  return runtime.shade({
    name: 'pack',
    shader: packShader,
    inputs: [wholeOf(from)],
    integers: [length],
    length: wordsOf(length),
    groups: groupsOf(length),
  })
}

/** The numbers that were packed, of which there are `length`. */
export function unpack(runtime: Runtime, from: Handle, length: number): Handle {
  return runtime.shade({
    name: 'unpack',
    shader: unpackShader,
    inputs: [wholeOf(from)],
    integers: [length],
    length,
    groups: groupsOf(length),
  })
}
