// Every kernel of the cpu device against the reference, over the same random shapes, strides and broadcasts as the gpu.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openCpu } from '../../../src/tensor/cpu/index.ts'
import { scope } from '../../../src/tensor/index.ts'
import { checks } from '../gpu/suite.ts'

describe('on cpu', async () => {
  const cpu = await openCpu()
  for (const check of checks) test(check.name, () => scope(() => check.run(cpu, 30)))
  test('everything was given back', () => assert.deepEqual(cpu.memory(), { bytes: 0, buffers: 0 }))
})
