// Windows of up to three spatial axes, which slide over the planes of x: as columns, for products with a weight, and their adjoint;
// and the largest element of each. What a window has beside x, its margin, is not in memory.

import { addRun, copyRun } from './movement'
import { loadStrided } from './vector'

/** How the windows of a plane lie; axis 0 is the last one. Four bytes per field, written by ../windows.ts in this order. */
@unmanaged
export class Windows {
  size2: i32
  size1: i32
  size0: i32
  kernel2: i32
  kernel1: i32
  kernel0: i32
  count2: i32
  count1: i32
  count0: i32
  stride2: i32
  stride1: i32
  stride0: i32
  dilation2: i32
  dilation1: i32
  dilation0: i32
  /** width of the margin before x */
  before2: i32
  before1: i32
  before0: i32
}

/** The first of the positions offset, offset + step, … that is at least 0. */
@inline
function firstInside(offset: i32, step: i32): i32 {
  return offset >= 0 ? 0 : (step - 1 - offset) / step
}

/** The number of the positions offset, offset + step, … before the first that is at least `size`. */
@inline
function endInside(offset: i32, step: i32, size: i32): i32 {
  return offset >= size ? 0 : (size - offset + step - 1) / step
}

/** The same of the first `n` positions; most windows are inside, and need no division. */
@inline
function endOf(offset: i32, n: i32, step: i32, size: i32): i32 {
  return offset + (n - 1) * step < size ? n : min(n, endInside(offset, step, size))
}

@inline
function zero(out: usize, n: i32): void {
  for (; n > 0; n--, out += 4) store<f32>(out, 0)
}

/** A row of windows is `n` of them that follow on along the last axis. */
@inline
function walk(
  adds: bool, columns: usize, x: usize, channels: i32, at: Windows, row: i32, rows: i32, first: i32, n: i32,
): void {
  const stride = at.stride0
  const size = at.size0
  const plane = (usize(at.size2) * usize(at.size1) * usize(size)) << 2
  const bytes = usize(n) << 2
  for (let c = 0; c < channels; c++, x += plane) {
    for (let k2 = 0; k2 < at.kernel2; k2++) {
      for (let k1 = 0; k1 < at.kernel1; k1++) {
        const above = k1 * at.dilation1 - at.before1
        for (let k0 = 0; k0 < at.kernel0; k0++) {
          const offset = k0 * at.dilation0 - at.before0
          const begin = min(max(firstInside(offset, stride) - first, 0), n)
          const end = max(min(endInside(offset, stride, size) - first, n), begin)
          const from = offset + (first + begin) * stride
          let i1 = row % at.count1
          let y1 = above + i1 * at.stride1
          let y2 = k2 * at.dilation2 - at.before2 + (row / at.count1) * at.stride2
          for (let r = 0; r < rows; r++, columns += bytes) {
            const isInside = begin < end && u32(y2) < u32(at.size2) && u32(y1) < u32(at.size1)
            if (isInside) {
              const source = x + ((usize(y2 * at.size1 + y1) * usize(size) + usize(from)) << 2)
              const to = columns + (usize(begin) << 2)
              if (adds) addRun<f32>(source, to, end - begin, stride << 2, 4)
              else {
                zero(columns, begin)
                copyRun<u32>(to, source, end - begin, 4, stride << 2)
                zero(columns + (usize(end) << 2), n - end)
              }
            } else if (!adds) zero(columns, n)
            y1 += at.stride1
            if (++i1 == at.count1) {
              i1 = 0
              y1 = above
              y2 += at.stride2
            }
          }
        }
      }
    }
  }
}

/**
 * Windows into columns, [channels, kernel…, rows, n], from x [channels, sizes…]: those of `rows` rows from `row` on, and in each row
 * `n` from `first` on. A row is of windows that differ in their position on the last axis only.
 */
export function windowColumns(
  columns: usize, x: usize, channels: i32, at: Windows, row: i32, rows: i32, first: i32, n: i32,
): void {
  walk(false, columns, x, channels, at, row, rows, first, n)
}

/** The adjoint: columns are added to the places in x that they are windows of. */
export function addColumns(
  columns: usize, x: usize, channels: i32, at: Windows, row: i32, rows: i32, first: i32, n: i32,
): void {
  walk(true, columns, x, channels, at, row, rows, first, n)
}

/** Four elements, `step` apart; nothing else is read. */
@inline
function loadFour(x: usize, step: i32): v128 {
  if (step == 1) return v128.load(x)
  if (step == 2) return v128.shuffle<i32>(v128.load(x), v128.load(x, 12), 0, 2, 5, 7)
  return loadStrided<f32>(x, step << 2)
}

/**
 * The first largest element of every window, which NaN is, or its gradient, which it gets. The margin is -∞, and takes part as it
 * lies: where all is -∞, the first element of a window may be in the margin, and nothing in x gets the gradient. Without branches
 * on the elements, and for four windows at a time where their rows are within those of x.
 */
@inline
function pool(isGradient: bool, out: usize, g: usize, x: usize, planes: i32, at: Windows): void {
  const stride = at.stride0
  const dilation = at.dilation0
  const plane = (usize(at.size2) * usize(at.size1) * usize(at.size0)) << 2
  const begin = firstInside(-at.before0, stride)
  const end = endInside((at.kernel0 - 1) * dilation - at.before0, stride, at.size0)
  for (; planes > 0; planes--, x += plane) {
    if (isGradient) memory.fill(out, 0, plane)
    for (let i2 = 0, y2 = -at.before2; i2 < at.count2; i2++, y2 += at.stride2) {
      const first2 = firstInside(y2, at.dilation2)
      const end2 = endOf(y2, at.kernel2, at.dilation2, at.size2)
      for (let i1 = 0, y1 = -at.before1; i1 < at.count1; i1++, y1 += at.stride1) {
        const first1 = firstInside(y1, at.dilation1)
        const end1 = endOf(y1, at.kernel1, at.dilation1, at.size1)
        const isInside = (first2 | first1) == 0
        const corner = (y2 * at.size1 + y1) * at.size0
        for (let i0 = 0; i0 < at.count0; ) {
          const y0 = i0 * stride - at.before0
          if (i0 >= begin && i0 + 4 <= end) {
            let value = f32x4.splat(-Infinity)
            let position = i32x4.splat(-1)
            const steps = i32x4.mul(i32x4(0, 1, 2, 3), i32x4.splat(stride))
            if (isInside) position = i32x4.add(i32x4.splat(corner + y0), steps)
            for (let k2 = first2; k2 < end2; k2++) {
              for (let k1 = first1; k1 < end1; k1++) {
                let here = ((y2 + k2 * at.dilation2) * at.size1 + y1 + k1 * at.dilation1) * at.size0 + y0
                for (let k0 = 0; k0 < at.kernel0; k0++, here += dilation) {
                  const next = loadFour(x + (usize(here) << 2), stride)
                  const isNaN = v128.andnot(f32x4.ne(next, next), f32x4.ne(value, value))
                  const isNext = v128.or(f32x4.gt(next, value), isNaN)
                  value = v128.bitselect(next, value, isNext)
                  if (isGradient) position = v128.bitselect(i32x4.add(i32x4.splat(here), steps), position, isNext)
                }
              }
            }
            if (isGradient) {
              addAt(out, i32x4.extract_lane(position, 0), load<f32>(g))
              addAt(out, i32x4.extract_lane(position, 1), load<f32>(g, 4))
              addAt(out, i32x4.extract_lane(position, 2), load<f32>(g, 8))
              addAt(out, i32x4.extract_lane(position, 3), load<f32>(g, 12))
              g += 16
            } else {
              v128.store(out, value)
              out += 16
            }
            i0 += 4
            continue
          }
          const first0 = firstInside(y0, dilation)
          const end0 = endOf(y0, at.kernel0, dilation, at.size0)
          let value: f32 = -Infinity
          let position = isInside && first0 == 0 ? corner + y0 : -1
          for (let k2 = first2; k2 < end2; k2++) {
            for (let k1 = first1; k1 < end1; k1++) {
              const line = ((y2 + k2 * at.dilation2) * at.size1 + y1 + k1 * at.dilation1) * at.size0 + y0
              for (let k0 = first0; k0 < end0; k0++) {
                const here = line + k0 * dilation
                const next = load<f32>(x + (usize(here) << 2))
                const isNext = i32(next > value) | (i32(next != next) & i32(value == value))
                value = select<f32>(next, value, isNext)
                position = select<i32>(here, position, isNext)
              }
            }
          }
          if (isGradient) {
            addAt(out, position, load<f32>(g))
            g += 4
          } else {
            store<f32>(out, value)
            out += 4
          }
          i0++
        }
      }
    }
    if (isGradient) out += plane
  }
}

@inline
function addAt(out: usize, position: i32, value: f32): void {
  if (position < 0) return
  const to = out + (usize(position) << 2)
  store<f32>(to, load<f32>(to) + value)
}

/** The largest element of every window: out [planes, counts…] from x [planes, sizes…] */
export function maxPool(out: usize, x: usize, planes: i32, windows: usize): void {
  pool(false, out, 0, x, planes, changetype<Windows>(windows))
}

/** Its gradient: out [planes, sizes…] from g [planes, counts…]. */
export function maxPoolGradient(out: usize, g: usize, x: usize, planes: i32, windows: usize): void {
  pool(true, out, g, x, planes, changetype<Windows>(windows))
}
