// device.use for a device that is open: what is asked takes effect, or is an error, and is never ignored.

import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import type { CpuDevice } from '../../../src/tensor/cpu/index.ts'
import { DeviceError, device, fromData, randn, scope, seed, tensor } from '../../../src/tensor/index.ts'
import '../../../src/autograd/index.ts'

const opened = () => device.get('cpu') as CpuDevice

describe('options of a cpu device that is open', () => {
  afterEach(() => device.use('cpu', { threads: 2 }))

  test('the number of threads changes while tensors are stored, up and down', () =>
    scope(async () => {
      await device.use('cpu', { threads: 2 })
      seed(1)
      const [x, y] = [randn([70, 300]), randn([300, 500])]
      const before = opened()
      const products: Float32Array[] = []
      for (const threads of [2, 1, 3, 2, 3]) {
        await device.use('cpu', { threads })
        assert.equal(opened().threads, threads)
        assert.match(device.description, new RegExp(`, ${threads} threads?, `))
        products.push(x.exp().matmul(y.tanh()).dataSync() as Float32Array)
      }
      assert.equal(opened(), before, 'it is the same device')
      for (const product of products)
        product.forEach((value, i) => {
          assert.ok(
            Math.abs(value - products[0][i]) <= 1e-4 * Math.max(1, Math.abs(value)),
            `${value}, ${products[0][i]}`,
          )
        })
      const exponentials = [x.exp().dataSync()]
      await device.use('cpu', { threads: 1 })
      assert.deepEqual(x.exp().dataSync(), exponentials[0])
    }))

  test('a number of threads that is no number is an error on an open device too', () =>
    assert.rejects(device.use('cpu', { threads: 0 }), /must be an integer from 1 to 256, not 0/))

  test('the others open it again while it stores nothing', async () => {
    const before = opened()
    await device.use('cpu', { blas: 'off', threads: 3 })
    assert.equal(opened().blas, null)
    await device.use('cpu', { deterministic: true })
    assert.deepEqual([opened().isDeterministic, opened().threads, opened().blas], [true, 3, null])
    const deterministic = opened()
    await device.use('cpu', { blas: 'off', deterministic: true, threads: 3 })
    assert.equal(opened(), deterministic, 'nothing else is asked, and nothing changes')
    await device.use('cpu')
    assert.equal(opened(), deterministic)
    await device.use('cpu', { deterministic: false })
    assert.notEqual(opened(), before)
    assert.equal(opened().isDeterministic, false)
    assert.deepEqual(
      scope(() => tensor([1, 2]).add(1).dataSync()),
      Float32Array.of(2, 3),
    )
  })

  test('with tensors stored, an option that needs another device is an error that names it, and changes nothing', async () => {
    await device.use('cpu', { blas: 'off', deterministic: false })
    const x = fromData(Float32Array.of(1, 2), [2])
    const before = opened()
    await assert.rejects(device.use('cpu', { deterministic: true, threads: 1 }), (error: unknown) => {
      assert.ok(error instanceof DeviceError)
      assert.match(error.message, /cpu is open with another value of deterministic, and stores 1 tensor; /)
      assert.match(error.message, /what is open: WebAssembly/)
      return true
    })
    assert.deepEqual([opened(), opened().threads], [before, 2])
    assert.deepEqual(x.dataSync(), Float32Array.of(1, 2))
    x.storage.free('the test')
    await device.use('cpu', { deterministic: true })
    assert.equal(opened().isDeterministic, true)
    await device.use('cpu', { deterministic: false })
  })
})

test('an option of another device is an error', async () => {
  for (const [name, options, message] of [
    ['cpu', { backend: 'webgl2' }, /backend is an option of gpu; cpu has nothing of the kind/],
    ['gpu', { threads: 2 }, /threads is an option of cpu; gpu has nothing of the kind/],
    ['gpu', { blas: 'off' }, /blas is an option of cpu/],
    ['reference', { deterministic: true }, /deterministic is an option of cpu; reference has/],
  ] as const)
    await assert.rejects(device.use(name, options), message)
  await device.use('reference', { threads: undefined })
  await device.use('cpu')
})
