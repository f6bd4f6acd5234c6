// One batch is memorized: eight pictures, eight captions, both losses nearly 0. Then the control with shuffled pictures, which
// must fail in everything.

import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { noGrad } from '../../src/autograd/index.ts'
import { CoCa, type CoCaConfig } from '../../src/models/index.ts'
import { lossAndGradients } from '../../src/nn/index.ts'
import { AdamW } from '../../src/optim/index.ts'
import { device, Generator, randn, seed, type Tensor, tensor } from '../../src/tensor/index.ts'
import { assertAbove, ids, rowsOf } from './small.ts'

const config: CoCaConfig = {
  image: { size: 8, patch: 4, width: 16, layers: 1, heads: 2, hidden: 32 },
  text: { vocabulary: 9, context: 6, width: 16, heads: 2, hidden: 32, unimodalLayers: 1, multimodalLayers: 1, pad: 0 },
  pooler: { queries: 4, heads: 2 },
  embedding: 16,
}
const captions = [
  [1, 3, 4, 5, 2],
  [1, 3, 4, 6, 2],
  [1, 5, 4, 2],
  [1, 5, 7, 8, 8, 2],
  [1, 7, 2],
  [1, 7, 3, 2],
  [1, 8, 6, 4, 3, 2],
  [1, 4, 4, 4, 2],
]
const texts = ids(captions.map(caption => [...caption, 0, 0, 0].slice(0, 6)))
const images = randn([8, 3, 8, 8], { generator: new Generator(2) })
/** every picture at another caption's place */
const others = images.take(tensor([3, 4, 5, 6, 7, 0, 1, 2], { dtype: 'int32' }))

/** Share of rows whose own column is the largest, in both directions. */
function recallAtOne(model: CoCa, pictures: Tensor): { readonly toText: number; readonly toImage: number } {
  const similarity = noGrad(() => model.encodeImage(pictures).matmul(model.encodeText(texts).transpose()))
  const share = (rows: number[][]) => rows.filter((row, i) => row.indexOf(Math.max(...row)) === i).length / rows.length
  return { toText: share(rowsOf(similarity)), toImage: share(rowsOf(similarity.transpose())) }
}

async function exactCaptions(model: CoCa, pictures: Tensor): Promise<number> {
  const written = await model.generate(pictures, { start: 1, end: 2 })
  return written.filter(({ ids }, i) => ids.join() === captions[i].join()).length
}

describe('one batch', () => {
  let model: CoCa
  let memoryWasFlat = true

  before(async () => {
    seed(1)
    model = new CoCa(config)
    const optimizer = new AdamW(model, { learningRate: 5e-3, weightDecay: 0 })
    let steady: number | undefined
    for (let step = 0; step < 150; step++) {
      const { loss, gradients } = lossAndGradients(model, () => model.loss(images, texts))
      optimizer.step(gradients)
      model.constrain()
      for (const x of [...Object.values(loss), ...gradients.values()]) x.storage.free('its step')
      const { buffers } = device.get('reference').memory()
      if (step >= 2) {
        steady ??= buffers
        memoryWasFlat &&= buffers === steady
      }
    }
  })

  it('is memorized: both losses are nearly zero', async () => {
    const { contrastive, captioning } = noGrad(() => model.loss(images, texts))
    assert.ok((await contrastive!.item()) < 0.02, `contrastive ${await contrastive!.item()}`)
    assert.ok((await captioning!.item()) < 0.02, `captioning ${await captioning!.item()}`)
  })

  it('is retrieved without a mistake', () => {
    assert.deepEqual(recallAtOne(model, images), { toText: 1, toImage: 1 })
  })

  it('is captioned exactly, greedily and by beam search', async () => {
    assert.equal(await exactCaptions(model, images), 8)
    const beams = await model.generate(images, { start: 1, end: 2, beams: 3 })
    assert.deepEqual(
      beams.map(({ ids }) => ids),
      captions,
    )
  })

  it('has captions that are likelier than those of other pictures', () => {
    const [own, foreign] = [images, others].map(x => [...noGrad(() => model.score(x, texts)).dataSync()])
    for (const [i, score] of own.entries()) assertAbove(score, foreign[i] + 1)
  })

  it('with shuffled pictures is wrong in everything, so the model uses the pictures', async () => {
    const { contrastive, captioning } = noGrad(() => model.loss(others, texts))
    assertAbove(await contrastive!.item(), 2)
    assertAbove(await captioning!.item(), 1)
    assert.deepEqual(recallAtOne(model, others), { toText: 0, toImage: 0 })
    assert.equal(await exactCaptions(model, others), 0)
  })

  it('is learned with equal memory at the last step and at the third', () => {
    assert.equal(memoryWasFlat, true)
  })
})
