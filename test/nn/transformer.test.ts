import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  AttentionalPooler,
  ConfigError,
  type KeyValueCache,
  PatchEmbedding,
  sinusoidalPositions,
  TransformerBlock,
} from '../../src/nn/index.ts'
import { Generator, ShapeError, type Tensor, tensor } from '../../src/tensor/index.ts'
import { assertCloseNumbers, fc, runs, values } from '../support.ts'
import { checkModule, plainLinear, random, randomize, rows } from './support.ts'

/** Rows of axis 1 in another order. */
const reordered = (x: Tensor, order: ArrayLike<number>) => x.take(tensor(Int32Array.from(order)), { axis: 1 })

test('a block has right gradients, causal and masked', () => {
  const mask = tensor([
    [true, true],
    [false, true],
  ])
  for (const options of [{ causal: true }, { mask }]) {
    const block = new TransformerBlock({ width: 3, heads: 1, hidden: 2 })
    checkModule(block, x => block.forward(x, options), [random([1, 2, 3])])
  }
})

test('a block with cross-attention has right gradients for text and memory', () => {
  const block = new TransformerBlock({ width: 3, heads: 3, hidden: 2, memoryWidth: 2, activation: 'silu' })
  checkModule(block, (x, memory) => block.forward(x, { causal: true, memory }), [
    random([1, 2, 3], 1),
    random([1, 2, 2], 2),
  ])
})

test('a pooler has right gradients, between different widths', () => {
  const pooler = new AttentionalPooler({ queries: 2, width: 4, heads: 2, memoryWidth: 3 })
  checkModule(pooler, x => pooler.forward(x), [random([1, 3, 3])])
})

test('a patch embedding has right gradients', () => {
  const embedding = new PatchEmbedding({ imageSize: 4, patchSize: 2, width: 2, channels: 2 })
  checkModule(embedding, x => embedding.forward(x), [random([1, 2, 4, 4])])
})

test('a block adds attention and then the feed-forward layer to its input', () => {
  const block = randomize(new TransformerBlock({ width: 4, heads: 2, hidden: 3 }))
  const x = random([2, 3, 4])
  const middle = x.add(block.attention.forward(block.attentionNorm.forward(x)))
  assertCloseNumbers(values(block.forward(x)), values(middle.add(block.mlp.forward(block.mlpNorm.forward(middle)))))
  block.attention.output.parameters().forEach(p => {
    p.assign(p.mul(0))
  })
  block.mlp.down.parameters().forEach(p => {
    p.assign(p.mul(0))
  })
  assert.deepEqual(values(block.forward(x)), values(x))
})

test('in a causal block no token depends on later ones', () => {
  const block = randomize(new TransformerBlock({ width: 4, heads: 2, memoryWidth: 4 }))
  const [x, memory] = [random([1, 5, 4], 1), random([1, 2, 4], 2)]
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4 }), at => {
      const here = tensor(Float64Array.from({ length: 5 }, (_, i) => (i === at ? 1 : 0)))
      const bump = here.reshape([1, 5, 1]).mul(random([4], 3))
      const [before, after] = [x, x.add(bump)].map(y => rows(block.forward(y, { causal: true, memory })))
      assert.deepEqual(after.slice(0, at), before.slice(0, at))
      for (let i = at; i < 5; i++) assert.notDeepEqual(after[i], before[i])
    }),
    runs(5),
  )
})

test('a block with caches equals a block without', () => {
  const block = randomize(new TransformerBlock({ width: 4, heads: 2, memoryWidth: 3 }))
  const [x, memory] = [random([2, 4, 4], 1), random([2, 3, 3], 2)]
  const whole = rows(block.forward(x, { causal: true, memory }))
  const [cache, memoryCache]: KeyValueCache[] = [{}, {}]
  for (let t = 0; t < 4; t++) {
    const one = block.forward(x.slice([{}, { start: t, stop: t + 1 }]), { causal: true, memory, cache, memoryCache })
    assertCloseNumbers(values(one), [...whole[t], ...whole[4 + t]])
  }
})

test('a block with cross-attention needs a memory, and returns its weights', () => {
  const block = new TransformerBlock({ width: 4, heads: 2, memoryWidth: 3 })
  assert.throws(() => block.forward(random([1, 2, 4])), /needs a memory to attend to/)
  const shapes: (readonly number[])[] = []
  block.forward(random([1, 2, 4]), { memory: random([1, 5, 3]), onMemoryWeights: w => shapes.push(w.shape) })
  assert.deepEqual(shapes, [[1, 2, 2, 5]])
})

test('a pooler is invariant to the order of its tokens', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.nat(1000), (tokens, seed) => {
      const pooler = randomize(new AttentionalPooler({ queries: 3, width: 4, heads: 2, memoryWidth: 5 }))
      const x = random([2, tokens, 5], seed)
      const shuffled = reordered(x, new Generator(seed).permutation(tokens))
      assertCloseNumbers(values(pooler.forward(shuffled)), values(pooler.forward(x)), 1e-10)
    }),
    runs(20),
  )
})

test('permuting the queries of a pooler permutes its results', () => {
  const pooler = randomize(new AttentionalPooler({ queries: 3, width: 4, heads: 2 }))
  const x = random([2, 5, 4])
  const before = pooler.forward(x)
  const order = [2, 0, 1]
  pooler.queries.assign(pooler.queries.take(tensor(Int32Array.from(order))))
  assertCloseNumbers(values(pooler.forward(x)), values(reordered(before, order)))
  const one = randomize(new AttentionalPooler({ queries: 1, width: 4, heads: 2 }))
  const state = new Map(pooler.stateDict()).set('queries', pooler.queries.slice([{ stop: 1 }]))
  one.loadStateDict(state)
  assertCloseNumbers(values(one.forward(x)), values(reordered(before, [2])))
})

test('a pooler ignores masked tokens', () => {
  const pooler = randomize(new AttentionalPooler({ queries: 2, width: 4, heads: 2 }))
  const x = random([1, 5, 4])
  const mask = tensor([true, true, true, false, false])
  assertCloseNumbers(values(pooler.forward(x, { mask })), values(pooler.forward(x.slice([{}, { stop: 3 }]))))
})

test('a patch embedding equals a convolution whose stride is its window', () => {
  const sizes = fc.record({
    grid: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
    patchSize: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
    channels: fc.integer({ min: 1, max: 4 }),
  })
  fc.assert(
    fc.property(sizes, ({ grid: [down, across], patchSize, channels }) => {
      const [patchHeight, patchWidth] = patchSize
      const [size, stride] = [[down * patchHeight, across * patchWidth] as const, across * patchWidth]
      const embedding = randomize(new PatchEmbedding({ imageSize: size, patchSize, width: 2, channels }))
      const images = random([2, channels, ...size])
      const pixels = values(images)
      const { weight, bias } = embedding.projection
      const expected: number[] = []
      for (let b = 0; b < 2; b++)
        for (let row = 0; row < down; row++)
          for (let column = 0; column < across; column++) {
            const window: number[] = []
            for (let c = 0; c < channels; c++)
              for (let y = 0; y < patchHeight; y++)
                for (let x = 0; x < patchWidth; x++) {
                  const line = (b * channels + c) * size[0] + row * patchHeight + y
                  window.push(pixels[line * stride + column * patchWidth + x])
                }
            expected.push(...plainLinear([window], weight, bias)[0])
          }
      assert.deepEqual(embedding.grid, [down, across])
      assert.equal(embedding.patches, down * across)
      assertCloseNumbers(values(embedding.forward(images)), expected)
    }),
    runs(20),
  )
})

test('a patch embedding throws for images of another size, and for patches that do not fit', () => {
  const embedding = new PatchEmbedding({ imageSize: 4, patchSize: 2, width: 3 })
  for (const shape of [
    [1, 3, 4, 6],
    [1, 3, 6, 4],
    [1, 1, 4, 4],
    [3, 4, 4],
  ])
    assert.throws(
      () => embedding.forward(random(shape)),
      (error: unknown) => error instanceof ShapeError && /\[batch, 3, 4, 4\], not \[/.test(error.message),
    )
  assert.throws(
    () => new PatchEmbedding({ imageSize: 10, patchSize: 4, width: 3 }),
    (error: unknown) => error instanceof ConfigError && error.field === 'patchSize',
  )
})

test('sinusoidal positions are sines and cosines of increasing wavelength', () => {
  const found = rows(sinusoidalPositions(7, 5))
  for (let p = 0; p < 7; p++)
    for (let i = 0; i < 3; i++) {
      const angle = p / 10000 ** ((2 * i) / 5)
      assertCloseNumbers(found[p].slice(2 * i, 2 * i + 2), [Math.sin(angle), Math.cos(angle)].slice(0, 5 - 2 * i), 1e-6)
    }
})
