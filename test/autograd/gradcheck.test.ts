// The checks can fail: wrong rules are caught, at the order at which they are wrong, and shrink to something small.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defineOp, gradcheck } from '../../src/autograd/index.ts'
import { type Kernels, type Tensor, tensor, zeros } from '../../src/tensor/index.ts'
import {
  axes,
  broadcastShapes,
  checkAdjoint,
  checkGradients,
  checkLaws,
  checkLinear,
  checkRepeatable,
  checkSymmetric,
  GradientAssertionError,
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
/** what a library does that keeps copies of outputs: right once, wrong twice */
const copied = defineOp('copied', exp, (g, out) => [() => g.mul(out.stopGradient())])
const nan = defineOp('nan', exp, (g, out) => [() => g.mul(out).mul(Number.NaN)])
const crooked = defineOp('crooked', exp, (g, out) => [() => g.abs().mul(out)])
const x = tensor([0.5, -1, 2])

describe('gradcheck', () => {
  it('passes a right rule, and counts what it compared', () => {
    const result = gradcheck(right, [x], { order: 2 })
    assert.ok(result.ok && result.worst < 1)
    assert.equal(result.checked, 6)
    assert.equal(result.message, '6 derivatives agree with finite differences')
  })

  it('catches a wrong rule at first order, and says where', () => {
    const result = gradcheck(wrong, [x.reshape([3, 1])])
    assert.ok(!result.ok)
    assert.equal(result.mismatches.length, 3)
    const [first] = result.mismatches
    assert.deepEqual([first.order, first.input, first.element], [1, 0, [0, 0]])
    assert.match(result.message, /3 of 3 derivatives disagree/)
    assert.match(result.message, /order 1, input 0 \[3, 1\] at \[2, 0\]: the tape says .*, differences say /)
  })

  it('catches a rule that is wrong at second order only', () => {
    assert.ok(gradcheck(copied, [x]).ok)
    const result = gradcheck(copied, [x], { order: 2 })
    assert.ok(!result.ok)
    assert.ok(result.mismatches.every(mismatch => mismatch.order === 2))
  })

  it('takes a NaN for a failure, on either side', () => {
    assert.equal(gradcheck(nan, [x]).ok, false)
    assert.equal(gradcheck(nan, [x]).worst, Number.POSITIVE_INFINITY)
    assert.equal(gradcheck(y => y.log(), [tensor([-1])]).ok, false)
  })

  it('finds a kink between its points', () => assert.ok(!gradcheck(y => y.abs(), [tensor([0.0005])]).ok))

  it('finds an input that is forgotten', () => {
    const half = defineOp(
      'half',
      (k, a: Tensor, b: Tensor) => k.binary('mul', a, b, a.dtype),
      (g, _, _a, b) => [() => g.mul(b), undefined],
    )
    const result = gradcheck(half, [x, x])
    assert.ok(!result.ok && result.mismatches.every(({ input }) => input === 1))
  })

  it('passes integers and booleans on', () => {
    const ids = tensor([2, 0], { dtype: 'int32' })
    assert.equal(gradcheck((y, i) => y.take(i).square(), [x, ids], { order: 2 }).checked, 6)
  })

  it('checks nothing, rightly, where there is nothing', () =>
    assert.ok(gradcheck(right, [zeros([0, 2])], { order: 2 }).ok))
})

describe('the laws', () => {
  it('hold for a right rule', () => checkLaws(right, [x]))

  it('catch a rule that is not linear', () =>
    assert.throws(() => checkLinear(crooked, [x]), {
      name: 'GradientAssertionError',
      message: /the vjp is not linear/,
    }))

  it('catch a forward derivative that is not the backward one', () => {
    // the rule uses the gradient as it should, and its own derivative by that gradient is another
    const forgetful = defineOp('forgetful', exp, (g, out) => [
      () =>
        defineOp(
          'back',
          (k, a: Tensor) => k.binary('mul', a, out, a.dtype),
          h => [() => h.mul(2)],
        )(g),
    ])
    assert.throws(() => checkAdjoint(forgetful, [x]), /⟨v, J u⟩ is .* and ⟨Jᵀ v, u⟩ is/)
  })

  it('catch a Hessian that is not symmetric', () => {
    const lopsided = defineOp(
      'lopsided',
      (k, a: Tensor, b: Tensor) => k.binary('mul', a, b, a.dtype),
      (g, _, a, b) => [() => g.mul(b), () => g.mul(a.stopGradient())],
    )
    assert.throws(() => checkSymmetric(lopsided, [x, x]), /the Hessian is not symmetric/)
  })

  it('catch a result that is another the second time', () => {
    let calls = 0
    assert.throws(() => checkRepeatable(y => y.mul(++calls), [x]), /the same inputs gave/)
  })

  it('throw with the message of gradcheck', () => {
    assert.throws(() => checkGradients(wrong, [x]), GradientAssertionError)
    assert.throws(() => checkGradients(wrong, [x]), /3 of 3 derivatives disagree with finite differences/)
  })
})

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
    const values3 = tensors({ awayFrom: [0], min: -1, max: 3, distinct: true })
    fc.assert(
      fc.property(values3, t => {
        const list = values(t)
        assert.ok(list.every(v => Math.abs(v) >= 1 / 8 && v >= -1 && v <= 3))
        assert.equal(new Set(list).size, list.length)
      }),
    )
    assert.throws(() => tensors({ min: 0, max: 0, awayFrom: [0] }), /no value from 0 to 0 is away from 0/)
  })

  it('every dtype can be had, in every layout', () => {
    const strided = fc.sample(tensors({ shape: [2, 3] }), 100)
    assert.ok(strided.some(t => !t.isContiguous) && strided.some(t => t.strides[0] < 0))
    for (const dtype of ['float32', 'float64', 'int32', 'bool'] as const) {
      const [min, max] = dtype === 'bool' ? [0, 1] : [-3, 3]
      fc.assert(
        fc.property(tensors({ dtype, min, max }), t => t.dtype === dtype),
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
