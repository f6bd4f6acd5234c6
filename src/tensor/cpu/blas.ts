// Looking for the system's BLAS. It is called through koffi, an optional package; where either is missing, matrix
// products are the device's own, and `description` says so. A BLAS has one thread here: the device's threads call it
// side by side, each for a part of the product, so that two pools never fight over the same cores.

import { DeviceError } from '../backend.ts'
import { askNode } from '../host.ts'
import { type BlasLibrary, bindSgemm, type Koffi, loadKoffi, type Sgemm } from './sgemm.ts'

export interface Blas {
  readonly found: BlasLibrary
  /** for people: what it is and where */
  readonly name: string
  readonly sgemm: Sgemm
}

/** Names to try, the fastest first. The reference BLAS is not among them: it is slower than the device's own products. */
const libraries: Readonly<Record<string, readonly string[]>> = {
  linux: ['libopenblas.so.0', 'libopenblas.so', 'libmkl_rt.so.2', 'libmkl_rt.so', 'libblis.so.4', 'libblis.so'],
  darwin: ['/System/Library/Frameworks/Accelerate.framework/Accelerate', 'libopenblas.dylib'],
  win32: ['libopenblas.dll', 'openblas.dll', 'mkl_rt.2.dll'],
}

/** How libraries are told to use one thread, and how they are asked what they are. */
const singleThread = ['openblas_set_num_threads', 'MKL_Set_Num_Threads', 'bli_thread_set_num_threads']

function configure(koffi: Koffi, library: string): string {
  const loaded = koffi.load(library)
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
    return `${version.split(' ').slice(0, 2).join(' ')}, ${loaded.func('str openblas_get_corename()')()} (${library})`
  } catch {
    return library
  }
}

const firstLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n')[0]

/**
 * @param choice `off`, a library's name or path, or undefined for the usual ones
 * @returns the BLAS, or why there is none
 * @throws DeviceError if a library was named and cannot be used
 */
export function openBlas(choice: string | undefined, memory: WebAssembly.Memory): Blas | string {
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
  const tried: string[] = []
  for (const library of choice ? [choice] : (libraries[process.platform] ?? [])) {
    try {
      const found = { koffi: file, library }
      return { found, name: configure(koffi, library), sgemm: bindSgemm(found, memory) }
    } catch (error) {
      tried.push(firstLine(error))
    }
  }
  if (choice) throw new DeviceError(`cpu: ${choice} cannot be used as BLAS`, 'cpu', tried)
  return 'a BLAS would be faster: install OpenBLAS (Debian: libopenblas0-pthread)'
}
