// Comparisons, whose results are bytes of 0 or 1, and the selection between two arguments by such bytes.

const enum Comparison {
  equal,
  notEqual,
  greater,
  greaterEqual,
}

@inline
function holds<T>(name: Comparison, x: v128, y: v128): v128 {
  if (name == Comparison.equal) return v128.eq<T>(x, y)
  if (name == Comparison.notEqual) return v128.ne<T>(x, y)
  if (name == Comparison.greater) return v128.gt<T>(x, y)
  return v128.ge<T>(x, y)
}

/** Four masks of four as sixteen bytes of 0 or 1. */
@inline
function narrow(a: v128, b: v128, c: v128, d: v128): v128 {
  const bytes = v128.narrow<i16>(v128.narrow<i32>(a, b), v128.narrow<i32>(c, d))
  return v128.and(bytes, i8x16.splat(1))
}

@inline
function compareRun<T>(name: Comparison, out: usize, x: usize, y: usize, n: i32, stepX: i32, stepY: i32): void {
  if (sizeof<T>() == 4 && (stepX == 4 || stepX == 0) && (stepY == 4 || stepY == 0)) {
    for (; n >= 16; n -= 16, out += 16, x += stepX << 4, y += stepY << 4) {
      const a = stepX ? 16 : 0
      const b = stepY ? 16 : 0
      const p = stepX ? v128.load(x) : v128.load32_splat(x)
      const q = stepY ? v128.load(y) : v128.load32_splat(y)
      v128.store(
        out,
        narrow(
          holds<T>(name, p, q),
          holds<T>(name, a ? v128.load(x, 16) : p, b ? v128.load(y, 16) : q),
          holds<T>(name, a ? v128.load(x, 32) : p, b ? v128.load(y, 32) : q),
          holds<T>(name, a ? v128.load(x, 48) : p, b ? v128.load(y, 48) : q),
        ),
      )
    }
  }
  for (; n > 0; n--, out++, x += stepX, y += stepY) {
    const a = load<T>(x)
    const b = load<T>(y)
    if (name == Comparison.equal) store<u8>(out, u8(a == b))
    else if (name == Comparison.notEqual) store<u8>(out, u8(a != b))
    else if (name == Comparison.greater) store<u8>(out, u8(a > b))
    else store<u8>(out, u8(a >= b))
  }
}

@inline
function compareWalk<T>(
  name: Comparison, out: usize, x: usize, y: usize, n2: i32, n1: i32, n0: i32,
  x2: i32, x1: i32, x0: i32, y2: i32, y1: i32, y0: i32,
): void {
  for (let i = 0; i < n2; i++, x += x2, y += y2) {
    for (let j = 0, a = x, b = y; j < n1; j++, a += x1, b += y1, out += n0) compareRun<T>(name, out, a, b, n0, x0, y0)
  }
}

export function compare_f32(
  name: Comparison, out: usize, x: usize, y: usize, n2: i32, n1: i32, n0: i32,
  x2: i32, x1: i32, x0: i32, y2: i32, y1: i32, y0: i32,
): void {
  switch (name) {
    case Comparison.equal: compareWalk<f32>(Comparison.equal, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Comparison.notEqual: compareWalk<f32>(Comparison.notEqual, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Comparison.greater: compareWalk<f32>(Comparison.greater, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    default: compareWalk<f32>(Comparison.greaterEqual, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0)
  }
}

export function compare_f64(
  name: Comparison, out: usize, x: usize, y: usize, n2: i32, n1: i32, n0: i32,
  x2: i32, x1: i32, x0: i32, y2: i32, y1: i32, y0: i32,
): void {
  switch (name) {
    case Comparison.equal: compareWalk<f64>(Comparison.equal, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Comparison.notEqual: compareWalk<f64>(Comparison.notEqual, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Comparison.greater: compareWalk<f64>(Comparison.greater, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    default: compareWalk<f64>(Comparison.greaterEqual, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0)
  }
}

export function compare_i32(
  name: Comparison, out: usize, x: usize, y: usize, n2: i32, n1: i32, n0: i32,
  x2: i32, x1: i32, x0: i32, y2: i32, y1: i32, y0: i32,
): void {
  switch (name) {
    case Comparison.equal: compareWalk<i32>(Comparison.equal, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Comparison.notEqual: compareWalk<i32>(Comparison.notEqual, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    case Comparison.greater: compareWalk<i32>(Comparison.greater, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0); break
    default: compareWalk<i32>(Comparison.greaterEqual, out, x, y, n2, n1, n0, x2, x1, x0, y2, y1, y0)
  }
}

@inline
function chooseRun<T>(out: usize, c: usize, x: usize, y: usize, n: i32, stepC: i32, stepX: i32, stepY: i32): void {
  if (sizeof<T>() == 4 && stepC == 1 && (stepX == 4 || stepX == 0) && (stepY == 4 || stepY == 0)) {
    for (; n >= 4; n -= 4, out += 16, c += 4, x += stepX << 2, y += stepY << 2) {
      const bytes = v128.load32_zero(c)
      const mask = i32x4.ne(v128.extend_low<u16>(v128.extend_low<u8>(bytes)), i32x4.splat(0))
      const a = stepX ? v128.load(x) : v128.load32_splat(x)
      const b = stepY ? v128.load(y) : v128.load32_splat(y)
      v128.store(out, v128.bitselect(a, b, mask))
    }
  }
  for (; n > 0; n--, out += sizeof<T>(), c += stepC, x += stepX, y += stepY)
    store<T>(out, load<u8>(c) ? load<T>(x) : load<T>(y))
}

@inline
function choose<T>(
  out: usize, c: usize, x: usize, y: usize, n2: i32, n1: i32, n0: i32,
  c2: i32, c1: i32, c0: i32, x2: i32, x1: i32, x0: i32, y2: i32, y1: i32, y0: i32,
): void {
  for (let i = 0; i < n2; i++, c += c2, x += x2, y += y2) {
    for (let j = 0, t = c, a = x, b = y; j < n1; j++, t += c1, a += x1, b += y1, out += n0 * sizeof<T>())
      chooseRun<T>(out, t, a, b, n0, c0, x0, y0)
  }
}

/** out = c ? x : y for elements of eight bytes, whatever they mean. */
export function where_64(
  out: usize, c: usize, x: usize, y: usize, n2: i32, n1: i32, n0: i32,
  c2: i32, c1: i32, c0: i32, x2: i32, x1: i32, x0: i32, y2: i32, y1: i32, y0: i32,
): void {
  choose<u64>(out, c, x, y, n2, n1, n0, c2, c1, c0, x2, x1, x0, y2, y1, y0)
}

/** The same for elements of four bytes. */
export function where_32(
  out: usize, c: usize, x: usize, y: usize, n2: i32, n1: i32, n0: i32,
  c2: i32, c1: i32, c0: i32, x2: i32, x1: i32, x0: i32, y2: i32, y1: i32, y0: i32,
): void {
  choose<u32>(out, c, x, y, n2, n1, n0, c2, c1, c0, x2, x1, x0, y2, y1, y0)
}

/** The same for elements of one byte. */
export function where_8(
  out: usize, c: usize, x: usize, y: usize, n2: i32, n1: i32, n0: i32,
  c2: i32, c1: i32, c0: i32, x2: i32, x1: i32, x0: i32, y2: i32, y1: i32, y0: i32,
): void {
  choose<u8>(out, c, x, y, n2, n1, n0, c2, c1, c0, x2, x1, x0, y2, y1, y0)
}
