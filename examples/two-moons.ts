// A perceptron with one hidden layer separates two moons, which no line separates. A module holds the parameters, an
// optimizer changes them: `minimize` computes the loss and its gradients and makes a step.

import { AdamW, crossEntropy, Generator, Linear, Module, seed, type Tensor, tensor } from 'cocagrad'

class Perceptron extends Module {
  hidden = new Linear(2, 16)
  output = new Linear(16, 2)

  /** points [batch, 2] → logits [batch, 2] */
  forward(x: Tensor): Tensor {
    return this.output.forward(this.hidden.forward(x).tanh())
  }
}

/** Points on two interleaved half circles, with noise: [count, 2], and which half circle each is on. */
function twoMoons(count: number, generator: Generator) {
  const points: number[][] = []
  const labels: number[] = []
  for (let i = 0; i < count; i++) {
    const angle = Math.PI * generator.uniform()
    const noise = () => 0.1 * generator.normal()
    const isUpper = i % 2 === 0
    const [px, py] = isUpper ? [Math.cos(angle), Math.sin(angle)] : [1 - Math.cos(angle), 0.5 - Math.sin(angle)]
    points.push([px + noise(), py + noise()])
    labels.push(isUpper ? 0 : 1)
  }
  return { points: tensor(points), labels: tensor(labels, { dtype: 'int32' }) }
}

seed(0)
const generator = new Generator(0)
const train = twoMoons(400, generator)
const test = twoMoons(400, generator)

const model = new Perceptron()
const optimizer = new AdamW(model, { learningRate: 0.03 })
for (let step = 0; step <= 200; step++) {
  const loss = optimizer.minimize(() => crossEntropy(model.forward(train.points), train.labels))
  if (step % 50 === 0) console.log(`step ${step}: loss ${(await loss.item()).toFixed(4)}`)
}

const isRight = model.forward(test.points).argmax({ axis: 1 }).equal(test.labels)
console.log(
  `accuracy on points that were not trained on: ${(100 * (await isRight.cast('float32').mean().item())).toFixed(1)} %`,
)
