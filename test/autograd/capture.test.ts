// A captured function computes what the function computes, bit for bit, whichever of its kernels run without it: every operation with
// its gradient, a training of CoCa, and what changes between calls.

import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { capture, grad, vjp } from '../../src/autograd/index.ts'
import { profile } from '../../src/debug/index.ts'
import { CoCa } from '../../src/models/index.ts'
import { Dropout, Linear, lossAndGradients, Module, Parameter } from '../../src/nn/index.ts'
import { Adafactor, AdamW, Lion, type Optimizer, SGD } from '../../src/optim/index.ts'
import {
  CaptureError,
  type CpuDevice,
  device,
  FreedError,
  fromData,
  IndexError,
  isFloating,
  keep,
  ones,
  randint,
  randn,
  scope,
  seed,
  type Tensor,
  tensor,
  zeros,
} from '../../src/tensor/index.ts'
import { type OperationCases, operations } from '../../src/testing/index.ts'
import { fc, runs, values } from '../support.ts'
import { programs } from './records/programs.ts'

before(() => device.use('cpu', { threads: 2 }))

const bits = (x: Tensor): unknown => [
  x.dtype,
  x.shape,
  ...values(x).map(value => (Number.isNaN(value) ? 'NaN' : value)),
]

/** The value of a function and the gradients of its floating arguments. */
const withGradients =
  (f: (...xs: Tensor[]) => Tensor, isDifferentiable: boolean) =>
  (...xs: Tensor[]): Tensor[] => {
    if (!isDifferentiable) return [f(...xs)]
    const [value, pullback] = vjp(f, ...xs)
    return isFloating(value.dtype)
      ? [value, ...pullback(ones(value.shape, { dtype: value.dtype as 'float32' }))]
      : [value]
  }

const onCpu = (x: Tensor): Tensor => fromData(x.dataSync(), x.shape, device.get('cpu'), x.dtype)

/** The same numbers in another order. */
const shuffled = (x: Tensor): Tensor => fromData(x.dataSync().slice().reverse(), x.shape, device.get('cpu'), x.dtype)

/** Compares eight calls with those of the function, and returns how many repeated kernels. */
function sameInEveryCall(
  f: (...xs: Tensor[]) => Tensor[],
  first: readonly Tensor[],
  second: readonly Tensor[],
): number {
  const captured = capture(f)
  let replays = 0
  try {
    for (const xs of [first, second, first, second, first, second, first, second])
      scope(() => {
        const right = f(...xs).map(bits)
        assert.deepEqual(captured(...xs).map(bits), right)
        if (captured.isReplay) replays++
      })
    return replays
  } finally {
    captured.release()
  }
}

/** Operations that draw random numbers. */
const random = new Set(['bernoulli', 'categorical', 'dropout', 'gumbelSoftmax', 'multinomial'])

describe('every operation, with its gradient', () => {
  for (const [name, cases] of Object.entries<OperationCases>(operations))
    for (const [says, { f, samples, order }] of Object.entries(cases))
      it(`${name}: ${says}`, () => {
        let replays = 0
        fc.assert(
          fc.property(samples, fc.constantFrom('float32', 'float64'), ([options, ...inputs], dtype) =>
            scope(() => {
              const xs = inputs.map(x => onCpu(isFloating(x.dtype) ? x.cast(dtype) : x))
              const g = withGradients((...ys) => f(options, ...ys), order > 0)
              let others = xs.map(shuffled)
              try {
                g(...others)
              } catch {
                others = xs
              }
              replays += sameInEveryCall(g, xs, others)
            }),
          ),
          runs(2),
        )
        // one that drops nothing draws nothing
        assert.ok(replays > 0 || random.has(name))
      })
})

it('random programs', () => {
  fc.assert(
    fc.property(programs, ({ options: { f }, inputs }) =>
      scope(() => {
        const xs = inputs.map(x => onCpu(x.cast('float32')))
        sameInEveryCall(withGradients(f, true), xs, xs.map(shuffled))
      }),
    ),
    runs(30),
  )
})

const adamw = (model: CoCa): Optimizer => new AdamW(model, { learningRate: 1e-2 })

/** A small CoCa, its inputs, and a step that trains it, with its gradients captured or not. */
function training(isCaptured: boolean, optimizerOf = adamw) {
  seed(0)
  const model = new CoCa({
    image: { size: 16, patch: 8, width: 32, layers: 2, heads: 2 },
    text: { vocabulary: 32, context: 8, width: 32, heads: 2, unimodalLayers: 1, multimodalLayers: 1 },
    pooler: { queries: 4, heads: 2 },
    embedding: 16,
  })
  const optimizer = optimizerOf(model)
  const f = (images: Tensor, ids: Tensor) => lossAndGradients(model, () => model.loss(images, ids))
  const gradients = capture(f)
  const inputs = (size: number) => [randn([size, 3, 16, 16]), randint(1, 32, [size, 8])] as const
  const step = (images: Tensor, ids: Tensor): number[] =>
    scope(() => {
      const { loss, gradients: found } = isCaptured ? gradients(images, ids) : f(images, ids)
      optimizer.step(found)
      return Object.values(loss).map(x => (x as Tensor).dataSync()[0])
    })
  return { model, optimizer, gradients, inputs, step }
}

describe('a training of CoCa', () => {
  /** Trains two models with the same batches, and compares their losses and parameters. */
  const same = (
    change: (run: ReturnType<typeof training>, i: number) => number | undefined,
    steps = 24,
    optimizerOf = adamw,
  ): number => {
    const [plain, captured] = [training(false, optimizerOf), training(true, optimizerOf)]
    let replays = 0
    seed(1)
    for (let i = 0; i < steps; i++)
      scope(() => {
        const size = change(plain, i) ?? 8
        change(captured, i)
        const batch = plain.inputs(size)
        assert.deepEqual(captured.step(...batch), plain.step(...batch), `step ${i}`)
        if (captured.gradients.isReplay) replays++
      })
    for (const [name, x] of captured.model.namedParameters())
      assert.deepEqual(bits(x), bits([...plain.model.namedParameters()].find(([other]) => other === name)![1]))
    assert.equal(captured.gradients.reason, undefined)
    captured.gradients.release()
    return replays
  }

  it('has the losses and parameters of the function, most of the time without it', () => {
    // 3 calls before, and the 2nd, 4th, 8th and 16th of the others
    assert.equal(
      same(() => undefined),
      24 - 3 - 4,
    )
  })

  it('with batches of other sizes in between, the last one of an epoch', () => {
    assert.ok(same((_, i) => (i % 4 === 3 ? 5 : 8)) > 8)
  })

  it('with more sizes than are kept', () => {
    assert.equal(
      same((_, i) => 4 + (i % 6), 18),
      0,
    )
  })

  it('with parameters that are assigned, loaded and frozen in the middle', () => {
    const replays = same((run, i) => {
      if (i === 8) run.model.loadStateDict(new Map([...run.model.stateDict()].map(([name, x]) => [name, x.mul(0.5)])))
      if (i === 14) run.model.encoder.freeze()
      return undefined
    }, 30)
    assert.ok(replays > 10)
  })

  it('with a parameter that is assigned after every step', () => {
    const replays = same((run, i) => {
      if (i > 0) run.model.constrain()
      return undefined
    })
    assert.ok(replays > 10, `${replays}`)
  })

  for (const Other of [SGD, Lion, Adafactor])
    it(`with ${Other.name}, which gives parameters other memory`, () => {
      const make = (model: CoCa) => new Other(model, { learningRate: 1e-3 })
      assert.ok(same(() => undefined, 24, make) > 10)
    })

  it('with another number of threads from a step on', () => {
    const on = device.get('cpu') as CpuDevice
    try {
      assert.ok(same((_, i) => void on.useThreads(i < 8 ? 2 : 3)) > 6)
    } finally {
      void on.useThreads(2)
    }
  })

  it('takes the same memory in every step, and gives all of it back', () => {
    const before = device.get('cpu').memory()
    scope(() => {
      const run = training(true)
      const [images, ids] = run.inputs(8)
      const used: number[] = []
      for (let i = 0; i < 40; i++) {
        run.step(images, ids)
        used.push(device.get('cpu').memory().bytes)
      }
      assert.equal(new Set(used.slice(3)).size, 1)
      run.gradients.release()
    })
    // parameters and moments are left to the garbage collector
    assert.ok(device.get('cpu').memory().bytes >= before.bytes)
  })
})

describe('results', () => {
  it('are freed by the next call, and the arguments are not', () => {
    const twice = capture((x: Tensor) => ({ twice: x.mul(2), all: [x, new Map([['sum', x.sum()]])] as const }))
    const x = tensor([1, 2, 3])
    for (let i = 0; i < 8; i++) {
      const { twice: y, all } = twice(x)
      const [same, sums] = all
      assert.deepEqual(values(y), [2, 4, 6])
      assert.deepEqual(values(same), [1, 2, 3])
      assert.deepEqual(values(sums.get('sum')!), [6])
      twice(zeros([3]))
      // the first call of all ran the function as it is
      if (i > 0) assert.throws(() => values(y), FreedError)
    }
    assert.equal(twice.isReplay, true)
    assert.deepEqual(values(x), [1, 2, 3])
  })

  it('may be views, and tensors from outside', () => {
    const bias = keep(tensor([1, 2]))
    const f = capture((x: Tensor) => [x.add(bias).reshape([2, 1]).transpose(), bias, 'text', 7] as const)
    for (let i = 0; i < 8; i++)
      scope(() => {
        const [y, same, text, number] = f(tensor([i, 0]))
        assert.deepEqual(
          [y.shape, values(y)],
          [
            [1, 2],
            [i + 1, 2],
          ],
        )
        assert.equal(same, bias)
        assert.deepEqual([text, number], ['text', 7])
      })
    assert.equal(f.isReplay, true)
  })

  it('stay in a buffer that they are assigned to', () => {
    const twice = capture((x: Tensor) => x.mul(2))
    const state = new Parameter(keep(zeros([2])))
    for (let i = 0; i < 9; i++)
      scope(() => {
        const result = twice(tensor([i, 1]))
        state.assign(result)
        if (i % 2 === 0) state.assign(tensor([7, 7]))
        twice(tensor([0, 0]))
        assert.deepEqual(values(state), i % 2 === 0 ? [7, 7] : [2 * i, 2])
      })
    assert.equal(twice.isReplay, true)
  })

  it('may be views of a parameter that is updated in place', () => {
    const layer = new Linear(3, 2)
    const optimizer = new AdamW(layer, { learningRate: 0.1 })
    const f = capture((x: Tensor) => ({
      weight: layer.weight.transpose(),
      ...lossAndGradients(layer, () => layer.forward(x).sum()),
    }))
    for (let i = 0; i < 9; i++)
      scope(() => {
        const { weight, gradients } = f(ones([4, 3]))
        assert.deepEqual(bits(weight), bits(layer.weight.transpose()))
        optimizer.step(gradients)
      })
    assert.equal(f.isReplay, true)
  })
})

describe('what cannot be repeated runs each time, with the reason', () => {
  const never = (f: (x: Tensor) => Tensor, reason: RegExp, calls = 10) => {
    const captured = capture(f)
    for (let i = 0; i < calls; i++)
      scope(() => {
        captured(ones([4]))
        assert.equal(captured.isReplay, false)
      })
    assert.match(captured.reason ?? '', reason)
    captured.release()
  }

  it('random numbers', () => {
    const dropout = new Dropout(0.5)
    never(x => dropout.forward(x), /^it draws random numbers$/)
  })

  it('values that are read', () => never(x => x.mul(x.dataSync()[0]), /^it reads values/))

  it('a tensor that is kept', () => never(x => keep(x.add(1)).mul(2), /^it keeps 1 tensor beside its result$/))

  it('a tensor in an object of a class', () => {
    class Pair {
      readonly x: Tensor
      constructor(x: Tensor) {
        this.x = x
      }
    }
    never(x => new Pair(x.add(1)) as unknown as Tensor, /^it returns tensors in a Pair$/)
  })

  it('other kernels in each call', () => {
    let count = 0
    never(x => (count++ % 2 === 0 ? x.exp() : x.log()), /^its kernel 1 was (exp|log)_f32 and then (exp|log)_f32$/)
  })

  it('parameters that it changes', () => {
    const layer = new Linear(4, 4)
    never(x => {
      layer.weight.assign(layer.weight.mul(0.9))
      return layer.forward(x)
    }, /^it (changes what it uses from outside, such as parameters|keeps 1 tensor beside its result)$/)
  })

  it('other numbers in each call', () => {
    let count = 0
    never(x => x.mul(count++), /^its kernel 1, a float32, had other sizes, numbers or tensors the second time$/)
  })

  it('a tensor that is made anew outside of it is looked for again', () => {
    const f = capture((x: Tensor) => x.add(other))
    let other = tensor([0])
    for (let i = 0; i < 12; i++)
      scope(() => {
        other = tensor([i])
        assert.deepEqual(values(f(tensor([1]))), [1 + i])
      })
  })

  it('while a tape records, so that its gradient is right, and while kernels are profiled', async () => {
    const f = capture((x: Tensor) => x.square())
    for (let i = 0; i < 6; i++) f(tensor([3]))
    assert.equal(f.isReplay, true)
    assert.deepEqual(values(grad((x: Tensor) => f(x).sum())(tensor([3]))), [6])
    assert.equal(f.isReplay, false)
    const { lines } = await profile(() => f(tensor([3])))
    assert.ok(lines.length > 0)
    for (let i = 0; i < 2; i++) f(tensor([3]))
    assert.equal(f.isReplay, true)
  })

  it('on reference', () => {
    device.with('reference', () => never2())
    function never2() {
      const f = capture((x: Tensor) => x.mul(2))
      for (let i = 0; i < 6; i++) assert.deepEqual(values(f(tensor([i]))), [2 * i])
      assert.equal(f.isReplay, false)
    }
  })
})

describe('a change that is no argument', () => {
  it('is an error when the function runs again, and from then on the function runs', () => {
    let scale = 2
    const f = capture((x: Tensor) => x.mul(scale))
    const call = () => scope(() => values(f(tensor([1])))[0])
    for (let i = 0; i < 8; i++) assert.equal(call(), 2)
    scale = 3
    // repeated: calls 4, 6, 7, 8; compared: 5, and then 11
    assert.deepEqual([call(), call()].slice(0, 1), [2])
    assert.throws(
      () => {
        for (let i = 0; i < 8; i++) call()
      },
      (error: unknown) => error instanceof CaptureError && error.calls > 0 && /release\(\)/.test(error.message),
    )
    assert.equal(call(), 3)
    f.release()
    for (let i = 0; i < 8; i++) assert.equal(call(), 3)
    assert.equal(f.isReplay, true)
  })

  it('of a parameter in a field of a module is seen at once', () => {
    const layer = new Linear(2, 2)
    const f = capture((x: Tensor) => lossAndGradients(layer, () => layer.forward(x).square().sum()))
    const plain = (x: Tensor) => lossAndGradients(layer, () => layer.forward(x).square().sum())
    for (let i = 0; i < 12; i++)
      scope(() => {
        if (i === 7) (layer as { weight: Parameter }).weight = new Parameter(keep(ones([2, 2])))
        const x = tensor([[1, i]])
        const right = plain(x)
        const [loss, weight] = [bits(right.loss), bits(right.gradients.get('weight')!)]
        const found = f(x)
        assert.deepEqual([bits(found.loss), bits(found.gradients.get('weight')!)], [loss, weight])
      })
  })
})

describe('the trainable parameters of a captured training step', () => {
  class Model extends Module {
    layers: Linear[] = [new Linear(2, 2)]
    readonly heads = new Map([['a', new Linear(2, 1)]])
    notes: unknown = 0
    forward(x: Tensor): Tensor {
      const inside = this.layers.reduce((y, layer) => layer.forward(y), x)
      return [...this.heads.values()].map(head => head.forward(inside)).reduce((sum, y) => sum.add(y))
    }
  }

  const changes: Readonly<Record<string, (model: Model) => void>> = {
    'one is frozen': model => {
      model.layers[0].bias!.trainable = false
    },
    'one is frozen, and another one no longer': model => {
      model.layers[0].bias!.trainable = false
      model.layers[0].weight.trainable = true
    },
    'a layer is added': model => void model.layers.push(new Linear(2, 2)),
    'a layer takes the place of another': model => {
      model.layers[0] = new Linear(2, 2)
    },
    'a layer has another name': model => {
      const head = model.heads.get('a')!
      model.heads.delete('a')
      model.heads.set('b', head)
    },
    'a field that held a number holds a parameter': model => {
      model.notes = [new Parameter(ones([1]))]
    },
  }

  for (const [says, change] of Object.entries(changes))
    it(`are looked at in each call: ${says}`, () => {
      const model = new Model()
      model.layers[0].weight.trainable = false
      const plain = (x: Tensor) => lossAndGradients(model, () => model.forward(x).square().sum(), { allowUnused: true })
      const f = capture(plain)
      let replays = 0
      for (let i = 0; i < 16; i++)
        scope(() => {
          model.notes = Array.isArray(model.notes) ? model.notes : i
          if (i === 9) change(model)
          const x = tensor([[1, i]])
          const shown = ({ loss, gradients }: ReturnType<typeof plain>) => [
            bits(loss),
            [...gradients].map(([name, gradient]) => [name, bits(gradient)]),
          ]
          const right = shown(plain(x))
          assert.deepEqual(shown(f(x)), right)
          if (f.isReplay) replays++
          if (i === 8 || i === 15) assert.equal(f.isReplay, true)
        })
      assert.ok(replays > 3)
    })
})

describe('errors', () => {
  it('of an index come from repeated kernels too', () => {
    const table = keep(randn([4, 2]))
    const f = capture((ids: Tensor) => table.gather(ids, { axis: 0 }))
    const ids = (at: number) => tensor([[at, 0]], { dtype: 'int32' })
    for (let i = 0; i < 8; i++) scope(() => void f(ids(3)))
    assert.equal(f.isReplay, true)
    assert.throws(() => f(ids(4)), IndexError)
    assert.deepEqual(values(f(ids(1))), [values(table)[2], values(table)[1]])
  })

  it('of the function leave nothing behind', () => {
    let fails = false
    const f = capture((x: Tensor) => {
      const y = x.mul(2)
      if (fails) throw new RangeError('on purpose')
      return y
    })
    const before = device.get('cpu').memory().bytes
    for (let i = 0; i < 4; i++) {
      fails = i > 0
      if (fails) assert.throws(() => scope(() => f(ones([100]))), /on purpose/)
      else scope(() => void f(ones([100])))
    }
    f.release()
    assert.equal(device.get('cpu').memory().bytes, before)
    fails = false
    for (let i = 0; i < 6; i++) scope(() => assert.equal(values(f(ones([100])))[5], 2))
  })

  it('an asynchronous function', () => {
    const f = capture(async (x: Tensor) => x.mul(2))
    assert.throws(() => scope(() => void f(ones([2]))), /capture: f must be synchronous, but it returned a Promise/)
  })

  it('an argument that is no tensor', () => {
    assert.throws(
      () => capture((x: Tensor) => x.mul(2))(3 as unknown as Tensor),
      /captured: input must be a tensor, not 3/,
    )
    assert.throws(() => capture(3 as never as () => Tensor), /capture: f must be a function, not 3/)
  })
})

it('a captured function within another one', () => {
  const inner = capture((x: Tensor) => x.add(1))
  const outer = capture((x: Tensor) => inner(x).mul(2))
  for (let i = 0; i < 8; i++) scope(() => assert.deepEqual(values(outer(tensor([i]))), [2 * (i + 1)]))
  assert.equal(outer.isReplay, true)
})
