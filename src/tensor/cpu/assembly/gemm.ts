// The matrix product, and the choice of its implementation: BLAS if the thread has one and the product is large enough,
// otherwise in blocks or without copies. Steps are in bytes.

import { blocked } from './blocks'
import { small, vector } from './direct'
import { plain } from './plain'
import { COLUMNS_8 } from './tiles'

/** cblas_sgemm on rows: c = op(a) op(b); steps between rows are counted in numbers there. */
@external('blas', 'sgemm')
declare function sgemm(
  transposesA: i32, transposesB: i32, m: i32, n: i32, k: i32, a: usize, stepA: i32, b: usize, stepB: i32,
  c: usize, stepC: i32,
): void

/** The same in float64. */
@external('blas', 'dgemm')
declare function dgemm(
  transposesA: i32, transposesB: i32, m: i32, n: i32, k: i32, a: usize, stepA: i32, b: usize, stepB: i32,
  c: usize, stepC: i32,
): void

/** c = a b (+ bias, or 0), in machine code. */
@external('machine', 'product')
declare function machineProduct(
  c: usize, a: usize, b: usize, m: i32, n: i32, k: i32, rowA: i32, columnA: i32, rowB: i32, columnB: i32,
  stepC: i32, scratch: usize, bias: usize,
): void

let hasBlas = false
let hasMachineCode = false

/** Sets whether the instance of this thread may call `sgemm` and `dgemm`. */
export function useBlas(has: bool): void {
  hasBlas = has
}

/** Sets whether the instance of this thread may call `machineProduct`. */
export function useMachineCode(has: bool): void {
  hasMachineCode = has
}

/** The number of multiplications from which on BLAS is faster. */
@inline
const WORTH_A_CALL: i64 = 20000

/** The number of multiplications from which on machine code is faster. */
@inline
const WORTH_MACHINE_CODE: i64 = 8000

/**
 * The deepest small product that BLAS computes, and the number of multiplications of a large one: OpenBLAS has kernels for matrices of
 * up to 10⁶ multiplications that add up along the depth in one sum of float32, whose error grows with the depth.
 */
@inline
const DEEPEST = 4096
@inline
const LARGE: i64 = 1000000

/** The number of multiplications up to which copying columns of b is slower. */
@inline
const SMALL = 1000

/**
 * BLAS's leading dimension of a factor: the step between rows in elements if rows are contiguous, minus the step between columns
 * if columns are contiguous, and 0 if BLAS does not support the layout. It must be at least the size of a row (or column): BLAS does
 * not support rows that overlap, repeat or run backwards. The step along an axis of size one has no meaning and is ignored.
 */
@inline
function leading<T>(rows: i32, columns: i32, row: i32, column: i32): i32 {
  const size: i32 = sizeof<T>()
  if ((column == size || columns == 1) && row / size >= columns) return row / size
  if ((row == size || rows == 1) && column / size >= rows) return -(column / size)
  return 0
}

/** c [m, n] = a [m, k] b [k, n] (+ bias [n], or 0 without one) with rows of c in order, stepC bytes apart; k > 0. */
export function product(
  c: usize, a: usize, b: usize, m: i32, n: i32, k: i32, rowA: i32, columnA: i32, rowB: i32, columnB: i32,
  stepC: i32, scratch: usize, bias: usize,
): void {
  const count = i64(m) * n * k
  if (hasMachineCode && count >= WORTH_MACHINE_CODE && m > 1 && n > 1) {
    machineProduct(c, a, b, m, n, k, rowA, columnA, rowB, columnB, stepC, scratch, bias)
    return
  }
  plainProduct(c, a, b, m, n, k, rowA, columnA, rowB, columnB, stepC, scratch, count)
  if (bias != 0) addRow(c, bias, m, n, stepC)
}

/** As `product`, without machine code and without bias; count: m n k. */
function plainProduct(
  c: usize, a: usize, b: usize, m: i32, n: i32, k: i32, rowA: i32, columnA: i32, rowB: i32, columnB: i32,
  stepC: i32, scratch: usize, count: i64,
): void {
  const takesBlas = hasBlas && count >= WORTH_A_CALL && m > 1 && n > 1 && (k <= DEEPEST || count > LARGE)
  const stepA = takesBlas ? leading<f32>(m, k, rowA, columnA) : 0
  const stepB = takesBlas ? leading<f32>(k, n, rowB, columnB) : 0
  if (stepA != 0 && stepB != 0)
    sgemm(i32(stepA < 0), i32(stepB < 0), m, n, k, a, abs(stepA), b, abs(stepB), c, stepC >> 2)
  else if (m <= 3 && columnA == 4 && rowB == 4)
    for (let i = 0; i < m; i++) vector(c + i * stepC, a + i * rowA, b, n, k, columnB)
  else if (n == 1 && stepC == 4 && rowB == 4 && columnA == 4) vector(c, b, a, m, k, rowA)
  else if (count <= SMALL || (m <= 8 && columnB == 4 && n >= COLUMNS_8))
    small(c, a, b, m, n, k, rowA, columnA, rowB, columnB, stepC, scratch)
  else blocked(c, a, b, m, n, k, rowA, columnA, rowB, columnB, stepC, scratch)
}

/** Products of a stack of matrices; the two innermost axes of the stack step through a and b, and c follows on. */
export function matmul(
  c: usize, a: usize, b: usize, stack1: i32, stack0: i32, a1: i32, a0: i32, b1: i32, b0: i32,
  m: i32, n: i32, k: i32, rowA: i32, columnA: i32, rowB: i32, columnB: i32, scratch: usize,
): void {
  for (let i = 0; i < stack1; i++, a += a1, b += b1) {
    for (let j = 0, x = a, y = b; j < stack0; j++, x += a0, y += b0, c += (m * n) << 2)
      product(c, x, y, m, n, k, rowA, columnA, rowB, columnB, n << 2, scratch, 0)
  }
}

/** As `product`, in float64, with rows of b in order. */
export function product_f64(
  c: usize, a: usize, b: usize, m: i32, n: i32, k: i32, rowA: i32, columnA: i32, rowB: i32, stepC: i32,
): void {
  const takesBlas = hasBlas && i64(m) * n * k >= WORTH_A_CALL && m > 1 && n > 1
  const stepA = takesBlas ? leading<f64>(m, k, rowA, columnA) : 0
  const stepB = takesBlas ? leading<f64>(k, n, rowB, 8) : 0
  if (stepA != 0 && stepB != 0)
    dgemm(i32(stepA < 0), i32(stepB < 0), m, n, k, a, abs(stepA), b, abs(stepB), c, stepC >> 3)
  else plain<f64>(c, a, b, m, n, k, rowA, columnA, rowB, stepC)
}

/** As `matmul`, in float64, with rows of b in order. */
export function matmul_f64(
  c: usize, a: usize, b: usize, stack1: i32, stack0: i32, a1: i32, a0: i32, b1: i32, b0: i32,
  m: i32, n: i32, k: i32, rowA: i32, columnA: i32, rowB: i32,
): void {
  for (let i = 0; i < stack1; i++, a += a1, b += b1) {
    for (let j = 0, x = a, y = b; j < stack0; j++, x += a0, y += b0, c += (m * n) << 3)
      product_f64(c, x, y, m, n, k, rowA, columnA, rowB, n << 3)
  }
}

/** rows of c += bias: [rows, n] + [n], rows of c being `step` bytes apart. */
function addRow(c: usize, bias: usize, rows: i32, n: i32, step: i32): void {
  for (; rows > 0; rows--, c += step) {
    let j = 0
    for (; j + 4 <= n; j += 4) v128.store(c + (j << 2), f32x4.add(v128.load(c + (j << 2)), v128.load(bias + (j << 2))))
    for (; j < n; j++) store<f32>(c + (j << 2), load<f32>(c + (j << 2)) + load<f32>(bias + (j << 2)))
  }
}
