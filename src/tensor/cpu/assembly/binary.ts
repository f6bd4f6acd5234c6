// Elementwise functions of two and three arguments. Results are contiguous; every argument has a step in bytes for each
// of three axes. The innermost step is usually 4 (contiguous) or 0 (one number for all elements).

import { pow } from './scalar'
import { lanes, loadSome, loadSplat, loadStrided, storeSome } from './vector'

const enum Binary {
  add,
  sub,
  mul,
  maximum,
  minimum,
  pow,
  div,
}

@inline
function combine<T>(name: Binary, x: v128, y: v128): v128 {
  if (name == Binary.add) return v128.add<T>(x, y)
  if (name == Binary.sub) return v128.sub<T>(x, y)
  if (name == Binary.mul) return v128.mul<T>(x, y)
  if (name == Binary.maximum) return v128.max<T>(x, y)
  // integers are not divided
  if (isFloat<T>()) return name == Binary.minimum ? v128.min<T>(x, y) : v128.div<T>(x, y)
  else return v128.min<T>(x, y)
}

@inline
function run<T>(name: Binary, out: usize, x: usize, y: usize, n: i32, stepX: i32, stepY: i32): void {
  const size = sizeof<T>()
  const rest = n & (lanes<T>() - 1)
  const end = out + (n - rest) * size
  if (stepX == size && stepY == size) {
    for (; out < end; out += 16, x += 16, y += 16) v128.store(out, combine<T>(name, v128.load(x), v128.load(y)))
  } else if (stepX == size && stepY == 0) {
    const b = loadSplat<T>(y)
    for (; out < end; out += 16, x += 16) v128.store(out, combine<T>(name, v128.load(x), b))
  } else if (stepX == 0 && stepY == size) {
    const a = loadSplat<T>(x)
    for (; out < end; out += 16, y += 16) v128.store(out, combine<T>(name, a, v128.load(y)))
  } else {
    for (; out < end; out += 16, x += lanes<T>() * stepX, y += lanes<T>() * stepY)
      v128.store(out, combine<T>(name, loadStrided<T>(x, stepX), loadStrided<T>(y, stepY)))
  }
  if (rest) storeSome<T>(out, combine<T>(name, loadSome<T>(x, stepX, rest), loadSome<T>(y, stepY, rest)), rest)
}

@inline
function walk<T>(
  name: Binary, out: usize, x: usize, y: usize, n2: i32, n1: i32, n0: i32,
  x2: i32, x1: i32, x0: i32, y2: i32, y1: i32, y0: i32,
): void {
  for (let i = 0; i < n2; i++, x += x2, y += y2) {
    for (let j = 0, a = x, b = y; j < n1; j++, a += x1, b += y1, out += n0 * sizeof<T>()) run<T>(name, out, a, b, n0, x0, y0)
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
      for (let k = 0; k < n0; k++, out += sizeof<T>()) {
        if (isFloat<T>()) store<T>(out, <T>pow(<f64>load<T>(a + k * x0), <f64>load<T>(b + k * y0)))
        else store<i32>(out, integerPower(load<i32>(a + k * x0), load<i32>(b + k * y0)))
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
    default: walk<f32>(Binary.div, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0)
  }
}

export function binary_f64(
  name: Binary, out: usize, x: usize, y: usize, n2: i32, n1: i32, n0: i32,
  x2: i32, x1: i32, x0: i32, y2: i32, y1: i32, y0: i32,
): void {
  switch (name) {
    case Binary.add: walk<f64>(Binary.add, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Binary.sub: walk<f64>(Binary.sub, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Binary.mul: walk<f64>(Binary.mul, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Binary.maximum: walk<f64>(Binary.maximum, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Binary.minimum: walk<f64>(Binary.minimum, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Binary.pow: power<f64>(out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    default: walk<f64>(Binary.div, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0)
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
