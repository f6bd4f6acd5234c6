// A convolutional network on real digits: 1,797 pictures of 8 × 8 pixels that 13 people wrote (digits.md). Two convolutions look at
// 3 × 3 pixels each, with the same weights at every place; batch normalization keeps their results in range.

import { Adam, BatchNorm2d, Conv2d, Linear, Module, maxPool2d, randint, seed, type Tensor, tensor } from 'cocagrad'
import { rows } from './data/digits.ts' // 64 pixels from 0 to 16, and the digit

const imagesOf = (data: Tensor) => data.at(':', ':64').div(16).reshape([-1, 1, 8, 8])
const labelsOf = (data: Tensor) => data.at(':', 64).cast('int32')
const train = tensor(rows.filter((_, i) => i % 5 > 0))
const test = tensor(rows.filter((_, i) => i % 5 === 0))

export class Cnn extends Module {
  conv1 = new Conv2d(1, 16, 3, { padding: 1 })
  norm1 = new BatchNorm2d(16)
  conv2 = new Conv2d(16, 32, 3, { padding: 1 })
  norm2 = new BatchNorm2d(32)
  output = new Linear(32 * 2 * 2, 10)

  /** images [batch, 1, 8, 8] → what the second convolution finds, at each place of a 4 × 4 grid: [batch, 32, 4, 4] */
  features(x: Tensor): Tensor {
    const edges = maxPool2d(this.norm1.forward(this.conv1.forward(x)).relu(), { kernel: 2 })
    return this.norm2.forward(this.conv2.forward(edges)).relu()
  }

  /** features → logits [batch, 10] */
  classify(features: Tensor): Tensor {
    return this.output.forward(maxPool2d(features, { kernel: 2 }).flatten({ start: 1 }))
  }

  forward(x: Tensor): Tensor {
    return this.classify(this.features(x))
  }
}

seed(0)
export const model = new Cnn()
export const [images, labels] = [imagesOf(test), labelsOf(test)]
const optimizer = new Adam(model)
for (let step = 0; step <= 300; step++) {
  const batch = train.at(randint(0, train.shape[0], [64]))
  const learningRate = 5e-3 * (1 - step / 301)
  const loss = optimizer.minimize(() => model.forward(imagesOf(batch)).crossEntropy(labelsOf(batch)), { learningRate })
  if (step % 50 === 0) console.log(`step ${step}: loss ${(await loss.item()).toFixed(3)}`)
}

model.eval() // the batch normalizations use the statistics of training from here on
const isRight = model.forward(images).argmax({ axis: 1 }).equal(labels)
const accuracy = 100 * (await isRight.cast('float32').mean().item())
console.log(`accuracy on digits that were not trained on: ${accuracy.toFixed(1)} %`)
