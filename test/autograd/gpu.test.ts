// Compares the gpu device with the reference for everything that has a record: its kernels as JavaScript, as WebAssembly and on
// WebGPU.

import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { device, type GpuBackend, scope } from '../../src/tensor/index.ts'
import '../support.ts'
import { onBackends } from '../tensor/gpu/swiftshader.ts'
import { agreements } from './agreement.ts'

const declare = (backend: GpuBackend, runs: number) =>
  describe(`on ${backend}`, () => {
    before(() => device.open('gpu', { backend }))
    for (const { name, run } of agreements) it(name, () => scope(() => run(device.get('gpu'), runs)))
    it('all memory was freed', () => assert.deepEqual(device.get('gpu').memory(), { bytes: 0, buffers: 0 }))
  })

await onBackends(import.meta.url, { cpu: 10, webasm: 5, webgpu: 2 }, declare)
