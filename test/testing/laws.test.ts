// Each law can be broken, and the check says which one was.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import '../reference.ts'
import { argmax, defineFused, defineOp, split } from '../../src/autograd/index.ts'
import { device, type Kernels, Tensor, tensor } from '../../src/tensor/index.ts'
import {
  checkAdjoint,
  checkCheckpoint,
  checkDevice,
  checkGradients,
  checkLaws,
  checkLayout,
  checkLinear,
  checkRepeatable,
  checkSame,
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

describe('the layout in memory', () => {
  const careless = defineOp(
    'careless',
    (k, y: Tensor) => k.unary('exp', new Tensor(y.storage, y.shape)),
    (g, y) => [() => g.mul(y)],
  )

  it('changes nothing of what is right', () => {
    checkLayout(right, [x])
    checkLayout((a, b) => a.matmul(b), [tensor([[1, 2, 3]]), tensor([[1, 2, 3]]).transpose()])
    checkLayout(y => argmax(y), [x], { gradients: false })
  })

  it('changes a function that does not look at strides, whatever the layout that it is given', () => {
    assert.throws(() => checkLayout(careless, [x]), {
      name: 'GradientAssertionError',
      message: /the layout in memory changes the value: for \[3\] with strides \[-1\] from 2 element 0 is/,
    })
    assert.throws(() => checkLayout(careless, [tensor(0)]), /with strides \[\] from 1 element 0 is NaN, .* inputs 1/)
    assert.throws(() => checkLayout(careless, [x], { gradients: false }), /changes the value/)
  })

  it('changes a gradient that does not look at them', () => {
    const back = defineOp('back', exp, (g, y) => [() => g.mul(new Tensor(y.storage, y.shape))])
    // a result that lies as its input does
    const kept = defineOp(
      'kept',
      (_, y: Tensor) => y,
      (g, _, y) => [() => g.mul(new Tensor(y.storage, y.shape))],
    )
    checkLayout(back, [x])
    assert.throws(() => checkLayout(kept, [x]), /the layout in memory changes the gradient 0/)
  })

  it('is what the laws see, too', () => {
    let strides: readonly number[] = []
    const watching = (y: Tensor) => {
      strides = y.strides
      return y.exp()
    }
    checkLinear(watching, [tensor([[1, 2, 3]]).expand([2, 3])])
    assert.deepEqual(strides, [0, 1])
  })
})

describe('functions of small values', () => {
  const tiny = (y: Tensor) => y.exp().mul(1e-10)
  const nothing = defineFused('nothing', { definition: tiny, kernel: (k, y) => k.binary('sub', y, y, y.dtype) })
  const frozen = defineOp('frozen', exp, (g, out) => [() => g.stopGradient().mul(out)])

  it('are compared by their own size', async () => {
    assert.throws(() => checkSame(nothing, nothing.definition, [x]), /element 0 of the value is 0/)
    assert.throws(() => checkAdjoint(y => frozen(y).mul(1e-10), [x]), /⟨v, J u⟩/)
    const gone = defineFused('gone', {
      definition: (y: Tensor) => y.exp().mul(1e-6),
      kernel: (k, y) => (y.device === 'cpu' ? k.binary('sub', y, y, y.dtype) : undefined),
    })
    await assert.rejects(checkDevice(gone, [x], 'cpu'), /on cpu element 0 of the value is 0/)
  })

  it('have second derivatives that are compared', () => {
    const once = defineFused('once', {
      definition: tiny,
      rule: (g, y) => [() => g.mul(y.stopGradient())],
    })
    assert.throws(() => checkSame(once, once.definition, [x]), /of the second derivative/)
    checkSame(once, once.definition, [x], { order: 1 })
  })

  it('are not taken for wrong where large numbers cancel', async () => {
    const cancelling = (y: Tensor) => y.add(1).log().sub(y.log1p())
    const other = (y: Tensor) => y.log1p().sub(y.log1p())
    checkLaws(cancelling, [tensor([0.5, 0.7, 2])])
    checkSame(cancelling, other, [tensor([0.5, 0.7, 2])])
    await checkDevice(y => y.sub(y.mean()), [tensor([1.7, 1.7, 1.7])], 'cpu')
    await checkDevice(y => y.softmax(), [tensor([[0.3], [2]])], 'cpu')
  })

  it('may differ on a device by a few times what float32 loses on the reference, and by no more', async () => {
    // p (g - Σ p g), a gradient of softmax, where all g have much in common
    const f = (y: Tensor) => {
      const [p, g] = [y.softmax(), y.add(y.device === 'cpu' ? 0 : 1000)]
      return p.mul(g.sub(p.mul(g).sum()))
    }
    const points = [tensor([1.25, -0.375, 0.5])]
    await checkDevice(f, points, 'cpu')
    const wrong = (y: Tensor) => f(y).mul(y.device === 'cpu' ? 1.01 : 1)
    await assert.rejects(checkDevice(wrong, points, 'cpu'), /on cpu element \d of the value is/)
    const branch = (y: Tensor) => y.add(y.device === 'cpu' ? 1e-3 : 0).floor()
    await assert.rejects(checkDevice(branch, [tensor([0.9995])], 'cpu'), /on cpu element 0 of the value is 1/)
  })

  it('each tensor is compared by its own size', () => {
    const lopsided = defineFused('lopsided', {
      definition: (a: Tensor, b: Tensor) => a.mul(b),
      rule: (g, _, a, b) => [() => g.mul(b), () => g.mul(a).mul(1.00001)],
    })
    assert.throws(
      () => checkSame(lopsided, lopsided.definition, [tensor(1), tensor(1e6)], { order: 1 }),
      /element 0 of the gradient/,
    )
  })
})

describe('functions that give a list', () => {
  const halves = (y: Tensor) => split(y, 2)
  const y = tensor([1, 2, 3, 4])

  it('obey the laws, all results together', async () => {
    checkLaws(halves, [y])
    checkGradients(halves, [y], { order: 2 })
    checkCheckpoint(halves, [y])
    checkSame(halves, z => [z.slice([{ stop: 2 }]), z.slice([{ start: 2 }])], [y])
    await checkDevice(halves, [y], 'cpu')
  })

  it('break them as others do', async () => {
    assert.throws(() => checkLinear(z => [z.exp(), crooked(z)], [y]), /the vjp is not linear/)
    const elsewhere = (z: Tensor) => [z.exp(), z.device === 'cpu' ? z.expm1() : z.exp()]
    await assert.rejects(checkDevice(elsewhere, [y], 'cpu'), /element 0 of the value 1 is/)
  })

  it('anything else is refused', () => {
    const refuses = (f: () => unknown, text: RegExp) =>
      assert.throws(() => checkLinear(f as () => Tensor, [y]), { name: 'TypeError', message: text })
    refuses(() => ({ tokens: y }), /a tensor or a list of tensors, not \{ tokens: a tensor \[4\] \}/)
    refuses(() => [y, 3], /not \[a tensor \[4\], 3\]/)
    refuses(() => undefined, /not undefined/)
    refuses(() => [], /not \[\]/)
  })
})

describe('a tensor that is no input and lies elsewhere', () => {
  it('is an error that says where it must be', async () => {
    await device.use('cpu')
    const weight = tensor(2)
    const input = tensor([1, 2])
    await device.use('reference')
    const f = (z: Tensor) => z.mul(weight)
    const advice =
      /one tensor is on reference, another on cpu[\s\S]*device\.with\('reference', …\), or pass it as an input$/
    for (const check of [checkLinear, checkAdjoint, checkSymmetric, checkRepeatable, checkLayout, checkGradients])
      assert.throws(() => check(f, [input]), { name: 'DeviceError', message: advice }, check.name)
    assert.throws(() => checkSame(f, f, [input]), { name: 'DeviceError', message: advice })
    await assert.rejects(
      checkDevice(f, [input], 'cpu'),
      /runs on cpu and on reference: pass every other tensor of the function/,
    )
  })
})

it('inputs without a floating one are refused', () =>
  assert.throws(
    () => checkLinear(y => y, [tensor([1], { dtype: 'int32' })]),
    /at least one input must be float32 or float64, not int32/,
  ))

it('a kink says how samples keep away from it', () => {
  const relu = (y: Tensor) => y.relu()
  assert.throws(() => checkGradients(relu, [tensor([1, 0])]), /at a kink[\s\S]*awayFrom: \[0\].*distinct: true$/)
  assert.throws(() => checkGradients(y => y.sub(1.5).abs(), [tensor([[1], [1.5]]).transpose()]), /awayFrom: \[1\.5\]/)
  assert.throws(() => checkGradients(y => y.log(), [tensor(-1)]), /awayFrom: \[-1\] or another domain/)
})
