// More than 2²⁴ elements, where float32 cannot represent every index: a wrong kernel is silently wrong in a few per cent of
// the elements.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openGpu } from '../../../src/tensor/gpu/index.ts'
import { fromData, type GpuBackend, scope } from '../../../src/tensor/index.ts'
import { onBackends } from './swiftshader.ts'

const [rows, columns] = [4099, 4097]
const cell = (i: number) => i % 8191

function declare(backend: GpuBackend) {
  test(`strides and broadcasts are right beyond 2²⁴ elements on ${backend}`, async () => {
    assert.ok(rows * columns > 2 ** 24)
    const gpu = await openGpu({ backend })
    const data = new Float32Array(rows * columns)
    for (let i = 0; i < data.length; i++) data[i] = cell(i)

    await scope(async () => {
      const x = fromData(data, [rows, columns], gpu)
      const transposed = await gpu.kernels.copy(x.view([columns, rows], [1, columns])).data()
      let wrong = 0
      for (let j = 0, at = 0; j < columns; j++)
        for (let i = 0; i < rows; i++, at++) if (transposed[at] !== cell(i * columns + j)) wrong++
      assert.equal(wrong, 0, 'transposed copy')

      const last = rows * columns - 1
      const backwards = await gpu.kernels.copy(x.view([rows * columns], [-1], last)).data()
      for (let i = 0; i <= last; i++) if (backwards[i] !== cell(last - i)) wrong++
      assert.equal(wrong, 0, 'backwards copy')

      const sums = await gpu.kernels.reduce('max', x, [0]).data()
      for (let j = 0; j < columns; j++) {
        let max = 0
        for (let i = 0; i < rows; i++) max = Math.max(max, cell(i * columns + j))
        if (sums[j] !== max) wrong++
      }
      assert.equal(wrong, 0, 'maximum over rows')
    })

    await scope(async () => {
      const column = fromData(
        Float32Array.from({ length: rows }, (_, i) => i),
        [rows, 1],
        gpu,
      )
      const row = fromData(
        Float32Array.from({ length: columns }, (_, j) => j * 4096),
        [1, columns],
        gpu,
      )
      const sum = await gpu.kernels.binary('sub', row, column, 'float32').data()
      let wrong = 0
      for (let i = 0, at = 0; i < rows; i++)
        for (let j = 0; j < columns; j++, at++) if (sum[at] !== j * 4096 - i) wrong++
      assert.equal(wrong, 0, 'broadcast')
    })
    gpu.close()
  })
}

await onBackends(import.meta.url, { cpu: 1, webgpu: 1 }, declare)
