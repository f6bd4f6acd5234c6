// A BLAS computes a product or throws: a library that rejects a call or gives wrong results is never used.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { checkProducts } from '../../../src/tensor/cpu/blas.ts'
import { type Product, type Products, productOf } from '../../../src/tensor/cpu/gemm.ts'
import { DeviceError } from '../../../src/tensor/index.ts'
import { fc } from '../../support.ts'

const arrays = { sgemm: Float32Array, dgemm: Float64Array }
const names = ['sgemm', 'dgemm'] as const

/** cblas_sgemm or cblas_dgemm as its documentation has it, with faults put in by changing what it is called with. */
const cblas =
  (name: keyof Products, memory: WebAssembly.Memory, change: (call: number[]) => number[] = call => call) =>
  (...call: (number | bigint)[]) => {
    const [, opA, opB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc] = change(call.map(Number))
    const numbers = new arrays[name](memory.buffer)
    const at = (start: number, op: number, step: number, row: number, column: number) =>
      start / numbers.BYTES_PER_ELEMENT + (op === 111 ? row * step + column : column * step + row)
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        let sum = 0
        for (let p = 0; p < k; p++) sum += numbers[at(a, opA, lda, i, p)] * numbers[at(b, opB, ldb, p, j)]
        const to = at(c, 111, ldc, i, j)
        numbers[to] = alpha * sum + (beta === 0 ? 0 : beta * numbers[to])
      }
  }

const fresh = () => new WebAssembly.Memory({ initial: 1, maximum: 4 })

describe('a call that BLAS rejects', () => {
  const refuses = (multiply: Product) =>
    assert.throws(
      () => multiply(0, 1, 160, 150, 1, 0, 1, 1024, 2, 65_536, 151),
      (error: unknown) => {
        assert.ok(error instanceof DeviceError, String(error))
        assert.match(error.message, /transA 111, transB 112, m 160, n 150, k 1, lda 1, ldb 2, ldc 151/)
        assert.match(error.message, /COCAGRAD_BLAS=off/)
        return true
      },
    )

  for (const name of names) {
    test(`throws an error with the arguments of the call and advice: ${name}`, () => {
      const memory = fresh()
      const multiply = productOf(name, () => {}, 0, memory)
      // also if the result is in memory that was added later
      memory.grow(2)
      refuses(multiply)
      refuses(multiply)
    })

    test(`is distinguished from every possible result: ${name}`, () => {
      fc.assert(
        fc.property(name === 'sgemm' ? fc.float() : fc.double(), result => {
          const memory = fresh()
          const multiply = productOf(name, () => new arrays[name](memory.buffer).fill(result, 4, 5), 0, memory)
          multiply(0, 0, 1, 1, 1, 0, 1, 4, 1, 4 * arrays[name].BYTES_PER_ELEMENT, 1)
        }),
        { examples: [[Number.NaN], [Number.POSITIVE_INFINITY], [0]] },
      )
    })
  }

  test('throws with the library of this machine', () => {
    // BLAS prints what it thinks of the call, so it has a process of its own
    const program = `
      import { openBlas } from './src/tensor/cpu/blas.ts'
      const blas = openBlas(undefined, new WebAssembly.Memory({ initial: 1 }))
      if (typeof blas === 'string') console.log(blas)
      else for (const name of ['sgemm', 'dgemm'])
        try { blas.products[name](0, 0, 2, 3, 2, 0, 2, 64, 1, 128, 3) } catch (error) { console.log(error.name, error.message) }`
    const args = ['--conditions=source', '--import', 'tsx', '--input-type=module', '-e', program]
    const cwd = fileURLToPath(new URL('../../..', import.meta.url))
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8' })
    // some libraries end the process themselves
    const isNoticed =
      status !== 0 || /cblas_sgemm.* ldb 1, [\s\S]*cblas_dgemm.* ldb 1, |a BLAS would be faster/.test(stdout)
    assert.ok(isNoticed, `${stdout}${stderr}`)
  })
})

describe('a library', () => {
  /** with the fault in one of the two functions */
  const checked = (wrongOne: keyof Products, change?: (call: number[]) => number[]) => () => {
    const memory = fresh()
    const bound = (name: keyof Products) =>
      productOf(name, cblas(name, memory, name === wrongOne ? change : undefined), 0, memory)
    checkProducts({ sgemm: bound('sgemm'), dgemm: bound('dgemm') }, memory)
  }

  test('that computes products is accepted', checked('sgemm'))

  const wrong: Record<string, (call: number[]) => number[]> = {
    'looks for its integers in other places': call => call.with(3, call[4]).with(4, call[5]).with(5, call[8]),
    'does not transpose the first factor': call => call.with(1, 111),
    'does not transpose the second factor': call => call.with(2, 111),
    'takes columns for rows': call => call.with(1, call[2]).with(2, call[1]),
    'knows no gaps between rows': call => call.with(8, call[1] === 111 ? call[5] : call[3]),
    'adds to the result': call => call.with(11, 1),
    'computes nothing': call => call.with(3, 0),
  }
  for (const [name, change] of Object.entries(wrong))
    for (const wrongOne of names)
      test(`that ${name} in ${wrongOne} is rejected`, () => assert.throws(checked(wrongOne, change), DeviceError))
})
