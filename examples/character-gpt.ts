// A small GPT: it reads a text character by character, predicts the next one, and then writes. Blocks of a causal
// transformer between an embedding and a linear layer are the whole model.

import {
  AdamW,
  arange,
  Embedding,
  Generator,
  LayerNorm,
  Linear,
  Module,
  seed,
  type Tensor,
  TransformerBlock,
  tensor,
} from 'cocagrad'

// Lewis Carroll, Jabberwocky (1871)
const text = `Twas brillig, and the slithy toves
Did gyre and gimble in the wabe:
All mimsy were the borogoves,
And the mome raths outgrabe.

Beware the Jabberwock, my son!
The jaws that bite, the claws that catch!
Beware the Jubjub bird, and shun
The frumious Bandersnatch!

He took his vorpal sword in hand;
Long time the manxome foe he sought
So rested he by the Tumtum tree
And stood awhile in thought.
`
const characters = [...new Set(text)].sort()
const ids = [...text].map(character => characters.indexOf(character))
const context = 32

class Gpt extends Module {
  embedding = new Embedding(characters.length, 48)
  positions = new Embedding(context, 48)
  blocks = [0, 1].map(() => new TransformerBlock({ width: 48, heads: 4 }))
  norm = new LayerNorm(48)
  output = new Linear(48, characters.length)

  /** ids int32 [batch, length] → logits [batch, length, characters]; position t predicts character t + 1 */
  forward(x: Tensor): Tensor {
    const places = arange(0, x.shape[1], 1, { dtype: 'int32' })
    let y = this.embedding.forward(x).add(this.positions.forward(places))
    for (const block of this.blocks) y = block.forward(y, { causal: true })
    return this.output.forward(this.norm.forward(y))
  }
}

seed(0)
const generator = new Generator(0)
const model = new Gpt()
const optimizer = new AdamW(model, { learningRate: 3e-3 })
for (let step = 0; step <= 150; step++) {
  const starts = Array.from({ length: 12 }, () => generator.integer(ids.length - context))
  const x = tensor(
    starts.map(start => ids.slice(start, start + context)),
    { dtype: 'int32' },
  )
  const y = tensor(
    starts.map(start => ids.slice(start + 1, start + context + 1)),
    { dtype: 'int32' },
  )
  const loss = optimizer.minimize(() => model.forward(x).crossEntropy(y), { maximumNorm: 1 })
  if (step % 30 === 0) console.log(`step ${step}: loss ${(await loss.item()).toFixed(3)}`)
}

let written = 'Beware'
while (written.length < 100) {
  const seen = [...written].slice(-context).map(character => characters.indexOf(character))
  const logits = model.forward(tensor([seen], { dtype: 'int32' })).slice([0, -1])
  written += characters[await logits.argmax().item()]
}
console.log(`\n${written}`)
