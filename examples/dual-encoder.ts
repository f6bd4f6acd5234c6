// A dual encoder, as CLIP: pictures and captions in one space, trained by a contrastive loss. The caption of a new picture is
// the one that lies nearest to it.

import { AdamW, DualEncoder, seed, tensor } from 'cocagrad'
import { shapesExample, WordTokenizer } from 'cocagrad/data'

/** Pictures [batch, 3, 32, 32] with their captions, from the built-in data set: coloured shapes on grey. */
function drawExamples(first: number, count: number) {
  const examples = Array.from({ length: count }, (_, i) => shapesExample(first + i, { objects: 1 }))
  const pixels = tensor(examples.map(({ pixels }) => Array.from(pixels, byte => byte / 127.5 - 1)))
  return {
    images: pixels.reshape([count, 32, 32, 3]).permute([0, 3, 1, 2]),
    captions: examples.map(({ caption }) => caption),
  }
}

const known = drawExamples(0, 1024)
const tokenizer = WordTokenizer.fromCaptions(known.captions)
const context = 8
const idsOf = (captions: readonly string[]) =>
  tensor(tokenizer.tokenize(captions, context), { dtype: 'int32' }).reshape([captions.length, context])

seed(0)
const model = new DualEncoder({
  image: { size: 32, patch: 8, width: 48, layers: 1, heads: 4 },
  text: { vocabulary: tokenizer.vocabularySize, context, width: 48, heads: 4, unimodalLayers: 1, multimodalLayers: 0 },
  embedding: 32,
})
const optimizer = new AdamW(model, { learningRate: 2e-3 })

const batch = 32
const ids = idsOf(known.captions)
for (let step = 0; step <= 240; step++) {
  const at = (step * batch) % known.captions.length
  const rows = { start: at, stop: at + batch }
  const { total } = optimizer.minimize(() => model.loss(known.images.slice([rows]), ids.slice([rows])), {
    maximumNorm: 1,
  })
  if (step % 60 === 0) console.log(`step ${step}: loss ${(await total.item()).toFixed(3)}`)
}

// pictures that were not trained on, and every caption there is
const fresh = drawExamples(10_000, 128)
const all = [...new Set([...known.captions, ...fresh.captions])]
const similarity = model.encodeImage(fresh.images).matmul(model.encodeText(idsOf(all)).transpose())
const nearest = await similarity.argmax({ axis: 1 }).data()
const right = fresh.captions.filter((caption, i) => all[nearest[i]] === caption).length
console.log(`${all.length} captions; nearest to a new picture: "${all[nearest[0]]}", its own is "${fresh.captions[0]}"`)
console.log(
  `right for ${((100 * right) / fresh.captions.length).toFixed(1)} %, by chance ${(100 / all.length).toFixed(1)} %`,
)
