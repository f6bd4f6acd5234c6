// Captured functions at their limits: results that are arguments of the next call, results that change, arguments that must not be
// copied, memory that moves, that is read late, that is not there, and captured functions that nothing refers to any more.

import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { capture, vmap } from '../../src/autograd/index.ts'
import { firstNonFinite } from '../../src/debug/index.ts'
import { BatchNorm1d, Dropout, Linear, lossAndGradients, onForward } from '../../src/nn/index.ts'
import { AdamW, clipGradients, SGD } from '../../src/optim/index.ts'
import {
  CaptureError,
  device,
  FreedError,
  fromData,
  IndexError,
  keep,
  OutOfMemoryError,
  ones,
  scope,
  type Tensor,
  tensor,
} from '../../src/tensor/index.ts'
import { collectGarbage } from '../garbage.ts'
import { values } from '../support.ts'

before(() => device.use('cpu', { threads: 2 }))

const used = (): number => device.get('cpu').memory().bytes

describe('a result is an argument of the next call', () => {
  it('of the same function', () => {
    const step = capture((state: Tensor) => state.mul(2).add(1))
    let state: Tensor = tensor([0])
    for (let i = 0, right = 0; i < 12; i++) {
      state = step(state)
      right = 2 * right + 1
      assert.deepEqual(values(state), [right])
    }
    assert.equal(step.isReplay, true)
  })

  it('in another place, where it would be overwritten', () => {
    const swap = capture((a: Tensor, b: Tensor) => [b, a.transpose(), a.add(b)] as const)
    let [a, b]: readonly Tensor[] = [tensor([[1]]), tensor([[2]])]
    for (let i = 0; i < 12; i++) {
      ;[a, b] = swap(a, b)
      assert.deepEqual([values(a), values(b)], i % 2 === 0 ? [[2], [1]] : [[1], [2]])
    }
    assert.equal(swap.isReplay, true)
  })

  it('of another shape, and of another captured function', () => {
    const turn = (x: Tensor) => (x.rank === 1 ? x.add(1).reshape([1, 2]) : x.mul(2).reshape([2]))
    const [turned, less] = [capture(turn), capture((x: Tensor) => x.sub(0.5))]
    let found: Tensor = tensor([1, 2])
    let right: Tensor = found
    for (let i = 0; i < 24; i++) {
      found = less(turned(found))
      right = turn(right).sub(0.5)
      assert.deepEqual(values(found), values(right))
    }
    assert.deepEqual([turned.isReplay, less.isReplay], [true, true])
  })
})

describe('a result that changes', () => {
  it('in a number is not repeated', () => {
    let count = 0
    const f = capture((x: Tensor) => ({ y: x.add(1), count: count++ }))
    for (let i = 0; i < 10; i++) assert.equal(f(ones([2])).count, i)
    assert.equal(f.reason, 'its result had other shapes, numbers or objects')
  })

  it('in a view is an error when the function runs again, with the number of calls that it ran not', () => {
    let isTurned = false
    const f = capture((x: Tensor) => (isTurned ? x.add(1).transpose() : x.add(1)))
    const call = () => f(tensor([[1, 2]]))
    // noted: 2 and 3; repeated: 4, 6, 8, 9 and 10; compared: 5, 7, 11
    for (let i = 0; i < 7; i++) call()
    isTurned = true
    for (let i = 0; i < 3; i++) call()
    assert.throws(call, (error: unknown) => error instanceof CaptureError && error.calls === 3)
    assert.deepEqual(call().shape, [2, 1])
  })

  it('in a tensor from outside that no kernel uses', () => {
    let table = keep(tensor([1]))
    const f = capture((x: Tensor) => [x.add(1), table] as const)
    for (let i = 0; i < 12; i++) {
      if (i === 5) {
        table.storage.free('the test')
        table = keep(tensor([2]))
      }
      assert.deepEqual(values(f(ones([1]))[1]), [i < 5 ? 1 : 2])
    }
    assert.equal(f.isReplay, true)
  })

  it('and contains itself, or is on another device, runs each time', () => {
    type Ring = { y: Tensor; ring?: Ring }
    const ring = capture((x: Tensor) => {
      const found: Ring = { y: x.add(1) }
      found.ring = found
      return found
    })
    const other = capture((x: Tensor) => [x.add(1), device.with('reference', () => tensor([5]))] as const)
    for (let i = 0; i < 8; i++)
      scope(() => {
        assert.deepEqual(values(ring(tensor([i])).ring!.y), [i + 1])
        assert.deepEqual(values(other(tensor([i]))[1]), [5])
      })
    assert.equal(ring.reason, 'it returns an object that contains itself')
    assert.equal(other.reason, 'it returns tensors on reference')
  })

  it('an argument that is returned is there, even if the call cannot be repeated', () => {
    const f = capture((x: Tensor) => [x.mul(x.dataSync()[0]), x.reshape([2, 1])] as const)
    for (let i = 0; i < 4; i++) scope(() => assert.deepEqual(values(f(tensor([3, 4]))[1]), [3, 4]))
  })
})

describe('an argument that must not be copied', () => {
  it('a parameter, whose gradient is wanted', () => {
    const layer = new Linear(2, 1)
    const x = keep(ones([3, 2]))
    const f = capture((weight: Tensor) =>
      lossAndGradients(layer, () => x.matmul(weight.transpose()).add(layer.bias!).sum()),
    )
    for (let i = 0; i < 8; i++) scope(() => assert.deepEqual(values(f(layer.weight).gradients.get('weight')!), [3, 3]))
    assert.equal(f.reason, 'an argument is a Parameter')
  })

  it('a tensor on another device', () => {
    const f = capture((x: Tensor) => x.mul(2))
    const x = fromData(Float32Array.of(1, 2), [2], device.get('reference'))
    for (let i = 0; i < 4; i++) assert.deepEqual(values(f(x)), [2, 4])
    assert.equal(f.reason, 'an argument is on reference')
    for (let i = 0; i < 4; i++) assert.deepEqual(values(f(tensor([1, 2]))), [2, 4])
    assert.deepEqual([f.isReplay, f.reason], [true, undefined])
  })

  it('the samples of vmap', () => {
    const f = capture((x: Tensor) => x.mul(2).sum())
    for (let i = 0; i < 6; i++) f(ones([2]))
    for (let i = 0; i < 4; i++) assert.deepEqual(values(vmap((x: Tensor) => f(x))(tensor([[1, 2], [3, 4]]))), [6, 14]) // biome-ignore format: rows
  })
})

describe('what a repeated call would leave out', () => {
  it('operations that are observed', async () => {
    const f = capture((x: Tensor) => x.log().mul(2))
    for (let i = 0; i < 7; i++) f(ones([2]))
    assert.equal((await firstNonFinite(() => f(tensor([-1, 2]))))?.operation, 'log')
  })

  it('the step of an optimizer, which counts its steps', () => {
    const layer = new Linear(2, 1)
    const optimizer = new SGD(layer, { learningRate: 0.1 })
    const f = capture((x: Tensor) => {
      const { loss, gradients } = lossAndGradients(layer, () => layer.forward(x).square().mean())
      optimizer.step(gradients)
      return loss
    })
    for (let i = 0; i < 4; i++) scope(() => f(ones([2, 2])))
    assert.equal(f.reason, 'it steps an optimizer')
  })

  it('a function that onForward is given later', () => {
    const layer = new Linear(2, 1)
    const f = capture((x: Tensor) => layer.forward(x))
    for (let i = 0; i < 7; i++) scope(() => f(ones([1, 2])))
    let count = 0
    const remove = onForward(layer, () => void count++)
    for (let i = 0; i < 3; i++) scope(() => f(ones([1, 2])))
    assert.equal(count, 3)
    assert.equal(f.reason, 'it calls a function that onForward was given')
    remove()
  })

  it('the other mode of a module', () => {
    const dropout = new Dropout(0.5)
    const f = capture((x: Tensor) => dropout.forward(x.add(1)))
    const isAllTwo = () => scope(() => values(f(ones([64]))).every(value => value === 2))
    dropout.eval()
    for (let i = 0; i < 7; i++) assert.equal(isAllTwo(), true)
    // the same mode once more changes nothing
    dropout.eval()
    assert.equal(isAllTwo(), true)
    assert.equal(f.isReplay, true)
    dropout.train()
    assert.equal(isAllTwo(), false)
    assert.equal(f.reason, 'it draws random numbers')
  })

  it('values that are read where they are', () => {
    const cpu = device.get('cpu')
    const f = capture((x: Tensor) => x.mul(cpu.elements!(x)[0]))
    for (let i = 0; i < 8; i++) scope(() => assert.deepEqual(values(f(tensor([i]))), [i * i]))
    assert.match(f.reason ?? '', /^it reads values/)
  })

  it('the running mean of a batch normalization', () => {
    const [plain, captured] = [new BatchNorm1d(2), new BatchNorm1d(2)]
    const f = capture((x: Tensor) => captured.forward(x))
    for (let i = 0; i < 6; i++)
      scope(() => {
        const x = tensor([[i, 1], [2, i]]) // biome-ignore format: rows
        assert.deepEqual(values(f(x)), values(plain.forward(x)))
      })
    assert.deepEqual(values(captured.runningMean!), values(plain.runningMean!))
    assert.match(f.reason ?? '', /^it keeps 3 tensors/)
  })
})

describe('memory', () => {
  it('of gradients that were clipped in place is freed by the next call', () => {
    const layer = new Linear(4, 3)
    const f = capture((x: Tensor) => lossAndGradients(layer, () => layer.forward(x).square().mean()))
    for (let i = 0; i < 8; i++) {
      const { gradients } = f(ones([2, 4]))
      clipGradients(gradients, 0.1)
      const held = gradients.get('weight')!
      assert.equal(values(held).length, 12)
      f(ones([2, 4]).mul(3))
      if (i > 0) assert.throws(() => values(held), FreedError)
    }
  })

  it('of gradients that were clipped in place is copied for a parameter that gets one as its value', () => {
    const [layer, other] = [new Linear(4, 3), new Linear(4, 3)]
    const f = capture((x: Tensor) => lossAndGradients(layer, () => layer.forward(x).square().mean()))
    for (let i = 0; i < 8; i++) {
      const { gradients } = f(ones([2, 4]))
      clipGradients(gradients, 0.1)
      const weight = gradients.get('weight')!
      const right = values(weight)
      other.weight.assign(weight)
      f(ones([2, 4]).mul(3))
      assert.deepEqual(values(other.weight), right)
    }
    assert.equal(f.isReplay, true)
  })

  it('of parameters that AdamW updated is freed with them', async () => {
    const before = await collectGarbage(used)
    const train = (): WeakRef<Linear> => {
      const layer = new Linear(100, 100)
      const optimizer = new AdamW(layer)
      const f = capture((x: Tensor) => lossAndGradients(layer, () => layer.forward(x).square().mean()))
      for (let i = 0; i < 8; i++) scope(() => optimizer.step(f(ones([2, 100])).gradients))
      assert.equal(f.isReplay, true)
      return new WeakRef(layer)
    }
    const layer = train()
    assert.equal(await collectGarbage(used), before)
    assert.equal(layer.deref(), undefined)
  })

  it('of a parameter whose value is read during a call that is noted', () => {
    const layer = new Linear(2, 1)
    const plain = (x: Tensor) => lossAndGradients(layer, () => layer.forward(x).sum())
    const f = capture(plain)
    let replays = 0
    for (let i = 0; i < 24; i++)
      scope(() => {
        if (i % 8 === 5) layer.weight.assignLater(() => tensor([[i, 1]]))
        const { loss } = f(ones([3, 2]))
        assert.deepEqual(values(loss as Tensor), values(plain(ones([3, 2])).loss as Tensor))
        if (f.isReplay) replays++
      })
    assert.equal(f.reason, undefined)
    assert.ok(replays > 8)
    f.release()
    assert.deepEqual(values(layer.weight), [21, 1])
  })

  it('in other places in each call is a reason', () => {
    let other = keep(tensor([0]))
    const f = capture((x: Tensor) => x.add(other))
    for (let i = 0; i < 10; i++) {
      const old = other
      other = keep(tensor([i]))
      old.storage.free('the test')
      scope(() => assert.deepEqual(values(f(tensor([1]))), [1 + i]))
    }
    assert.equal(f.reason, 'its tensors have other memory, or its modules are changed, in each call')
  })

  it('that is not free in one piece is a reason, and no error', () => {
    const cpu = device.get('cpu')
    const big = 2 ** 20
    const f = capture((x: Tensor) => scope(() => x.add(1).mul(2)).add(x))
    const call = () => scope(() => assert.equal(values(f(ones([big])))[0], 5))
    call()
    const room = [1, 2, 3, 4].map(() => keep(ones([big])))
    let isFull = false
    /** Takes all other memory, in smaller and smaller pieces that are filled with nothing, calls, and gives it back. */
    const fill = (bytes: number): void => {
      const inside = function* (): Generator<Float32Array> {
        fill(bytes)
        yield new Float32Array(0)
      }
      try {
        cpu.uploadPieces!('float32', bytes / 4, inside())
      } catch (error) {
        if (isFull) return
        if (!(error instanceof OutOfMemoryError)) throw error
        if (bytes > 2 * big) fill(bytes / 2)
        else {
          isFull = true
          for (const { storage } of room) storage.free('the test')
          call()
        }
      }
    }
    fill(2 ** 29)
    assert.equal(isFull, true)
    assert.match(f.reason ?? '', /bytes in one piece, which are not free$/)
  })

  it('of a captured function is freed with it, and not before what it returned', async () => {
    const before = await collectGarbage(used)
    const last = (): Tensor => {
      const f = capture((x: Tensor) => x.mul(2).add(1))
      const x = ones([10_000])
      let y = f(x)
      for (let i = 0; i < 5; i++) y = f(x)
      assert.equal(f.isReplay, true)
      return y
    }
    const held = [last()]
    await collectGarbage(used)
    scope(() => {
      for (let i = 0; i < 20; i++) ones([10_000]).mul(7)
    })
    assert.ok(values(held[0]).every(value => value === 3))
    held.pop()
    assert.equal(await collectGarbage(used), before)
  })

  it('stays while the function is there, even if nothing but its steps use it', async () => {
    const f = capture(() => scope(() => ones([1000]).add(1)).sum())
    for (let i = 0; i < 6; i++) scope(() => f())
    for (let i = 0; i < 3; i++) {
      await collectGarbage(used)
      scope(() => {
        const others = [1, 2, 3].map(value => ones([1000]).mul(value))
        assert.deepEqual(values(f()), [2000])
        for (const [at, x] of others.entries()) assert.ok(values(x).every(value => value === at + 1))
      })
    }
    f.release()
  })

  it('of copies is given back if a later argument was freed', () => {
    const f = capture((x: Tensor, y: Tensor) => x.add(y))
    const [x, y] = [ones([1000]), ones([1000])]
    f(x, y).storage.free('the test')
    const before = used()
    y.storage.free('the test')
    assert.throws(() => f(x, y), FreedError)
    assert.equal(used(), before - 4000)
  })
})

it('a function may release itself', () => {
  let calls = 0
  const f = capture((x: Tensor): Tensor => {
    if (calls++ % 3 === 2) f.release()
    return x.add(1)
  })
  for (let i = 0; i < 20; i++) scope(() => assert.deepEqual(values(f(tensor([i]))), [i + 1]))
  f.release()
})

it('an index that is wrong in a repeated call changes nothing in the next', () => {
  const table = keep(tensor([1, 2, 3]))
  const f = capture((ids: Tensor, x: Tensor) => table.gather(ids, { axis: 0 }).mul(x))
  const call = (id: number) => scope(() => values(f(tensor([id], { dtype: 'int32' }), tensor([2]))))
  for (let i = 0; i < 30; i++)
    if (i > 3 && i % 3 === 0) assert.throws(() => call(3), IndexError)
    else assert.deepEqual(call(i % 3), [2 * ((i % 3) + 1)])
})
