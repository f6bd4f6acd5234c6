// Functions of functions against closed forms.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  checkpoint,
  dropout,
  grad,
  gradcheck,
  hessian,
  hvp,
  jacobian,
  jvp,
  noGrad,
  Tape,
  type TensorFunction,
  valueAndGrad,
  vjp,
} from '../../src/autograd/index.ts'
import {
  device,
  Generator,
  onesLike,
  ShapeError,
  scope,
  type Tensor,
  tensor,
  zerosLike,
} from '../../src/tensor/index.ts'
import { tensor as tensors } from '../../src/testing/index.ts'
import { assertClose, assertCloseNumbers, fc, runs, values } from '../support.ts'
import { plain } from './plain.ts'

const number = (x: number) => tensor(x, { dtype: 'float64' })
const vector = (...xs: number[]) => tensor(xs, { dtype: 'float64' })
const close = (x: Tensor, ...expected: number[]) => assertCloseNumbers(values(x), expected, 1e-12)

/** 1/2 xᵀ A x + bᵀ x, whose gradient is (A + Aᵀ)/2 x + b and whose Hessian (A + Aᵀ)/2 */
const a = tensor(
  [
    [2, 1, 0],
    [3, -1, 4],
    [0, 2, 5],
  ],
  { dtype: 'float64' },
)
const b = vector(1, -2, 3)
const quadratic = (x: Tensor) => x.matmul(a).matmul(x).mul(0.5).add(b.matmul(x))
const symmetric = a.add(a.transpose()).mul(0.5)
const x = vector(0.5, -1, 2)

describe('grad and valueAndGrad', () => {
  it('are the gradient of a quadratic', () => {
    const [value, gradient] = valueAndGrad(quadratic)(x)
    close(value, values(quadratic(x))[0])
    close(gradient, ...values(symmetric.matmul(x).add(b)))
  })

  it('differentiate by the given argument, or by a list of them', () => {
    const f = (p: Tensor, q: Tensor) => p.mul(p).mul(q)
    close(grad(f)(number(3), number(5)), 30)
    close(grad(f, { wrt: 1 })(number(3), number(5)), 9)
    const both = grad(f, { wrt: [1, 0] })(number(3), number(5))
    assert.deepEqual(both.map(values), [[9], [30]])
    assert.throws(
      () => grad(f, { wrt: 2 })(number(3), number(5)),
      /wrt must be the position of one of 2 arguments, counted from 0, not 2/,
    )
    assert.throws(
      () => jacobian(f, { wrt: -1 })(number(3), number(5)),
      /wrt must be the position of one of 2 arguments, counted from 0, not -1/,
    )
  })

  it('keep no memory except their results', () =>
    scope(() => {
      grad(quadratic)(x)
      const before = device.get().memory().buffers
      grad(quadratic)(x)
      assert.equal(device.get().memory().buffers - before, 1)
      valueAndGrad(quadratic)(x)
      assert.equal(device.get().memory().buffers - before, 3)
    }))
})

describe('products with derivatives', () => {
  const f: TensorFunction = (p, q) => p.mul(q).exp()
  const [p, q] = [vector(0.5, -1), vector(2, 0.25)]

  it('vjp is vᵀ J, and can be called repeatedly', () => {
    const [value, pullback] = vjp(f, p, q)
    const e = [Math.exp(1), Math.exp(-0.25)]
    close(value, ...e)
    for (const v of [vector(1, 0), vector(2, -3)]) {
      const [v0, v1] = values(v)
      const [gp, gq] = pullback(v)
      close(gp, v0 * e[0] * 2, v1 * e[1] * 0.25)
      close(gq, v0 * e[0] * 0.5, v1 * e[1] * -1)
    }
  })

  it('jvp is J v', () => {
    const [value, tangent] = jvp(f, [p, q], [vector(1, 2), vector(0, 1)])
    close(value, Math.exp(1), Math.exp(-0.25))
    close(tangent, Math.exp(1) * 2, Math.exp(-0.25) * (2 * 0.25 - 1))
  })

  it('jvp of an unused input is 0', () => close(jvp(r => r.mul(0), [p], [q])[1], 0, 0))

  it('hvp is H v, without H', () => {
    const v = vector(1, -1, 2)
    close(hvp(quadratic, [x], [v])[0], ...values(symmetric.matmul(v)))
    const [hx, hy] = hvp((r, s) => r.square().mul(s).sum(), [number(2), number(3)], [number(1), number(10)])
    close(hx, 2 * 3 * 1 + 2 * 2 * 10)
    close(hy, 2 * 2 * 1)
  })

  it('throw for vectors of another shape', () => {
    assert.throws(() => jvp(f, [p, q], [p]), {
      name: 'ShapeError',
      message: 'jvp: vectors [2] do not match inputs [2], [2]: give one of the same shape for each',
    })
    assert.throws(() => hvp(quadratic, [x], [vector(1)]), /hvp: vectors \[1\] do not match inputs \[3\]/)
    assert.throws(() => hvp(quadratic, [x], []), ShapeError)
  })
})

describe('an input of integers', () => {
  // rows of a table by index, squared: the indices are constants
  const table = tensor(
    [
      [1, 2],
      [3, 4],
      [5, 6],
    ],
    { dtype: 'float64' },
  )
  const rows = tensor([2, 0, 2], { dtype: 'int32' })
  const f = (w: Tensor, ids: Tensor) => w.take(ids).square()
  const wholes = zerosLike(rows)

  it('has a vjp of zeros of its own shape and dtype', () => {
    const [value, pullback] = vjp(f, table, rows)
    const [byTable, byRows] = pullback(onesLike(value))
    assert.deepEqual(values(byTable), [2, 4, 0, 0, 20, 24])
    assert.deepEqual([byRows.dtype, [...byRows.shape], values(byRows)], ['int32', [3], [0, 0, 0]])
    // as grad treats it
    const scalar = (w: Tensor, ids: Tensor) => f(w, ids).sum()
    assert.deepEqual(values(grad(scalar)(table, rows)), values(byTable))
  })

  it('is constant in a jvp, for any tangent', () => {
    const direction = onesLike(table)
    for (const tangent of [wholes, rows])
      assert.deepEqual(values(jvp(f, [table, rows], [direction, tangent])[1]), [10, 12, 2, 4, 10, 12])
    // the same as of the others alone
    assert.deepEqual(values(jvp(w => f(w, rows), [table], [direction])[1]), [10, 12, 2, 4, 10, 12])
  })

  it('has an hvp of zeros, and does not affect that of other inputs', () => {
    const direction = tensor(
      [
        [1, 0],
        [0, 1],
        [1, 1],
      ],
      { dtype: 'float64' },
    )
    const [byTable, byRows] = hvp((w, ids) => f(w, ids).sum(), [table, rows], [direction, wholes])
    assert.deepEqual(values(byTable), [2, 0, 0, 0, 4, 4])
    assert.deepEqual([byRows.dtype, values(byRows)], ['int32', [0, 0, 0]])
  })

  it('may stand in front of the others', () => {
    const swapped = (ids: Tensor, w: Tensor) => f(w, ids)
    const direction = onesLike(table)
    const [value, pullback] = vjp(swapped, rows, table)
    const products = [
      pullback(onesLike(value)),
      hvp((ids, w) => swapped(ids, w).sum(), [rows, table], [wholes, direction]),
    ].map(parts => parts.map(part => [part.dtype, values(part)]))
    assert.deepEqual(products, [
      [
        ['int32', [0, 0, 0]],
        ['float64', [2, 4, 0, 0, 20, 24]],
      ],
      [
        ['int32', [0, 0, 0]],
        ['float64', [2, 2, 0, 0, 4, 4]],
      ],
    ])
    assert.deepEqual(values(jvp(swapped, [rows, table], [wholes, direction])[1]), [10, 12, 2, 4, 10, 12])
  })

  it('throws for a floating tangent, which would have no effect', () => {
    const refused = {
      name: 'GradientError',
      message: /input 1 is int32, so it is a constant, and its vector must be zerosLike\(x\)/,
    }
    assert.throws(() => jvp(f, [table, rows], [table, vector(1, 1, 1)]), refused)
    assert.throws(() => hvp(f, [table, rows], [table, vector(1, 1, 1)]), refused)
    assert.throws(
      () =>
        jvp(
          f,
          [table, rows],
          [
            tensor(
              [
                [1, 2],
                [3, 4],
                [5, 6],
              ],
              { dtype: 'int32' },
            ),
            wholes,
          ],
        ),
      {
        name: 'GradientError',
        message: "jvp: vector 0 is int32, but its input is float64; write v.cast('float64')",
      },
    )
  })

  it('alone throws', () => {
    const g = (ids: Tensor) => ids.mul(0.5)
    for (const ask of [() => vjp(g, rows), () => jvp(g, [rows], [wholes]), () => hvp(g, [rows], [wholes])])
      assert.throws(ask, { name: 'GradientError', message: /input 0 is int32.*write x\.cast\('float32'\)/ })
  })

  it('or booleans is a constant too', () => {
    const mask = tensor([true, false])
    const [, pullback] = vjp((y, m) => y.mul(m), vector(3, 4), mask)
    const [byY, byMask] = pullback(vector(1, 1))
    assert.deepEqual([values(byY), byMask.dtype, values(byMask)], [[1, 0], 'bool', [0, 0]])
  })
})

describe('jacobian and hessian', () => {
  it('of a linear map is its matrix', () => {
    assertClose(jacobian(y => a.matmul(y))(x), plain(a), 1e-15)
  })

  it('have the shapes of result and argument', () => {
    const m = tensor([[1, 2, 3]], { dtype: 'float64' })
    assert.deepEqual(jacobian((y: Tensor) => y.transpose().mul(2))(m).shape, [3, 1, 1, 3])
    assert.deepEqual(hessian((y: Tensor) => y.sum())(m).shape, [1, 3, 1, 3])
    assert.deepEqual(jacobian((y: Tensor) => y.slice([{ stop: 0 }]))(x).shape, [0, 3])
  })

  it('of a quadratic is its symmetric matrix', () => assertClose(hessian(quadratic)(x), plain(symmetric), 1e-12))

  it('of softmax is diag(p) - p pᵀ', () => {
    const p = values(x.softmax())
    const expected = p.flatMap((pi, i) => p.map((pj, j) => (i === j ? pi : 0) - pi * pj))
    close(jacobian(y => y.softmax())(x).reshape([-1]), ...expected)
    // logSumExp has softmax for a gradient, so this is its Hessian
    close(hessian((y: Tensor) => y.logSumExp())(x).reshape([-1]), ...expected)
  })

  it('differentiate by the given argument', () => {
    const f = (y: Tensor, w: Tensor) => y.mul(w.square()).sum()
    close(hessian(f, { wrt: 1 })(vector(1, 2), vector(3, 4)).reshape([-1]), 2, 0, 0, 4)
  })
})

describe('second derivatives that are often wrong', () => {
  const second = (f: (x: Tensor) => Tensor, at: number) => values(grad(grad(f))(number(at)))[0]
  const nearly = (actual: number, expected: number) =>
    assert.ok(Math.abs(actual - expected) < 1e-12 * Math.max(1, Math.abs(expected)), `${actual} is not ${expected}`)
  const s = (z: number) => 1 / (1 + Math.exp(-z))

  it('x eˣ: (x + 2) eˣ', () => {
    nearly(
      second(y => y.mul(y.exp()), 1),
      3 * Math.E,
    )
    assert.equal(second(y => y.mul(y.exp()), 1).toFixed(2), '8.15')
  })

  it('x tanh x: 2 (1 - t²) (1 - x t)', () => {
    const t = Math.tanh(1)
    nearly(
      second(y => y.mul(y.tanh()), 1),
      2 * (1 - t * t) * (1 - t),
    )
    assert.equal(second(y => y.mul(y.tanh()), 1).toFixed(2), '0.20')
  })

  it('silu: s (1 - s) (2 + x (1 - 2 s))', () => {
    nearly(
      second(y => y.silu(), 1),
      s(1) * (1 - s(1)) * (2 + (1 - 2 * s(1))),
    )
    assert.equal(second(y => y.silu(), 1).toFixed(2), '0.30')
  })

  it('gelu: φ(x) (2 - x²)', () => {
    const density = Math.exp(-0.5 * 1.5 ** 2) / Math.sqrt(2 * Math.PI)
    nearly(
      second(y => y.gelu(), 1.5),
      density * (2 - 1.5 ** 2),
    )
  })

  it('x / (1 + x²), √x, 1/√x, log1p and expm1', () => {
    nearly(
      second(y => y.div(y.square().add(1)), 2),
      (2 * 8 - 6 * 2) / 125,
    )
    nearly(
      second(y => y.sqrt(), 4),
      -1 / 32,
    )
    nearly(
      second(y => y.rsqrt(), 4),
      3 / 128,
    )
    nearly(
      second(y => y.log1p(), 1),
      -1 / 4,
    )
    nearly(
      second(y => y.expm1(), 1),
      Math.E,
    )
  })

  it('one entry of softmax: p (1 - p) (1 - 2 p)', () => {
    const f = (y: Tensor) => tensor([1, 2], { dtype: 'float64' }).mul(y).softmax().slice([0])
    // softmax of (x, 2x) has the first entry 1 / (1 + eˣ) = s(-x)
    const p = s(-0.3)
    nearly(second(f, 0.3), p * (1 - p) * (1 - 2 * p))
  })
})

describe('applications of double backward', () => {
  it("Newton's method finds the minimum of a quadratic in one step, and of x⁴ - 2x² in a few", () => {
    const newton = (f: TensorFunction, start: Tensor, steps: number): Tensor => {
      let at = start
      for (let i = 0; i < steps; i++) at = at.sub(grad(f)(at).div(grad(grad(f))(at)))
      return at
    }
    close(
      newton(y => y.sub(3).square(), number(-5), 1),
      3,
    )
    close(
      newton(y => y.pow(4).sub(y.square().mul(2)), number(2), 8),
      1,
    )
  })

  it('the gradient of a gradient penalty equals finite differences', () => {
    const penalty = (w: Tensor, y: Tensor) => {
      const g = grad((z: Tensor) => z.linear(w).tanh().sum())(y)
      return g.norm().sub(1).square()
    }
    const result = gradcheck(penalty, [a, x], { order: 2 })
    assert.ok(result.ok, result.message)
  })
})

describe('checkpoint', () => {
  const weight = tensor(
    [
      [0.5, -1, 0.25],
      [1, 0.75, -0.5],
    ],
    { dtype: 'float64' },
  )
  const y = tensor([[0.5, -1, 2]], { dtype: 'float64' })

  /** Gradients by y and by the weight, which the function only captures, and the lines and buffers of the tape. */
  function walk(f: (y: Tensor) => Tensor): { gradients: number[][]; entries: number; buffers: number } {
    using tape = new Tape()
    tape.watch(y)
    tape.watch(weight)
    const before = device.get().memory().buffers
    const loss = tape.run(() => f(y).square().sum())
    const buffers = device.get().memory().buffers - before
    return { gradients: tape.gradient(loss, [y, weight]).map(values), entries: tape.entries.length, buffers }
  }

  const smooth = (z: Tensor) => z.linear(weight).tanh().exp().softmax().sin()

  it('gives the same gradients, also of captured weights, with fewer records and less memory', () => {
    const [plainly, saving] = [walk(smooth), walk(checkpoint(smooth))]
    assert.deepEqual(saving.gradients, plainly.gradients)
    assert.equal(plainly.entries, 7)
    assert.equal(saving.entries, 3)
    // without it every step; with it the function's result, its square and the sum
    assert.deepEqual([plainly.buffers, saving.buffers], [7, 3])
  })

  it('is one line, of what comes from outside', () => {
    using tape = new Tape()
    tape.watch(y)
    tape.run(() => checkpoint((z: Tensor) => z.reshape([1, 3]).linear(weight).exp())(y))
    assert.deepEqual(
      tape.entries.map(({ name, args }) => [name, args.map(arg => [y, weight].indexOf(arg as Tensor))]),
      [['checkpoint', [0, 1]]],
    )
  })

  const random =
    (generator: Generator) =>
    (z: Tensor): Tensor =>
      dropout(dropout(z.linear(weight).tanh(), 0.5, { generator }).add(1), 0.25, { generator })

  it('repeats the same dropout, and restores the generator', () => {
    const [g1, g2, g3] = [new Generator(3), new Generator(3), new Generator(3)]
    const expected = walk(random(g1)).gradients
    assert.deepEqual(walk(checkpoint(random(g2))).gradients, expected)
    assert.deepEqual(g2.state, g1.state)
    // two in a row, each with draws of its own
    const twice = (f: (z: Tensor) => Tensor) => (z: Tensor) => f(z).matmul(weight).add(f(z).sum())
    const g4 = new Generator(3)
    assert.deepEqual(walk(twice(checkpoint(random(g3)))).gradients, walk(twice(random(g4))).gradients)
  })

  it('can be nested, with random numbers', () => {
    const [g1, g2] = [new Generator(5), new Generator(5)]
    const whole = (f: (z: Tensor) => Tensor) => (z: Tensor) =>
      f(z)
        .exp()
        .add(f(z.mul(2)))
    const nested = checkpoint(whole(checkpoint(random(g2))))
    assert.deepEqual(walk(nested).gradients, walk(whole(random(g1))).gradients)
    assert.deepEqual(g2.state, g1.state)
  })

  it('has second derivatives', () => {
    const f = (z: Tensor) => checkpoint(smooth)(z).square().sum()
    const result = gradcheck(f, [y], { order: 2 })
    assert.ok(result.ok, result.message)
    assertClose(hessian(f)(y), plain(hessian((z: Tensor) => smooth(z).square().sum())(y)), 1e-12)
  })

  it('returns an input unchanged beside a computed result', () => {
    const f = checkpoint((p: Tensor, q: Tensor) => {
      q.neg()
      return p
    })
    const cube = (p: Tensor, q: Tensor) => f(p, q).pow(3).sum()
    const [by, beside] = grad(cube, { wrt: [0, 1] })(number(2), number(5))
    assert.deepEqual([values(by), values(beside)], [[12], [0]])
    const slopes = (p: Tensor, q: Tensor) => {
      const [one, other] = grad(cube, { wrt: [0, 1] })(p, q)
      return one.square().add(other.square())
    }
    assert.deepEqual(grad(slopes, { wrt: [0, 1] })(number(2), number(5)).map(values), [[288], [0]])
  })

  it('can return its argument, and gives the same result without a tape', () => {
    assert.deepEqual(values(grad((z: Tensor) => checkpoint((v: Tensor) => v)(z).sum())(y)), [1, 1, 1])
    assert.deepEqual(values(checkpoint(smooth)(y)), values(smooth(y)))
    assert.deepEqual(values(noGrad(() => checkpoint(smooth)(y))), values(smooth(y)))
  })
})

it('grad of a sum is the sum of grads', () => {
  const f = (z: Tensor) => z.sin().sum()
  const g = (z: Tensor) => z.square().exp().sum()
  fc.assert(
    fc.property(tensors(), z => {
      const both = grad((w: Tensor) => f(w).add(g(w)))(z)
      assertClose(both, plain(grad(f)(z).add(grad(g)(z))))
    }),
    runs(30),
  )
})
