// Operations that move elements without computing: strided copies, fills, conversions, and rows selected or added by
// index. Elements are eight bytes, four or one; every view has a step in bytes for each of three axes.

import { lanes } from './vector'

/** Rows of 4 × 4 numbers become columns. */
@inline
function transpose4(out: usize, step: i32, a: v128, b: v128, c: v128, d: v128): void {
  const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5)
  const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5)
  const efAB = v128.shuffle<i32>(a, b, 2, 6, 3, 7)
  const efCD = v128.shuffle<i32>(c, d, 2, 6, 3, 7)
  v128.store(out, v128.shuffle<i64>(ab, cd, 0, 2))
  v128.store(out + step, v128.shuffle<i64>(ab, cd, 1, 3))
  v128.store(out + 2 * step, v128.shuffle<i64>(efAB, efCD, 0, 2))
  v128.store(out + 3 * step, v128.shuffle<i64>(efAB, efCD, 1, 3))
}

/**
 * out[i, j] = x[j, i] for elements of four bytes that follow on along i in x and along j in out. Sixteen rows of out at
 * a time, so that a cache line of x is used up while it is there.
 */
export function transpose_32(out: usize, x: usize, rows: i32, columns: i32, stepOut: i32, stepX: i32): void {
  const wholeRows = rows & ~3
  const wholeColumns = columns & ~3
  for (let first = 0; first < wholeRows; first += 16) {
    const end = min(first + 16, wholeRows)
    for (let j = 0; j < wholeColumns; j += 4) {
      for (let i = first; i < end; i += 4) {
        const from = x + j * stepX + (i << 2)
        transpose4(
          out + i * stepOut + (j << 2),
          stepOut,
          v128.load(from),
          v128.load(from + stepX),
          v128.load(from + 2 * stepX),
          v128.load(from + 3 * stepX),
        )
      }
    }
  }
  for (let i = 0; i < rows; i++) {
    for (let j = i < wholeRows ? wholeColumns : 0; j < columns; j++)
      store<u32>(out + i * stepOut + (j << 2), load<u32>(x + j * stepX + (i << 2)))
  }
}

@inline
export function copyRun<T>(out: usize, x: usize, n: i32, stepOut: i32, stepX: i32): void {
  if (stepOut == sizeof<T>() && stepX == sizeof<T>()) {
    const bytes = n * sizeof<T>()
    if (bytes > 512) {
      memory.copy(out, x, bytes)
      return
    }
    const end = out + (bytes & ~15)
    for (; out < end; out += 16, x += 16) v128.store(out, v128.load(x))
    n = (bytes & 15) / sizeof<T>()
  }
  for (; n > 0; n--, out += stepOut, x += stepX) store<T>(out, load<T>(x))
}

@inline
function copy<T>(
  out: usize, x: usize, n2: i32, n1: i32, n0: i32, o2: i32, o1: i32, o0: i32, x2: i32, x1: i32, x0: i32,
): void {
  for (let i = 0; i < n2; i++, out += o2, x += x2) {
    if (sizeof<T>() == 4 && o0 == 4 && x1 == 4 && x0 != 4 && n1 >= 4 && n0 >= 4) transpose_32(out, x, n1, n0, o1, x0)
    else for (let j = 0, o = out, a = x; j < n1; j++, o += o1, a += x1) copyRun<T>(o, a, n0, o0, x0)
  }
}

export function copy_32(
  out: usize, x: usize, n2: i32, n1: i32, n0: i32, o2: i32, o1: i32, o0: i32, x2: i32, x1: i32, x0: i32,
): void {
  copy<u32>(out, x, n2, n1, n0, o2, o1, o0, x2, x1, x0)
}

export function copy_64(
  out: usize, x: usize, n2: i32, n1: i32, n0: i32, o2: i32, o1: i32, o0: i32, x2: i32, x1: i32, x0: i32,
): void {
  copy<u64>(out, x, n2, n1, n0, o2, o1, o0, x2, x1, x0)
}

export function copy_8(
  out: usize, x: usize, n2: i32, n1: i32, n0: i32, o2: i32, o1: i32, o0: i32, x2: i32, x1: i32, x0: i32,
): void {
  copy<u8>(out, x, n2, n1, n0, o2, o1, o0, x2, x1, x0)
}

/** n elements equal to the one at x. */
export function fill_32(out: usize, x: usize, n: i32): void {
  const value = v128.load32_splat(x)
  const end = out + (n << 2)
  for (; out + 16 <= end; out += 16) v128.store(out, value)
  for (; out < end; out += 4) store<u32>(out, load<u32>(x))
}

export function fill_64(out: usize, x: usize, n: i32): void {
  const value = load<u64>(x)
  for (const end = out + (n << 3); out < end; out += 8) store<u64>(out, value)
}

export function fill_8(out: usize, x: usize, n: i32): void {
  memory.fill(out, load<u8>(x), n)
}

export function i32_to_f32(out: usize, x: usize, n: i32): void {
  const end = out + (n << 2)
  for (; out + 16 <= end; out += 16, x += 16) v128.store(out, f32x4.convert_i32x4_s(v128.load(x)))
  for (; out < end; out += 4, x += 4) store<f32>(out, f32(load<i32>(x)))
}

@inline
const TWO_32: f64 = 4294967296

/** Truncated, modulo 2³²; values that are not finite become 0, as in JavaScript. */
@inline
function toInteger(value: f64): i32 {
  if (abs(value) < 9.2e18) return i32(i64(value))
  // a multiple of 2¹⁰ at least: the remainder is exact
  const rest = value - TWO_32 * trunc(value / TWO_32)
  return abs(rest) < TWO_32 ? i32(i64(rest)) : 0
}

export function f32_to_i32(out: usize, x: usize, n: i32): void {
  for (const end = out + (n << 2); out < end; out += 4, x += 4) store<i32>(out, toInteger(load<f32>(x)))
}

export function bool_to_i32(out: usize, x: usize, n: i32): void {
  for (const end = x + n; x < end; x++, out += 4) store<i32>(out, load<u8>(x))
}

export function bool_to_f32(out: usize, x: usize, n: i32): void {
  const end = x + n
  for (; x + 4 <= end; x += 4, out += 16) {
    const wide = v128.extend_low<u16>(v128.extend_low<u8>(v128.load32_zero(x)))
    v128.store(out, f32x4.convert_i32x4_s(wide))
  }
  for (; x < end; x++, out += 4) store<f32>(out, f32(load<u8>(x)))
}

@inline
function toDouble<T>(out: usize, x: usize, n: i32): void {
  for (const end = out + (n << 3); out < end; out += 8, x += sizeof<T>()) store<f64>(out, <f64>load<T>(x))
}

export function f32_to_f64(out: usize, x: usize, n: i32): void {
  toDouble<f32>(out, x, n)
}

export function i32_to_f64(out: usize, x: usize, n: i32): void {
  toDouble<i32>(out, x, n)
}

export function bool_to_f64(out: usize, x: usize, n: i32): void {
  toDouble<u8>(out, x, n)
}

export function f64_to_f32(out: usize, x: usize, n: i32): void {
  for (const end = out + (n << 2); out < end; out += 4, x += 8) store<f32>(out, f32(load<f64>(x)))
}

/** As f32_to_i32. */
export function f64_to_i32(out: usize, x: usize, n: i32): void {
  for (const end = out + (n << 2); out < end; out += 4, x += 8) store<i32>(out, toInteger(load<f64>(x)))
}

/** The address of the first index that is not within 0 … size - 1, or 0. */
export function outside(ids: usize, n2: i32, n1: i32, n0: i32, i2: i32, i1: i32, i0: i32, size: i32): usize {
  const count = i0 ? n0 : 1
  for (let i = 0; i < n2; i++, ids += i2) {
    for (let j = 0, a = ids; j < n1; j++, a += i1) {
      for (let k = 0; k < count; k++) if (load<u32>(a + k * i0) >= u32(size)) return a + k * i0
    }
  }
  return 0
}

@inline
function gather<T>(
  out: usize, x: usize, ids: usize, n2: i32, n1: i32, n0: i32, x2: i32, x1: i32, x0: i32, i2: i32, i1: i32, i0: i32,
  step: i32,
): void {
  for (let i = 0; i < n2; i++, x += x2, ids += i2) {
    for (let j = 0, a = x, id = ids; j < n1; j++, a += x1, id += i1, out += n0 * sizeof<T>()) {
      if (i0 == 0) copyRun<T>(out, a + load<i32>(id) * step, n0, sizeof<T>(), x0)
      else
        for (let k = 0; k < n0; k++)
          store<T>(out + k * sizeof<T>(), load<T>(a + k * x0 + load<i32>(id + k * i0) * step))
    }
  }
}

/** out[…] = x[… + index · step]: x has step 0 along the axis that the indices select from. */
export function gather_32(
  out: usize, x: usize, ids: usize, n2: i32, n1: i32, n0: i32, x2: i32, x1: i32, x0: i32, i2: i32, i1: i32, i0: i32,
  step: i32,
): void {
  gather<u32>(out, x, ids, n2, n1, n0, x2, x1, x0, i2, i1, i0, step)
}

export function gather_64(
  out: usize, x: usize, ids: usize, n2: i32, n1: i32, n0: i32, x2: i32, x1: i32, x0: i32, i2: i32, i1: i32, i0: i32,
  step: i32,
): void {
  gather<u64>(out, x, ids, n2, n1, n0, x2, x1, x0, i2, i1, i0, step)
}

export function gather_8(
  out: usize, x: usize, ids: usize, n2: i32, n1: i32, n0: i32, x2: i32, x1: i32, x0: i32, i2: i32, i1: i32, i0: i32,
  step: i32,
): void {
  gather<u8>(out, x, ids, n2, n1, n0, x2, x1, x0, i2, i1, i0, step)
}

@inline
export function addRun<T>(out: usize, x: usize, n: i32, stepOut: i32, stepX: i32): void {
  if (stepOut == sizeof<T>() && stepX == sizeof<T>()) {
    for (; n >= lanes<T>(); n -= lanes<T>(), out += 16, x += 16) v128.store(out, v128.add<T>(v128.load(out), v128.load(x)))
  }
  for (; n > 0; n--, out += stepOut, x += stepX) store<T>(out, <T>(load<T>(out) + load<T>(x)))
}

@inline
function scatter<T>(
  out: usize, x: usize, ids: usize, n2: i32, n1: i32, n0: i32, o2: i32, o1: i32, o0: i32,
  x2: i32, x1: i32, x0: i32, i2: i32, i1: i32, i0: i32, step: i32,
): void {
  for (let i = 0; i < n2; i++, out += o2, x += x2, ids += i2) {
    for (let j = 0, o = out, a = x, id = ids; j < n1; j++, o += o1, a += x1, id += i1) {
      if (i0 == 0) addRun<T>(o + load<i32>(id) * step, a, n0, o0, x0)
      else
        for (let k = 0; k < n0; k++) {
          const to = o + k * o0 + load<i32>(id + k * i0) * step
          store<T>(to, <T>(load<T>(to) + load<T>(a + k * x0)))
        }
    }
  }
}

/** out[… + index · step] += x[…]: out has step 0 along the axis that the indices select from. */
export function scatter_f32(
  out: usize, x: usize, ids: usize, n2: i32, n1: i32, n0: i32, o2: i32, o1: i32, o0: i32,
  x2: i32, x1: i32, x0: i32, i2: i32, i1: i32, i0: i32, step: i32,
): void {
  scatter<f32>(out, x, ids, n2, n1, n0, o2, o1, o0, x2, x1, x0, i2, i1, i0, step)
}

export function scatter_f64(
  out: usize, x: usize, ids: usize, n2: i32, n1: i32, n0: i32, o2: i32, o1: i32, o0: i32,
  x2: i32, x1: i32, x0: i32, i2: i32, i1: i32, i0: i32, step: i32,
): void {
  scatter<f64>(out, x, ids, n2, n1, n0, o2, o1, o0, x2, x1, x0, i2, i1, i0, step)
}

export function scatter_i32(
  out: usize, x: usize, ids: usize, n2: i32, n1: i32, n0: i32, o2: i32, o1: i32, o0: i32,
  x2: i32, x1: i32, x0: i32, i2: i32, i1: i32, i0: i32, step: i32,
): void {
  scatter<i32>(out, x, ids, n2, n1, n0, o2, o1, o0, x2, x1, x0, i2, i1, i0, step)
}
