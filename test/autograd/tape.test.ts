// The records, the errors and the memory of a tape.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import {
  concat,
  defineOp,
  fusedOps,
  GradientError,
  grad,
  isRecording,
  mul,
  noGrad,
  Tape,
} from '../../src/autograd/index.ts'
import {
  arange,
  device,
  FreedError,
  jupyterDisplay,
  ones,
  randn,
  ShapeError,
  type Storage,
  scope,
  Tensor,
  tensor,
  zeros,
} from '../../src/tensor/index.ts'
import { assertCloseNumbers, values } from '../support.ts'
import { peakOf } from '../tensor/cpu/peak.ts'

const number = (x: number) => tensor(x, { dtype: 'float64' })
const vector = (...xs: number[]) => tensor(xs, { dtype: 'float64' })

/** The gradient of f at inputs that are watched by one tape. */
function gradients(f: (...xs: Tensor[]) => Tensor, ...inputs: Tensor[]): number[][] {
  using tape = new Tape()
  for (const x of inputs) tape.watch(x)
  const result = tape.run(() => f(...inputs))
  return tape.gradient(result, inputs).map(values)
}

describe('a gradient', () => {
  it('is the sum over all uses of a tensor', () => {
    assert.deepEqual(
      gradients(x => x.add(x).add(x.mul(2)).sum(), vector(1, 2)),
      [[4, 4]],
    )
    assert.deepEqual(
      gradients(x => x.mul(x), number(3)),
      [[6]],
    )
    assert.deepEqual(
      gradients(x => x.mul(x).mul(x), number(2)),
      [[12]],
    )
  })

  it('is the sum if gradients of one tensor share memory, like those of queries, keys and values', () => {
    for (const name of ['reference', 'cpu'] as const) {
      const sums = device.with(name, () => {
        const x = tensor([
          [1, 2],
          [3, -1],
        ])
        const [together] = gradients(a => a.attention(a, a).square().sum(), x)
        const apart = gradients((q, k, v) => q.attention(k, v).square().sum(), x.mul(1), x.mul(1), x.mul(1))
        return [together, together.map((_, i) => apart.reduce((sum, part) => sum + part[i], 0))]
      })
      assertCloseNumbers(sums[0], sums[1], 1e-5)
    }
  })

  it('is the sum over broadcast axes', () => {
    const [gx, gy] = gradients((x, y) => x.mul(y).sum(), vector(1, 2, 3), number(5))
    assert.deepEqual(gx, [5, 5, 5])
    assert.deepEqual(gy, [6])
  })

  it('has the dtype of its input', () => {
    const [x, y] = [tensor([1, 2]), vector(3, 4)]
    const [gx, gy] = grad((a: Tensor, b: Tensor) => a.mul(b).sum(), { wrt: [0, 1] })(x, y)
    assert.deepEqual([gx.dtype, gy.dtype], ['float32', 'float64'])
  })

  it('is zero if the result does not depend on the input', () => {
    assert.deepEqual(
      gradients((x, _y) => x.sum(), vector(1, 2), vector(3, 4)),
      [
        [1, 1],
        [0, 0],
      ],
    )
  })

  it('of a constant is zeros in grad, undefined in partials, and an error otherwise', () => {
    const w = vector(1, 2)
    const constants: ((x: Tensor) => Tensor)[] = [
      () => number(5),
      x => tensor(x.square().dataSync(), { dtype: 'float64' }).sum(),
      x => x.stopGradient().sum(),
    ]
    for (const f of constants) {
      assert.deepEqual(values(grad(f)(w)), [0, 0])
      for (const walk of ['gradient', 'finish'] as const) {
        using tape = new Tape()
        tape.watch(w)
        const constant = tape.run(() => f(w))
        assert.deepEqual(tape.partials(constant, [w]), [undefined])
        assert.throws(() => tape[walk](constant, [w]), {
          name: 'GradientError',
          message: /the tape did not record the result of shape \[\]: compute it inside tape\.run.*dataSync\(\)/,
        })
      }
    }
  })

  it('of a result that was computed before the tape ran throws', () => {
    const w = vector(1, 2)
    const before = w.square().sum()
    using tape = new Tape()
    tape.watch(w)
    assert.throws(() => tape.gradient(before, [w]), /compute it inside tape\.run/)
  })

  it('is undefined in partials exactly if no operation leads to the result', () => {
    using tape = new Tape()
    const [x, y, z] = [vector(1, 2), vector(3, 4), vector(5, 6)].map(v => tape.watch(v))
    const result = tape.run(() => {
      z.square()
      return x.add(y.mul(0)).sum()
    })
    assert.deepEqual(
      tape.partials(result, [x, y, z], { ends: true }).map(g => g && values(g)),
      [[1, 1], [0, 0], undefined],
    )
    assert.throws(() => tape.partials(result, [x]), /this tape has ended/)
  })

  it('of the watched tensor itself is 1', () =>
    assert.deepEqual(
      gradients(x => x, number(3)),
      [[1]],
    ))

  it('is not computed for constants', () => {
    const asked: string[] = []
    const product = defineOp(
      'product',
      (k, x: Tensor, y: Tensor) => k.binary('mul', x, y, x.dtype),
      (g, _, x, y) => [
        () => {
          asked.push('x')
          return g.mul(y)
        },
        () => {
          asked.push('y')
          return g.mul(x)
        },
      ],
    )
    assert.deepEqual(
      gradients(x => product(x, number(5)), number(3)),
      [[5]],
    )
    assert.deepEqual(asked, ['x'])
  })

  it('can be computed for intermediate results', () => {
    using tape = new Tape()
    const x = tape.watch(number(3))
    const [square, result] = tape.run(() => {
      const y = x.mul(x)
      return [y, y.mul(y)]
    })
    assert.deepEqual(tape.gradient(result, [square, x]).map(values), [[18], [108]])
  })

  it('can be computed more than once', () => {
    using tape = new Tape()
    const x = tape.watch(number(3))
    const y = tape.run(() => x.mul(x))
    assert.deepEqual([...tape.gradient(y, [x]), ...tape.gradient(y, [x])].map(values), [[6], [6]])
  })

  it('does not flow through stopGradient, comparisons or argmax', () => {
    assert.deepEqual(
      gradients(x => x.stopGradient().mul(x).sum(), vector(2, 3)),
      [[2, 3]],
    )
    assert.deepEqual(
      gradients(x => x.mul(x.greater(2)).sum(), vector(2, 3)),
      [[0, 1]],
    )
    assert.deepEqual(
      gradients(x => x.take(x.argmax()), vector(2, 3)),
      [[0, 1]],
    )
  })

  it('is shared by equal numbers at the kink of a function', () => {
    assert.deepEqual(
      gradients(x => x.max(), vector(3, 3, 1)),
      [[0.5, 0.5, 0]],
    )
    assert.deepEqual(
      gradients((x, y) => x.maximum(y).sum(), vector(1, 2), vector(1, 1)),
      [
        [0.5, 1],
        [0.5, 0],
      ],
    )
    assert.deepEqual(
      gradients(x => x.abs().sum(), vector(0, -1)),
      [[0, -1]],
    )
    assert.deepEqual(
      gradients(x => x.relu().sum(), vector(0, 1)),
      [[0, 1]],
    )
    assert.deepEqual(
      gradients(x => x.clamp({ min: 0, max: 1 }).sum(), vector(0, 1, 2)),
      [[1, 1, 0]],
    )
  })
})

describe('gradients of gradients', () => {
  it('distinguish inner and outer variables', () => {
    const f = (x: Tensor) => x.mul(grad((y: Tensor) => x.add(y))(number(1)))
    assert.deepEqual(values(grad(f)(number(1))), [1])
    const h = (x: Tensor) => x.mul(grad((y: Tensor) => x.mul(y))(number(2)))
    assert.deepEqual(values(grad(h)(number(3))), [6])
  })

  it('can be nested to any depth', () => {
    let f = (x: Tensor) => x.pow(5)
    for (const expected of [80, 160, 240, 240, 120]) {
      f = grad(f)
      assert.deepEqual(values(f(number(2))), [expected])
    }
    assert.deepEqual(values(grad(f)(number(2))), [0])
  })

  it('work with the same tensor passed twice', () => {
    const x = number(3)
    const [a, b] = grad((p: Tensor, q: Tensor) => p.mul(p).mul(q), { wrt: [0, 1] })(x, x)
    assert.deepEqual([values(a), values(b)], [[18], [9]])
  })

  it('of fused operations reach the inputs of the rule', () => {
    const f = (x: Tensor) => fusedOps.softmax(x).square().sum()
    const second = grad((x: Tensor) => grad(f)(x).square().sum())(vector(0.5, -1))
    const h = 1e-5
    const at = (d: number) => values(grad(f)(vector(0.5 + d, -1))).reduce((sum, g) => sum + g * g, 0)
    assert.ok(Math.abs(values(second)[0] - (at(h) - at(-h)) / (2 * h)) < 1e-8)
  })
})

describe('a tape throws for', () => {
  it('a gradient of a result that is not a scalar, and names its shape', () => {
    using tape = new Tape()
    const x = tape.watch(zeros([2, 3]))
    const y = tape.run(() => x.mul(2))
    assert.throws(() => tape.gradient(y, [x]), {
      name: 'GradientError',
      message: /the result has shape \[2, 3\], and a gradient needs a scalar/,
    })
    assert.throws(() => grad((a: Tensor) => a.mul(2))(x), GradientError)
    assert.throws(
      () => tape.gradient(y, [x], zeros([3, 2])),
      /the seed has shape \[3, 2\], and must have the shape of the result, \[2, 3\]/,
    )
  })

  it('a tensor that it did not watch', () => {
    using tape = new Tape()
    const [x, stranger] = [tape.watch(number(1)), zeros([4])]
    const y = tape.run(() => x.mul(stranger.sum()))
    assert.throws(() => tape.gradient(y, [stranger]), /a tensor of shape \[4\] is not on this tape/)
  })

  it('a tensor without gradients', () => {
    using tape = new Tape()
    assert.throws(
      () => tape.watch(zeros([2], { dtype: 'int32' })),
      /watch: x is int32, and only floating tensors have gradients; write x.cast/,
    )
    const x = tape.watch(zeros([1]))
    const y = tape.run(() => x.greater(0))
    assert.throws(() => tape.gradient(y, [x]), /the result is bool, and only floating results have gradients/)
  })

  it('asynchronous functions, and so does noGrad', () => {
    using tape = new Tape()
    const x = tape.watch(number(1))
    assert.throws(() => tape.run(async () => x.mul(2)), {
      name: 'TypeError',
      message: /tape\.run: f must not be async; await its data before/,
    })
    assert.throws(() => noGrad(async () => x.mul(2)), {
      name: 'TypeError',
      message: /noGrad: f must not be async; await its data before/,
    })
  })

  it('use after its end', () => {
    const tape = new Tape()
    const x = tape.watch(number(1))
    const y = tape.run(() => x.mul(2))
    tape.end()
    tape.end()
    assert.throws(() => tape.run(() => x), /this tape has ended/)
    assert.throws(() => tape.gradient(y, [x]), /this tape has ended/)
  })

  it('a parameter with a value changed after its use', () => {
    class Replaceable extends Tensor {
      replace(storage: Storage): void {
        this.replaceStorage(storage)
      }
    }
    using tape = new Tape()
    const weight = tape.watch(new Replaceable(vector(1, 2).storage, [2]), 'weight')
    const y = tape.run(() => weight.square().sum())
    weight.replace(vector(3, 4).storage)
    assert.throws(() => tape.gradient(y, [weight]), /weight was assigned a new value after it was recorded/)
  })

  it('a rule whose gradient does not fit its argument, and names the operation', () => {
    const crooked = defineOp(
      'crooked',
      (k, x: Tensor) => k.unary('exp', x),
      g => [() => g.transpose()],
    )
    assert.throws(
      () => grad((x: Tensor) => crooked(x).sum())(zeros([2, 3])),
      /crooked: the gradient of argument 0 has shape \[3, 2\] on reference, but the argument has shape \[2, 3\]/,
    )
    const flat = defineOp(
      'flat',
      (k, x: Tensor) => k.unary('exp', x),
      g => [() => g.reshape([-1])],
    )
    assert.throws(
      () => grad((x: Tensor) => flat(x).sum())(zeros([2, 3])),
      /flat: the gradient of argument 0 has shape \[6\]/,
    )
  })
})

describe('recording', () => {
  it('happens in run, but not in noGrad', () => {
    const tape = new Tape()
    const x = tape.watch(number(2))
    tape.run(() => {
      assert.ok(isRecording())
      x.mul(2)
      noGrad(() => {
        assert.ok(!isRecording())
        x.mul(3)
      })
    })
    x.mul(4)
    assert.ok(!isRecording())
    assert.equal(tape.entries.length, 1)
    tape.end()
  })

  it('ends if an operation throws', () => {
    using tape = new Tape()
    const x = tape.watch(zeros([2]))
    assert.throws(() => tape.run(() => x.add(zeros([3]))), ShapeError)
    assert.ok(!isRecording())
  })

  it('omits operations without a watched tensor among their inputs', () => {
    using tape = new Tape()
    const x = tape.watch(number(2))
    tape.run(() => x.mul(number(3).exp()))
    assert.deepEqual(
      tape.entries.map(entry => entry.name),
      ['mul'],
    )
  })

  it('distinguishes an argument and a result that are the same tensor', () => {
    const through = defineOp(
      'through',
      (_, x: Tensor) => x,
      g => [() => g.mul(3)],
    )
    assert.deepEqual(
      gradients(x => through(through(x)), number(1)),
      [[9]],
    )
  })

  it('works with two tapes at once', () => {
    const [outer, inner] = [new Tape(), new Tape()]
    const [x, y] = [outer.watch(number(2)), inner.watch(number(3))]
    const [z] = outer.run(() => [inner.run(() => mul(x, y))])
    assert.deepEqual([values(outer.gradient(z, [x])[0]), values(inner.gradient(z, [y])[0])], [[3], [2]])
    inner.end()
    outer.end()
  })
})

describe('memory of a tape', () => {
  it('is freed at its end, except for results', () => {
    const before = device.get().memory().buffers
    const x = number(2)
    const tape = new Tape()
    tape.watch(x)
    const [y, z] = tape.run(() => [x.exp(), x.log()])
    const [g] = tape.gradient(y, [x])
    tape.end([z])
    assert.throws(() => y.dataSync(), FreedError)
    assert.throws(() => y.dataSync(), /freed when its tape ended/)
    assert.ok(!z.storage.isFreed && !g.storage.isFreed && !x.storage.isFreed)
    assert.equal(device.get().memory().buffers - before, 3)
  })

  it('holds the tensors that the backward pass needs, even from an inner scope', () => {
    using tape = new Tape()
    const x = tape.watch(number(2))
    const y = tape.run(() => scope(() => x.exp().mul(x)))
    assert.ok(Math.abs(values(tape.gradient(y, [x])[0])[0] - 3 * Math.exp(2)) < 1e-12)
  })

  it('is freed if noGrad throws', () => {
    let made: Tensor | undefined
    const fail = () => {
      made = tensor([1, 2]).exp()
      throw new RangeError('on purpose')
    }
    assert.throws(() => noGrad(fail), RangeError)
    assert.throws(() => made?.dataSync(), { name: 'FreedError', message: /noGrad/ })
    assert.equal(isRecording(), false)
  })

  it('does not grow with the tensors of noGrad', () => {
    using tape = new Tape()
    const x = tape.watch(number(2))
    tape.run(() => {
      const before = device.get().memory().buffers
      const y = noGrad(() => x.exp().exp().exp())
      assert.equal(device.get().memory().buffers - before, 1)
      assert.ok(!y.storage.isFreed)
    })
  })

  it('is given back on the way back where the tape ends with it: forward and back need it at different times', async () => {
    const [layers, size] = [16, 4096]
    const weights = device.with('cpu', () => Array.from({ length: layers }, () => randn([size])))
    const step = (walk: 'gradient' | 'finish') =>
      peakOf(() =>
        device.with('cpu', () => {
          using tape = new Tape()
          for (const w of weights) tape.watch(w)
          const loss = tape.run(() => weights.reduce((x, w) => x.tanh().mul(w), weights[0]).sum())
          for (const g of tape[walk](loss, weights)) g.storage.free('this test')
        }),
      )
    // the results of 2 operations a layer, the gradients of weights, and what one operation needs on its way
    const vectors = { finish: 2 * layers + 6, gradient: 3 * layers + 6 }
    for (const walk of ['finish', 'gradient'] as const) {
      const peak = (await step(walk)) / (4 * size)
      assert.ok(peak <= vectors[walk], `${walk}: memory of ${peak} vectors at once`)
    }
  })

  it('is not given back on the way back where it is kept', () => {
    const tape = new Tape()
    const x = tape.watch(number(2))
    const [y, z, loss] = tape.run(() => {
      const [y, z] = [x.exp(), x.square()]
      return [y, z, y.mul(z)]
    })
    tape.finish(loss, [x], { z })
    assert.ok(y.storage.isFreed)
    assert.deepEqual(values(z), [4])
  })

  it('is not given back on the way back where another tape has recorded it', () => {
    const outer = new Tape()
    const x = outer.watch(number(2))
    const slope = outer.run(() => {
      const inner = new Tape()
      inner.watch(x)
      return inner.finish(
        inner.run(() => x.exp().mul(3)),
        [x],
      )[0]
    })
    const [second] = outer.finish(slope, [x])
    assertCloseNumbers(values(second), [3 * Math.exp(2)], 1e-12)
  })

  it('is not given back on the way back where an earlier operation needs it, though a later result lies in it', () => {
    const second = defineOp(
      'second',
      (_, _x: Tensor, y: Tensor) => y,
      _ => [undefined, undefined],
    )
    const tape = new Tape()
    const x = tape.watch(number(2))
    const result = tape.run(() => {
      const c = number(3).square()
      return x.mul(c).mul(second(x, c))
    })
    assert.deepEqual(tape.finish(result, [x]).map(values), [[81]])
  })

  it('does not grow over thousands of steps', () => {
    let w = tensor([[0.5, -0.5]])
    const x = tensor([[1, 2]])
    const step = () => {
      const tape = new Tape()
      tape.watch(w)
      const loss = tape.run(() => x.linear(w).square().softmax().sum())
      const [g] = tape.gradient(loss, [w])
      const next = scope(() => w.sub(g.mul(0.01)))
      tape.end()
      g.storage.free('the step')
      w.storage.free('the step')
      w = next
    }
    for (let i = 0; i < 10; i++) step()
    const before = device.get().memory()
    for (let i = 0; i < 3000; i++) step()
    assert.deepEqual(device.get().memory(), before)
  })

  it('does not grow over steps in a scope', () => {
    const w = tensor([0.5, -0.5])
    const step = () =>
      scope(() => {
        grad((v: Tensor) =>
          grad((u: Tensor) => u.exp().sum())(v)
            .square()
            .sum(),
        )(w)
      })
    step()
    const before = device.get().memory()
    for (let i = 0; i < 1000; i++) step()
    assert.deepEqual(device.get().memory(), before)
  })
})

describe('a printed tape', () => {
  const tape = new Tape()
  const x = tape.watch(zeros([2, 3]), 'x')
  const w = tape.watch(zeros([4, 3], { dtype: 'float64' }), 'a "w"')
  tape.run(() =>
    x
      .linear(w)
      .sum({ axis: -1 })
      .add(zeros([2]))
      .mul(2),
  )

  it('has one line per operation', () => {
    assert.equal(
      String(tape),
      [
        '%0  x                      [2, 3]',
        '%1  a "w"                  [4, 3] float64',
        '%2  linear(%0, %1)         [2, 4] float64',
        '%3  sum(%2, axis=-1)       [2] float64',
        '%4  add(%3, constant [2])  [2] float64',
        '%5  mul(%4, 2)             [2] float64',
      ].join('\n'),
    )
  })

  it('shows numbers as JavaScript does, and tensors at any depth', () => {
    const tape = new Tape()
    const x = tape.watch(ones([2]), 'x')
    tape.run(() => {
      const y = concat([x, x.mul(Number.NaN)]).clamp({ min: 0, max: Number.POSITIVE_INFINITY })
      return y.pad([[1, 0]], Number.NEGATIVE_INFINITY)
    })
    const lines = String(tape)
      .split('\n')
      .map(line => line.split(/ {2,}/)[1])
    assert.deepEqual(lines, [
      'x',
      'mul(%0, NaN)',
      'concat(0, %0, %1)',
      'clamp(%2, min=0, max=Infinity)',
      'pad(%3, [[1, 0]], -Infinity)',
    ])
  })

  it('shows a few values of every tensor on request', () => {
    const tape = new Tape()
    const x = tape.watch(tensor([1, -2]), 'x')
    const lost = scope(() => tape.watch(zeros([1]), 'lost'))
    tape.run(() => x.mul(2).reshape([2, 1]).expand([2, 1000]).add(arange(1000).div(4)).sum())
    lost.storage.free('this test')
    assert.equal(
      tape.toString({ values: true }),
      [
        '%0  x                         [2]        [1, -2]',
        '%1  lost                      [1]        freed',
        '%2  mul(%0, 2)                [2]        [2, -4]',
        '%3  reshape(%2, [2, 1])       [2, 1]     [[2], [-4]]',
        '%4  expand(%3, [2, 1000])     [2, 1000]  [[2, 2, 2, ..., 2, 2, 2], [-4, -4, -4, ..., -4, -4, -4]]',
        '%5  add(%4, constant [1000])  [2, 1000]  [[2.00, ..., 251.75], [-4.00, ..., 245.75]]',
        '%6  sum(%5)                   []         247750',
      ].join('\n'),
    )
  })

  it('says how to read values on gpu', async () => {
    await device.open('gpu', { backend: 'cpu' })
    const tape = new Tape()
    const x = tape.watch(device.with('gpu', () => tensor([1, 2])))
    tape.run(() => x.mul(2))
    assert.equal(
      tape.toString({ values: true }),
      `%0  x0          [2]  on gpu
%1  mul(%0, 2)  [2]  on gpu
values on this device are read asynchronously: await tape.entries[0].result.text() gives those of one tensor`,
    )
    assert.equal(await tape.entries[0].result.text(), 'Tensor [2] float32 on gpu: [2, 4]')
    tape.end()
  })

  it('is a list in a console and a notebook, and one line if it is nested', () => {
    const text = `Tape of 4 operations\n${String(tape).replaceAll(/^/gm, '  ')}`
    assert.equal(inspect(tape), text)
    assert.equal(inspect({ tape }), '{ tape: Tape of 4 operations }')
    assert.equal(inspect([tape], { depth: 0 }), '[ [Tape] ]')
    assert.deepEqual(tape[jupyterDisplay](), { 'text/plain': text, 'text/html': `<pre>${text}</pre>` })
    assert.equal(inspect(new Tape()), 'Tape of 0 operations')
  })

  it('does not record printing while it runs, and keeps no memory of it', async () => {
    const tape = new Tape()
    const x = tape.watch(randn([60, 3, 60]), 'x')
    const y = tape.run(() => x.permute([2, 1, 0]).exp())
    const [entries, memory] = [tape.entries.length, device.get().memory()]
    const notebook = tape.run(() => {
      const text = `${y}${inspect(y)}${inspect([x, y])}${tape.toString({ values: true })}${inspect(tape)}`
      assert.match(text, /Tensor \[60, 3, 60\]/)
      return { shown: y[jupyterDisplay]() }
    })
    await notebook.shown
    assert.deepEqual([tape.entries.length, device.get().memory()], [entries, memory])
    tape.end()
  })

  it('is a flowchart', () => {
    const lines = tape.toMermaid().split('\n')
    assert.equal(lines[0], 'flowchart TD')
    assert.ok(lines.includes('  t0(["x [2, 3]"])'))
    assert.ok(lines.includes('  t1(["a #quot;w#quot; [4, 3]"])'))
    assert.ok(lines.includes('  t2["linear [2, 4]"]'), 'a node an operation')
    assert.ok(lines.includes('  t0 --> t2') && lines.includes('  t1 --> t2'), 'an arrow an argument')
  })
})
