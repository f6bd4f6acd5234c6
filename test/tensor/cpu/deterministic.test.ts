// The deterministic mode of the cpu device: results are equal to the bit for any number of threads, and so is a training.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type CpuDevice, openCpu } from '../../../src/tensor/cpu/index.ts'
import { type CpuOptions, DeviceError } from '../../../src/tensor/index.ts'
import { results } from './results.ts'

const opened: CpuDevice[] = []
const open = (options: CpuOptions): CpuDevice => {
  opened.push(openCpu(options))
  return opened[opened.length - 1]
}
after(() => {
  for (const each of opened) each.close()
})

const bytes = (x: Float32Array): Buffer => Buffer.from(x.buffer, x.byteOffset, x.byteLength)

describe('in the deterministic mode', () => {
  const alone = results(open({ threads: 1, deterministic: true }))
  for (const threads of [2, 3, 5, 20])
    test(`every kernel gives the same bits on ${threads} threads as on one`, () => {
      results(open({ threads, deterministic: true })).forEach((values, i) => {
        assert.ok(bytes(values).equals(bytes(alone[i])), `result ${i} differs`)
      })
    })

  test('results equal those of the other mode up to rounding', () => {
    results(open({ threads: 1, blas: 'off' })).forEach((values, i) => {
      const scale = values.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-30)
      values.forEach((x, j) => {
        assert.ok(Math.abs(x - alone[i][j]) <= 4e-6 * scale, `result ${i}: [${j}] is ${alone[i][j]}, else ${x}`)
      })
    })
  })

  test('the device says so, and uses neither machine code, nor BLAS, nor instructions that round differently from machine to machine', () => {
    const { isDeterministic, machineCode, blas, instructions, description } = open({ threads: 2, deterministic: true })
    assert.deepEqual([isDeterministic, machineCode, blas, instructions], [true, null, null, 'SIMD'])
    assert.match(
      description,
      /SIMD \(machine code is switched off\), 2 threads, deterministic, up to \d+ GiB, matrix products of its own/,
    )
    assert.equal(open({ threads: 1, deterministic: false }).isDeterministic, false)
  })
})

const run = (env: Record<string, string>) =>
  spawnSync(process.execPath, ['--conditions=source', '--import', 'tsx', 'test/tensor/cpu/training.ts'], {
    cwd: fileURLToPath(new URL('../../..', import.meta.url)),
    env: { ...process.env, ...env },
    encoding: 'utf8',
  })

test('a training gives the same bits on 1, 2 and 3 threads', () => {
  const hashes = [1, 2, 3].map(n => run({ COCAGRAD_DETERMINISTIC: '1', COCAGRAD_THREADS: `${n}` }).stdout)
  assert.match(hashes[0], /^[0-9a-f]{64}\n$/)
  assert.deepEqual(hashes, new Array(3).fill(hashes[0]))
})

describe('what contradicts it is an error', () => {
  test('a BLAS', () => {
    assert.throws(
      () => openCpu({ threads: 1, deterministic: true, blas: 'libopenblas.so.0' }),
      (error: unknown) =>
        error instanceof DeviceError && /not possible with a BLAS, but 'libopenblas\.so\.0'/.test(error.message),
    )
    assert.equal(open({ threads: 1, deterministic: true, blas: 'off' }).blas, null)
  })

  test('a value that is neither yes nor no', () => {
    const { stderr } = run({ COCAGRAD_DETERMINISTIC: 'perhaps', COCAGRAD_THREADS: '1' })
    assert.match(stderr, /COCAGRAD_DETERMINISTIC: 1 or 0\), not 'perhaps'/)
    assert.throws(() => openCpu({ deterministic: 'yes' as unknown as boolean }), /deterministic must be true or false/)
  })
})
