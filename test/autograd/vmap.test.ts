// vmap itself: axes, nesting, what goes in and out, randomness, operations without a rule, and what it refuses. That it is a loop
// for every operation is in vmap-operations.test.ts.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  checkpoint,
  defineFused,
  defineOp,
  dropout,
  grad,
  gradcheck,
  hessian,
  jacobian,
  jvp,
  noGrad,
  stack,
  Tape,
  type TensorFunction,
  VmapError,
  valueAndGrad,
  vjp,
  vmap,
} from '../../src/autograd/index.ts'
import { observeOperations } from '../../src/autograd/observing.ts'
import { Linear, lossAndGradients, Module } from '../../src/nn/index.ts'
import {
  device,
  Generator,
  ones,
  permutation,
  rand,
  randn,
  seed,
  type Tensor,
  tensor,
  zeros,
} from '../../src/tensor/index.ts'
import { observeKernels } from '../../src/tensor/observe.ts'
import { assertClose, assertCloseNumbers, values } from '../support.ts'
import { plain } from './plain.ts'

const numbers = (data: Parameters<typeof tensor>[0]) => tensor(data, { dtype: 'float64' })
const a = numbers([
  [1, 2, 3],
  [-1, 0.5, 2],
])
const b = numbers([
  [2, 0, 1],
  [1, 1, -1],
])
const same = (actual: Tensor, expected: Tensor) => assertClose(actual, plain(expected), 1e-12)

class Net extends Module {
  readonly hidden = new Linear(3, 4)
  readonly out = new Linear(4, 1)
  forward(x: Tensor): Tensor {
    return this.out.forward(this.hidden.forward(x).tanh())
  }
}

/** Derivatives of first and second order agree with finite differences. */
function assertChecked(f: TensorFunction, inputs: readonly Tensor[]): void {
  const { ok, message } = gradcheck(f, inputs, { order: 2 })
  assert.ok(ok, message)
}

describe('vmap', () => {
  it('gives the function one sample, and all results', () => {
    const shapes: (readonly number[])[] = []
    const dot = (x: Tensor, y: Tensor) => {
      shapes.push(x.shape, y.shape)
      return x.matmul(y)
    }
    assert.deepEqual(values(vmap(dot)(a, b)), [5, -2.5])
    assert.deepEqual(shapes, [[3], [3]])
  })

  it('takes the axis of the samples in each input, and null for none', () => {
    const scale = (x: Tensor, w: Tensor) => x.mul(w)
    same(vmap(scale, { in: [1, null] })(a, numbers([1, 10])), a.transpose().mul(numbers([1, 10])))
    same(vmap((x: Tensor) => x.sum(), { in: -1 })(a), a.sum({ axis: 0 }))
    same(vmap(scale, { in: [0, 1] })(a, b.transpose()), a.mul(b))
  })

  it('puts the axis of the samples where it is asked for', () => {
    const f = (x: Tensor) => x.unsqueeze(0).mul(2)
    assert.deepEqual(vmap(f, { out: 1 })(a).shape, [1, 2, 3])
    assert.deepEqual(vmap(f, { out: -1 })(a).shape, [1, 3, 2])
    const [first, second] = vmap((x: Tensor): Tensor[] => [x, x.sum()], { out: [1, 0] })(a)
    same(first, a.transpose())
    same(second, a.sum({ axis: 1 }))
  })

  it('takes and returns lists, Maps and objects, and repeats what is the same for all samples', () => {
    const f = ({ x, factor }: { x: Tensor; factor: number }, [y]: Tensor[]) => ({
      both: [x.mul(y), new Map([['constant', numbers([7])]])] as const,
      factor,
    })
    const { both, factor } = vmap(f)({ x: a, factor: 3 }, [b])
    same(both[0], a.mul(b))
    same(both[1].get('constant')!, numbers([[7], [7]]))
    assert.equal(factor, 3)
  })

  it('in vmap makes an outer product', () => {
    const x = numbers([1, 2])
    const y = numbers([3, 4, 5])
    const product = (p: Tensor, q: Tensor) => p.mul(q)
    same(vmap((p: Tensor) => vmap((q: Tensor) => product(p, q))(y))(x), x.unsqueeze(1).mul(y))
    // distances of all pairs of rows
    const distance = (p: Tensor, q: Tensor) => p.sub(q).square().sum()
    const pairs = vmap(vmap(distance, { in: [null, 0] }), { in: [0, null] })(a, b)
    same(pairs, a.unsqueeze(1).sub(b.unsqueeze(0)).square().sum({ axis: 2 }))
  })

  it('of no samples has a result without elements', () => {
    const w = ones([3, 2], { dtype: 'float64' })
    const f = (x: Tensor) => x.matmul(w).softmax()
    assert.deepEqual(vmap(f)(zeros([0, 3], { dtype: 'float64' })).shape, [0, 2])
    assert.deepEqual(vmap(grad((x: Tensor) => f(x).sum()))(zeros([0, 3], { dtype: 'float64' })).shape, [0, 3])
  })
})

describe('gradients and vmap', () => {
  const w = numbers([0.5, -1, 2])
  const f = (x: Tensor, u: Tensor) => x.mul(u).sin().sum()

  it('vmap of grad has the gradient of each sample, also by what all samples share', () => {
    const perSample = vmap(grad(f, { wrt: 1 }), { in: [0, null] })(a, w)
    same(perSample, a.mul(a.mul(w).cos()))
    const [value, [byX, byU]] = vmap(valueAndGrad(f, { wrt: [0, 1] }), { in: [0, null] })(a, w)
    same(value, a.mul(w).sin().sum({ axis: 1 }))
    same(byX, w.mul(a.mul(w).cos()))
    same(byU, perSample)
  })

  it('grad of vmap reaches inputs, and tensors from outside', () => {
    const g = (u: Tensor) => vmap((x: Tensor) => f(x, u))(a).sum()
    same(grad(g)(w), a.mul(a.mul(w).cos()).sum({ axis: 0 }))
    same(hessian(g)(w), hessian((u: Tensor) => a.mul(u).sin().sum())(w))
    assertChecked(g, [w])
  })

  it('grad of vmap of grad is a second derivative', () => {
    // Σ over samples of |∂f/∂x|², as in a gradient penalty
    const penalty = (u: Tensor) => vmap((x: Tensor) => grad(f)(x, u).square().sum())(a).sum()
    const closed = (u: Tensor) => u.mul(a.mul(u).cos()).square().sum()
    same(penalty(w), closed(w))
    same(grad(penalty)(w), grad(closed)(w))
  })

  it('vmap takes jacobian, hessian and jvp', () => {
    const cubes = (x: Tensor) => x.pow(3)
    const rows = (x: Tensor) => jacobian(cubes)(x)
    same(vmap(rows)(a), stack([rows(a.slice([0])), rows(a.slice([1]))]))
    const second = (x: Tensor) => hessian((y: Tensor) => y.pow(3).sum())(x)
    same(vmap(second)(a), stack([second(a.slice([0])), second(a.slice([1]))]))
    same(vmap((x: Tensor, v: Tensor) => jvp(cubes, [x], [v])[1])(a, b), a.square().mul(3).mul(b))
  })

  it('a module has its gradients for each sample by one walk', () => {
    seed(3)
    const net = new Net()
    const x = randn([5, 3])
    const loss = (sample: Tensor) => net.forward(sample).square().sum()
    const perSample = vmap((sample: Tensor) => lossAndGradients(net, () => loss(sample)).gradients)(x)
    const all = lossAndGradients(net, () => loss(x)).gradients
    for (const [name, gradient] of perSample) {
      assert.equal(gradient.shape[0], 5)
      assertClose(gradient.sum({ axis: 0 }), plain(all.get(name)!), 1e-5)
    }
    const one = lossAndGradients(net, () => loss(x.slice([2]))).gradients
    assertClose(perSample.get('hidden.weight')!.slice([2]), plain(one.get('hidden.weight')!), 1e-5)
  })

  it('the number of operations does not depend on the number of samples', () => {
    const counts = [2, 20].map(n => {
      const u = zeros([3], { dtype: 'float64' })
      const x = ones([n, 3], { dtype: 'float64' })
      let count = 0
      const stop = observeOperations(() => count++)
      vmap(grad(f, { wrt: 1 }), { in: [0, null] })(x, u)
      stop()
      return count
    })
    assert.equal(counts[0], counts[1])
  })

  it('a tape around it records whole batches, and one inside of it samples', () => {
    using around = new Tape()
    around.watch(a)
    around.watch(w)
    const inside: (readonly number[])[][] = []
    around.run(() =>
      vmap((x: Tensor) => {
        using tape = new Tape()
        tape.watch(x)
        const y = tape.run(() => x.mul(w).sum())
        inside.push(tape.entries.map(({ result }) => result.shape))
        tape.end(y)
        return y
      })(a),
    )
    assert.deepEqual(inside, [[[3], []]])
    assert.deepEqual(
      around.entries.map(({ name, result }) => [name, result.shape]),
      [
        ['mul', [2, 3]],
        ['sum', [2]],
      ],
    )
  })

  it('memory is that of the results', () => {
    const run = () => vmap(grad(f))(a, b)
    const before = device.get().memory().buffers
    using tape = new Tape()
    const result = tape.run(run)
    tape.end(result)
    assert.equal(device.get().memory().buffers - before, 1)
  })

  it('checkpoint inside of it gets its gradients, and repeats its dropout', () => {
    const drop = (generator: Generator) => (x: Tensor) => dropout(x.mul(w).exp(), 0.5, { generator }).sum()
    const around = (inner: (x: Tensor) => Tensor) => grad((x: Tensor) => vmap(inner)(x).sum())(a)
    same(around(checkpoint(drop(new Generator(1)))), around(drop(new Generator(1))))
    const inside = (inner: (x: Tensor) => Tensor) => vmap(grad(inner))(a)
    same(inside(checkpoint(drop(new Generator(1)))), inside(drop(new Generator(1))))
    // by a tensor from outside, too
    const byShared = (wrap: typeof checkpoint) =>
      grad((u: Tensor) => vmap(wrap((x: Tensor) => x.mul(u).exp().sum()))(a).sum())(w)
    same(
      byShared(checkpoint),
      byShared(g => g),
    )
    // a pullback of it that is mapped
    same(
      jacobian(checkpoint((x: Tensor) => dropout(x.exp(), 0.5, { generator: new Generator(2) })))(w),
      jacobian((x: Tensor) => dropout(x.exp(), 0.5, { generator: new Generator(2) }))(w),
    )
  })

  it('noGrad and stopGradient inside of it stop gradients', () => {
    same(grad((x: Tensor) => vmap((y: Tensor) => y.mul(y.stopGradient()))(x).sum())(a), a)
    same(grad((x: Tensor) => vmap((y: Tensor) => y.mul(noGrad(() => y.mul(2))))(x).sum())(a), a.mul(2))
    same(vmap(grad((y: Tensor) => y.mul(y.stopGradient()).sum()))(a), a)
  })
})

describe('random numbers in vmap', () => {
  it('differ for each sample, and are the same for the same seed', () => {
    const noisy = (x: Tensor) => x.add(randn([3], { dtype: 'float64' }))
    seed(5)
    const first = vmap(noisy)(a)
    const [p, q] = [values(first.sub(a).slice([0])), values(first.sub(a).slice([1]))]
    assert.equal(p.filter((n, i) => n === q[i]).length, 0)
    seed(5)
    same(vmap(noisy)(a), first)
    assert.deepEqual(vmap((_: Tensor) => vmap((_: Tensor) => rand([3]))(b))(a).shape, [2, 2, 3])
  })

  it('of a permutation are one in each sample', () => {
    const orders = vmap((_: Tensor) => permutation(30))(a)
    const [one, other] = [0, 1].map(i => values(orders.slice([i])))
    assert.notDeepEqual(one, other)
    const sorted = Array.from({ length: 30 }, (_, i) => i)
    for (const order of [one, other])
      assert.deepEqual(
        [...order].sort((p, q) => p - q),
        sorted,
      )
  })

  it('of dropout, too', () => {
    const kept = vmap((x: Tensor) => dropout(x, 0.5, { generator: new Generator(4) }))(ones([8, 40]))
    const rows = new Set(Array.from({ length: 8 }, (_, i) => values(kept.slice([i])).join()))
    assert.equal(rows.size, 8)
  })
})

describe('an operation of a user in vmap', () => {
  type Kernels = Parameters<Parameters<typeof defineOp>[1]>[0]
  const product = (k: Kernels, x: Tensor, y: Tensor) => k.binary('mul', x, y, x.dtype)
  const rule = (g: Tensor, _: Tensor, x: Tensor, y: Tensor) => [() => g.mul(y), () => g.mul(x)]

  /** the messages of warnings while f runs */
  async function warnings(f: () => void): Promise<string[]> {
    const found: string[] = []
    const listen = (warning: Error) => {
      if (warning.name === 'VmapWarning') found.push(warning.message)
    }
    process.on('warning', listen)
    f()
    await new Promise(resolve => setTimeout(resolve, 0))
    process.off('warning', listen)
    return found
  }

  it('without a rule is right, and a warning names it once', async () => {
    const times = defineOp('timesWithoutRule', product, rule)
    const f = (x: Tensor, y: Tensor) => times(x, y).sum()
    const found = await warnings(() => {
      same(vmap(f)(a, b), a.mul(b).sum({ axis: 1 }))
      same(
        vmap(grad(f), { in: [0, null] })(a, numbers([1, 2, 3])),
        numbers([
          [1, 2, 3],
          [1, 2, 3],
        ]),
      )
      same(
        grad((x: Tensor) => vmap(f)(x, b).square().sum())(a),
        a.mul(b).sum({ axis: 1, keepDims: true }).mul(2).mul(b),
      )
      assert.deepEqual(vmap(times)(zeros([0, 3]), zeros([0, 3])).shape, [0, 3])
    })
    assert.deepEqual(found, [
      'vmap: timesWithoutRule has no rule for batches, so it is computed for one sample after the other, which is slow; give the rule to defineOp as batching',
    ])
  })

  it('with a rule is computed once', async () => {
    let calls = 0
    const times = defineOp(
      'timesWithRule',
      (k, x: Tensor, y: Tensor) => {
        calls++
        return product(k, x, y)
      },
      rule,
      'broadcast',
    )
    const total = defineOp(
      'totalOfLast',
      (k, x: Tensor) => k.reduce('sum', x, [x.rank - 1]),
      (g, _, x) => [() => g.expand(x.shape)],
      (op, batch, x) => op(batch.whole(x)),
    )
    const found = await warnings(() => {
      same(vmap(times)(a, b), a.mul(b))
      same(vmap(times, { in: [0, null] })(a, numbers(2)), a.mul(2))
      same(vmap(total)(a), a.sum({ axis: 1, keepDims: true }))
    })
    assert.deepEqual([calls, found], [2, []])
  })

  it('of the name of an operation of this package is another operation', () => {
    const sum = defineOp('sum', (k, x: Tensor) => k.reduce('sum', x, [0]))
    same(
      vmap(sum)(
        numbers([
          [
            [1, 2],
            [3, 4],
          ],
        ]),
      ),
      numbers([[[4, 6]]]),
    )
  })

  it('that is fused is computed as its definition, without its intermediate values', () => {
    const swish = defineFused('swishOfTest', { definition: (x: Tensor) => x.mul(x.sigmoid()) })
    same(vmap(swish)(a), a.silu())
    same(vmap(grad((x: Tensor) => swish(x).sum()))(a), grad((x: Tensor) => x.silu().sum())(a))
    same(grad((x: Tensor) => vmap(swish)(x).sum())(a), grad((x: Tensor) => x.silu().sum())(a))
  })
})

describe('vmap refuses', () => {
  it('a read of values', async () => {
    const message =
      /vmap: f reads the values of a tensor \[3\], which has other values in each of 2 samples; compute with operations such as where/
    for (const read of ['dataSync', 'data', 'array', 'item'] as const)
      assert.throws(() => vmap((x: Tensor) => x.mul(2)[read]() as unknown as Tensor)(a), { name: 'VmapError', message })
  })

  it('a computation with the memory of its tensors', () => {
    assert.throws(
      () => vmap((x: Tensor) => x.view([3], x.strides))(a),
      /is used without an operation, and it has 2 samples/,
    )
  })

  it('a tensor after its function has ended', () => {
    let leaked: Tensor | undefined
    vmap((x: Tensor) => {
      leaked = x.mul(2)
      return x
    })(a)
    assert.throws(
      () => leaked!.add(1),
      (error: unknown) =>
        error instanceof VmapError && /a tensor \[3\].*after the function has ended/.test(error.message),
    )
  })

  it('inputs that do not fit together', () => {
    const f = (x: Tensor, y: Tensor) => x.add(y)
    assert.throws(() => vmap(f)(a, numbers([1, 2, 3])), {
      name: 'ShapeError',
      message: 'vmap: inputs [2, 3], [3] must have one number of samples, not 2 and 3, on their axes 0, 0',
    })
    assert.throws(() => vmap(f)(a, numbers(1)), {
      name: 'ShapeError',
      message:
        'vmap: input 1 of shape [] has no axis 0 of samples; write null in place of its axis, as in { in: [0, null] }, if it is the same for all samples',
    })
    assert.throws(() => vmap(f, { in: [0] })(a, b), /the option in has 1 axes, \[0\], for 2 inputs/)
    assert.throws(() => vmap(f, { in: null })(a, b), /no input has an axis of samples/)
    assert.throws(() => vmap(f, { out: 2 })(a, b), { name: 'AxisError', message: /vmap: \[2, 3\] has no axis 2/ })
    assert.throws(() => vmap((x: Tensor) => [x], { out: [0, 1] })(a), /the option out has 2 axes.*a list of 1/)
  })

  it('other mistakes, with what to write', () => {
    assert.throws(() => vmap((_: Tensor) => 3)(a), /vmap: f returned 3/)
    assert.throws(() => vmap(async (x: Tensor) => x)(a), /vmap: f returned a Promise/)
    assert.throws(() => vmap((x: Tensor) => x, a as object), /write vmap\(f\)\(x\)/)
    assert.throws(() => vmap((x: Tensor) => x, { dims: 1 } as object), { name: 'OptionsError' })
  })

  it('wrong shapes with the shapes of one sample', () => {
    const w = numbers([
      [1, 2],
      [3, 4],
    ])
    assert.throws(
      () => vmap((x: Tensor) => x.matmul(w))(a),
      /matmul: \[3\] and \[2, 2\] must have equal inner sizes, not 3 and 2/,
    )
    assert.throws(() => vmap((x: Tensor) => x.add(numbers([1, 2])))(a), /\[3\] and \[2\] do not broadcast/)
    assert.throws(() => vmap((x: Tensor) => x.reshape([2, 2]))(a), /\[3\] has 3 elements and cannot become \[2, 2\]/)
    assert.throws(() => vmap((x: Tensor) => x.sum({ axis: 1 }))(a), /sum: \[3\] has no axis 1/)
    assert.throws(() => vmap((x: Tensor) => x.expand([2, 2]))(a), /expand: \[3\] does not broadcast to \[2, 2\]/)
    assert.throws(
      () => vmap(grad((x: Tensor) => x.mul(2)))(a),
      /the result has shape \[3\], and a gradient needs a scalar/,
    )
  })
})

it('a tensor of a mapped function prints all samples', () => {
  let text = ''
  vmap((x: Tensor) => {
    text = String(x.mul(2))
    return x
  })(a)
  assert.equal(text.split('\n')[0], 'Tensor [3] float64 on reference, in each of 2 samples:')
  assert.match(text, /\[-2, +1, +4\]/)
})

it('cpu has the same results as reference', () => {
  const cpu = (x: Tensor) => tensor(values(x), { shape: x.shape, device: 'cpu' })
  const f = (x: Tensor, u: Tensor) => x.mul(u).softmax().square().sum()
  const perSample = vmap(grad(f, { wrt: 1 }), { in: [0, null] })
  const w = numbers([0.5, -1, 2])
  assertCloseNumbers(values(perSample(cpu(a), cpu(w))), values(perSample(a, w)), 1e-5)
})

it('attention of all samples is one kernel on cpu, and so is its gradient', () => {
  for (const stack of [[], [2], [1, 2], [2, 1, 2]]) {
    const x = randn([3, ...stack, 4, 5], { device: 'cpu' })
    const kernels: string[] = []
    const end = observeKernels(device.get('cpu'), ({ kernel }) => kernels.push(kernel))
    const slopes = vmap(grad((y: Tensor) => y.attention(y, y, { causal: true }).square().sum()))(x)
    end()
    assert.equal(kernels.filter(kernel => kernel === 'attention').length, 1)
    assert.equal(kernels.filter(kernel => kernel === 'attentionGradient').length, 1)
    assert.ok(!kernels.includes('matmul'), `${kernels}`)
    assert.deepEqual(slopes.shape, x.shape)
  }
})

it('a pullback of attention can be mapped, of which only the gradient has samples', () => {
  for (const heads of [[], [2], [2, 2]]) {
    const [q, k] = [randn([...heads, 4, 5], { device: 'cpu' }), randn([4, 5], { device: 'cpu' })]
    const [y, pullback] = vjp((a: Tensor, b: Tensor) => a.attention(b, b), q, k)
    const slopes = randn([3, ...y.shape], { device: 'cpu' })
    for (const i of [0, 1] as const) {
      const loop = stack([0, 1, 2].map(at => pullback(slopes.slice([at]))[i]))
      assertClose(vmap((g: Tensor) => pullback(g)[i])(slopes), plain(loop), 1e-5)
    }
  }
})
