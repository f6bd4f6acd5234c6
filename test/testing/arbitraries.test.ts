// What is drawn keeps its promises, and shrinks to what a person would have written.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defineOp } from '../../src/autograd/index.ts'
import { type Kernels, type Tensor, zeros } from '../../src/tensor/index.ts'
import {
  axes,
  broadcastShapes,
  gradientProperty,
  matmulShapes,
  permutation,
  shape,
  tensor as tensors,
} from '../../src/testing/index.ts'
import { fc, values } from '../support.ts'

const exp = (k: Kernels, x: Tensor) => k.unary('exp', x)

const right = defineOp('right', exp, (g, out) => [() => g.mul(out)])
const wrong = defineOp('wrong', exp, (g, out) => [() => g.mul(out).mul(1.001)])

describe('arbitraries', () => {
  const settings = { numRuns: 300 }

  it('a planted bug shrinks to one element', () => {
    const run = fc.check(gradientProperty(wrong, tensors()), settings)
    assert.ok(run.failed)
    const [[found]] = run.counterexample ?? [[]]
    assert.ok(found)
    assert.equal(found.size, 1)
    assert.deepEqual(values(found), [0])
    assert.ok(found.isContiguous)
  })

  it('a bug that needs two columns shrinks to two columns', () => {
    const leaky = defineOp('leaky', exp, (g, out, y) => [() => g.mul(out).mul((y.shape[y.rank - 1] ?? 0) > 1 ? 2 : 1)])
    const run = fc.check(gradientProperty(leaky, tensors({ shape: shape({ maxSize: 5 }) })), settings)
    assert.ok(run.failed)
    assert.deepEqual(run.counterexample?.[0][0].shape, [2])
  })

  it('a right rule is found right', () => fc.assert(gradientProperty(right, tensors()), { numRuns: 10 }))

  it('shapes keep within their limits, and some are empty', () => {
    const limited = shape({ minRank: 1, maxRank: 2, minSize: 2, maxSize: 4 })
    fc.assert(fc.property(limited, s => s.length >= 1 && s.length <= 2 && s.every(n => n >= 2 && n <= 4)))
    assert.ok(fc.sample(shape(), 300).some(s => s.includes(0)))
    assert.ok(fc.sample(shape(), 300).some(s => s.length === 0))
  })

  it('values stay away from kinks and are distinct where asked', () => {
    const values3 = tensors({ awayFrom: [0], domain: [-1, 3], distinct: true })
    fc.assert(
      fc.property(values3, t => {
        const list = values(t)
        assert.ok(list.every(v => Math.abs(v) >= 1 / 8 && v >= -1 && v <= 3))
        assert.equal(new Set(list).size, list.length)
      }),
    )
    assert.throws(() => tensors({ domain: [0, 0], awayFrom: [0] }), /no value from 0 to 0 is away from 0/)
  })

  it('every dtype can be had, in every layout', () => {
    const strided = fc.sample(tensors({ shape: [2, 3] }), 100)
    assert.ok(strided.some(t => !t.isContiguous) && strided.some(t => t.strides[0] < 0))
    for (const dtype of ['float32', 'float64', 'int32', 'bool'] as const) {
      fc.assert(
        fc.property(tensors({ dtype }), t => t.dtype === dtype),
        { numRuns: 20 },
      )
    }
    const integers = fc.sample(tensors({ dtype: 'int32', shape: [20] }), 20).flatMap(values)
    assert.ok(integers.every(Number.isInteger))
  })

  it('broadcastShapes broadcast, matmulShapes multiply, axes are distinct, orders are orders', () => {
    fc.assert(
      fc.property(broadcastShapes(3), ([a, b, c]) => {
        zeros(a).add(zeros(b)).add(zeros(c))
      }),
    )
    fc.assert(fc.property(matmulShapes({ maxRank: 4 }), ([a, b]) => void zeros(a).matmul(zeros(b))))
    fc.assert(fc.property(axes(), ({ shape: s, axes: list }) => void zeros(s).sum({ axis: list })))
    fc.assert(fc.property(permutation(), ({ shape: s, order }) => void zeros(s).permute(order)))
    const orders = new Set(fc.sample(permutation({ minRank: 3 }), 400).map(({ order }) => order.join()))
    assert.equal(orders.size, 6)
  })
})
