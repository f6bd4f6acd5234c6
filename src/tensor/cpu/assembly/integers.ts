// The product of matrices of int32, modulo 2³². Steps are in bytes.

/** c [m, n] = a [m, k] b [k, n], with the numbers of c in order. */
function product(
  c: usize, a: usize, b: usize, m: i32, n: i32, k: i32, rowA: i32, columnA: i32, rowB: i32, columnB: i32,
): void {
  for (let i = 0; i < m; i++, a += rowA, c += n << 2) {
    let j = 0
    if (columnB == 4) {
      for (; j + 4 <= n; j += 4) {
        let sum = i32x4.splat(0)
        for (let p = 0; p < k; p++)
          sum = i32x4.add(sum, i32x4.mul(v128.load32_splat(a + p * columnA), v128.load(b + p * rowB + (j << 2))))
        v128.store(c + (j << 2), sum)
      }
    }
    for (; j < n; j++) {
      let sum = 0
      for (let p = 0; p < k; p++) sum += load<i32>(a + p * columnA) * load<i32>(b + p * rowB + j * columnB)
      store<i32>(c + (j << 2), sum)
    }
  }
}

/** Products of a stack of matrices; the two innermost axes of the stack step through a and b, and c follows on. */
export function matmul_i32(
  c: usize, a: usize, b: usize, stack1: i32, stack0: i32, a1: i32, a0: i32, b1: i32, b0: i32,
  m: i32, n: i32, k: i32, rowA: i32, columnA: i32, rowB: i32, columnB: i32,
): void {
  for (let i = 0; i < stack1; i++, a += a1, b += b1) {
    for (let j = 0, x = a, y = b; j < stack0; j++, x += a0, y += b0, c += (m * n) << 2)
      product(c, x, y, m, n, k, rowA, columnA, rowB, columnB)
  }
}
