// CoCa composed by hand from its parts (Yu et al. 2022, arXiv 2205.01917, figure 2), with both losses written out. The class `CoCa`
// does the same with settings, checks and generation; this is what there is to understand.

import { AdamW, seed, type Tensor, tensor } from 'cocagrad'
import { shapesExample, WordTokenizer } from 'cocagrad/data'
import { MultimodalDecoder, UnimodalDecoder, VisionTransformer } from 'cocagrad/models'
import { AttentionalPooler, init, Linear, Module, parameter } from 'cocagrad/nn'

const count = 48
const examples = Array.from({ length: count }, (_, i) => shapesExample(i, { objects: 1 }))
const captions = examples.map(({ caption }) => caption)
const tokenizer = WordTokenizer.fromCaptions(captions)
const [width, context, pad] = [32, 8, tokenizer.pad]
const layers = { heads: 4, unimodalLayers: 1, multimodalLayers: 1 }
const text = { vocabulary: tokenizer.vocabularySize, context, width, pad, ...layers }

class CoCaByHand extends Module {
  encoder = new VisionTransformer({ size: 32, patch: 8, width, layers: 1, heads: 4 })
  generative = new AttentionalPooler({ queries: 4, width, heads: 4 }) // image tokens for the decoder
  contrastive = new AttentionalPooler({ queries: 1, width, heads: 4 }) // one of them for the embedding
  imageProjection = new Linear(width, width, { bias: false })
  unimodal = new UnimodalDecoder(text) // sees the text alone, and a [CLS] at its end
  textProjection = new Linear(width, width, { bias: false })
  multimodal = new MultimodalDecoder(text, width) // sees the text so far and the image tokens
  logScale = parameter([], init.constant(Math.log(10)))

  /** images [batch, 3, 32, 32], ids int32 [batch, tokens] */
  forward(images: Tensor, ids: Tensor) {
    const imageTokens = this.generative.forward(this.encoder.forward(images)) // [batch, 4, width]
    const image = this.imageProjection.forward(this.contrastive.forward(imageTokens).slice([{}, 0])).normalize()
    const { tokens, summary, mask } = this.unimodal.forward(ids)
    const words = this.textProjection.forward(summary).normalize() // [batch, width]
    const logits = this.multimodal.forward(tokens, imageTokens, { mask }) // [batch, tokens, vocabulary]
    return { image, words, logits }
  }

  loss(images: Tensor, ids: Tensor) {
    const { image, words, logits } = this.forward(images, ids)
    // each image against all texts, each text against all images: the right one is on the diagonal
    const similarity = image.matmul(words.transpose()).mul(this.logScale.exp())
    const own = tensor(
      Array.from({ length: images.shape[0] }, (_, i) => i),
      { dtype: 'int32' },
    )
    const contrastive = similarity.crossEntropy(own).add(similarity.transpose().crossEntropy(own))
    // what stands at position t predicts token t + 1; padding is no target
    const predictions = logits.slice([{}, { stop: -1 }])
    const captioning = predictions.crossEntropy(ids.slice([{}, { start: 1 }]), { ignore: pad })
    return { total: contrastive.add(captioning.mul(2)), contrastive, captioning }
  }
}

seed(0)
const pixels = tensor(examples.map(({ pixels }) => Array.from(pixels, byte => byte / 127.5 - 1)))
const images = pixels.reshape([count, 32, 32, 3]).permute([0, 3, 1, 2])
const ids = tensor(tokenizer.tokenize(captions, context), { dtype: 'int32' }).reshape([count, context])

const model = new CoCaByHand()
const optimizer = new AdamW(model, { learningRate: 3e-3 })
for (let step = 0; step <= 100; step++) {
  const { total, contrastive, captioning } = optimizer.minimize(() => model.loss(images, ids), { maximumNorm: 1 })
  if (step % 25 > 0) continue
  const [all, con, cap] = [await total.item(), await contrastive.item(), await captioning.item()]
  console.log(`step ${step}: loss ${all.toFixed(3)} (contrastive ${con.toFixed(3)}, captioning ${cap.toFixed(3)})`)
}

// greedy decoding: the most likely next token, again and again
const written = [tokenizer.start]
while (written.length < context && written.at(-1) !== tokenizer.end) {
  const { logits } = model.forward(images.slice([{ stop: 1 }]), tensor([written], { dtype: 'int32' }))
  written.push(await logits.slice([0, -1]).argmax().item())
}
console.log(`wrote "${tokenizer.decode(written)}" for "${captions[0]}"`)
