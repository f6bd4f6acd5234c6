// Every kernel against the reference on WebGPU in Node, and features of WebGPU alone: late errors, a pool, a lost device.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DeviceError } from '../../../src/tensor/device.ts'
import { webgpuAdapter } from '../../../src/tensor/gpu/backends.ts'
import type { Compiled } from '../../../src/tensor/gpu/engine.ts'
import { loadGpuJs } from '../../../src/tensor/gpu/gpujs.ts'
import { type GpuDevice, openGpu } from '../../../src/tensor/gpu/index.ts'
import { webgpuEngine } from '../../../src/tensor/gpu/webgpu-engine.ts'
import { fromData, scope } from '../../../src/tensor/index.ts'
import { checks } from './suite.ts'
import { onBackends } from './swiftshader.ts'

await onBackends(import.meta.url, { webgpu: 6 }, (backend, runs) => {
  describe('on webgpu', async () => {
    const gpu = await openGpu({ backend })
    for (const check of checks) test(check.name, () => scope(() => check.run(gpu, runs)))
    test('all memory was freed', () => assert.deepEqual(gpu.memory(), { bytes: 0, buffers: 0 }))
  })

  const numbers = (gpu: GpuDevice, n: number) =>
    fromData(
      Float32Array.from({ length: n }, (_, i) => i),
      [n],
      gpu,
    )

  test('a read that is not awaited gives the results computed before it', async () => {
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

  /** The engine on a device that the test can reach. */
  async function engineOn(change: (device: GPUDevice) => void = () => undefined) {
    const adapter = await webgpuAdapter()
    const device = await adapter.requestDevice()
    change(device)
    return { device, engine: webgpuEngine(await loadGpuJs(), adapter, device, 'webgpu for a test') }
  }

  const program = { label: 'test of [4]', length: 4, arrays: 1, floats: 0, integers: 0, width: 1 } as const
  const isDeviceError = (pattern: RegExp) => (error: unknown) =>
    error instanceof DeviceError && pattern.test(error.message)

  test('a result that is too large throws at once, with operation and shape', async () => {
    const gpu = await openGpu({ backend: 'webgpu' })
    const x = numbers(gpu, 8)
    assert.throws(
      () => gpu.kernels.copy(x.view([2 ** 16, 2 ** 15], [0, 0])),
      isDeviceError(/copy of \[65536, 32768\] failed\n.*per storage buffer/),
    )
    assert.deepEqual(Array.from(await x.data()), [0, 1, 2, 3, 4, 5, 6, 7])
    assert.equal(gpu.hasFailed, false)
    gpu.close()
  })

  test('reading throws if the device rejected a shader', async () => {
    const { engine } = await engineOn()
    // GPU.js names the counter as a float here, and WGSL refuses to add to it
    const source = 'function(a0){ let s=0.0; for(let i=this.thread.x;i<4;i++){ s=s+a0[i]; } return s; }'
    const result = engine.compile({ ...program, source }).run([engine.upload(new Float32Array(4))], program)
    await assert.rejects(engine.read(result, 0, 4), isDeviceError(/the shader of test of \[4\] was refused/))
    assert.ok(engine.hasFailed())
    await assert.rejects(engine.read(result, 0, 4), DeviceError)
    engine.close()
  })

  test('reading throws if the device refused memory', async () => {
    const { engine } = await engineOn(device => {
      const create = device.createBuffer.bind(device)
      device.createBuffer = descriptor =>
        create(descriptor.usage === 0x8c && descriptor.size > 4096 ? { ...descriptor, size: 2 ** 45 } : descriptor)
    })
    const source = 'function(a0){ return a0[this.thread.x]; }'
    const small = engine.upload(new Float32Array(4))
    assert.equal((await engine.read(small, 0, 4)).length, 4)
    const result = engine.compile({ ...program, length: 5000, source }).run([small], { ...program, length: 5000 })
    await assert.rejects(engine.read(result, 0, 4), DeviceError)
    engine.close()
  })

  test('computing and reading on a lost device throw', async () => {
    const { device, engine } = await engineOn()
    const x = engine.upload(new Float32Array(4))
    const kernel = engine.compile({ ...program, source: 'function(a0){ return a0[this.thread.x]; }' })
    kernel.run([x], program)
    device.destroy()
    await device.lost
    assert.throws(() => kernel.run([x], program), /lost/)
    await assert.rejects(engine.read(x, 0, 4), isDeviceError(/lost/))
  })

  test('many operations without an await reuse a few buffers', async () => {
    let created = 0
    const { engine } = await engineOn(device => {
      const create = device.createBuffer.bind(device)
      device.createBuffer = descriptor => {
        if (descriptor.usage & 0x80) created++
        return create(descriptor)
      }
    })
    const kernel = engine.compile({ ...program, length: 1024, source: 'function(a0){ return a0[this.thread.x]+1.0; }' })
    let x = engine.upload(new Float32Array(1024))
    for (let i = 0; i < 3000; i++) {
      const next = kernel.run([x], { ...program, length: 1024 })
      engine.free(x)
      x = next
    }
    assert.equal((await engine.read(x, 1023, 1))[0], 3000)
    assert.ok(created <= 4, `${created} buffers`)
    engine.close()
  })

  test('an upload does not overtake a call that reads what its buffer had', async () => {
    const { engine } = await engineOn()
    const twice = engine.compile({ ...program, source: 'function(a0){ return 2.0*a0[this.thread.x]; }' })
    for (const _ of ['while the kernel compiles', 'later']) {
      const results: object[] = []
      for (let i = 0; i < 5; i++) {
        const x = engine.upload(Float32Array.of(i, i, i, i))
        results.push(twice.run([x], program))
        // the next upload takes this buffer
        engine.free(x)
      }
      for (const [i, result] of results.entries())
        assert.deepEqual(Array.from(await engine.read(result, 0, 4)), [2 * i, 2 * i, 2 * i, 2 * i])
    }
    engine.close()
  })

  test('a buffer that is destroyed is used by the calls before it', async () => {
    let destroyed = 0
    const { engine } = await engineOn(device => {
      const create = device.createBuffer.bind(device)
      device.createBuffer = descriptor => {
        const buffer = create(descriptor)
        const destroy = buffer.destroy.bind(buffer)
        buffer.destroy = () => {
          destroyed++
          destroy()
        }
        return buffer
      }
    })
    const kernels = new Map<number, Compiled>()
    const copy = (length: number) => {
      const source = 'function(a0){ return a0[this.thread.x]; }'
      const kernel = kernels.get(length) ?? engine.compile({ ...program, length, source })
      kernels.set(length, kernel)
      return kernel
    }
    const x = engine.upload(Float32Array.of(1, 2, 3, 4))
    for (const when of ['while kernels compile', 'later']) {
      destroyed = 0
      const results: object[] = []
      // buffers of many sizes: the pool destroys the first ones
      for (let length = 60_000; length > 10_000; length = Math.floor(0.85 * length)) {
        const large = copy(length).run([x], { label: 'copy', length })
        results.push(copy(4).run([large], program))
        engine.free(large)
      }
      for (const result of results) assert.deepEqual(Array.from(await engine.read(result, 0, 4)), [1, 2, 3, 4])
      assert.ok(destroyed > results.length, `${destroyed} buffers ${when}, and one for each read`)
    }
    assert.equal(engine.hasFailed(), false)
    engine.close()
  })

  test('calls are submitted when a task ends, though nothing is read', async () => {
    let submits = 0
    const { engine } = await engineOn(device => {
      const submit = device.queue.submit.bind(device.queue)
      device.queue.submit = commands => {
        submits++
        submit(commands)
      }
    })
    const kernel = engine.compile({ ...program, source: 'function(a0){ return a0[this.thread.x]; }' })
    const x = engine.upload(new Float32Array(4))
    await engine.read(kernel.run([x], program), 0, 4) // compiles it
    submits = 0
    kernel.run([x], program)
    assert.equal(submits, 0)
    await Promise.resolve()
    assert.equal(submits, 1)
    engine.close()
  })

  test('tensors of a closed device throw', async () => {
    const gpu = await openGpu({ backend: 'webgpu' })
    const x = numbers(gpu, 8)
    gpu.close()
    assert.throws(() => gpu.kernels.unary('exp', x), DeviceError)
    await assert.rejects(x.data(), DeviceError)
  })
})
