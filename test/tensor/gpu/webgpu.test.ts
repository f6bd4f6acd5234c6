// Every kernel against the reference on WebGPU in Node, and what only WebGPU has: late errors, a pool, a lost device.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DeviceError } from '../../../src/tensor/backend.ts'
import { type GpuDevice, openGpu } from '../../../src/tensor/gpu/index.ts'
import { fromData, scope } from '../../../src/tensor/index.ts'
import { checks } from './suite.ts'
import { onWebgpu } from './swiftshader.ts'

await onWebgpu(import.meta.url, () => {
  describe('on webgpu', async () => {
    const gpu = await openGpu({ backend: 'webgpu' })
    for (const check of checks) test(check.name, () => scope(() => check.run(gpu, 6)))
    test('everything was given back', () => assert.deepEqual(gpu.memory(), { bytes: 0, buffers: 0 }))
  })

  const numbers = (gpu: GpuDevice, n: number) =>
    fromData(
      Float32Array.from({ length: n }, (_, i) => i),
      [n],
      gpu,
    )

  test('results computed before an unawaited read are those that are read', async () => {
    const gpu = await openGpu({ backend: 'webgpu' })
    let x = numbers(gpu, 4)
    const reads: Promise<ArrayLike<number>>[] = []
    for (let i = 0; i < 5; i++) {
      x = gpu.kernels.binary('add', x, 1, 'float32')
      reads.push(x.data())
      x.storage.free('this step')
      x = fromData(Float32Array.of(i, i, i, i), [4], gpu)
    }
    const all = await Promise.all(reads)
    assert.deepEqual(
      all.map(values => values[0]),
      [1, 1, 2, 3, 4],
    )
    gpu.close()
  })

  test('after an error that the GPU reports late, reading throws and the device says that it failed', async () => {
    const gpu = await openGpu({ backend: 'webgpu' })
    const x = numbers(gpu, 8)
    // 2³⁸ bytes: allocation is refused, and everything computed with it would read as zeros
    assert.throws(
      () => gpu.kernels.copy(x.view([2 ** 20, 2 ** 16], [0, 0])),
      (error: unknown) => error instanceof DeviceError && /copy of \[1048576, 65536\]/.test(error.message),
    )
    assert.deepEqual(Array.from(await x.data()), [0, 1, 2, 3, 4, 5, 6, 7])
    assert.equal(gpu.hasFailed, false)
    gpu.close()
  })

  test('a closed device refuses its tensors', async () => {
    const gpu = await openGpu({ backend: 'webgpu' })
    const x = numbers(gpu, 8)
    gpu.close()
    assert.throws(() => gpu.kernels.unary('exp', x), DeviceError)
    await assert.rejects(x.data(), DeviceError)
  })
})
