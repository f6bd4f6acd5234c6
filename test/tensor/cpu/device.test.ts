// The public behaviour of the cpu device: selection by name, synchronous reads, errors for unsupported tensors.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import '../../../src/autograd/index.ts'
import { add, matmul } from '../../../src/autograd/ops/index.ts'
import { openCpu } from '../../../src/tensor/cpu/index.ts'
import {
  DeviceError,
  device,
  deviceOf,
  fromData,
  IndexError,
  randn,
  scope,
  tensor,
  toDevice,
} from '../../../src/tensor/index.ts'

await device.use('cpu')

describe('the cpu device', () => {
  test('is selected by name and describes itself', async () => {
    assert.equal(device.current, 'cpu')
    assert.match(
      device.description,
      /^WebAssembly with (relaxed )?SIMD( \(.+\)|, machine code with AVX(2|-512)), \d+ threads?, up to \d+ GiB, matrix products (of float64 )?(of its own|by) /,
    )
    const line = (await device.list()).find(({ name }) => name === 'cpu')
    assert.deepEqual(line, { name: 'cpu', available: true, detail: device.description })
  })

  test('is one device, even if it is opened several times', async () => {
    const before = device.get('cpu')
    await Promise.all([device.use('cpu'), device.use('cpu')])
    assert.equal(device.get('cpu'), before)
  })

  test('computes and reads synchronously', () => {
    scope(() => {
      const x = tensor([
        [1, 2],
        [3, 4],
      ])
      assert.equal(x.device, 'cpu')
      assert.deepEqual([...matmul(x, add(x, 1)).dataSync()], [10, 13, 22, 29])
      assert.deepEqual([...x.view([2, 2], [1, 2]).dataSync()], [1, 3, 2, 4])
      assert.equal(`${tensor([true, false])}`, 'Tensor [2] bool on cpu: [ true, false]')
    })
  })

  test('has float64, which is not rounded to float32', () => {
    const x = tensor([0.1, 1e300], { dtype: 'float64' })
    assert.deepEqual([x.device, x.dtype], ['cpu', 'float64'])
    assert.deepEqual([...x.dataSync()], [0.1, 1e300])
    assert.deepEqual([...x.mul(x.cast('float32')).dataSync()], [0.1 * Math.fround(0.1), Infinity])
    assert.deepEqual([...x.cast('int32').dataSync()], [0, 1e300 | 0])
  })

  test('casts large float64 to int32 modulo 2³²', () => {
    const numbers = [2 ** 31, 2 ** 32 + 5, -(2 ** 40) - 7, 2 ** 53 + 2, 2 ** 63, 1.5e19, -1e25, Infinity, NaN]
    assert.deepEqual(
      [...tensor(numbers, { dtype: 'float64' }).cast('int32').dataSync()],
      numbers.map(x => x | 0),
    )
  })

  test('throws for a tensor of another device', async () => {
    const other = openCpu()
    const x = tensor([1, 2])
    assert.throws(() => other.kernels.unary('exp', x), DeviceError)
    assert.throws(
      () =>
        other.kernels.unary(
          'exp',
          device.with('reference', () => tensor([1])),
        ),
      /this tensor is on reference/,
    )
    assert.deepEqual(other.memory(), { bytes: 0, buffers: 0 })
  })

  test('the error for an index out of range names it, and no memory leaks', () => {
    scope(() => {
      const x = tensor([1, 2, 3])
      const before = deviceOf(x).memory()
      for (const index of [3, -1]) {
        const ids = fromData(Int32Array.of(0, index), [2])
        const fails = (f: () => unknown) =>
          assert.throws(f, (error: unknown) => error instanceof IndexError && error.index === index && error.size === 3)
        fails(() => deviceOf(x).kernels.gather(x, 0, ids))
        fails(() => deviceOf(x).kernels.scatterAdd([3], 0, ids, ids))
        ids.storage.free('the test')
      }
      assert.deepEqual(deviceOf(x).memory(), before)
    })
  })

  test('moves to and from the reference', async () => {
    const x = tensor([1.5, -2])
    const there = await toDevice(x, 'reference')
    assert.deepEqual([...(await toDevice(there, 'cpu')).dataSync()], [1.5, -2])
  })

  test('tensors keep their values when memory grows', () => {
    scope(() => {
      const x = tensor([1, 2, 3])
      const large = Array.from({ length: 12 }, () =>
        randn([1 << 10])
          .expand([1 << 10, 1 << 10])
          .add(0),
      )
      assert.equal(large.length, 12)
      assert.deepEqual([...x.add(1).dataSync()], [2, 3, 4])
    })
  })
})
