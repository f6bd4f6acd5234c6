// The cpu device with 64-bit addresses: every kernel computes with addresses above 4 GiB what it computes below.

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { hasWideMemory } from '../../../src/tensor/cpu/memory.ts'
import { device, OutOfMemoryError, scope, zeros } from '../../../src/tensor/index.ts'
import { isAgain, runAgain } from '../../again.ts'
import '../../support.ts'
import { elements, manyScores, products } from '../switches/index.ts'

const missing = hasWideMemory() ? false : 'this engine has no memory with 64-bit addresses: Node has it since 24'

const settings = {
  'on two threads, without BLAS': { COCAGRAD_THREADS: '2', COCAGRAD_BLAS: 'off' },
  'on two threads, as it comes': { COCAGRAD_THREADS: '2' },
}

describe('with 64-bit addresses', { skip: missing, concurrency: 1 }, () => {
  if (!isAgain) {
    for (const [name, environment] of Object.entries(settings)) test(name, () => runAgain(import.meta.url, environment))
    return
  }
  before(() => import('./high.ts'))

  test('tensors have addresses above 4 GiB', () => {
    const { handle } = zeros([10], { device: 'cpu' }).storage
    assert.ok((handle as { pointer: number }).pointer > 2 ** 32)
    assert.ok((device.get('cpu').memoryLimit ?? 0) > 2 ** 32)
    assert.match(device.get('cpu').description, /up to (16|8) GiB/)
  })

  test('a tensor that kernels cannot address is refused', () => {
    assert.throws(
      () => zeros([2 ** 29], { device: 'cpu' }),
      (error: unknown) => {
        assert.ok(error instanceof OutOfMemoryError, String(error))
        assert.match(error.message, /no memory for 2,048 MiB.*One tensor holds less than 2,048 MiB/)
        return true
      },
    )
  })

  // BLAS makes products and nothing else. The same kernels run in every layout with 32-bit addresses
  const isOwn = process.env.COCAGRAD_BLAS === 'off'
  const checks = isOwn ? [...products, ...elements, ...manyScores] : products
  const part = { index: isOwn ? 0 : 1, of: 4 }
  for (const { name, run } of checks)
    test(name, () => scope(() => run(device.get('cpu'), Number.POSITIVE_INFINITY, part)))
})

describe('memory64', () => {
  test('is refused where the engine does not have it', { skip: missing ? false : 'this engine has it' }, () =>
    assert.rejects(device.use('cpu', { memory64: true }), /Node has it since 24/),
  )
  test('is refused on a device that stores tensors with 32-bit addresses, and opens it again when they are free', {
    skip: missing || (isAgain && 'the device of this process has 64-bit addresses'),
  }, async () => {
    const x = zeros([1], { device: 'cpu' })
    await device.use('cpu')
    assert.match(device.get('cpu').description, /up to 4 GiB/)
    await assert.rejects(
      device.use('cpu', { memory64: true }),
      /open with another value of memory64, and stores 1 tensor; .*what is open: .* up to 4 GiB/s,
    )
    assert.match(device.get('cpu').description, /up to 4 GiB/)
    x.storage.free('the test')
    await device.use('cpu', { memory64: true })
    assert.match(device.get('cpu').description, /up to 16 GiB/)
    await device.use('cpu', { memory64: false })
    await device.use('reference')
  })
  test('must be yes or no', () =>
    assert.rejects(device.use('cpu', { memory64: 'yes' as unknown as boolean }), /memory64 must be true or false/))
})
