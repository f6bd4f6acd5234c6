// Times products of OpenBLAS alone, on its own memory with its own threads, as the fastest possible products. Prints milliseconds.
//
//     node --import tsx --conditions=source bench/openblas.ts --threads 2

import { parseArgs } from 'node:util'
import koffi from 'koffi'
import type { Koffi } from '../src/tensor/cpu/foreign.ts'
import { loadWithBestCore } from '../src/tensor/cpu/openblas-core.ts'
import { median } from './peers/timing.ts'

const { values: flags } = parseArgs({ options: { threads: { type: 'string', default: '1' } } })
const names = ['libopenblas.so.0', 'libopenblas.so', 'libopenblas.dylib', 'libopenblas.dll']
const library = names
  .map(name => {
    try {
      loadWithBestCore(koffi as unknown as Koffi, name)
      return koffi.load(name)
    } catch {
      return undefined
    }
  })
  .find(found => found !== undefined)
if (!library) throw new Error(`OpenBLAS is not installed: none of ${names.join(', ')} can be loaded`)
library.func('void openblas_set_num_threads(int n)')(Number(flags.threads))
const sgemm = library.func(
  'void cblas_sgemm(int order, int transA, int transB, int m, int n, int k, float alpha, float *a, int lda, float *b, int ldb, float beta, _Out_ float *c, int ldc)',
)

function milliseconds(n: number): number {
  const [a, b, c] = Array.from({ length: 3 }, () => new Float32Array(n * n).map((_, i) => Math.sin(i)))
  const times = Array.from({ length: 40 }, () => {
    const began = performance.now()
    sgemm(101, 111, 111, n, n, n, 1, a, n, b, n, 0, c, n)
    return performance.now() - began
  })
  return median(times.slice(5))
}

console.log(JSON.stringify({ 'matmul 512': milliseconds(512), 'matmul 1024': milliseconds(1024) }))
