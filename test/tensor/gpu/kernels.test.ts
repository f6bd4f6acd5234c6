// Every kernel against the reference, as JavaScript and as WebAssembly: on any machine.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openGpu } from '../../../src/tensor/gpu/index.ts'
import { scope } from '../../../src/tensor/index.ts'
import './signatures.ts'
import { checks } from './suite.ts'

for (const backend of ['cpu', 'webasm'] as const) {
  describe(`on ${backend}`, async () => {
    const gpu = await openGpu({ backend })
    for (const check of checks) test(check.name, () => scope(() => check.run(gpu, 10)))
    test('all memory was freed', () => assert.deepEqual(gpu.memory(), { bytes: 0, buffers: 0 }))
  })
}
