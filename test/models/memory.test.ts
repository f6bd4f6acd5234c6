// The memory of inference without the weights: that of a few layers, for any number of layers.

import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { CoCa } from '../../src/models/index.ts'
import { device, randint, randn, scope, seed } from '../../src/tensor/index.ts'
import { peakOf } from '../tensor/cpu/peak.ts'

const [width, tokens, context, queries, vocabulary] = [32, 64, 16, 8, 50]

const model = (layers: number) => {
  seed(1)
  return new CoCa({
    image: { size: 32, patch: 4, width, layers, heads: 2 },
    text: { vocabulary, context, width, heads: 2, unimodalLayers: layers, multimodalLayers: layers },
    pooler: { queries, heads: 2 },
    embedding: width,
  })
}

/** Bytes of one layer's result for a batch of images. */
const layer = (batch: number) => batch * tokens * width * 4

type Use = (model: CoCa, batch: number) => unknown

const uses: Record<string, Use> = {
  'embedding images': (coca, batch) => scope(() => void coca.encodeImage(randn([batch, 3, 32, 32]))),
  'embedding texts': (coca, batch) => scope(() => void coca.encodeText(randint(0, vocabulary, [batch, context]))),
  'the logits of pairs': (coca, batch) =>
    scope(() => void coca.forward(randn([batch, 3, 32, 32]), randint(0, vocabulary, [batch, context]))),
  'writing captions': async (coca, batch) => {
    const images = randn([batch, 3, 32, 32])
    await coca.generate(images, { start: 1, end: 2 })
    images.storage.free('the test')
  },
  'writing captions with a beam search': async (coca, batch) => {
    const images = randn([batch, 3, 32, 32])
    await coca.generate(images, { start: 1, end: 2, beams: 3 })
    images.storage.free('the test')
  },
}

describe('memory of inference without the weights', () => {
  before(() => device.use('cpu'))

  for (const [name, use] of Object.entries(uses))
    it(`of ${name} does not grow with the number of layers, except for caches`, async () => {
      const [shallow, deep] = [model(2), model(10)]
      const few = await peakOf(() => use(shallow, 4))
      const many = await peakOf(() => use(deep, 4))
      // keys and values of the text so far and of the image tokens, for every layer and hypothesis; a step makes new ones of old ones
      const caches = name.startsWith('writing') ? 2 * (3 * 4 * (10 - 2) * 2 * (2 * context + queries) * width * 4) : 0
      assert.ok(many <= 1.05 * few + caches, `${few} bytes for 2 layers, ${many} for 10`)
    })

  it('of an image is at most some twenty results of a layer, so it grows linearly with the batch', async () => {
    const coca = model(6)
    const use = (batch: number) => peakOf(() => uses['embedding images'](coca, batch))
    const [one, eight] = [await use(1), await use(8)]
    assert.ok(one <= 20 * layer(1), `${one / layer(1)} results of a layer`)
    assert.ok(eight <= 8.2 * one, `${one} bytes for one image, ${eight} for eight`)
  })

  it('is freed completely after any generation', async () => {
    const coca = model(2)
    const { bytes } = device.get().memory()
    for (const use of Object.values(uses)) {
      await use(coca, 2)
      assert.equal(device.get().memory().bytes, bytes)
    }
  })
})
