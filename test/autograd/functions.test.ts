// linearize, jacfwd, both modes of hvp, results beside the value, functions with a rule of their own, and gradients seen on the way,
// against closed forms and finite differences.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  checkpoint,
  customVjp,
  defineOp,
  grad,
  gradcheck,
  hessian,
  hvp,
  jacfwd,
  jacobian,
  jvp,
  linearize,
  onGradient,
  stack,
  Tape,
  type TensorFunction,
  valueAndGrad,
  vmap,
} from '../../src/autograd/index.ts'
import { observeOperations } from '../../src/autograd/observing.ts'
import { Linear, lossAndGradients, Module } from '../../src/nn/index.ts'
import { device, scope, type Tensor, tensor, zerosLike } from '../../src/tensor/index.ts'
import { tensor as tensors } from '../../src/testing/index.ts'
import { assertClose, assertCloseNumbers, fc, runs, values } from '../support.ts'
import { plain } from './plain.ts'

const numbers = (data: Parameters<typeof tensor>[0]) => tensor(data, { dtype: 'float64' })
const same = (actual: Tensor, expected: Tensor) => assertClose(actual, plain(expected), 1e-11)
const m = numbers([
  [1, 2, -1],
  [0.5, -1, 3],
])
const x = numbers([0.5, -1, 2])

/** how often an operation runs in f */
function countOf(name: string, f: () => void): number {
  let count = 0
  const stop = observeOperations(operation => {
    if (operation === name) count++
  })
  f()
  stop()
  return count
}

/** Derivatives of first and second order agree with finite differences. */
function assertChecked(f: TensorFunction, inputs: readonly Tensor[]): void {
  const { ok, message } = gradcheck(f, inputs, { order: 2 })
  assert.ok(ok, message)
}

describe('linearize', () => {
  const f: TensorFunction = y => m.matmul(y).sin()

  it('is the value and the derivative along any tangent', () => {
    const [value, pushforward] = linearize(f, x)
    same(value, f(x))
    const [v, w] = [numbers([1, 0, 2]), numbers([-1, 0.5, 3])]
    for (const t of [v, w]) same(pushforward(t), m.matmul(x).cos().mul(m.matmul(t)))
    same(pushforward(v.add(w)), pushforward(v).add(pushforward(w)))
  })

  it('runs the function once', () => {
    let pushforward: (v: Tensor) => Tensor = y => y
    assert.equal(
      countOf('sin', () => {
        pushforward = linearize(f, x)[1]
      }),
      1,
    )
    assert.equal(
      countOf('sin', () => [x, x, x].map(v => pushforward(v))),
      0,
    )
  })

  it('takes several inputs, and a constant of integers', () => {
    const g = (p: Tensor, ids: Tensor, q: Tensor) => p.take(ids).mul(q)
    const ids = tensor([2, 0], { dtype: 'int32' })
    const q = numbers([3, 4])
    const [, pushforward] = linearize(g, x, ids, q)
    same(pushforward(numbers([1, 1, 10]), zerosLike(ids), numbers([1, 0])), numbers([10 * 3 + 2, 4]))
    assert.throws(() => pushforward(x, q), {
      name: 'ShapeError',
      message: 'pushforward: vectors [3], [2] do not match inputs [3], [2], [2]: give one of the same shape for each',
    })
    assert.throws(() => linearize(y => y.greater(0), x), { name: 'GradientError' })
  })

  it('of a constant is 0', () => {
    const [, pushforward] = linearize(y => y.mul(0).add(2), x)
    same(pushforward(x), zerosLike(x))
  })

  it('has derivatives, and can be mapped', () => {
    const along = (y: Tensor) =>
      linearize(f, y)[1](numbers([1, 0, 2]))
        .square()
        .sum()
    assertChecked(along, [x])
    const [, pushforward] = linearize(f, x)
    same(vmap((v: Tensor) => pushforward(v))(m), m.matmul(m.transpose()).mul(m.matmul(x).cos()))
  })
})

describe('jacfwd', () => {
  it('is jacobian, by forward derivatives', () => {
    const f: TensorFunction = (y, z) => y.unsqueeze(1).mul(z.square()).sin()
    const z = numbers([1, 2])
    for (const wrt of [0, 1]) same(jacfwd(f, { wrt })(x, z), jacobian(f, { wrt })(x, z))
    assert.deepEqual(jacfwd(f)(x, z).shape, [3, 2, 3])
    fc.assert(
      fc.property(tensors(), y => {
        const g: TensorFunction = u => u.sin().mul(u.sum())
        same(jacfwd(g)(y), jacobian(g)(y))
      }),
      runs(15),
    )
  })

  it('of jacobian, and jacobian of it, are the Hessian', () => {
    const f: TensorFunction = y => m.matmul(y).tanh().sum()
    const expected = hessian(f)(x)
    same(jacfwd(grad(f))(x), expected)
    same(jacfwd(jacobian(f))(x), expected)
    same(jacobian(jacfwd(f))(x), expected)
  })

  it('has the shape of what has no elements, and keeps no memory but the result', () => {
    assert.deepEqual(jacfwd(y => y.slice([{ stop: 0 }]))(x).shape, [0, 3])
    assert.deepEqual(jacfwd(y => y)(numbers([])).shape, [0, 0])
    scope(() => {
      const before = device.get().memory().buffers
      jacfwd(y => y.sin())(x)
      assert.equal(device.get().memory().buffers - before, 1)
    })
    assert.throws(() => jacfwd(y => y, { wrt: 1 })(x), /wrt must be the position of one of 1 arguments/)
  })
})

describe('jacobian', () => {
  it('takes one walk for all rows', () => {
    const f: TensorFunction = y => m.transpose().matmul(m.matmul(y).tanh())
    // the product with each of both matrices, and its gradient
    assert.equal(
      countOf('tanh', () => jacobian(f)(x)),
      1,
    )
    const walks = (n: number) =>
      countOf('mul', () => jacobian(y => y.sin())(numbers(Array.from({ length: n }, Math.sqrt))))
    assert.equal(walks(2), walks(20))
  })

  it('takes several walks where one would take much memory', () => {
    const k = tensor([1, 2, 3], { device: 'cpu' })
    const f: TensorFunction = y =>
      y
        .expand([2 ** 21, 3])
        .mean({ axis: 0 })
        .mul(k)
    const y = tensor([1, 1, 1], { device: 'cpu' })
    const walks = countOf('sum', () => {
      for (const by of [jacobian(f)(y), jacfwd(f)(y)]) assertCloseNumbers(values(by), [1, 0, 0, 0, 2, 0, 0, 0, 3], 1e-5)
    })
    assert.ok(walks > 4, `${walks} sums`)
  })

  it('of a rule that reads its gradient is computed row by row', () => {
    const double = defineOp(
      'doubleByReading',
      (k, y: Tensor) => k.binary('mul', y, 2, y.dtype),
      g => [() => tensor(values(g), { dtype: 'float64' }).mul(2)],
    )
    same(
      jacobian(y => double(y))(x),
      numbers([
        [2, 0, 0],
        [0, 2, 0],
        [0, 0, 2],
      ]),
    )
  })
})

describe('hvp', () => {
  const f: TensorFunction = (y, z) => m.matmul(y).mul(z).tanh().square().sum()
  const z = numbers([1.5, -0.5])
  const vectors = [numbers([1, 2, -1]), numbers([0.25, 1])]

  it('has the same numbers in both modes', () => {
    const [byY, byZ] = hvp(f, [x, z], vectors)
    const [alsoByY, alsoByZ] = hvp(f, [x, z], vectors, { mode: 'forward-over-reverse' })
    same(alsoByY, byY)
    same(alsoByZ, byZ)
    const ofY = hessian(f)(x, z)
    const alone = (y: Tensor) => f(y, z)
    for (const mode of ['reverse-over-reverse', 'forward-over-reverse'] as const)
      same(hvp(alone, [x], [vectors[0]], { mode })[0], ofY.matmul(vectors[0]))
  })

  it('has zeros for integers in both modes, and the default costs less', () => {
    const ids = tensor([1, 0], { dtype: 'int32' })
    const g: TensorFunction = (k, y) => y.take(k).pow(3).sum()
    const [byIds, byY] = hvp(g, [ids, x], [zerosLike(ids), x], { mode: 'forward-over-reverse' })
    assert.deepEqual([byIds.dtype, values(byIds), values(byY)], ['int32', [0, 0], [1.5, 6, 0]])
    const cost = (mode: 'reverse-over-reverse' | 'forward-over-reverse') => {
      let count = 0
      const stop = observeOperations(() => count++)
      hvp(f, [x, z], vectors, { mode })
      stop()
      return count
    }
    const [least, most] = [cost('reverse-over-reverse'), cost('forward-over-reverse')]
    assert.ok(least < most, `${least} operations, and ${most} forwards`)
    assert.throws(() => hvp(f, [x, z], vectors, { mode: 'forward' as 'forward-over-reverse' }), {
      name: 'OptionsError',
    })
  })
})

describe('valueAndGrad with aux', () => {
  const f = (y: Tensor, k: Tensor) => {
    const hidden = y.mul(k).sin()
    return [hidden.sum(), { hidden, name: 'sine' }] as const
  }
  const k = numbers([1, 2, 3])

  it('returns what f returns beside the value, with its memory', () => {
    scope(() => {
      const [[value, { hidden, name }], gradient] = valueAndGrad(f, { aux: true })(x, k)
      same(value, x.mul(k).sin().sum())
      same(hidden, x.mul(k).sin())
      same(gradient, k.mul(x.mul(k).cos()))
      assert.equal(name, 'sine')
    })
    const [, gradients] = valueAndGrad(f, { aux: true, wrt: [1, 0] })(x, k)
    same(gradients[0], x.mul(x.mul(k).cos()))
  })

  it('works in vmap, and aux has gradients around it', () => {
    const [[value, { hidden }], gradient] = vmap(valueAndGrad(f, { aux: true }), { in: [0, null] })(m, k)
    same(value, m.mul(k).sin().sum({ axis: 1 }))
    same(hidden, m.mul(k).sin())
    same(gradient, k.mul(m.mul(k).cos()))
    const around = (y: Tensor) => valueAndGrad(f, { aux: true })(y, k)[0][1].hidden.square().sum()
    same(grad(around)(x), grad((y: Tensor) => y.mul(k).sin().square().sum())(x))
  })

  it('refuses a function that returns something else', () => {
    const wrong = (() => x.sum()) as unknown as typeof f
    assert.throws(() => valueAndGrad(wrong, { aux: true })(x, k), {
      name: 'ArgumentError',
      message: /valueAndGrad: f returned a tensor.*must return \[value, aux\] with the option aux/,
    })
    assert.throws(() => valueAndGrad(f as unknown as TensorFunction)(x, k), /f returned.*must return one tensor/)
    assert.throws(() => grad((y: Tensor) => y.sum(), { aux: true } as object), { name: 'OptionsError' })
  })
})

describe('customVjp', () => {
  /** log(1 + eˣ) */
  const log1pExp = customVjp(
    (y: Tensor) => [y.exp().log1p(), y.neg().exp()],
    (g, e) => [g.div(e.add(1))],
  )

  it('has the gradients of its rule, of any order, where those of its operations are NaN', () => {
    const wide = numbers([-2, 0, 1, 800])
    const sum = (f: TensorFunction) => (y: Tensor) => f(y).sum()
    assert.equal(values(grad(sum(y => y.exp().log1p()))(wide))[3], NaN)
    same(grad(sum(log1pExp))(wide), wide.sigmoid())
    same(log1pExp(x), x.softplus())
    assertChecked(log1pExp, [x])
    const third = (f: TensorFunction) => grad(sum(grad(sum(grad(sum(f))))))
    same(third(log1pExp)(x), third(y => y.softplus())(x))
  })

  it('may return the result alone, and takes arguments that are no tensors', () => {
    const limited = customVjp(
      (y: Tensor, _: { max: number }) => y,
      (g, _, _y, { max }) => [g.clamp({ min: -max, max }), undefined],
    )
    same(
      grad((y: Tensor) =>
        limited(y, { max: 2 })
          .mul(numbers([1, -3, 5]))
          .sum(),
      )(x),
      numbers([1, -2, 2]),
    )
    // a step that passes its gradient: straight through
    const step = customVjp(
      (y: Tensor) => y.sign(),
      g => [g],
    )
    same(grad((y: Tensor) => step(y).mul(y).sum())(x), x.sign().add(x))
  })

  it('sums over broadcast axes, and over several uses', () => {
    const times = customVjp(
      (p: Tensor, q: Tensor) => [p.mul(q), { p, q }],
      (g, { p, q }) => [g.mul(q), g.mul(p)],
    )
    same(grad((y: Tensor) => times(m, y).sum())(x), m.sum({ axis: 0 }))
    same(grad((y: Tensor) => times(y, y).sum())(x), x.mul(2))
    assertChecked(times, [m, x])
    // each of two samples has a matrix and a row, which broadcasts with it
    const [p, q] = [stack([m, m.mul(2)]), stack([x, x.square()])]
    const around = (f: TensorFunction) => grad((u, v) => vmap(f)(u, v).square().sum(), { wrt: [0, 1] })(p, q)
    const [byP, byQ] = around((u, v) => u.mul(v))
    const [alsoByP, alsoByQ] = around(times)
    same(alsoByP, byP)
    same(alsoByQ, byQ)
  })

  it('works inside of vmap, with gradients inside and around, and in checkpoint', () => {
    const scaled = customVjp(
      (y: Tensor, w: Tensor) => [y.mul(w).exp(), { y, w }],
      (g, { y, w }) => [g.mul(w).mul(y.mul(w).exp()), g.mul(y).mul(y.mul(w).exp())],
    )
    const plainly: TensorFunction = (y, w) => y.mul(w).exp()
    const check = (use: (f: TensorFunction) => Tensor) => same(use(scaled), use(plainly))
    const total = (f: TensorFunction) => (y: Tensor, w: Tensor) => f(y, w).sum()
    for (const wrt of [0, 1]) {
      check(f => vmap(grad(total(f), { wrt }), { in: [0, null] })(m, x))
      check(f =>
        grad(
          (y, w) =>
            vmap(f, { in: [0, null] })(y, w)
              .square()
              .sum(),
          { wrt },
        )(m, x),
      )
      // around vmap of a gradient
      check(f =>
        grad(
          (y, w) =>
            vmap(grad(total(f)), { in: [0, null] })(y, w)
              .square()
              .sum(),
          { wrt },
        )(m, x),
      )
      // vmap in vmap
      check(f =>
        grad(
          (y, w) =>
            vmap((row: Tensor) => vmap(f)(row, w))(y)
              .square()
              .sum(),
          { wrt },
        )(m, x),
      )
    }
    check(f => grad((y: Tensor) => checkpoint(f)(y, x).sum())(m))
    check(f => jacobian(y => f(y, x))(x))
  })

  it('refuses a tensor from outside that is differentiated', () => {
    const outer = (w: Tensor) =>
      customVjp(
        (y: Tensor) => y.mul(w),
        g => [g],
      )(x).sum()
    assert.throws(() => grad(outer)(x), {
      name: 'GradientError',
      message: /customVjp: f uses a tensor of shape \[3\] from outside that is differentiated.*make it an argument/,
    })
    same(outer(x), x.square().sum())
    same(
      grad((w: Tensor) =>
        customVjp(
          (y: Tensor) => y.mul(w.stopGradient()),
          g => [g],
        )(w).sum(),
      )(x),
      numbers([1, 1, 1]),
    )
  })

  it('refuses what a rule must not return', () => {
    const with_ = (gradients: unknown) =>
      customVjp((y: Tensor) => y.mul(2), (() => gradients) as unknown as (g: Tensor) => Tensor[])
    const run = (gradients: unknown) => () => grad((y: Tensor) => with_(gradients)(y).sum())(x)
    assert.throws(run(x), /the rule returned a tensor.*it must return a list of 1/)
    assert.throws(run([x, x]), /it must return a list of 1, with the gradient of each argument/)
    assert.throws(run([m.sum({ axis: 1 })]), /the gradient of argument 0 has shape \[2\].*the argument has shape \[3\]/)
    assert.throws(
      () => customVjp(((_: Tensor) => 3) as unknown as TensorFunction, (g: Tensor) => [g])(x),
      /customVjp: f returned 3/,
    )
    assert.throws(
      () => customVjp(((_: Tensor) => [x]) as unknown as TensorFunction, (g: Tensor) => [g])(x),
      /must return a tensor, or \[result, residuals\]/,
    )
  })
})

describe('onGradient', () => {
  it('sees the gradient of a tensor on the way', () => {
    const seen: Tensor[] = []
    const loss = (y: Tensor) =>
      onGradient(y.square(), g => void seen.push(g))
        .mul(3)
        .sum()
    same(grad(loss)(x), x.mul(6))
    assert.equal(seen.length, 1)
    // it is kept, and nothing that is added later changes it
    same(seen[0], numbers([3, 3, 3]))
    const both = (y: Tensor) =>
      onGradient(y, g => void seen.push(g))
        .sum()
        .add(y.square().sum())
    same(grad(both)(x), x.mul(2).add(1))
    same(seen[1], numbers([1, 1, 1]))
  })

  it('adds up all uses of the tensor that it returns', () => {
    let seen: Tensor | undefined
    grad((y: Tensor) => {
      const h = onGradient(y.sin(), g => {
        seen = g
      })
      return h.sum().add(h.square().sum())
    })(x)
    same(seen!, x.sin().mul(2).add(1))
  })

  it('may replace it, in gradients of any order', () => {
    const limited = (y: Tensor) =>
      onGradient(y, g => g.clamp({ min: -1, max: 1 }))
        .mul(numbers([0.5, 4, -3]))
        .sum()
    same(grad(limited)(x), numbers([0.5, 1, -1]))
    const doubled: TensorFunction = y =>
      onGradient(y, g => g.mul(2))
        .pow(3)
        .sum()
    same(grad(doubled)(x), x.square().mul(6))
    const replacedBy = (other: unknown) => () => grad((y: Tensor) => onGradient(y, () => other as Tensor).sum())(x)
    assert.throws(replacedBy(m), {
      name: 'GradientError',
      message:
        /onGradient: f returned a tensor of shape \[2, 3\], and must return nothing, or the gradient.*shape \[3\]/,
    })
    assert.throws(replacedBy(1), /onGradient: f returned 1, and must return nothing/)
    const untouched: TensorFunction = y =>
      onGradient(y.sin(), () => undefined)
        .pow(3)
        .sum()
    assertChecked(untouched, [x])
  })

  it('works in modules, tapes, checkpoint and vmap', () => {
    class Net extends Module {
      readonly layer = new Linear(3, 2)
      seen: Tensor[] = []
      forward(y: Tensor): Tensor {
        return onGradient(this.layer.forward(y), g => void this.seen.push(g))
          .square()
          .sum()
      }
    }
    const net = new Net()
    const y = tensor([1, 2, 3])
    lossAndGradients(net, () => net.forward(y))
    assertCloseNumbers(values(net.seen[0]), values(net.layer.forward(y).mul(2)), 1e-6)
    // the same, asked of a tape
    const tape = new Tape()
    tape.watch(y)
    const hidden = tape.run(() => net.layer.forward(y))
    const loss = tape.run(() => hidden.square().sum())
    assert.deepEqual(values(tape.gradient(loss, [hidden])[0]), values(net.seen[0]))
    tape.end()

    const cut = (h: Tensor) => onGradient(h, g => g.mul(numbers([1, 0, 2])))
    const expected = m.mul(2).mul(numbers([1, 0, 2]))
    same(vmap(grad((row: Tensor) => cut(row).square().sum()))(m), expected)
    same(grad((z: Tensor) => vmap((row: Tensor) => cut(row).square())(z).sum())(m), expected)
    same(grad((z: Tensor) => checkpoint((w: Tensor) => cut(w).square().sum())(z))(m), expected)
  })

  it('refuses integers', () => {
    assert.throws(() => onGradient(tensor([1], { dtype: 'int32' }), g => g), {
      name: 'GradientError',
      message: /onGradient: x is int32/,
    })
  })
})

it('jvp is the sum of the products of jacfwd with the tangents', () => {
  const f: TensorFunction = (y, z) => y.mul(z).sin()
  const [y, z] = [numbers([1, 2]), numbers([0.5, -1])]
  const [v, w] = [numbers([1, -1]), numbers([2, 3])]
  same(
    jvp(f, [y, z], [v, w])[1],
    jacfwd(f)(y, z)
      .matmul(v)
      .add(jacfwd(f, { wrt: 1 })(y, z).matmul(w)),
  )
})
