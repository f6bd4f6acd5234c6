// Parameters whose values are read when they are first needed.

import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { grad, Tape } from '../../src/autograd/index.ts'
import { deepCopy, init, Linear, Parameter, parameter, withLateValues } from '../../src/nn/index.ts'
import { valuesOf } from '../../src/nn/parameter.ts'
import { SGD } from '../../src/optim/index.ts'
import { defaultGenerator, device, type Tensor, tensor, zeros } from '../../src/tensor/index.ts'

await device.use('cpu')

const VALUES = [
  [1, 2, 3],
  [4, 5, 6],
]

/** A layer whose weight is read from nowhere, and counts how often. */
function lateLayer(read = () => tensor(VALUES)) {
  const layer = new Linear(3, 2)
  const count = { reads: 0 }
  layer.weight.assignLater(() => {
    count.reads++
    return read()
  })
  return { layer, count }
}

const bytes = () => device.get().memory().bytes

describe('a parameter that is read when it is first needed', () => {
  let before = 0
  beforeEach(() => {
    before = bytes()
  })

  it('has its shape, dtype and device, and no memory', () => {
    const { layer, count } = lateLayer()
    const { weight } = layer
    assert.deepEqual([weight.shape, weight.dtype, weight.device, weight.size], [[2, 3], 'float32', 'cpu', 6])
    assert.equal(layer.parameterCount(), 8)
    assert.deepEqual([weight.isAbsent, count.reads], [true, 0])
    assert.equal(bytes() - before, 2 * 4)
  })

  it('is read once, by the first operation', async () => {
    const { layer, count } = lateLayer()
    const x = tensor([[1, 1, 1]])
    const first = layer.forward(x)
    assert.deepEqual(await first.array(), [[6, 15]])
    assert.deepEqual(await layer.forward(x).array(), [[6, 15]])
    assert.deepEqual([layer.weight.isAbsent, count.reads], [false, 1])
  })

  it('is read and not kept by data, dataSync and the values in pieces', async () => {
    const { layer, count } = lateLayer()
    assert.deepEqual([...(await layer.weight.data())], VALUES.flat())
    assert.deepEqual([...layer.weight.dataSync()], VALUES.flat())
    for await (const piece of valuesOf(layer.weight)) assert.deepEqual([...piece], VALUES.flat())
    assert.deepEqual([layer.weight.isAbsent, count.reads], [true, 3])
    assert.equal(bytes() - before, 2 * 4)
  })

  it('is not read if it gets another value before', async () => {
    const { layer, count } = lateLayer()
    layer.weight.assign(zeros([2, 3]))
    assert.deepEqual(await layer.forward(tensor([[1, 1, 1]])).array(), [[0, 0]])
    assert.equal(count.reads, 0)
  })

  it('may be a view, whose whole memory is not kept', () => {
    const layer = new Linear(3, 2)
    layer.weight.assignLater(() => tensor([VALUES, VALUES]).slice([1]))
    layer.weight.load()
    assert.deepEqual([...layer.weight.dataSync()], VALUES.flat())
    assert.equal(bytes() - before, (6 + 2) * 4)
  })

  it('keeps the memory of the scope in which it is needed out of it', async () => {
    const { layer } = lateLayer()
    const tape = new Tape()
    tape.run(() => layer.forward(tensor([[1, 1, 1]])))
    tape.end()
    assert.deepEqual([...layer.weight.dataSync()], VALUES.flat())
  })

  it('has the gradient and the update of any other parameter', () => {
    const { layer } = lateLayer()
    const x = tensor([[1, 2, 3]])
    const gradient = grad((w: Tensor) => x.matmul(w.transpose()).sum())(layer.weight)
    assert.deepEqual([...gradient.dataSync()], [1, 2, 3, 1, 2, 3])
    const late = lateLayer().layer
    const optimizer = new SGD(late, { learningRate: 1, momentum: 0 })
    optimizer.minimize(() => late.forward(x).sum())
    assert.deepEqual([...late.weight.dataSync()], [0, 0, 0, 3, 3, 3])
  })

  it('throws what reading throws, and is read again by the next operation', () => {
    let isThere = false
    const { layer } = lateLayer(() => {
      if (!isThere) throw new Error('the file is gone')
      return tensor(VALUES)
    })
    assert.throws(() => layer.forward(tensor([[1, 1, 1]])), /the file is gone/)
    isThere = true
    assert.deepEqual([...layer.forward(tensor([[1, 1, 1]])).dataSync()], [6, 15])
  })

  it('refuses a value of another shape or dtype', () => {
    const { layer } = lateLayer(() => zeros([3, 2]))
    assert.throws(
      () => layer.weight.load(),
      /assignLater: the value has shape \[3, 2\], but the parameter has shape \[2, 3\]/,
    )
    const other = lateLayer(() => zeros([2, 3], { dtype: 'int32' }))
    assert.throws(() => other.layer.weight.load(), /assignLater: the value is int32/)
  })

  it('is copied with its module, and another parameter of it has memory of its own', () => {
    const { layer } = lateLayer()
    const copy = deepCopy(layer)
    copy.weight.assign(zeros([2, 3]))
    assert.deepEqual([...layer.weight.dataSync()], VALUES.flat())
    const shared = lateLayer().layer.weight
    const taken = new Parameter(shared)
    shared.assign(zeros([2, 3]))
    assert.deepEqual([...taken.dataSync()], VALUES.flat())
  })

  it('is loaded into another module without being kept', () => {
    const { layer } = lateLayer()
    const other = new Linear(3, 2).loadStateDict(layer.stateDict())
    assert.deepEqual([...other.weight.dataSync()], VALUES.flat())
    assert.equal(layer.weight.isAbsent, true)
  })
})

it('no random numbers are drawn for parameters that get another value', () => {
  const { position } = defaultGenerator().state
  const layer = withLateValues(() => new Linear(3, 2))
  layer.weight.assign(tensor(VALUES))
  assert.equal(defaultGenerator().state.position, position)
  assert.deepEqual([...layer.bias!.dataSync()], [0, 0])
  const drawn = withLateValues(() => parameter([4], init.normal(1)))
  assert.equal(defaultGenerator().state.position, position)
  assert.ok(
    drawn
      .load()
      .dataSync()
      .every(x => x !== 0),
  )
  assert.notEqual(defaultGenerator().state.position, position)
})
