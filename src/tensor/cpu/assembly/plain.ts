// Products of matrices of int32, modulo 2³², and of float64 without BLAS: four vectors of a row at a time. Steps are in bytes.

import { lanes, loadSplat } from './vector'

/** c [m, n] = a [m, k] b [k, n] with rows of c in order, stepC bytes apart, and rows of b in order. */
@inline
export function plain<T>(
  c: usize, a: usize, b: usize, m: i32, n: i32, k: i32, rowA: i32, columnA: i32, rowB: i32, stepC: i32,
): void {
  const size = sizeof<T>()
  for (let i = 0; i < m; i++, a += rowA, c += stepC) {
    let j = 0
    for (; j + 4 * lanes<T>() <= n; j += 4 * lanes<T>()) {
      let p = v128.splat<T>(0)
      let q = p
      let r = p
      let s = p
      for (let l = 0, x = a, y = b + j * size; l < k; l++, x += columnA, y += rowB) {
        const factor = loadSplat<T>(x)
        p = v128.add<T>(p, v128.mul<T>(factor, v128.load(y)))
        q = v128.add<T>(q, v128.mul<T>(factor, v128.load(y, 16)))
        r = v128.add<T>(r, v128.mul<T>(factor, v128.load(y, 32)))
        s = v128.add<T>(s, v128.mul<T>(factor, v128.load(y, 48)))
      }
      const to = c + j * size
      v128.store(to, p)
      v128.store(to, q, 16)
      v128.store(to, r, 32)
      v128.store(to, s, 48)
    }
    for (; j < n; j++) {
      let sum: T = 0
      for (let l = 0; l < k; l++) sum += load<T>(a + l * columnA) * load<T>(b + l * rowB + j * size)
      store<T>(c + j * size, sum)
    }
  }
}

/** Products of a stack of matrices; the two innermost axes of the stack step through a and b, and c follows on. */
export function matmul_i32(
  c: usize, a: usize, b: usize, stack1: i32, stack0: i32, a1: i32, a0: i32, b1: i32, b0: i32,
  m: i32, n: i32, k: i32, rowA: i32, columnA: i32, rowB: i32,
): void {
  for (let i = 0; i < stack1; i++, a += a1, b += b1) {
    for (let j = 0, x = a, y = b; j < stack0; j++, x += a0, y += b0, c += (m * n) << 2)
      plain<i32>(c, x, y, m, n, k, rowA, columnA, rowB, n << 2)
  }
}
