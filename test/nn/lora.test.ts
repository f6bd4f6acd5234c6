// Low-rank adapters: what they leave alone, what they train, and that they merge into the weights.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CoCa } from '../../src/models/index.ts'
import {
  deepCopy,
  Linear,
  loadLoraState,
  lora,
  loraState,
  Module,
  MultiHeadAttention,
  mergeLora,
  weightNorm,
} from '../../src/nn/index.ts'
import { AdamW } from '../../src/optim/index.ts'
import { device, type Tensor, tensor } from '../../src/tensor/index.ts'
import { assertCloseNumbers, values } from '../support.ts'
import { checkModule, random, randomize } from './support.ts'

const x = random([2, 3, 4]).cast('float32')

test('an adapted model computes what it did, and trains its adapters alone', () => {
  const model = new MultiHeadAttention({ width: 4, heads: 2 })
  const before = values(model.forward(x))
  const base = model.stateDict()
  const old = new Map([...base].map(([name, value]) => [name, values(value)]))
  lora(model, { rank: 2, alpha: 4 })
  assert.deepEqual(values(model.forward(x)), before)
  assert.ok(model.query instanceof Linear)
  const trainable = [...model.namedParameters()].filter(([, parameter]) => parameter.trainable)
  assert.deepEqual(
    trainable.map(([name, { shape }]) => `${name} ${shape}`),
    ['query.loraA 2,4', 'query.loraB 4,2', 'value.loraA 2,4', 'value.loraB 4,2'],
  )
  const optimizer = new AdamW(model, { learningRate: 0.1 })
  for (let step = 0; step < 3; step++) optimizer.minimize(() => model.forward(x).square().mean())
  for (const [name, value] of old) assert.deepEqual(values(model.stateDict().get(name)!), value)
  assert.ok(values(model.query.forward(x)).some((value, i) => value !== before[i]))
  assert.notDeepEqual(values(model.forward(x)), before)
})

test('an adapted module is W x + (α / r) B A x, with right gradients', () => {
  const layer = lora(new Linear(3, 2), { rank: 2, alpha: 6, targets: () => true })
  checkModule(layer, y => layer.forward(y), [random([2, 3])])
  const { weight, bias } = layer
  const { loraA, loraB } = layer as unknown as { loraA: Tensor; loraB: Tensor }
  const y = random([2, 3])
  const expected = y.linear(weight.add(loraB.matmul(loraA).mul(3)), bias)
  assertCloseNumbers(values(layer.forward(y)), values(expected))
})

test('merged adapters give a plain model that computes the same', () => {
  const model = lora(new MultiHeadAttention({ width: 4, heads: 2 }), {
    rank: 2,
    alpha: 5,
    targets: ['query', 'output'],
  })
  randomize(model)
  const y = random([2, 3, 4])
  const adapted = values(model.forward(y))
  mergeLora(model)
  assertCloseNumbers(values(model.forward(y)), adapted)
  assert.deepEqual(
    [...model.stateDict().keys()],
    [...new MultiHeadAttention({ width: 4, heads: 2 }).stateDict().keys()],
  )
  assert.equal(Object.getPrototypeOf(model.query), Linear.prototype)
})

const config = {
  image: { size: 4, patch: 2, width: 4, layers: 1, heads: 2 },
  text: { vocabulary: 5, context: 3, width: 4, heads: 2, unimodalLayers: 1, multimodalLayers: 1, pad: 0 },
  pooler: { queries: 2, heads: 2 },
  embedding: 3,
}

test('the adapters of a CoCa are saved, loaded and merged', () => {
  const ids = tensor([[1, 3, 4], [2, 1, 0]], { dtype: 'int32' }) // biome-ignore format: a matrix
  const images = random([2, 3, 4, 4]).cast('float32')
  const model = new CoCa(config).eval()
  const pretrained = new Map([...model.stateDict()].map(([name, value]) => [name, value.add(0)]))
  const loss = (m: CoCa) => values(m.loss(images, ids).total)
  const before = loss(model)
  lora(model, { rank: 2 })
  assertCloseNumbers(loss(model), before)
  const state = loraState(model)
  assert.ok([...state.keys()].every(name => /\.(query|value)\.lora[AB]$/.test(name)))
  assert.ok(state.has('multimodal.blocks.0.crossAttention.value.loraA'), [...state.keys()].join())
  for (const [name, parameter] of model.namedParameters())
    if (state.has(name)) parameter.assign(random(parameter.shape, name.length).cast('float32'))
  const other = lora(new CoCa(config).eval().loadStateDict(pretrained), { rank: 2 })
  loadLoraState(other, loraState(model))
  assertCloseNumbers(loss(other), loss(model))
  const merged = loss(mergeLora(other))
  merged.forEach((value, i) => {
    assert.ok(Math.abs(value - loss(model)[i]) < 1e-4 * Math.abs(value))
  })
  assert.notDeepEqual(merged, before)
  assert.throws(() => loadLoraState(model, new Map()), /missing: /)
})

test('a module that is shared is adapted once', () => {
  class Twice extends Module {
    query = new Linear(4, 4)
    also = { query: this.query }

    forward(y: Tensor): Tensor {
      return this.also.query.forward(this.query.forward(y))
    }
  }
  const model = lora(new Twice(), { rank: 1 })
  assert.deepEqual([...loraState(model).keys()], ['query.loraA', 'query.loraB'])
})

test('an adapted module gives the memory of its forward pass back', () => {
  const layer = lora(new Linear(4, 4), { rank: 1, targets: () => true })
  const before = device.get().memory().buffers
  layer.forward(x)
  assert.equal(device.get().memory().buffers - before, 1)
})

test('what cannot be adapted is named', () => {
  const layer = new Linear(2, 2)
  assert.throws(
    () => lora(new MultiHeadAttention({ width: 4, heads: 2 }), { rank: 2, targets: ['q_proj'] }),
    /no Linear module is a target; there are query, key, value, output/,
  )
  assert.throws(
    () => lora(layer, { rank: 2, targets: 'query' as never }),
    /targets must be a list of the ends of paths.*write .*targets: \['query'\]/,
  )
  assert.throws(() => mergeLora(layer), /no module is adapted/)
  const adapted = lora(layer, { rank: 1, targets: () => true })
  assert.throws(() => lora(adapted, { rank: 1, targets: () => true }), /is adapted already; call mergeLora first/)
  assert.throws(
    () => lora(weightNorm(new Linear(2, 2)), { rank: 1, targets: () => true }),
    /call removeParametrization first/,
  )
  assert.throws(() => mergeLora(weightNorm(adapted)), /call removeParametrization first/)
})

test('an adapted model can be copied', () => {
  const model = randomize(lora(new MultiHeadAttention({ width: 4, heads: 2 }), { rank: 2 }))
  const copy = deepCopy(model)
  const y = random([1, 2, 4])
  assert.deepEqual(values(copy.forward(y)), values(model.forward(y)))
  mergeLora(copy)
  assertCloseNumbers(values(copy.forward(y)), values(model.forward(y)))
  assert.equal(loraState(model).size, 4)
})
