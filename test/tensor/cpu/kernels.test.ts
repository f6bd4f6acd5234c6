// Every kernel of the cpu device against the reference, over the same random shapes, strides and broadcasts as the gpu; on one
// thread, on several threads, in WebAssembly, with the system's BLAS if it has one, and in machine code if the processor is for it.

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { openCpu } from '../../../src/tensor/cpu/index.ts'
import { type CpuOptions, type Device, fromData, Generator, scope, type Tensor } from '../../../src/tensor/index.ts'
import { reference } from '../../../src/tensor/reference/index.ts'
import { fc, runs } from '../../support.ts'
import { checks, float64Checks } from '../gpu/suite.ts'
import { everyInstructions, missing } from './machine/support.ts'

/** [rows, columns] with one of both axes contiguous, or neither, or backwards. */
function matrix(
  on: Device,
  numbers: typeof Float32Array | typeof Float64Array,
  [rows, columns]: readonly [number, number],
  layout: number,
  seed: number,
): Tensor {
  const generator = new Generator(seed)
  const data = new numbers(2 * rows * columns).map(() => generator.uniform() - 0.5)
  const all = fromData(data, [data.length], on)
  if (layout === 0) return all.view([rows, columns], [columns, 1])
  if (layout === 1) return all.view([rows, columns], [1, rows])
  if (layout === 2) return all.view([rows, columns], [2 * columns, 2])
  return all.view([rows, columns], [-columns, -1], rows * columns - 1)
}

/** Compares one product with the reference; errors are measured in the rounding of a sum of so many products. */
function compareProduct(cpu: Device, [m, k, n]: readonly number[], left: number, right: number): void {
  for (const numbers of [Float32Array, Float64Array])
    scope(() => {
      const on = (device: Device) =>
        device.kernels
          .matmul(matrix(device, numbers, [m, k], left, 1), matrix(device, numbers, [k, n], right, 2))
          .dataSync()
      const [actual, expected] = [on(cpu), on(reference)]
      const tolerance = numbers === Float32Array ? 3e-7 * Math.sqrt(k) + 1e-7 : 1e-14 * k
      actual.forEach((x, i) => {
        assert.ok(
          Math.abs(x - expected[i]) <= tolerance,
          `${[m, k, n]} ${left}${right}: [${i}] ${x}, not ${expected[i]}`,
        )
      })
    })
}

const settings: readonly (readonly [name: string, options: CpuOptions, skip?: string | false])[] = [
  ['in WebAssembly on one thread', { threads: 1, blas: 'off', machineCode: 'off' }],
  ['in WebAssembly on three threads', { threads: 3, blas: 'off', machineCode: 'off' }],
  ['with BLAS', { machineCode: 'off' }],
  ...everyInstructions.map(
    (machineCode, i) => [`with ${machineCode}`, { threads: 1 + 2 * i, machineCode }, missing(machineCode)] as const,
  ),
]

for (const [name, options, skip] of settings)
  describe(name, { skip }, () => {
    if (skip) return
    const cpu = openCpu(options)
    after(() => cpu.close())
    for (const check of [...checks, ...float64Checks]) test(check.name, () => scope(() => check.run(cpu, 30)))

    test('products of any size agree', () => {
      const size = fc.integer({ min: 1, max: 90 })
      const layout = fc.integer({ min: 0, max: 3 })
      fc.assert(
        fc.property(size, size, size, layout, layout, (m, k, n, left, right) =>
          compareProduct(cpu, [m, k, n], left, right),
        ),
        runs(60),
      )
    })

    test('all memory was freed', () => assert.deepEqual(cpu.memory(), { bytes: 0, buffers: 0 }))
  })
