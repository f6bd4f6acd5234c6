import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Dropout, Linear, Sequential, SwiGLU, TransformerBlock } from '../../src/nn/index.ts'
import { type Tensor, zeros } from '../../src/tensor/index.ts'
import { values } from '../support.ts'
import { random } from './support.ts'

const relu = (x: Tensor) => x.relu()

test('Sequential applies its stages in order and names their parameters by position', () => {
  const [first, last] = [new Linear(3, 4), new Linear(4, 2)]
  const model = new Sequential(first, relu, new Dropout(0.5), last)
  assert.deepEqual([...model.stateDict().keys()], ['0.weight', '0.bias', '3.weight', '3.bias'])
  assert.deepEqual([...model].slice(0, 2), [first, relu])
  model.eval()
  const x = random([2, 3]).cast('float32')
  assert.deepEqual(values(model.forward(x)), values(last.forward(first.forward(x).relu())))
})

test('Sequential takes names', () => {
  const model = new Sequential({ up: new Linear(3, 4), relu, down: new Linear(4, 2, { bias: false }) })
  assert.deepEqual(model.names, ['up', 'relu', 'down'])
  assert.deepEqual([...model.stateDict().keys()], ['up.weight', 'up.bias', 'down.weight'])
  assert.deepEqual(model.forward(zeros([5, 3])).shape, [5, 2])
})

test('Sequential of nothing is the identity', () => {
  const x = zeros([2])
  assert.equal(new Sequential().forward(x), x)
})

test('a stage that is no module and no function is named, and so is a name that cannot be one', () => {
  assert.throws(
    () => new Sequential(new Linear(2, 2), 'relu' as never),
    /stage '1' must be a module or a function, not 'relu'/,
  )
  assert.throws(() => new Sequential({ forward: relu }), /stage 'forward' cannot be the name/)
  assert.throws(() => new Sequential({ 'a.b': relu }), /stage 'a.b' cannot be the name/)
})

test('SwiGLU multiplies a gate, and a block may have it', () => {
  const layer = new SwiGLU(3, 5, { bias: false })
  const x = random([2, 3]).cast('float32')
  const gate = layer.gate.forward(x)
  const expected = layer.down.forward(gate.sigmoid().mul(gate).mul(layer.up.forward(x)))
  values(layer.forward(x)).forEach((value, i) => {
    assert.ok(Math.abs(value - values(expected)[i]) < 1e-6)
  })
  const block = new TransformerBlock({ width: 4, heads: 2, hidden: 6, feedForward: 'swiglu', selfMlp: true })
  assert.ok(block.mlp instanceof SwiGLU && block.selfMlp instanceof SwiGLU)
  assert.deepEqual(block.forward(zeros([1, 3, 4])).shape, [1, 3, 4])
})
