// The BLAS functions that are called, cblas_sgemm and cblas_dgemm, or oneDNN's dnnl_sgemm, bound to a thread's view of the linear
// memory, and the detection of calls that a library refused. This file is part of every thread's program, so it imports only the error.

import { DeviceError } from '../device.ts'

/** The libraries that were found, by their names for the dynamic loader. It can be sent to a thread, which loads them again. */
export interface BlasLibraries {
  /** file of koffi, the foreign function interface */
  readonly koffi: string
  /** for products of float32 */
  readonly sgemm: string
  /** for products of float64; oneDNN has none */
  readonly dgemm?: string
}

/**
 * c = op(a) op(b), all row-major: addresses in bytes from the start of the memory, steps between rows in elements. Throws DeviceError
 * if the library refuses the call.
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
export type ProductName = 'sgemm' | 'dgemm'

/** The part of koffi that is used. */
export interface Koffi {
  load(library: string): { func(definition: string): Native; unload(): void }
  address(memory: Uint8Array): bigint
  decode(pointer: unknown, type: string, length: number): number[]
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

export const loadKoffi = (file: string): Koffi =>
  process.getBuiltinModule('node:module').createRequire(file)(file) as Koffi

/** The imports of the module: products of the libraries, and nothing in the place of those that there is no library for. */
export function bindAll(blas: BlasLibraries | undefined, memory: WebAssembly.Memory): Record<ProductName, Product> {
  const koffi = blas && loadKoffi(blas.koffi)
  const bind = (name: ProductName) => {
    const library = blas?.[name]
    return koffi && library !== undefined ? bindProduct(name, koffi, library, memory) : () => {}
  }
  return { sgemm: bind('sgemm'), dgemm: bind('dgemm') }
}

/** Throws if the library cannot be loaded or does not have the function. */
export function bindProduct(name: ProductName, koffi: Koffi, library: string, memory: WebAssembly.Memory): Product {
  const loaded = koffi.load(library)
  // a shared memory is not moved when it grows
  const base = Number(koffi.address(new Uint8Array(memory.buffer)))
  const number = name === 'sgemm' ? 'float' : 'double'
  const cblas = functionOf(
    loaded,
    `void cblas_${name}(int order, int transA, int transB, int m, int n, int k, ${number} alpha, uintptr_t a, int lda, uintptr_t b, int ldb, ${number} beta, uintptr_t c, int ldc)`,
  )
  if (typeof cblas === 'function') return productOf(name, cblas, base, memory)
  const dnnl =
    name === 'sgemm' &&
    functionOf(
      loaded,
      'int dnnl_sgemm(char transA, char transB, int64_t m, int64_t n, int64_t k, float alpha, uintptr_t a, int64_t lda, uintptr_t b, int64_t ldb, float beta, uintptr_t c, int64_t ldc)',
    )
  if (typeof dnnl !== 'function') throw cblas
  ownThread(koffi)
  return oneDnnProductOf(dnnl, base)
}

type Native = (...args: (number | bigint)[]) => unknown

/** A function of a library, or the error. */
function functionOf(loaded: ReturnType<Koffi['load']>, definition: string): Native | Error {
  try {
    return loaded.func(definition)
  } catch (error) {
    return error as Error
  }
}

/** oneDNN computes with the threads of OpenMP, whose number each thread sets for itself. */
function ownThread(koffi: Koffi): void {
  try {
    koffi.load('libgomp.so.1').func('void omp_set_num_threads(int n)')(1)
  } catch {
    // it has other threads
  }
}

const [N, T] = [78, 84]

/** A dnnl_sgemm that throws if it refuses a call. */
export function oneDnnProductOf(dnnl: Native, base: number): Product {
  return (transposesA, transposesB, m, n, k, a, stepA, b, stepB, c, stepC) => {
    const [fromA, fromB, to] = [a, b, c].map(address => base + addressOf(address))
    const status = dnnl(transposesA ? T : N, transposesB ? T : N, m, n, k, 1, fromA, stepA, fromB, stepB, 0, to, stepC)
    if (status === 0) return
    throw refused(
      `dnnl_sgemm(transA ${Boolean(transposesA)}, transB ${Boolean(transposesB)}, m ${m}, n ${n}, k ${k}, lda ${stepA}, ldb ${stepB}, ldc ${stepC}) with status ${status}`,
    )
  }
}

const refused = (call: string) =>
  new DeviceError(`cpu: BLAS refused ${call}; set COCAGRAD_BLAS=off to compute without BLAS`, 'cpu')

/**
 * A cblas_sgemm or cblas_dgemm that throws if it refuses a call. BLAS itself prints a line, returns and does not change the
 * result, so the first number of the result is marked before the call and checked afterwards. This works for every library and
 * every reason.
 * @param base the start address of the memory
 */
export function productOf(name: ProductName, cblas: Native, base: number, memory: WebAssembly.Memory): Product {
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
      throw refused(
        `cblas_${name}(order ${ROW_MAJOR}, transA ${opA}, transB ${opB}, m ${m}, n ${n}, k ${k}, lda ${stepA}, ldb ${stepB}, ldc ${stepC})`,
      )
  }
}
