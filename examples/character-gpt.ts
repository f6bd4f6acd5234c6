// A small GPT: it reads a text character by character, predicts the next one, and then writes. Blocks of a causal
// transformer between an embedding and a linear layer are the whole model.

import {
  AdamW,
  arange,
  Embedding,
  LayerNorm,
  Linear,
  Module,
  randint,
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
const idsOf = (some: string) => tensor([...some].map(c => characters.indexOf(c))).cast('int32')
const ids = idsOf(text)
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
const model = new Gpt()
const optimizer = new AdamW(model, { learningRate: 3e-3 })
const offsets = arange(0, context + 1, 1, { dtype: 'int32' })
for (let step = 0; step <= 150; step++) {
  const pieces = ids.at(randint(0, ids.size - context, [12, 1]).add(offsets))
  const [x, y] = [pieces.at(':', ':-1'), pieces.at(':', '1:')]
  const loss = optimizer.minimize(() => model.forward(x).crossEntropy(y), { maximumNorm: 1 })
  if (step % 30 === 0) console.log(`step ${step}: loss ${(await loss.item()).toFixed(3)}`)
}

let written = 'Beware'
while (written.length < 100) {
  const logits = model.forward(idsOf(written.slice(-context)).unsqueeze(0))
  written += characters[await logits.at(0, -1).argmax().item()]
}
console.log(`\n${written}`)
