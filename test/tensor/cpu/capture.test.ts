// Kernels of every kind that run again from a log have the results that they had, on several threads, in the deterministic mode,
// in WebAssembly, with BLAS and in machine code, in a memory of their own that is given back.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openCpu } from '../../../src/tensor/cpu/index.ts'
import { type CpuOptions, scope, type Tensor } from '../../../src/tensor/index.ts'
import { tensors } from './results.ts'

const settings: readonly CpuOptions[] = [
  { threads: 1 },
  { threads: 2 },
  { threads: 3, blas: 'off', machineCode: 'off' },
  { threads: 2, machineCode: 'off' },
  { threads: 2, deterministic: true },
]

for (const options of settings)
  test(`kernels run again with ${JSON.stringify(options)}`, () => {
    const on = openCpu(options)
    try {
      const calls = on.capture!(() => tensors(on))
      const read = (result: unknown) =>
        (result as Tensor[]).map(x => {
          const { buffer, byteOffset, byteLength } = x.dataSync()
          return Buffer.from(buffer, byteOffset, byteLength).toString('base64')
        })
      const before = on.memory().bytes
      const right = scope(() => read(calls.call([])))
      let replays = 0
      for (let i = 0; i < 9; i++) {
        scope(() => assert.deepEqual(read(calls.call([])), right))
        if (calls.isReplay) replays++
      }
      assert.equal(calls.reason, undefined)
      assert.equal(replays, 5)
      calls.release()
      assert.equal(on.memory().bytes, before)
    } finally {
      on.close()
    }
  })
