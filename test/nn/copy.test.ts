import assert from 'node:assert/strict'
import { test } from 'node:test'
import { embedding } from '../../src/autograd/index.ts'
import { BatchNorm1d, Dropout, deepCopy, Linear, Module, onForward, Parameter, Sequential } from '../../src/nn/index.ts'
import { AdamW } from '../../src/optim/index.ts'
import { device, ones, type Tensor, tensor, zeros } from '../../src/tensor/index.ts'
import { modelRecords, moduleRecords } from '../autograd/records/modules.ts'
import { values } from '../support.ts'
import { random } from './support.ts'

test('a copy has parameters and buffers of its own, with modes and flags', () => {
  const model = new Sequential(new Linear(3, 2), x => x.relu(), new BatchNorm1d(2), new Dropout(0.5))
  model.eval()
  model.forward(zeros([1, 3]))
  const [first] = [...model] as [Linear]
  first.freeze()
  const copy = deepCopy(model)
  assert.ok(copy instanceof Sequential)
  const x = random([2, 3]).cast('float32')
  assert.deepEqual(values(copy.forward(x)), values(model.forward(x)))
  assert.deepEqual([...copy.stateDict().keys()], [...model.stateDict().keys()])
  assert.deepEqual(
    copy.parameters().map(({ trainable }) => trainable),
    [false, false, true, true],
  )
  for (const module of copy) if (module instanceof Module) assert.equal(module.training, false)
  const before = values(model.forward(x))
  for (const [, value] of copy.namedParameters()) value.assign(ones(value.shape))
  for (const [, value] of copy.namedBuffers()) value.assign(ones(value.shape).cast(value.dtype))
  assert.deepEqual(values(model.forward(x)), before)
})

class Tied extends Module {
  input = new Parameter(random([5, 4]).cast('float32'))
  layers = [new Linear(4, 4)]
  output = this.input
  again = { layer: this.layers[0] }

  forward(ids: Tensor): Tensor {
    return this.again.layer.forward(this.layers[0].forward(embedding(this.input, ids))).linear(this.output)
  }
}

test('a parameter in two fields is one parameter, which both uses train', () => {
  const model = new Tied()
  assert.deepEqual([...model.stateDict().keys()], ['input', 'layers.0.weight', 'layers.0.bias'])
  const optimizer = new AdamW(model, { learningRate: 0.1 })
  const ids = tensor([1, 2], { dtype: 'int32' })
  optimizer.minimize(() => model.forward(ids).square().mean())
  assert.equal(model.input, model.output)
  assert.deepEqual(values(model.input), values(model.output))
})

test('what is shared is shared in the copy', () => {
  const model = new Tied()
  const copy = deepCopy(model)
  assert.equal(copy.input, copy.output)
  assert.equal(copy.again.layer, copy.layers[0])
  assert.notEqual(copy.input, model.input)
  assert.notEqual(copy.layers[0], model.layers[0])
  assert.equal(copy.parameterCount(), model.parameterCount())
})

test('functions that watch a module do not watch its copy', () => {
  const layer = new Linear(2, 2)
  let calls = 0
  onForward(layer, () => {
    calls++
  })
  deepCopy(layer).forward(zeros([1, 2]))
  assert.equal(calls, 0)
})

for (const { name, make, run, inputs } of [...moduleRecords, ...modelRecords])
  test(`${name} can be copied`, () => {
    const module = device.with('reference', () => make().double().eval())
    assert.deepEqual(values(run(deepCopy(module), ...inputs)), values(run(module, ...inputs)))
  })

test('a class with private names cannot be copied', () => {
  class Secret extends Module {
    readonly #scale = 2
    layer = new Linear(2, 2)

    forward(y: Tensor): Tensor {
      return this.layer.forward(y).mul(this.#scale)
    }
  }
  assert.throws(() => deepCopy(new Sequential(new Secret())), /deepCopy: Secret has a private field or method, #scale/)
})
