// Kernels over views of many axes, which are called several times, on several threads: every element is computed once, in its place.

import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { Axes } from '../../../src/tensor/cpu/axes.ts'
import { openCpu } from '../../../src/tensor/cpu/index.ts'
import { type Device, fromData, scope, type Tensor } from '../../../src/tensor/index.ts'
import { reference } from '../../../src/tensor/reference/index.ts'
import { contiguousStrides, sizeOf } from '../../../src/tensor/shape.ts'
import { fc, runs } from '../../support.ts'

/** Four to six axes, and an order of them. */
const shapes = fc
  .array(fc.integer({ min: 1, max: 12 }), { minLength: 4, maxLength: 6 })
  .filter(shape => sizeOf(shape) <= 2 ** 17)
  .chain(shape => fc.tuple(fc.constant(shape), fc.shuffledSubarray([...shape.keys()], { minLength: shape.length })))

const permuted = (x: Tensor, order: readonly number[]): Tensor =>
  x.view(
    order.map(axis => x.shape[axis]),
    order.map(axis => x.strides[axis]),
  )

describe('views of four to six axes', () => {
  const cpu = openCpu({ threads: 3, blas: 'off' })
  after(() => cpu.close())

  it('are copied and combined as on reference', () =>
    fc.assert(
      fc.property(shapes, ([shape, order]) => {
        const results = (on: Device) =>
          scope(() => {
            const count = sizeOf(shape)
            const numbers = (scale: number) => new Float32Array(count).map((_, i) => (i * scale) % 1021)
            const x = permuted(fromData(numbers(7), shape, on), order)
            const y = fromData(numbers(3), x.shape, on)
            const row = fromData(numbers(5).slice(0, x.shape[x.rank - 1]), [x.shape[x.rank - 1]], on)
            const { copy, binary, compare, where, accumulate } = on.kernels
            const target = copy(y)
            const sum = accumulate?.(target, x) ? target : binary('add', y, x, 'float32')
            const product = binary('mul', x, row, 'float32')
            const least = where(compare('less', x, y), x, row, 'float32')
            return [copy(x), sum, product, least].map(result => [...result.dataSync()])
          })
        assert.deepEqual(results(cpu), results(reference))
      }),
      runs(40),
    ))

  it('whose inner axes are short are walked in few pieces, each element once', () => {
    const shape = [32, 4, 4, 3, 8, 8]
    const view = { shape, strides: [3072, 256, 8, 1024, 32, 1] }
    const axes = new Axes()
    axes.join(shape, { shape, strides: contiguousStrides(shape) }, 1, view, 1)
    axes.largestInside()
    let pieces = 0
    const from = new Map<number, number>()
    axes.each(3, (x, y) => {
      pieces++
      const { n2, n1, n0, x2, x1, x0, y2, y1, y0 } = axes
      for (let k = 0; k < n2; k++)
        for (let j = 0; j < n1; j++)
          for (let i = 0; i < n0; i++) from.set(x + k * x2 + j * x1 + i * x0, y + k * y2 + j * y1 + i * y0)
    })
    assert.equal(pieces, 48)
    assert.equal(from.size, sizeOf(shape))
    for (const [x, y] of from) {
      const at = contiguousStrides(shape).map((stride, axis) => Math.floor(x / stride) % shape[axis])
      assert.equal(
        y,
        at.reduce((sum, i, axis) => sum + i * view.strides[axis], 0),
      )
    }
  })
})
