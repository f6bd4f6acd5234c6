// A vision transformer on real digits: 1,797 pictures of 8 × 8 pixels that 13 people wrote (digits.md). Patches of 2 × 2
// pixels are the tokens; the model is a classifier made of an encoder and a head.

import { AdamW, Generator, ImageClassifier, seed, tensor, warmupCosine } from 'cocagrad'
import { rows } from './data/digits.ts' // 64 pixels from 0 to 16, and the digit

const digits = rows.map(row => ({ pixels: row.slice(0, 64).map(value => value / 8 - 1), digit: row[64] }))
const train = digits.filter((_, i) => i % 5 > 0)
const test = digits.filter((_, i) => i % 5 === 0)

/** Pictures as [batch, 3, 8, 8], grey in all three channels, and their digits [batch]. */
const batchOf = (some: typeof digits) => ({
  images: tensor(some.map(({ pixels }) => pixels))
    .reshape([some.length, 1, 8, 8])
    .expand([some.length, 3, 8, 8]),
  labels: tensor(
    some.map(({ digit }) => digit),
    { dtype: 'int32' },
  ),
})

seed(0)
const generator = new Generator(0)
const model = new ImageClassifier({ image: { size: 8, patch: 2, width: 32, layers: 2, heads: 4 }, classes: 10 })
console.log(`${model.parameterCount()} parameters`)

const steps = 300
const optimizer = new AdamW(model, { weightDecay: 0.05 })
const schedule = warmupCosine({ peak: 4e-3, warmup: 20, total: steps })
for (let step = 0; step <= steps; step++) {
  const { images, labels } = batchOf(Array.from({ length: 32 }, () => train[generator.integer(train.length)]))
  const { total } = optimizer.minimize(() => model.loss(images, labels), { learningRate: schedule(step) })
  if (step % 50 === 0) console.log(`step ${step}: loss ${(await total.item()).toFixed(3)}`)
}

const { images, labels } = batchOf(test)
const isRight = model.forward(images).argmax({ axis: 1 }).equal(labels)
console.log(
  `accuracy on digits that were not trained on: ${(100 * (await isRight.cast('float32').mean().item())).toFixed(1)} %`,
)
