// gradcheck can fail: it finds wrong rules, at the order at which they are wrong, and distinguishes points without a derivative
// from wrong derivatives.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defineOp, dropout, type GradcheckOptions, gradcheck } from '../../src/autograd/index.ts'
import { Generator, type Kernels, randn, type Tensor, tensor, zeros } from '../../src/tensor/index.ts'
import '../reference.ts'

const exp = (k: Kernels, x: Tensor) => k.unary('exp', x)

const right = defineOp('right', exp, (g, out) => [() => g.mul(out)])
const wrong = defineOp('wrong', exp, (g, out) => [() => g.mul(out).mul(1.001)])
/** what a library does that keeps copies of outputs: right once, wrong twice */
const copied = defineOp('copied', exp, (g, out) => [() => g.mul(out.stopGradient())])
/** right twice, wrong the third time */
const copiedTwice = defineOp('copiedTwice', exp, (g, out) => [() => g.mul(copied(out.log()))])
const nan = defineOp('nan', exp, (g, out) => [() => g.mul(out).mul(Number.NaN)])
const x = tensor([0.5, -1, 2])
const verdictOf = (f: (x: Tensor) => Tensor, at: number | number[], options: GradcheckOptions = {}) =>
  gradcheck(f, [tensor(at)], options).verdict

describe('gradcheck', () => {
  it('passes a right rule, and counts the comparisons', () => {
    const result = gradcheck(right, [x], { order: 2 })
    assert.ok(result.ok && result.worst < 1)
    assert.equal(result.checked, 6)
    assert.equal(result.message, '6 derivatives agree with finite differences')
  })

  it('finds a rule that is wrong at first order, and says where', () => {
    const result = gradcheck(wrong, [x.reshape([3, 1])])
    assert.ok(!result.ok)
    assert.equal(result.mismatches.length, 3)
    const [first] = result.mismatches
    assert.deepEqual([first.order, first.input, first.element], [1, 0, [0, 0]])
    assert.match(result.message, /3 of 3 derivatives disagree/)
    assert.match(result.message, /order 1, input 0 \[3, 1\] at \[2, 0\]: the tape gives .*, finite differences give /)
  })

  it('finds a rule that is wrong only at second order', () => {
    assert.ok(gradcheck(copied, [x]).ok)
    const result = gradcheck(copied, [x], { order: 2 })
    assert.ok(!result.ok)
    assert.ok(result.mismatches.every(mismatch => mismatch.order === 2))
  })

  it('fails for a NaN on either side', () => {
    assert.equal(gradcheck(nan, [x]).ok, false)
    assert.equal(gradcheck(nan, [x]).worst, Number.POSITIVE_INFINITY)
    assert.equal(gradcheck(y => y.log(), [tensor([-1])]).ok, false)
  })

  it('finds an input without a gradient', () => {
    const half = defineOp(
      'half',
      (k, a: Tensor, b: Tensor) => k.binary('mul', a, b, a.dtype),
      (g, _, _a, b) => [() => g.mul(b), undefined],
    )
    const result = gradcheck(half, [x, x])
    assert.ok(!result.ok && result.mismatches.every(({ input }) => input === 1))
  })

  it('passes integers and booleans to the function', () => {
    const ids = tensor([2, 0], { dtype: 'int32' })
    assert.equal(gradcheck((y, i) => y.take(i).square(), [x, ids], { order: 2 }).checked, 6)
  })

  it('passes for empty inputs', () => assert.ok(gradcheck(right, [zeros([0, 2])], { order: 2 }).ok))

  it('throws if no input has derivatives', () =>
    assert.throws(() => gradcheck(y => y.mul(1.5), [tensor([1], { dtype: 'int32' })]), {
      name: 'TypeError',
      message: 'gradcheck: at least one input must be float32 or float64, not int32',
    }))

  it('throws for invalid options', () => {
    const refused = (options: object, text: string) =>
      assert.throws(() => gradcheck(right, [x], options), { name: 'RangeError', message: `gradcheck: ${text}` })
    refused({ order: 4 }, 'the order must be 1, 2 or 3, not 4')
    refused({ eps: 0 }, 'eps must be a number above 0, not 0')
    refused({ atol: -1 }, 'atol and rtol must be 0 or more, not -1 and 0.00001')
    refused({ directions: 0 }, 'directions must be a positive integer, not 0')
    refused(
      { directions: 2, mode: 'jacobian' },
      'directions need the mode projection: the mode jacobian checks every element',
    )
  })
})

describe('order 3', () => {
  it('passes a rule that is right at all three orders', () => {
    const result = gradcheck(y => y.mul(y.tanh()), [x], { order: 3 })
    assert.ok(result.ok, result.message)
    assert.equal(result.checked, 9)
  })

  it('finds a rule that is wrong only at third order', () => {
    assert.ok(gradcheck(copiedTwice, [x], { order: 2 }).ok, 'it is right twice')
    const { verdict, mismatches } = gradcheck(copiedTwice, [x], { order: 3 })
    assert.equal(verdict, 'mismatch')
    assert.deepEqual(
      mismatches.map(({ order }) => order),
      [3, 3, 3],
    )
  })
})

describe('jacobian', () => {
  /** right, but for one element of the result */
  const patchy = defineOp('patchy', exp, (g, out) => [() => g.mul(out).mul(tensor([1, 1, 2]))])

  it('compares every element of the result for every element of the inputs', () => {
    const result = gradcheck(right, [x], { mode: 'jacobian', order: 2 })
    assert.ok(result.ok, result.message)
    assert.equal(result.checked, 9 + 9)
  })

  it('names the wrong element of the result', () => {
    const { mismatches, message } = gradcheck(patchy, [x], { mode: 'jacobian' })
    assert.equal(mismatches.length, 1)
    assert.deepEqual(mismatches[0].element, [2])
    assert.deepEqual([mismatches[0].output, mismatches[0].outputElement], [0, [2]])
    assert.match(message, /input 0 \[3\] at \[2\], output 0 at \[2\]: the tape gives/)
  })

  it('names the wrong one of several results', () => {
    const two = (y: Tensor) => [right(y), wrong(y.reshape([3, 1]))]
    const { mismatches, verdict } = gradcheck(two, [x], { mode: 'jacobian' })
    assert.equal(verdict, 'mismatch')
    assert.deepEqual(
      mismatches.map(({ output, outputElement, element }) => [output, outputElement, element]),
      [
        [1, [0, 0], [0]],
        [1, [1, 0], [1]],
        [1, [2, 0], [2]],
      ],
    )
  })

  it('names the first derivative whose derivative is wrong', () => {
    const ids = tensor([0], { dtype: 'int32' })
    const lopsided = defineOp(
      'lopsided',
      (k, _: Tensor, a: Tensor, b: Tensor) => k.binary('mul', a, b, a.dtype),
      (g, _, _i, a, b) => [undefined, () => g.mul(b), () => g.mul(a.stopGradient())],
    )
    const { mismatches } = gradcheck(lopsided, [ids, x, x], { mode: 'jacobian', order: 2 })
    assert.equal(mismatches.length, 3)
    assert.ok(
      mismatches.every(({ order, input, output }) => order === 2 && input === 1 && output === 2),
      'the derivative by input 2, differentiated by input 1',
    )
  })
})

describe('directions', () => {
  const large = randn([40, 50], { dtype: 'float64', generator: new Generator(1) })

  it('check a large input along a few directions', () => {
    const result = gradcheck(y => y.softmax(), [large], { directions: 3, order: 2 })
    assert.ok(result.ok, result.message)
    assert.equal(result.checked, 6)
  })

  it('find one wrong element among thousands', () => {
    const spot = defineOp('spot', exp, (g, out) => [
      () =>
        g.mul(out).mul(
          randn([40, 50], { generator: new Generator(2) })
            .greater(3.4)
            .mul(0.01)
            .add(1),
        ),
    ])
    const { verdict, mismatches, message } = gradcheck(spot, [large], { directions: 2 })
    assert.equal(verdict, 'mismatch')
    assert.deepEqual([mismatches[0].element, mismatches[0].direction], [undefined, 0])
    assert.match(message, /input 0 \[40, 50\] along direction 0: the tape gives/)
  })

  it('depend on the seed', () => {
    const numericOf = (seed: number) => gradcheck(wrong, [x], { directions: 1, seed }).mismatches[0].numeric
    assert.equal(numericOf(1), numericOf(1))
    assert.notEqual(numericOf(1), numericOf(2))
  })
})

describe('a verdict', () => {
  it('distinguishes a kink from a wrong gradient', () => {
    assert.equal(
      verdictOf(y => y.relu(), 0),
      'not differentiable here',
    )
    assert.equal(
      verdictOf(y => y.max(), [1, 1, 0]),
      'not differentiable here',
    )
    assert.equal(
      verdictOf(y => wrong(y).add(y.relu()), 0.5),
      'mismatch',
    )
  })

  it('does not pass a kink at which the tape gives the mean of both sides', () =>
    assert.equal(
      verdictOf(y => y.abs(), 0),
      'not differentiable here',
    ))

  it('reports a jump', () =>
    assert.equal(
      verdictOf(y => y.greaterEqual(0).cast(y.dtype).mul(y.add(1)), 0),
      'not differentiable here',
    ))

  it('reports the kink of a gradient at second order', () => {
    const { verdict, mismatches } = gradcheck(y => y.relu().square(), [tensor([0, 1])], { order: 2 })
    assert.equal(verdict, 'not differentiable here')
    assert.deepEqual(
      mismatches.map(({ order, element }) => [order, element]),
      [[2, [0]]],
    )
  })

  it('passes beside a kink: smaller steps do not reach it', () => {
    assert.equal(
      verdictOf(y => y.abs(), 0.0005),
      'pass',
    )
    assert.equal(
      verdictOf(y => y.abs(), -0.0015),
      'pass',
    )
  })

  it('passes a function that needs shorter steps', () => {
    const steep = (y: Tensor) => y.mul(300).sin()
    assert.equal(verdictOf(steep, 0.3), 'pass')
    assert.equal(
      verdictOf(y => y.pow(-1), 0.01),
      'pass',
    )
    assert.equal(
      verdictOf(y => steep(wrong(y)), 0.3),
      'mismatch',
    )
  })

  it('reports values that are not finite', () => {
    assert.equal(verdictOf(nan, 1), 'not finite')
    assert.equal(
      verdictOf(y => y.log(), -1),
      'not finite',
    )
    assert.equal(
      verdictOf(y => y.sqrt(), 0),
      'not finite',
    )
    assert.match(gradcheck(y => y.log(), [tensor([-1])]).message, /^1 of 1 derivatives are not finite/)
  })

  it('reports that equal inputs gave two results, forward or backward', () => {
    let calls = 0
    const { verdict, message } = gradcheck(y => y.mul(++calls), [x])
    assert.equal(verdict, 'not deterministic')
    assert.match(message, /^the same inputs gave two different results at order 1: seed the random numbers in f/)
    const restless = defineOp('restless', exp, (g, out) => [() => g.mul(out).mul(++calls)])
    assert.equal(verdictOf(restless, 1), 'not deterministic')
    assert.equal(
      verdictOf(y => dropout(y, 0.5), [1, 2, 3, 4, 5, 6, 7, 8]),
      'not deterministic',
    )
    assert.equal(
      verdictOf(y => dropout(y, 0.5, { generator: new Generator(1) }), [1, 2, 3]),
      'pass',
    )
  })

  it('of the whole check is the worst one: a wrong gradient before a kink', () =>
    assert.equal(gradcheck((a, b) => wrong(a).add(b.relu()), [tensor(1), tensor(0)]).verdict, 'mismatch'))
})

describe('size', () => {
  const double = defineOp('double', exp, (g, out) => [() => g.mul(out).mul(2)])
  const half = defineOp(
    'half',
    (k, y: Tensor) => k.binary('mul', y, 0.5, y.dtype),
    g => [() => g],
  )

  it('of other results, inputs or constants does not matter', () => {
    const right: [(y: Tensor) => Tensor, number[]][] = [
      [y => y.exp(), [30, -2]],
      [y => y.square(), [1e6, 0.5]],
      [y => y.pow(3), [1e4, 0.125]],
      [y => y.add(tensor([0, -1e9], { dtype: 'float64' })), [1, 2]],
      [y => y.mul(1e4).sin(), [0.3]],
    ]
    for (const [f, at] of right) {
      const { verdict, message } = gradcheck(f, [tensor(at, { dtype: 'float64' })], { order: 2 })
      assert.equal(verdict, 'pass', `${f}: ${message}`)
    }
    const far = tensor([1e9], { dtype: 'float64' })
    assert.equal(
      verdictOf(y => half(y).add(far), [1]),
      'mismatch',
    )
    const product = gradcheck((a, b) => a.mul(b), [tensor([1e5, 0.5]), tensor([1e5, 0.25])], { order: 2 })
    assert.equal(product.verdict, 'pass', product.message)
  })

  it('of the function does not matter: tolerances are relative', () => {
    assert.equal(
      verdictOf(y => double(y), -20),
      'mismatch',
    )
    assert.equal(
      verdictOf(y => double(y).mul(1e-9), [1, 2]),
      'mismatch',
    )
    assert.equal(
      verdictOf(y => wrong(y).mean().mul(1e-12), [1, 2, 3]),
      'mismatch',
    )
    assert.equal(
      verdictOf(y => right(y).mean().mul(1e-12), [1, 2, 3]),
      'pass',
    )
    assert.equal(
      verdictOf(y => y.softmax().sum(), [1, 2, 3], { order: 2 }),
      'pass',
    )
  })

  it('that hides a derivative is reported', () => {
    const { verdict, message } = gradcheck(y => y.square().sum(), [tensor([1e6, 1e-3], { dtype: 'float64' })])
    assert.equal(verdict, 'not resolved')
    assert.match(
      message,
      /^1 of 2 derivatives cannot be distinguished from rounding in f, at any step: make f or its inputs smaller/,
    )
    assert.match(message, /at \[1\]: the tape gives 0\.002, .*\(not resolved: they may be off by /)
    assert.equal(gradcheck(y => y.square().sum(), [tensor([1e9, 1])]).verdict, 'not resolved')
    for (const eps of [1e-12, 10])
      assert.equal(
        verdictOf(y => y.exp(), 1, { eps }),
        'pass',
        `eps ${eps}`,
      )
  })
})

describe('jumps', () => {
  it('are not differentiable, for any result of the tape', () => {
    const root = defineOp(
      'root',
      (k, y: Tensor) => k.binary('mul', k.unary('sign', y), k.unary('sqrt', k.unary('abs', y)), y.dtype),
      g => [() => g.mul(0)],
    )
    for (const f of [
      (y: Tensor) => y.sign(),
      (y: Tensor) => y.add(y.sign()),
      (y: Tensor) => y.exp().add(y.sign().mul(0.1)),
      (y: Tensor) => root(y),
    ])
      assert.equal(verdictOf(f, 0), 'not differentiable here', `${f}`)
    assert.equal(
      verdictOf(y => y.add(y.sign()), 1e-4),
      'pass',
    )
  })

  it('and edges nearby do not matter: steps are shortened', () => {
    for (const [f, at] of [
      [(y: Tensor) => y.log(), 1e-5],
      [(y: Tensor) => y.sqrt(), 1e-6],
      [(y: Tensor) => y.abs(), 1e-6],
      [(y: Tensor) => y.mul(y.log()).neg(), 1e-5],
    ] as const)
      assert.equal(verdictOf(f, at), 'pass', `${f} at ${at}`)
  })

  it('a function that is equal at every round step is found to vary', () => {
    const still = defineOp(
      'still',
      (k, y: Tensor) => k.unary('sin', k.binary('mul', y, 2000 * Math.PI, y.dtype)),
      g => [() => g.mul(0)],
    )
    assert.equal(verdictOf(still, 0), 'mismatch')
  })

  it('a gradient that is not finite is distinguished from a function that is not', () => {
    assert.match(gradcheck(nan, [tensor([1])]).message, /\(the tape is not finite, but f is\)/)
    assert.match(gradcheck(y => y.log(), [tensor([-1])]).message, /\(not finite\)/)
  })
})

describe('a check that is not possible', () => {
  it('throws an error with the reason', () => {
    const refused = (f: unknown, inputs: unknown, message: RegExp, name = 'TypeError') =>
      assert.throws(() => gradcheck(f as () => Tensor, inputs as Tensor[]), { name, message })
    refused((y: Tensor) => Promise.resolve(y), [x], /not a Promise: it must not be async/)
    refused(() => undefined, [x], /the function to check must return a tensor or a list of tensors, not undefined/)
    refused(() => 3, [x], /not 3/)
    refused(() => [], [x], /not \[\]/)
    refused(right, x, /inputs must be a list of tensors, not a tensor \[3\]; write .*\[x\]/, 'ArgumentError')
    refused(right, [1, 2], /inputs must be a list of tensors, not \[1, 2\]/, 'ArgumentError')
  })

  it('because of a tensor on another device throws an error with advice', () => {
    const w = tensor([1, 2, 3], { device: 'cpu' })
    assert.throws(() => gradcheck(y => y.mul(w), [x]), {
      name: 'DeviceError',
      message:
        /^mul: one tensor is on reference, another on cpu[\s\S]*create every other tensor of the function there, in device\.with/,
    })
  })

  it('because the inputs are empty is reported', () =>
    assert.equal(gradcheck(right, [zeros([0])]).message, 'nothing was checked: the inputs have no elements'))
})

describe('precision', () => {
  it('float32 inputs are checked in float64, as the result states', () => {
    const { notes, ok } = gradcheck((a, b) => a.mul(b), [x, x.cast('float64')])
    assert.ok(ok, 'a product')
    assert.deepEqual(notes, ['input 0 is float32 on reference: it was checked as float64 on reference'])
  })

  it('an f that returns float32 gives a warning', () => {
    const { message, ok } = gradcheck(y => y.cast('float32').exp(), [x])
    assert.equal(ok, false)
    assert.match(message, /warning: f returns float32/)
  })

  it('rounding to float32 inside f is not reported as a kink', () => {
    const rounding = (y: Tensor) => y.cast('float32').exp().cast('float64')
    assert.notEqual(verdictOf(rounding, [0.3, 0.7]), 'not differentiable here')
  })
})
