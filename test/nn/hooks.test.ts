import assert from 'node:assert/strict'
import { test } from 'node:test'
import { grad } from '../../src/autograd/index.ts'
import { VisionTransformer } from '../../src/models/index.ts'
import {
  AttentionalPooler,
  captureAttention,
  Linear,
  MultiHeadAttention,
  onForward,
  Sequential,
} from '../../src/nn/index.ts'
import { scope, type Tensor, zeros } from '../../src/tensor/index.ts'
import { assertCloseNumbers, values } from '../support.ts'
import { random } from './support.ts'

test('a hook sees the input and the output, and may replace the output', () => {
  const layer = new Linear(3, 2)
  const model = new Sequential(layer, x => x.relu())
  const x = random([4, 3]).cast('float32')
  const seen: string[] = []
  const remove = onForward(layer, (input, output) => {
    seen.push(`${input.shape} → ${output.shape}`)
  })
  const before = values(model.forward(x))
  const restore = onForward(layer, (_, output) => output.mul(0))
  assert.deepEqual(values(model.forward(x)), new Array(8).fill(0))
  remove()
  restore()
  restore()
  assert.deepEqual(values(model.forward(x)), before)
  assert.deepEqual(seen, ['4,3 → 4,2', '4,3 → 4,2'])
  assert.equal(Object.hasOwn(layer, 'forward'), false)
})

test('hooks see what a tape records', () => {
  const layer = new Linear(3, 3)
  const outputs: Tensor[] = []
  const remove = onForward(layer, (_, output) => {
    outputs.push(output)
  })
  grad((x: Tensor) => layer.forward(layer.forward(x)).sum())(zeros([1, 3]))
  remove()
  assert.equal(outputs.length, 2)
})

test('the weights of all attention are captured by path', () => {
  const model = new VisionTransformer({ size: 4, patch: 2, width: 4, layers: 2, heads: 2 })
  const images = random([1, 3, 4, 4]).cast('float32')
  const plain = values(model.forward(images))
  const { result, weights } = captureAttention(model, () => model.forward(images))
  assertCloseNumbers(values(result), plain, 1e-5)
  assert.deepEqual([...weights.keys()], ['blocks.0.attention', 'blocks.1.attention'])
  for (const [map] of weights.values()) {
    assert.deepEqual(map.shape, [1, 2, 4, 4])
    for (const sum of values(map.sum({ axis: -1 }))) assert.ok(Math.abs(sum - 1) < 1e-6)
  }
  assert.deepEqual(values(model.forward(images)), plain)
})

test('captured weights belong to the scope of the caller', () => {
  const attention = new MultiHeadAttention({ width: 4, heads: 2 })
  const x = random([1, 3, 4]).cast('float32')
  let map: Tensor | undefined
  scope(() => {
    const { weights } = captureAttention(attention, () => attention.forward(x))
    ;[map] = weights.get('')!
    assert.equal(values(map).length, 18)
  })
  assert.throws(() => values(map!), /freed/)
})

test('captures may be nested, and show onWeights too', () => {
  const pooler = new AttentionalPooler({ queries: 2, width: 4, heads: 2, memoryWidth: 3 })
  const memory = random([1, 3, 3]).cast('float32')
  const shown: Tensor[] = []
  const outer = captureAttention(pooler, () =>
    captureAttention(pooler, () => pooler.forward(memory, { onWeights: x => shown.push(x) })),
  )
  assert.deepEqual([outer.weights.get('attention')?.length, outer.result.weights.get('attention')?.length], [1, 1])
  assert.equal(shown.length, 1)
  assert.throws(() => captureAttention(pooler, async () => 1), /must not be async/)
})
