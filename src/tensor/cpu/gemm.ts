// cblas_sgemm and cblas_dgemm, the BLAS functions that are called, bound to a thread's view of the linear memory, and the
// detection of calls that BLAS refused. This file is part of every thread's program, so it imports only the error.

import { DeviceError } from '../device.ts'
import { loadKoffi } from './foreign.ts'

/** A BLAS that was found. It can be sent to a thread, which loads the library again. */
export interface BlasLibrary {
  /** file of koffi, the foreign function interface */
  readonly koffi: string
  /** the name of the library for the dynamic loader */
  readonly library: string
}

/**
 * c = op(a) op(b), all row-major: addresses in bytes from the start of the memory, steps between rows in elements. Throws DeviceError
 * if BLAS refuses the call.
 */
export type Product = (
  transposesA: number,
  transposesB: number,
  m: number,
  n: number,
  k: number,
  a: number,
  stepA: number,
  b: number,
  stepB: number,
  c: number,
  stepC: number,
) => void

/** The product of matrices of float32, and of float64. */
export interface Products {
  readonly sgemm: Product
  readonly dgemm: Product
}

const ROW_MAJOR = 101
const [PLAIN, TRANSPOSED] = [111, 112]

/**
 * The bits of a signalling NaN, as float32 and as the upper half of a float64. Arithmetic produces only quiet NaNs, so no product
 * has these bits.
 */
const UNWRITTEN = 0x7fa00000
const UNWRITTEN_UPPER = 0x7ff40000

/** An address from a kernel: 32-bit ones above 2 GiB come as negative integers. */
export const addressOf = (value: number): number => (value < 0 ? value + 2 ** 32 : value)

/** Throws if the library cannot be loaded or does not have both functions. */
export function bindProducts({ koffi: file, library }: BlasLibrary, memory: WebAssembly.Memory): Products {
  const koffi = loadKoffi(file)
  const loaded = koffi.load(library)
  // a shared memory is not moved when it grows
  const base = Number(koffi.address(new Uint8Array(memory.buffer)))
  const bind = (name: keyof Products, number: 'float' | 'double') =>
    productOf(
      name,
      loaded.func(
        `void cblas_${name}(int order, int transA, int transB, int m, int n, int k, ${number} alpha, uintptr_t a, int lda, uintptr_t b, int ldb, ${number} beta, uintptr_t c, int ldc)`,
      ),
      base,
      memory,
    )
  return { sgemm: bind('sgemm', 'float'), dgemm: bind('dgemm', 'double') }
}

/**
 * A cblas_sgemm or cblas_dgemm that throws if it refuses a call. BLAS itself prints a line, returns and does not change the
 * result, so the first number of the result is marked before the call and checked afterwards. This works for every library and
 * every reason.
 * @param base the start address of the memory
 */
export function productOf(
  name: keyof Products,
  cblas: (...args: (number | bigint)[]) => unknown,
  base: number,
  memory: WebAssembly.Memory,
): Product {
  let words = new Int32Array(memory.buffer)
  const [mark, after] = name === 'sgemm' ? [UNWRITTEN, 0] : [UNWRITTEN_UPPER, 1]
  return (transposesA, transposesB, m, n, k, a, stepA, b, stepB, c, stepC) => {
    const [opA, opB] = [transposesA ? TRANSPOSED : PLAIN, transposesB ? TRANSPOSED : PLAIN]
    const [fromA, fromB, to] = [a, b, c].map(address => base + addressOf(address))
    const first = addressOf(c) / 4 + after
    // the memory has grown
    if (first >= words.length) words = new Int32Array(memory.buffer)
    words[first] = mark
    cblas(ROW_MAJOR, opA, opB, m, n, k, 1, fromA, stepA, fromB, stepB, 0, to, stepC)
    if (words[first] === mark)
      throw new DeviceError(
        `cpu: BLAS refused cblas_${name}(order ${ROW_MAJOR}, transA ${opA}, transB ${opB}, m ${m}, n ${n}, k ${k}, lda ${stepA}, ` +
          `ldb ${stepB}, ldc ${stepC}); set COCAGRAD_BLAS=off to compute without BLAS`,
        'cpu',
      )
  }
}
