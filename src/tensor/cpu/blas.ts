// The search for the system's BLAS. It is called through koffi, an optional package. Without one of the two, the device
// computes matrix products itself, and `description` says so. BLAS is limited to one thread per call: the device's
// threads call it in parallel, each for a part of the product, so that two thread pools do not compete for the cores.

import { DeviceError } from '../device.ts'
import { type Koffi, openKoffi } from './foreign.ts'
import { type BlasLibrary, bindProducts, type Products } from './gemm.ts'
import { coreOf, loadWithBestCore } from './openblas-core.ts'

export interface Blas {
  readonly found: BlasLibrary
  /** description: its name and path */
  readonly name: string
  readonly products: Products
}

/** Names to try, the fastest first. The reference BLAS is not among them: it is slower than the device's own products. */
const libraries: Readonly<Record<string, readonly string[]>> = {
  linux: ['libopenblas.so.0', 'libopenblas.so', 'libmkl_rt.so.2', 'libmkl_rt.so', 'libblis.so.4', 'libblis.so'],
  darwin: ['/System/Library/Frameworks/Accelerate.framework/Accelerate', 'libopenblas.dylib'],
  win32: ['libopenblas.dll', 'openblas.dll', 'mkl_rt.2.dll'],
}

/** The functions that set the number of threads, in each library. */
const singleThread = ['openblas_set_num_threads', 'MKL_Set_Num_Threads', 'bli_thread_set_num_threads']

/** Limits a library to one thread per call. Returns its description. */
function configure(loaded: ReturnType<Koffi['load']>, library: string): string {
  for (const name of singleThread) {
    try {
      loaded.func(`void ${name}(int n)`)(1)
      break
    } catch {
      // another library's name
    }
  }
  try {
    const version = String(loaded.func('str openblas_get_config()')())
    return `${version.split(' ').slice(0, 2).join(' ')}, ${coreOf(loaded)} (${library})`
  } catch {
    return library
  }
}

const firstLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n')[0]

/**
 * Tests a library with small products of every kind, with gaps between their rows.
 * @param memory the memory that the products are bound to; it is written to
 * @throws DeviceError if one is wrong: the library's integers may have 64 bits, or it is not a BLAS
 */
export function checkProducts(products: Products, memory: WebAssembly.Memory): void {
  for (const name of ['sgemm', 'dgemm'] as const) checkProduct(name, products, memory)
}

function checkProduct(name: keyof Products, products: Products, memory: WebAssembly.Memory): void {
  const multiply = products[name]
  const numbers = name === 'sgemm' ? new Float32Array(memory.buffer) : new Float64Array(memory.buffer)
  const bytes = numbers.BYTES_PER_ELEMENT
  const [m, k, n, step] = [2, 3, 4, 5]
  const [a, b, c] = [0, 32, 64]
  const place = (transposes: number, row: number, column: number) =>
    transposes ? column * step + row : row * step + column
  const left = (i: number, p: number) => 1 + i + 2 * p
  const right = (p: number, j: number) => 3 * j - p * p
  for (const [transposesA, transposesB] of [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ]) {
    for (let p = 0; p < k; p++) {
      for (let i = 0; i < m; i++) numbers[a + place(transposesA, i, p)] = left(i, p)
      for (let j = 0; j < n; j++) numbers[b + place(transposesB, p, j)] = right(p, j)
    }
    multiply(transposesA, transposesB, m, n, k, bytes * a, step, bytes * b, step, bytes * c, step)
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        let sum = 0
        for (let p = 0; p < k; p++) sum += left(i, p) * right(p, j)
        const found = numbers[c + place(0, i, j)]
        if (found !== sum)
          throw new DeviceError(
            `its cblas_${name} computes ${found}, but the product is ${sum}; use a BLAS with 32-bit integers (LP64)`,
            'cpu',
          )
      }
  }
}

/**
 * @param choice `off`, a library's name or path, or undefined for the usual ones
 * @returns the BLAS, or the reason why there is none
 * @throws DeviceError if a library was named and cannot be used
 */
export function openBlas(choice: string | undefined, memory: WebAssembly.Memory): Blas | string {
  if (choice === 'off') return 'BLAS is switched off'
  const foreign = openKoffi()
  if ('needs' in foreign) return `a BLAS needs ${foreign.needs}`
  if ('missing' in foreign) {
    if (choice) throw new DeviceError(`cpu: BLAS ${choice} needs the optional package koffi: ${foreign.missing}`, 'cpu')
    return `a BLAS would be faster: ${foreign.missing}`
  }
  const { file, koffi } = foreign
  const tried: string[] = []
  let refused: string | undefined
  for (const library of choice ? [choice] : (libraries[process.platform] ?? [])) {
    try {
      const found = { koffi: file, library }
      const loaded = loadWithBestCore(koffi, library)
      const apart = new WebAssembly.Memory({ initial: 1 })
      checkProducts(bindProducts(found, apart), apart)
      return { found, name: configure(loaded, library), products: bindProducts(found, memory) }
    } catch (error) {
      const reason = firstLine(error)
      if (error instanceof DeviceError) refused ??= `${library} cannot be used: ${reason}`
      tried.push(reason)
    }
  }
  if (choice) throw new DeviceError(`cpu: ${choice} cannot be used as BLAS`, 'cpu', tried)
  return refused ?? 'a BLAS would be faster: install OpenBLAS (Debian: libopenblas0-pthread)'
}
