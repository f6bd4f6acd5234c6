// Opening, describing and closing the gpu device, and its errors.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openEngine } from '../../../src/tensor/gpu/backends.ts'
import { map } from '../../../src/tensor/gpu/map.ts'
import { Runtime } from '../../../src/tensor/gpu/runtime.ts'
import {
  DeviceError,
  DTypeError,
  device,
  deviceOf,
  full,
  type GpuBackend,
  SyncReadError,
  tensor,
} from '../../../src/tensor/index.ts'

test('an unknown backend throws an error that lists the known ones', async () => {
  await assert.rejects(device.use('gpu', { backend: 'cuda' as GpuBackend }), (error: unknown) => {
    assert.ok(error instanceof DeviceError)
    assert.match(error.message, /no backend "cuda"; the backends are webgpu, webgl2, webasm, cpu/)
    return true
  })
})

test('WebGL 2 outside of a browser throws an error with the reason', async () => {
  await assert.rejects(device.use('gpu', { backend: 'webgl2' }), (error: unknown) => {
    assert.ok(error instanceof DeviceError)
    assert.match(error.reasons[0], /^webgl2: OffscreenCanvas is not available/)
    return true
  })
})

test('the list has a line for every backend, with its description or why it is not available', async () => {
  const lines = (await device.list()).filter(({ name }) => name === 'gpu')
  assert.deepEqual(
    lines.map(({ backend }) => backend),
    ['webgpu', 'webgl2', 'webasm', 'cpu'],
  )
  for (const { detail } of lines) assert.ok(detail.length > 10, detail)
  assert.equal(lines[1].available, false)
  assert.equal(lines[3].available, true)
})

test('without a backend, a GPU opens, or the error names everything that was tried', async t => {
  const webgpu = (await device.list()).find(({ backend }) => backend === 'webgpu')
  if (webgpu?.available) {
    await device.use('gpu')
    assert.match(device.description, /^webgpu on /)
  } else {
    await assert.rejects(device.use('gpu'), (error: unknown) => {
      assert.ok(error instanceof DeviceError)
      assert.equal(error.reasons.length, 2)
      assert.match(error.message, /webgpu: .*\n {2}webgl2: /)
      return true
    })
  }
  t.diagnostic(webgpu?.detail ?? '')
  await device.use('reference')
})

test('the description states backend and version, and float64 throws', async () => {
  await device.use('gpu', { backend: 'cpu' })
  assert.match(device.description, /^cpu: .*gpu\.js 2\.24\.1$/)
  assert.throws(() => full([2], 1, { dtype: 'float64' }), DTypeError)
  assert.throws(() => deviceOf(full([2], 1)).upload(new Float64Array(1)), DTypeError)
  await device.use('reference')
})

test('opening a device does not change the current one', async () => {
  await device.open('gpu', { backend: 'cpu' })
  assert.equal(device.current, 'reference')
  assert.equal(device.get('gpu').name, 'gpu')
  await assert.rejects(device.open('cuda' as 'gpu'), DeviceError)
})

test('tensors of every dtype are read back', async () => {
  await device.use('gpu', { backend: 'cpu' })
  const integers = tensor(Int32Array.of(-3, 0, 2 ** 24))
  assert.deepEqual(await integers.data(), Int32Array.of(-3, 0, 2 ** 24))
  assert.deepEqual(await tensor([true, false]).data(), Uint8Array.of(1, 0))
  assert.throws(() => integers.dataSync(), SyncReadError)
  await device.use('reference')
})

test('a tensor of another device throws an error that names its device', async () => {
  const x = tensor([1, 2], { device: 'reference' })
  await device.use('gpu', { backend: 'cpu' })
  assert.throws(() => device.get().kernels.unary('exp', x), /this tensor is on reference; move it with toDevice/)
  await device.use('reference')
})

test('opening another backend closes the previous one and its tensors', async () => {
  await device.use('gpu', { backend: 'cpu' })
  const old = tensor([1, 2])
  const before = device.get()
  await device.use('gpu')
  assert.equal(device.get(), before, 'the same backend stays open')
  await device.use('gpu', { backend: 'webasm' })
  assert.notEqual(device.get(), before)
  assert.throws(() => device.get().kernels.unary('exp', old), /closed when another backend was opened/)
  await assert.rejects(old.data(), /closed when another backend was opened/)
  await device.use('reference')
})

test('memory that is garbage-collected after the device closed does not throw', async () => {
  await device.use('gpu', { backend: 'cpu' })
  const x = tensor([1, 2])
  const closed = device.get()
  await device.use('gpu', { backend: 'webasm' })
  closed.free(x.storage.handle)
  await device.use('reference')
})

test('kernels are compiled once per signature, and a limited number is kept', async () => {
  const runtime = new Runtime(await openEngine(['cpu']), 3)
  const double = async (n: number) => {
    const handle = runtime.upload(Float32Array.from({ length: n }, (_, i) => i))
    const view = { handle, shape: [n], strides: [1], offset: 0 }
    const result = map(runtime, 'double', [n], [view, 2], 'x0*x1')
    const values = await runtime.read(result, 0, n)
    runtime.free(handle)
    runtime.free(result)
    return values[n - 1]
  }
  assert.equal(await double(5), 8)
  assert.equal(await double(5), 8)
  assert.equal(runtime.kernels, 1)
  for (const n of [2, 3, 4, 5, 6, 2, 5]) assert.equal(await double(n), 2 * (n - 1))
  assert.equal(runtime.kernels, 3)
  assert.deepEqual(runtime.memory(), { bytes: 0, buffers: 0 })
})
