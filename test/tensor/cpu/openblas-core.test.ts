// OpenBLAS uses the instructions of the processor, also of one that appeared after it.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Koffi } from '../../../src/tensor/cpu/foreign.ts'
import { loadWithBestCore, strongestCore } from '../../../src/tensor/cpu/openblas-core.ts'

const avx2 = new Set(['sse2', 'avx', 'fma', 'avx2'])
const avx512 = new Set([...avx2, 'avx512f', 'avx512dq', 'avx512bw', 'avx512vl', 'avx512cd'])

test('the kernels with the most instructions are chosen', () => {
  assert.equal(strongestCore(new Set(['sse2', 'avx'])), undefined)
  assert.equal(strongestCore(new Set(['avx2'])), undefined)
  assert.equal(strongestCore(avx2), 'Haswell')
  assert.equal(strongestCore(avx512), 'SkylakeX')
  for (const name of avx512)
    if (name.startsWith('avx512'))
      assert.equal(strongestCore(new Set([...avx512].filter(each => each !== name))), 'Haswell')
})

describe('a library is loaded', () => {
  /** A loader of a library with a core that the environment variable replaces; what it did is listed. */
  function loader(core: string | undefined) {
    const done: string[] = []
    const koffi: Pick<Koffi, 'load'> = {
      load: library => {
        const used = core && (process.env.OPENBLAS_CORETYPE ?? core)
        done.push(`load ${library} ${used}`)
        return {
          func: () => {
            if (used === undefined) throw new Error('no such function')
            return () => used
          },
          unload: () => void done.push('unload'),
        }
      },
    }
    return { koffi, done }
  }
  const loads = (core: string | undefined, instructions: ReadonlySet<string>) => {
    const { koffi, done } = loader(core)
    const before = process.env.OPENBLAS_CORETYPE
    loadWithBestCore(koffi, 'blas', () => instructions)
    assert.equal(process.env.OPENBLAS_CORETYPE, before)
    return done
  }

  test('again, with better kernels, if its own are older than the processor', () => {
    assert.deepEqual(loads('Prescott', avx512), ['load blas Prescott', 'unload', 'load blas SkylakeX'])
    assert.deepEqual(loads('Nehalem', avx2), ['load blas Nehalem', 'unload', 'load blas Haswell'])
  })

  test('once, if it knows the processor, if the processor is old, and if it is not OpenBLAS', () => {
    assert.deepEqual(loads('Zen', avx512), ['load blas Zen'])
    assert.deepEqual(loads('Prescott', new Set(['sse2'])), ['load blas Prescott'])
    assert.deepEqual(loads(undefined, avx512), ['load blas undefined'])
  })

  test('once, if OPENBLAS_CORETYPE is set', () => {
    process.env.OPENBLAS_CORETYPE = 'Penryn'
    try {
      assert.deepEqual(loads('Prescott', avx512), ['load blas Penryn'])
    } finally {
      delete process.env.OPENBLAS_CORETYPE
    }
  })
})
