// Memory of a forward pass outside of a tape: unreachable tensors are freed when forward returns.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Linear, lossAndGradients, Module, sequence } from '../../src/nn/index.ts'
import { device, FreedError, scope, type Tensor, zeros } from '../../src/tensor/index.ts'
import { values } from '../support.ts'

const buffers = () => device.get().memory().buffers

/** How many buffers are left of what f made. */
function left(f: () => unknown): number {
  const before = buffers()
  f()
  return buffers() - before
}

/** Makes two tensors on the way to a third. */
class Double extends Module {
  forward(x: Tensor): Tensor {
    return x.add(1).mul(2).sub(2)
  }
}

describe('forward outside of a tape', () => {
  it('keeps only its result, in a scope and without one', () => {
    const [module, x] = [new Double(), zeros([2])]
    let y: Tensor | undefined
    assert.equal(
      left(() => {
        y = module.forward(x)
      }),
      1,
    )
    assert.deepEqual(values(y!), [0, 0])
    scope(() =>
      assert.equal(
        left(() => module.forward(x)),
        1,
      ),
    )
  })

  it('keeps results in lists, objects and class instances', () => {
    class Output {
      readonly first: Tensor
      constructor(first: Tensor) {
        this.first = first
      }
    }
    class Many extends Module {
      forward(x: Tensor) {
        return {
          list: [x.add(1)],
          map: new Map([['b', x.add(2)]]),
          output: new Output(x.add(3)),
          view: x.add(4).reshape([2]),
        }
      }
    }
    const { list, map, output, view } = new Many().forward(zeros([1, 2]))
    assert.deepEqual([list[0], map.get('b')!, output.first, view].map(values), [
      [1, 1],
      [2, 2],
      [3, 3],
      [4, 4],
    ])
  })

  it('keeps a tensor in a field of the module until the field gets another', () => {
    class Counter extends Module {
      mean?: Tensor
      readonly seen: Tensor[] = []
      forward(x: Tensor): Tensor {
        this.mean = x.add(1).mean()
        this.seen.push(x.add(2))
        return x.sub(this.mean)
      }
    }
    const counter = new Counter()
    assert.equal(
      left(() => counter.forward(zeros([3]))),
      4,
    )
    assert.deepEqual(values(counter.mean!), [1])
    assert.deepEqual(values(counter.seen[0]), [2, 2, 2])
  })

  it('keeps tensors that it stored in its arguments', () => {
    class Caching extends Module {
      forward(x: Tensor, cache: { keys?: Tensor; all: Tensor[] }): Tensor {
        cache.keys = x.add(1)
        cache.all.push(x.add(2))
        return cache.keys.mul(x.add(3))
      }
    }
    const cache: { keys?: Tensor; all: Tensor[] } = { all: [] }
    new Caching().forward(zeros([1]), cache)
    assert.deepEqual([...values(cache.keys!), ...values(cache.all[0])], [1, 2])
  })

  it('leaves the arguments and results of callbacks to the scope of the caller, at any depth', () => {
    class Inner extends Module {
      forward(x: Tensor, { onValue }: { onValue?: (y: Tensor) => void }): Tensor {
        const y = x.add(1)
        onValue?.(y)
        return y.mul(2).add(1)
      }
    }
    class Outer extends Module {
      readonly inner = new Inner()
      forward(x: Tensor, onValue: (y: Tensor) => void): Tensor {
        return this.inner.forward(x.add(1), { onValue }).add(1)
      }
    }
    const heard: Tensor[] = []
    const y = scope(() => {
      const result = new Outer().forward(zeros([1]), given => heard.push(given, given.mul(10)))
      assert.deepEqual(heard.map(values), [[2], [20]])
      return result
    })
    assert.deepEqual(values(y), [6])
    for (const x of heard) assert.ok(x.storage.isFreed, 'it went with the scope of the caller')
  })

  it('passes functions unchanged: with their properties, and as classes', () => {
    class Box {
      readonly value: Tensor
      constructor(value: Tensor) {
        this.value = value
      }
    }
    class Building extends Module {
      forward(x: Tensor, Class: typeof Box, f: ((x: Tensor) => Tensor) & { factor?: number }): Box {
        return new Class(f(x).mul(f.factor ?? 1))
      }
    }
    const f = Object.assign((x: Tensor) => x.add(1), { factor: 3 })
    const box = new Building().forward(zeros([1]), Box, f)
    assert.ok(box instanceof Box)
    assert.deepEqual(values(box.value), [3])
  })

  it('the error for a freed tensor that was stored elsewhere names the module', () => {
    const aside: Tensor[] = []
    class Hiding extends Module {
      forward(x: Tensor): Tensor {
        aside.push(x.add(1))
        return x.mul(2)
      }
    }
    new Hiding().forward(zeros([1]))
    assert.throws(() => aside[0].dataSync(), { name: 'FreedError', by: 'forward of Hiding', message: /keep\(tensor\)/ })
    assert.throws(() => aside[0].add(1), FreedError)
  })

  it('frees its tensors if it throws', () => {
    class Failing extends Module {
      forward(x: Tensor): Tensor {
        x.add(1)
        throw new Error('on the way')
      }
    }
    const [module, x] = [new Failing(), zeros([1])]
    assert.equal(
      left(() => assert.throws(() => module.forward(x), /on the way/)),
      0,
    )
  })

  it('works with super.forward', () => {
    class Quadruple extends Double {
      override forward(x: Tensor): Tensor {
        return super.forward(super.forward(x).add(1))
      }
    }
    const [module, x] = [new Quadruple(), zeros([1])]
    const before = buffers()
    assert.deepEqual(values(module.forward(x)), [2])
    assert.equal(buffers() - before, 1)
  })

  it('can be asynchronous', async () => {
    class Waiting extends Module {
      async forward(x: Tensor): Promise<Tensor> {
        const y = x.add(1)
        await y.data()
        return y.mul(2).add(1)
      }
    }
    const [module, x] = [new Waiting(), zeros([1])]
    const before = buffers()
    assert.deepEqual(values(await module.forward(x)), [3])
    assert.equal(buffers() - before, 1)
  })

  it('keeps all tensors for a tape, with equal values and gradients', () => {
    class Cubic extends Module {
      readonly linear = new Linear(2, 1)
      forward(x: Tensor): Tensor {
        return this.linear.forward(x).pow(3)
      }
    }
    const module = new Cubic()
    const x = zeros([1, 2]).add(1)
    const [w, b] = module.parameters()
    const y = values(x.linear(w, b))[0]
    const { loss, gradients } = lossAndGradients(module, () => module.forward(x).sum())
    assert.equal(values(loss)[0].toFixed(4), (y ** 3).toFixed(4))
    for (const g of values(gradients.get('linear.weight')!)) assert.equal(g.toFixed(4), (3 * y ** 2).toFixed(4))
  })
})

describe('a sequence', () => {
  const modules = Array.from({ length: 5 }, () => new Double())

  it('applies its modules in order, with at most two results in memory', () => {
    const x = zeros([1]).add(1)
    let most = 0
    const before = buffers()
    const y = scope(() =>
      sequence(x, modules, (z, module, i) => {
        const result = i % 2 === 0 ? module.forward(z) : z.add(i)
        most = Math.max(most, buffers() - before)
        return result
      }),
    )
    // ((1 · 2 + 1) · 2 + 3) · 2
    assert.deepEqual(values(y), [18])
    assert.equal(most, 2)
    assert.deepEqual(values(x), [1])
  })

  it('does not free a result that a module returns unchanged', () => {
    const x = zeros([2])
    const y = scope(() => sequence(x, modules, z => z.reshape([2])))
    assert.deepEqual([...values(x), ...values(y)], [0, 0, 0, 0])
    const z = scope(() => sequence(x, modules, (u, _, i) => (i === 0 ? u.add(1) : u.reshape([2]))))
    assert.deepEqual(values(z), [1, 1])
  })

  it('keeps all tensors for a tape', () => {
    const linear = new Linear(1, 1)
    const { gradients } = lossAndGradients(linear, () =>
      sequence(linear.forward(zeros([1, 1]).add(1)), modules, (y, module) => module.forward(y)).sum(),
    )
    assert.deepEqual(values(gradients.get('bias')!), [32])
  })

  it('without modules returns its input', () => assert.deepEqual(values(sequence(zeros([1]), [], x => x.add(1))), [0]))
})
