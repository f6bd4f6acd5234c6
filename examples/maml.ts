// A learner that learns to learn: MAML (Finn et al. 2017, arXiv 1703.03400) on sine waves. One step of gradient descent on ten
// points of a new wave must bring a network close to it. The loss after that step is differentiated by the parameters before it,
// and so goes through a gradient: a second derivative.

import { AdamW, Generator, Linear, lossAndGradients, Module, seed, type Tensor, tensor, withParameters } from 'cocagrad'

class Network extends Module {
  layers = [new Linear(1, 32), new Linear(32, 32), new Linear(32, 1)]

  forward(x: Tensor): Tensor {
    const [first, second, last] = this.layers
    return last.forward(second.forward(first.forward(x).tanh()).tanh())
  }
}

seed(0)
const generator = new Generator(1)
const between = (low: number, high: number) => low + (high - low) * generator.uniform()

/** A sine wave of its own amplitude and phase: a function that draws some of its points. */
function drawWave() {
  const [amplitude, phase] = [between(0.5, 2), between(0, Math.PI)]
  return (count: number) => {
    const xs = Array.from({ length: count }, () => [between(-3, 3)])
    return { x: tensor(xs), y: tensor(xs.map(([x]) => [amplitude * Math.sin(x + phase)])) }
  }
}

const model = new Network()
type Points = ReturnType<ReturnType<typeof drawWave>>
const error = ({ x, y }: Points) => model.forward(x).sub(y).square().mean()

/** The error on other points of a wave after one step of gradient descent on a few of it. */
function errorAfterStep(few: Points, others: Points): Tensor {
  const { gradients } = lossAndGradients(model, () => error(few))
  const adapted = [...model.namedParameters()].map(([name, value]) => value.sub(gradients.get(name)!.mul(0.03)))
  return withParameters(model, adapted, () => error(others))
}

/** Before the step and after it, over waves that were not trained on. */
async function evaluate() {
  let [before, after] = [0, 0]
  for (let i = 0; i < 50; i++) {
    const wave = drawWave()
    const [few, others] = [wave(10), wave(50)]
    before += (await error(others).item()) / 50
    after += (await errorAfterStep(few, others).item()) / 50
  }
  return `error ${before.toFixed(3)}, after one step on ten points ${after.toFixed(3)}`
}

console.log(`untrained: ${await evaluate()}`)
const optimizer = new AdamW(model, { learningRate: 3e-3 })
for (let step = 0; step < 400; step++) {
  const waves = Array.from({ length: 4 }, drawWave).map(wave => [wave(10), wave(20)] as const)
  optimizer.minimize(() =>
    waves
      .map(([few, others]) => errorAfterStep(few, others))
      .reduce((a, b) => a.add(b))
      .div(4),
  )
}
console.log(`trained: ${await evaluate()}`)
