// The search for libraries that compute matrix products: a BLAS, or oneDNN. They are called through koffi, an optional package. Without
// one of the two, the device computes matrix products itself, and `description` says so. A library is limited to one thread per call:
// the device's threads call it in parallel, each for a part of the product, so that two thread pools do not compete for the cores.

import { DeviceError } from '../device.ts'
import { askNode } from '../host.ts'
import { type BlasLibraries, bindProduct, type Koffi, loadKoffi, type Product, type ProductName } from './gemm.ts'
import { coreOf, loadWithBestCore } from './openblas-core.ts'
import { processor } from './processor.ts'

export interface Blas {
  readonly libraries: BlasLibraries
  /** description: names and paths */
  readonly name: string
}

/** Names to try, the fastest first. The reference BLAS is not among them: it is slower than the device's own products. */
const libraries: Readonly<Record<string, readonly string[]>> = {
  linux: ['libopenblas.so.0', 'libopenblas.so', 'libmkl_rt.so.2', 'libmkl_rt.so', 'libblis.so.4', 'libblis.so'],
  darwin: ['/System/Library/Frameworks/Accelerate.framework/Accelerate', 'libopenblas.dylib'],
  win32: ['libopenblas.dll', 'openblas.dll', 'mkl_rt.2.dll'],
}

/** On processors of Intel, oneDNN's products of float32 take 85 % of the time of OpenBLAS's; elsewhere this was not measured. */
const forIntel = ['libmkl_rt.so.2', 'libmkl_rt.so', 'libdnnl.so.3', 'libdnnl.so.2']

const usual = (): readonly string[] => {
  const names = libraries[process.platform] ?? []
  return process.platform === 'linux' && processor().vendor === 'GenuineIntel' ? [...forIntel, ...names] : names
}

/** The functions that set the number of threads, in each library. */
const singleThread = ['openblas_set_num_threads', 'MKL_Set_Num_Threads', 'bli_thread_set_num_threads']

/** Limits a library to one thread per call. Returns its description. */
function configure(koffi: Koffi, loaded: ReturnType<Koffi['load']>, library: string): string {
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
    // another library's name
  }
  try {
    const version = koffi.decode(loaded.func('void *dnnl_version()')(), 'int', 3)
    return `oneDNN ${version.join('.')} (${library})`
  } catch {
    return library
  }
}

const firstLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n')[0]

/**
 * Tests a library with small products of every kind, with gaps between their rows.
 * @param memory the memory that the product is bound to; it is written to
 * @throws DeviceError if one is wrong: the library's integers may have 64 bits, or it is not a BLAS
 */
export function checkProduct(name: ProductName, multiply: Product, memory: WebAssembly.Memory): void {
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
 * @returns the libraries, or the reason why there is none
 * @throws DeviceError if a library was named and cannot be used
 */
export function openBlas(choice: string | undefined): Blas | string {
  if (choice === 'off') return 'BLAS is switched off'
  const modules = askNode(node => node.getBuiltinModule('node:module'))
  if (!modules) return 'a BLAS needs Node 20.16 or later'
  let file = ''
  let koffi: Koffi
  try {
    file = modules.createRequire(import.meta.url).resolve('koffi')
    koffi = loadKoffi(file)
  } catch (error) {
    const missing = file ? `koffi does not load (${firstLine(error)})` : 'npm install koffi'
    if (choice) throw new DeviceError(`cpu: BLAS ${choice} needs the optional package koffi: ${missing}`, 'cpu')
    return `a BLAS would be faster: ${missing}`
  }
  const reasons: string[] = []
  let refused: string | undefined
  /** The first of some libraries that computes a product. */
  const first = (name: ProductName, candidates: readonly string[]) => {
    for (const library of candidates) {
      try {
        const loaded = loadWithBestCore(koffi, library)
        const apart = new WebAssembly.Memory({ initial: 1 })
        checkProduct(name, bindProduct(name, koffi, library, apart), apart)
        return { library, name: configure(koffi, loaded, library) }
      } catch (error) {
        const reason = firstLine(error)
        if (error instanceof DeviceError) refused ??= `${library} cannot be used: ${reason}`
        reasons.push(reason)
      }
    }
    return undefined
  }
  const single = first('sgemm', choice ? [choice] : usual())
  if (!single) {
    if (choice) throw new DeviceError(`cpu: ${choice} cannot be used as BLAS`, 'cpu', reasons)
    return refused ?? 'a BLAS would be faster: install OpenBLAS (Debian: libopenblas0-pthread)'
  }
  const double = first('dgemm', [single.library, ...usual().filter(name => name !== single.library)])
  return {
    libraries: { koffi: file, sgemm: single.library, dgemm: double?.library },
    name: double && double.library !== single.library ? `${single.name}, in float64 ${double.name}` : single.name,
  }
}
