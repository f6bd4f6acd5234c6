// A small GPT in the newer form, with rotary positions, RMSNorm and SwiGLU, that learns to write words backwards: hello>olleh. Attention
// sees where a token stands by its rotary position alone.

import {
  AdamW,
  concat,
  Embedding,
  full,
  Linear,
  Module,
  RMSNorm,
  randint,
  rotary,
  SwiGLU,
  seed,
  type Tensor,
  tensor,
} from 'cocagrad'

const characters = 'abcdefghijklmnopqrstuvwxyz>'
const [letters, width, heads] = [5, 48, 4]

class Attention extends Module {
  input = new Linear(width, 3 * width, { bias: false })
  output = new Linear(width, width, { bias: false })

  forward(x: Tensor): Tensor {
    const ofHeads = (y: Tensor) => y.unflatten(2, [heads, -1]).transpose(1, 2)
    const [q, k, v] = this.input.forward(x).split(width, 2).map(ofHeads)
    const y = rotary(q).attention(rotary(k), v, { causal: true })
    return this.output.forward(y.transpose(1, 2).flatten({ start: 2 }))
  }
}

class Block extends Module {
  attentionNorm = new RMSNorm(width)
  attention = new Attention()
  gatedNorm = new RMSNorm(width)
  gated = new SwiGLU(width, 128, { bias: false })

  forward(x: Tensor): Tensor {
    const y = x.add(this.attention.forward(this.attentionNorm.forward(x)))
    return y.add(this.gated.forward(this.gatedNorm.forward(y)))
  }
}

class Gpt extends Module {
  embedding = new Embedding(characters.length, width)
  blocks = [0, 1].map(() => new Block())
  norm = new RMSNorm(width)
  output = new Linear(width, characters.length, { bias: false })

  /** ids int32 [batch, length] → logits [batch, length, characters]; position t predicts character t + 1 */
  forward(ids: Tensor): Tensor {
    const y = this.blocks.reduce((z, block) => block.forward(z), this.embedding.forward(ids))
    return this.output.forward(this.norm.forward(y))
  }
}

/** Words int32 [batch, letters] and the sign that asks for their letters from the last to the first. */
const asked = (words: Tensor) =>
  concat([words, full([words.shape[0], 1], characters.indexOf('>'), { dtype: 'int32' })], 1)

seed(0)
const model = new Gpt()
const optimizer = new AdamW(model, { learningRate: 3e-3 })
for (let step = 0; step <= 300; step++) {
  const words = randint(0, 26, [48, letters])
  const text = concat([asked(words), words.flip(1)], 1)
  const answer = () => model.forward(text.at(':', ':-1')).slice([{}, { start: letters }])
  const loss = optimizer.minimize(() => answer().crossEntropy(words.flip(1)), { maximumNorm: 1 })
  if (step % 50 === 0) console.log(`step ${step}: loss ${(await loss.item()).toFixed(3)}`)
}

/** Words and what the model writes after them, int32 [batch, 2 letters + 1]. */
function written(words: Tensor): Tensor {
  let text = asked(words)
  for (let i = 0; i < letters; i++)
    text = concat([text, model.forward(text).at(':', -1).argmax({ axis: 1 }).unsqueeze(1)], 1)
  return text
}

for (const word of ['hello', 'world', 'stars']) {
  const ids = await written(tensor([[...word].map(c => characters.indexOf(c))]).cast('int32')).data()
  console.log([...ids].map(id => characters[id]).join(''))
}

// there are 12 million words of 5 letters, of which training saw 14 thousand
const unseen = randint(0, 26, [500, letters])
const right = written(unseen)
  .slice([{}, { start: letters + 1 }])
  .equal(unseen.flip(1))
  .all({ axis: 1 })
console.log(`right for ${(100 * (await right.cast('float32').mean().item())).toFixed(1)} % of 500 words`)
