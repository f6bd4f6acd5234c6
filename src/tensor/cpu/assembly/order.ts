// The order of the elements of a line. Each element becomes an unsigned number, its key, that is larger for an element that comes
// later. A pair holds the key in its upper and the position in its lower 32 bits. Pairs are sorted by their key, and pairs of equal
// keys stay in the order of their positions.

/** Up to so many elements are sorted by insertion. */
@inline
const FEW = 32

/** NaN of either sign is above +∞, and -0 is 0. */
@inline
function keyOf<T>(at: usize): u32 {
  if (isInteger<T>()) return u32(load<i32>(at)) ^ 0x80000000
  const x = load<f32>(at)
  if (x != x) return 0xffffffff
  const bits = reinterpret<u32>(x + 0)
  return bits >> 31 ? ~bits : bits | 0x80000000
}

/** Sorts n pairs in place. */
function insert(pairs: usize, n: i32): void {
  const end = pairs + (n << 3)
  for (let at = pairs + 8; at < end; at += 8) {
    const pair = load<u64>(at)
    let to = at
    for (; to > pairs && load<u64>(to - 8) > pair; to -= 8) store<u64>(to, load<u64>(to - 8))
    store<u64>(to, pair)
  }
}

/**
 * Sorts n pairs by the four digits of their keys, of eight bits each, from the last digit to the first: pairs move to the other
 * list and back. A digit that all keys share needs no move.
 * @param counts 4 × 256 numbers
 * @returns the list that holds the result
 */
function radix(pairs: usize, other: usize, n: i32, counts: usize): usize {
  memory.fill(counts, 0, 4096)
  const bytes = n << 3
  for (let at = pairs, end = pairs + bytes; at < end; at += 8) {
    const key = load<u32>(at, 4)
    for (let digit = 0; digit < 4; digit++) {
      const count = counts + (digit << 10) + (((key >> (digit << 3)) & 255) << 2)
      store<i32>(count, load<i32>(count) + 1)
    }
  }
  let from = pairs
  let to = other
  for (let digit = 0; digit < 4; digit++) {
    const own = counts + (digit << 10)
    const shift = digit << 3
    if (load<i32>(own + (((load<u32>(from, 4) >> shift) & 255) << 2)) == n) continue
    // from counts to the places where the pairs of each digit begin
    let begin = 0
    for (let value = 0; value < 256; value++) {
      const count = load<i32>(own + (value << 2))
      store<i32>(own + (value << 2), begin)
      begin += count
    }
    for (let at = from, end = from + bytes; at < end; at += 8) {
      const place = own + (((load<u32>(at, 4) >> shift) & 255) << 2)
      const position = load<i32>(place)
      store<u64>(to + (position << 3), load<u64>(at))
      store<i32>(place, position + 1)
    }
    const swap = from
    from = to
    to = swap
  }
  return from
}

/** Sorts n pairs, which are in the order of their positions. @returns the list that holds the result */
@inline
function inOrder(pairs: usize, other: usize, n: i32, counts: usize): usize {
  if (n > FEW) return radix(pairs, other, n, counts)
  insert(pairs, n)
  return pairs
}

@inline
function argsort<T>(
  out: usize, x: usize, first: i32, last: i32, n: i32, inner: i32, descending: i32, scratch: usize,
): void {
  const pairs = scratch + 4096
  const flip = u32(-descending)
  const step = inner << 2
  for (let line = first; line < last; line++) {
    const start = ((line / inner) * n * inner + (line % inner)) << 2
    for (let i = 0, from = x + start; i < n; i++, from += step)
      store<u64>(pairs + (i << 3), (u64(keyOf<T>(from) ^ flip) << 32) | u64(i))
    const sorted = inOrder(pairs, pairs + (n << 3), n, scratch)
    for (let i = 0, to = out + start; i < n; i++, to += step) store<i32>(to, load<i32>(sorted + (i << 3)))
  }
}

/**
 * The positions of a line in the order of its elements, for the lines first … last - 1 of [outer, n, inner]; from the largest if
 * `descending` is 1. NaN is the largest.
 * @param scratch 4096 bytes of counts, then two lists of n pairs
 */
export function argsort_f32(
  out: usize, x: usize, first: i32, last: i32, n: i32, inner: i32, descending: i32, scratch: usize,
): void {
  argsort<f32>(out, x, first, last, n, inner, descending, scratch)
}

export function argsort_i32(
  out: usize, x: usize, first: i32, last: i32, n: i32, inner: i32, descending: i32, scratch: usize,
): void {
  argsort<i32>(out, x, first, last, n, inner, descending, scratch)
}

/** Four keys at a time. */
@inline
function keysOf<T>(at: usize): v128 {
  const x = v128.load(at)
  if (isInteger<T>()) return v128.xor(x, i32x4.splat(0x80000000))
  const bits = f32x4.add(x, f32x4.splat(0))
  const key = v128.xor(bits, v128.or(i32x4.shr_s(bits, 31), i32x4.splat(0x80000000)))
  return v128.or(key, f32x4.ne(x, x))
}

@inline
function topk<T>(
  out: usize, x: usize, first: i32, last: i32, n: i32, inner: i32, count: i32, descending: i32, capacity: i32,
  scratch: usize,
): void {
  const flip = u32(-descending)
  const step = usize(inner) << 2
  const isShort = 2 * count <= FEW
  let pairs = scratch + 4096
  let other = pairs + (usize(capacity) << 3)
  for (let line = first; line < last; line++) {
    const outer = line / inner
    const beside = line % inner
    let from = x + ((usize(outer) * usize(n) * usize(inner) + usize(beside)) << 2)
    // the last key that is among the first so far; of equal keys the later one is not
    let bound: u32 = 0xffffffff
    let filled = 0
    for (let i = 0; i < n; ) {
      let end = i + 1
      if (inner == 1 && filled >= count && i + 4 <= n) {
        end = i + 4
        const keys = v128.xor(keysOf<T>(from), i32x4.splat(flip))
        if (!v128.any_true(i32x4.lt_u(keys, i32x4.splat(bound)))) {
          i = end
          from += 16
          continue
        }
      }
      for (; i < end; i++, from += step) {
        const key = keyOf<T>(from) ^ flip
        if (key >= bound && filled >= count) continue
        const pair = (u64(key) << 32) | u64(i)
        if (isShort) {
          // the first so far are in order
          let to = pairs + (usize(min(filled, count - 1)) << 3)
          for (; to > pairs && load<u64>(to - 8) > pair; to -= 8) store<u64>(to, load<u64>(to - 8))
          store<u64>(to, pair)
          if (filled < count) filled++
          if (filled == count) bound = load<u32>(pairs + (usize(count - 1) << 3), 4)
          continue
        }
        store<u64>(pairs + (usize(filled++) << 3), pair)
        if (filled < capacity) continue
        const sorted = inOrder(pairs, other, filled, scratch)
        other = pairs + other - sorted
        pairs = sorted
        filled = count
        bound = load<u32>(pairs + (usize(count - 1) << 3), 4)
      }
    }
    const sorted = inOrder(pairs, other, filled, scratch)
    let to = out + ((usize(outer) * usize(count) * usize(inner) + usize(beside)) << 2)
    for (let i = 0; i < count; i++, to += step) store<i32>(to, load<i32>(sorted + (usize(i) << 3)))
  }
}

/**
 * The first `count` positions that `argsort_f32` has for each line: out is [outer, count, inner].
 * @param capacity how many of the elements seen so far are kept before all but the first are dropped; more than `count`
 * @param scratch 4096 bytes of counts, then two lists of `capacity` pairs
 */
export function topk_f32(
  out: usize, x: usize, first: i32, last: i32, n: i32, inner: i32, count: i32, descending: i32, capacity: i32,
  scratch: usize,
): void {
  topk<f32>(out, x, first, last, n, inner, count, descending, capacity, scratch)
}

export function topk_i32(
  out: usize, x: usize, first: i32, last: i32, n: i32, inner: i32, count: i32, descending: i32, capacity: i32,
  scratch: usize,
): void {
  topk<i32>(out, x, first, last, n, inner, count, descending, capacity, scratch)
}

/** The same as a key of 64 bits. */
@inline
function longKeyOf(at: usize): u64 {
  const x = load<f64>(at)
  if (x != x) return 0xffffffffffffffff
  const bits = reinterpret<u64>(x + 0)
  return bits >> 63 ? ~bits : bits | 0x8000000000000000
}

/**
 * Sorts n pairs of a key and a position, eight bytes each, by merging: pairs move to the other list and back.
 * @returns the list that holds the result
 */
function merge(pairs: usize, other: usize, n: i32): usize {
  let from = pairs
  let to = other
  for (let width = 1; width < n; width <<= 1) {
    for (let start = 0; start < n; start += width << 1) {
      let left = from + (start << 4)
      const middle = from + (min(start + width, n) << 4)
      let right = middle
      const end = from + (min(start + (width << 1), n) << 4)
      for (let out = to + (start << 4); left < middle || right < end; out += 16) {
        const takesLeft = right >= end || (left < middle && load<u64>(left) <= load<u64>(right))
        v128.store(out, v128.load(takesLeft ? left : right))
        if (takesLeft) left += 16
        else right += 16
      }
    }
    const swap = from
    from = to
    to = swap
  }
  return from
}

/** As `argsort_f32`. @param scratch two lists of n pairs of sixteen bytes */
export function argsort_f64(
  out: usize, x: usize, first: i32, last: i32, n: i32, inner: i32, descending: i32, scratch: usize,
): void {
  const flip = u64(-i64(descending))
  for (let line = first; line < last; line++) {
    const start = (line / inner) * n * inner + (line % inner)
    for (let i = 0, from = x + (start << 3), pair = scratch; i < n; i++, from += inner << 3, pair += 16) {
      store<u64>(pair, longKeyOf(from) ^ flip)
      store<i32>(pair, i, 8)
    }
    const sorted = merge(scratch, scratch + (n << 4), n)
    for (let i = 0, to = out + (start << 2); i < n; i++, to += inner << 2) store<i32>(to, load<i32>(sorted + (i << 4), 8))
  }
}
