// Elementwise functions of two and three arguments. Results are contiguous; every argument has a step in bytes for each
// of three axes. The innermost step is usually 4 (contiguous) or 0 (one number for all elements).

import { pow } from './scalar'
import { loadSome, loadStrided, storeSome } from './vector'

const enum Binary {
  add,
  sub,
  mul,
  maximum,
  minimum,
  pow,
  div,
  fmod,
}

@inline
function combine<T>(name: Binary, x: v128, y: v128): v128 {
  if (name == Binary.add) return v128.add<T>(x, y)
  if (name == Binary.sub) return v128.sub<T>(x, y)
  if (name == Binary.mul) return v128.mul<T>(x, y)
  if (name == Binary.maximum) return v128.max<T>(x, y)
  if (name == Binary.minimum) return v128.min<T>(x, y)
  return f32x4.div(x, y)
}

@inline
function run<T>(name: Binary, out: usize, x: usize, y: usize, n: i32, stepX: i32, stepY: i32): void {
  const end = out + ((n & ~3) << 2)
  if (stepX == 4 && stepY == 4) {
    for (; out < end; out += 16, x += 16, y += 16) v128.store(out, combine<T>(name, v128.load(x), v128.load(y)))
  } else if (stepX == 4 && stepY == 0) {
    const b = v128.load32_splat(y)
    for (; out < end; out += 16, x += 16) v128.store(out, combine<T>(name, v128.load(x), b))
  } else if (stepX == 0 && stepY == 4) {
    const a = v128.load32_splat(x)
    for (; out < end; out += 16, y += 16) v128.store(out, combine<T>(name, a, v128.load(y)))
  } else {
    for (; out < end; out += 16, x += 4 * stepX, y += 4 * stepY)
      v128.store(out, combine<T>(name, loadStrided(x, stepX), loadStrided(y, stepY)))
  }
  const rest = n & 3
  if (rest) storeSome(out, combine<T>(name, loadSome(x, stepX, rest), loadSome(y, stepY, rest)), rest)
}

@inline
function walk<T>(
  name: Binary, out: usize, x: usize, y: usize, n2: i32, n1: i32, n0: i32,
  x2: i32, x1: i32, x0: i32, y2: i32, y1: i32, y0: i32,
): void {
  for (let i = 0; i < n2; i++, x += x2, y += y2) {
    for (let j = 0, a = x, b = y; j < n1; j++, a += x1, b += y1, out += n0 << 2) run<T>(name, out, a, b, n0, x0, y0)
  }
}

/** xʸ modulo 2³², by repeated squaring; what is below 1 is 0. */
function integerPower(x: i32, y: i32): i32 {
  if (y < 0) return x == 1 ? 1 : x == -1 ? (y & 1 ? -1 : 1) : 0
  let result = 1
  for (; y > 0; y >>= 1, x *= x) if (y & 1) result *= x
  return result
}

@inline
function power<T>(
  out: usize, x: usize, y: usize, n2: i32, n1: i32, n0: i32,
  x2: i32, x1: i32, x0: i32, y2: i32, y1: i32, y0: i32,
): void {
  for (let i = 0; i < n2; i++, x += x2, y += y2) {
    for (let j = 0, a = x, b = y; j < n1; j++, a += x1, b += y1) {
      for (let k = 0; k < n0; k++, out += 4) {
        if (isFloat<T>()) store<f32>(out, f32(pow(load<f32>(a + k * x0), load<f32>(b + k * y0))))
        else store<i32>(out, integerPower(load<i32>(a + k * x0), load<i32>(b + k * y0)))
      }
    }
  }
}

/** The remainder with the sign of x; that of a division of integers by 0 is 0. */
@inline
function rest<T>(
  out: usize, x: usize, y: usize, n2: i32, n1: i32, n0: i32,
  x2: i32, x1: i32, x0: i32, y2: i32, y1: i32, y0: i32,
): void {
  for (let i = 0; i < n2; i++, x += x2, y += y2) {
    for (let j = 0, a = x, b = y; j < n1; j++, a += x1, b += y1) {
      for (let k = 0; k < n0; k++, out += 4) {
        const divisor = load<T>(b + k * y0)
        if (isFloat<T>()) store<T>(out, load<T>(a + k * x0) % divisor)
        else store<T>(out, divisor == 0 ? 0 : load<T>(a + k * x0) % divisor)
      }
    }
  }
}

export function binary_f32(
  name: Binary, out: usize, x: usize, y: usize, n2: i32, n1: i32, n0: i32,
  x2: i32, x1: i32, x0: i32, y2: i32, y1: i32, y0: i32,
): void {
  switch (name) {
    case Binary.add: walk<f32>(Binary.add, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Binary.sub: walk<f32>(Binary.sub, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Binary.mul: walk<f32>(Binary.mul, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Binary.maximum: walk<f32>(Binary.maximum, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Binary.minimum: walk<f32>(Binary.minimum, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Binary.pow: power<f32>(out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Binary.fmod: rest<f32>(out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    default: walk<f32>(Binary.div, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0)
  }
}

export function binary_i32(
  name: Binary, out: usize, x: usize, y: usize, n2: i32, n1: i32, n0: i32,
  x2: i32, x1: i32, x0: i32, y2: i32, y1: i32, y0: i32,
): void {
  switch (name) {
    case Binary.add: walk<i32>(Binary.add, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Binary.sub: walk<i32>(Binary.sub, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Binary.mul: walk<i32>(Binary.mul, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Binary.maximum: walk<i32>(Binary.maximum, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Binary.minimum: walk<i32>(Binary.minimum, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Binary.fmod: rest<i32>(out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    default: power<i32>(out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0)
  }
}

/** bool, one byte an element: minimum and mul are “and”, maximum is “or”; truth is what is not 0. */
export function binary_bool(
  name: Binary, out: usize, x: usize, y: usize, n2: i32, n1: i32, n0: i32,
  x2: i32, x1: i32, x0: i32, y2: i32, y1: i32, y0: i32,
): void {
  const needed = name == Binary.maximum ? 1 : 2
  for (let i = 0; i < n2; i++, x += x2, y += y2) {
    for (let j = 0, a = x, b = y; j < n1; j++, a += x1, b += y1) {
      for (let k = 0; k < n0; k++, out++)
        store<u8>(out, u8(i32(load<u8>(a + k * x0) != 0) + i32(load<u8>(b + k * y0) != 0) >= needed))
    }
  }
}
