// Gradient checkpointing of transformer blocks: the same numbers, in less memory.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkpoint, grad, hvp, Tape, valueAndGrad } from '../../src/autograd/index.ts'
import { CoCa, type CoCaConfig, VisionTransformer } from '../../src/models/index.ts'
import {
  captureAttention,
  checkpointBlocks,
  Linear,
  lossAndGradients,
  type Module,
  onForward,
  TransformerBlock,
} from '../../src/nn/index.ts'
import { device, Generator, randint, randn, seed, type Tensor } from '../../src/tensor/index.ts'
import { fc, runs } from '../support.ts'
import { peakOf } from '../tensor/cpu/peak.ts'

await device.open('cpu')

const config: CoCaConfig = {
  image: { size: 8, patch: 4, width: 8, layers: 2, heads: 2 },
  text: { vocabulary: 20, context: 5, width: 8, heads: 2, unimodalLayers: 2, multimodalLayers: 3, pad: 0 },
  pooler: { queries: 3, heads: 2 },
  embedding: 8,
}

/** The total loss and the gradients of all parameters, as arrays. */
function step(make: () => CoCa, isCheckpointed: boolean, on: 'cpu' | 'reference'): Record<string, number[]> {
  return device.with(on, () => {
    seed(3)
    const model = make()
    if (isCheckpointed) checkpointBlocks(model)
    const generator = new Generator(5)
    const images = randn([3, 3, 8, 8], { generator })
    const ids = randint(0, 20, [3, 5], { generator })
    const { loss, gradients } = lossAndGradients(model, () => model.loss(images, ids), { allowUnused: true })
    const all = [...gradients].map(([name, gradient]) => [name, [...gradient.dataSync()]] as const)
    return { loss: [...loss.total.dataSync()], ...Object.fromEntries(all) }
  })
}

describe('checkpointBlocks', () => {
  test('changes no bit of a loss and its gradients: with dropout, cross-attention, padding, frozen parts and every feed-forward', () => {
    const configs = fc.record({
      dropout: fc.constantFrom(0, 0.3),
      frozen: fc.constantFrom('', 'encoder', 'unimodal'),
      selfMlp: fc.boolean(),
      on: fc.constantFrom('cpu' as const, 'reference' as const),
    })
    fc.assert(
      fc.property(configs, ({ dropout, frozen, selfMlp, on }) => {
        const make = () => {
          const model = new CoCa({ ...config, dropout, text: { ...config.text, multimodal: { selfMlp } } })
          if (frozen !== '') model[frozen as 'encoder'].freeze()
          return model
        }
        assert.deepEqual(step(make, true, on), step(make, false, on))
      }),
      runs(8),
    )
  })

  test('has the same gradients of order 2 in a block with memory, a mask and causal attention', () => {
    const generator = new Generator(1)
    const block = new TransformerBlock({ width: 4, heads: 2, memoryWidth: 3 })
    const [x, direction] = [0, 1].map(() => randn([2, 3, 4], { generator, dtype: 'float64' }))
    const memory = randn([2, 5, 3], { generator, dtype: 'float64' })
    const mask = randn([2, 1, 3, 3], { generator }).greater(-1)
    block.double()
    const f = (z: Tensor) => block.forward(z, { memory, mask, causal: true }).square().sum()
    const both = () => [f(x), grad(f)(x), hvp(f, [x], [direction])[0]].map(y => [...y.dataSync()])
    const plain = both()
    checkpointBlocks(block)
    const again = both()
    assert.deepEqual(again.slice(0, 2), plain.slice(0, 2))
    again[2].forEach((value, i) => {
      assert.ok(Math.abs(value - plain[2][i]) <= 1e-12 * Math.max(1, Math.abs(plain[2][i])))
    })
  })

  test('keeps one input of each block and the values of one block', async () => {
    await device.use('cpu')
    const [batch, tokens, width] = [4, 64, 32]
    const make = (layers: number) => new VisionTransformer({ size: 32, patch: 4, width, layers, heads: 2 })
    const images = randn([batch, 3, 32, 32])
    const peak = (layers: number, isCheckpointed: boolean) => {
      seed(1)
      const model = make(layers)
      if (isCheckpointed) checkpointBlocks(model)
      return peakOf(() => {
        const { gradients, loss } = lossAndGradients(model, () => model.forward(images).square().mean())
        for (const { storage } of [loss, ...gradients.values()]) storage.free('the test')
      })
    }
    // of each block more: its input until its backward pass, and then the gradients of its parameters
    const [few, many] = [await peak(4, true), await peak(10, true)]
    const parameters = (4 * (make(10).parameterCount() - make(4).parameterCount())) / 6
    const input = 4 * batch * tokens * width
    const growth = (many - few) / 6
    const expected = Math.max(input, parameters)
    assert.ok(Math.abs(growth - expected) <= 0.02 * expected, `${growth} bytes a block, not ${expected}`)
    // without: about eleven results of [tokens, width] and two of [tokens, 4 width]
    const stored = ((await peak(10, false)) - (await peak(4, false))) / 6
    assert.ok(stored > 15 * input, `${stored / input} inputs of a block are stored`)
    await device.use('reference')
  })

  test('a block that is looked into stores its values: attention weights and hooks have gradients', () => {
    const block = checkpointBlocks(new TransformerBlock({ width: 4, heads: 2 }))
    const x = randn([1, 3, 4], { generator: new Generator(2) })
    const names = () => {
      const tape = new Tape()
      tape.watch(x)
      tape.run(() => block.forward(x))
      return tape.entries.map(({ name }) => name)
    }
    assert.deepEqual(names(), ['checkpoint'])
    let calls = 0
    const remove = onForward(block, () => void calls++)
    assert.deepEqual(names(), ['checkpoint'])
    assert.equal(calls, 1)
    remove()
    const inside = onForward(block.mlp, () => {})
    assert.ok(!names().includes('checkpoint'))
    inside()
    const byWeights = grad((z: Tensor) => {
      const { weights } = captureAttention(block, () => block.forward(z))
      return weights.get('attention')![0].square().sum()
    })(x)
    assert.ok([...byWeights.dataSync()].some(value => value !== 0))
    assert.deepEqual(names(), ['checkpoint'])
    checkpointBlocks(block, false)
    assert.ok(!names().includes('checkpoint'))
  })

  test('is refused for a model without blocks', () => {
    const model: Module = new Linear(2, 2)
    assert.throws(() => checkpointBlocks(model), /Linear has no TransformerBlock; write checkpoint/)
  })
})

test('a checkpoint adds to the gradient of an outer tensor in the order of its operations', () => {
  // a sum of float32 numbers whose order shows in the last bits
  const generator = new Generator(4)
  const memory = randn([5], { generator })
  const weights = Array.from({ length: 6 }, () => randn([5], { generator }))
  const f = (part: (g: (m: Tensor) => Tensor) => (m: Tensor) => Tensor) => (m: Tensor) =>
    [0, 2, 4]
      .map(i => part((z: Tensor) => z.mul(weights[i]).add(z.mul(weights[i + 1]).exp()))(m))
      .reduce((a, b) => a.add(b))
      .sum()
  const [plain, saving] = [f(g => g), f(g => checkpoint(g))].map(h => valueAndGrad(h)(memory)[1])
  assert.deepEqual([...saving.dataSync()], [...plain.dataSync()])
})
