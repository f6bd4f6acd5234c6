// Each law can be broken, and the check says which one was.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import '../reference.ts'
import { defineOp } from '../../src/autograd/index.ts'
import { type Kernels, type Tensor, tensor } from '../../src/tensor/index.ts'
import {
  checkAdjoint,
  checkGradients,
  checkLaws,
  checkLinear,
  checkRepeatable,
  checkSymmetric,
  GradientAssertionError,
} from '../../src/testing/index.ts'

const exp = (k: Kernels, x: Tensor) => k.unary('exp', x)

const right = defineOp('right', exp, (g, out) => [() => g.mul(out)])
const wrong = defineOp('wrong', exp, (g, out) => [() => g.mul(out).mul(1.001)])
const crooked = defineOp('crooked', exp, (g, out) => [() => g.abs().mul(out)])
const x = tensor([0.5, -1, 2])

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
