// The gradient of every sample of a batch, in one backward pass: `vmap` turns a function of one sample into a function of a batch.
// Differentially private training (Abadi et al. 2016, arXiv 1607.00133) needs these gradients. It shortens the long ones, so that
// no picture has much influence, and adds noise, which hides the influence that is left.

import { Adam, Linear, lossAndGradients, randint, randnLike, seed, stack, type Tensor, tensor, vmap } from 'cocagrad'
import { rows } from './data/digits.ts' // 64 pixels from 0 to 16, and the digit

const [train, test] = [tensor(rows.filter((_, i) => i % 5 > 0)), tensor(rows.filter((_, i) => i % 5 === 0))]
const pixelsOf = (rows: Tensor) => rows.at('...', ':64').div(16)
const digitsOf = (rows: Tensor) => rows.at('...', 64).cast('int32')

seed(0)
const model = new Linear(64, 10)
const loss = (row: Tensor) => model.forward(pixelsOf(row)).unsqueeze(0).crossEntropy(digitsOf(row).unsqueeze(0))
const gradientsOf = (row: Tensor) => lossAndGradients(model, () => loss(row)).gradients // of one picture, by name
const perSample = vmap(gradientsOf) // of a batch: weight [batch, 10, 64], bias [batch, 10]

const some = train.at(':20')
const looped = stack(some.unbind().map(row => gradientsOf(row).get('weight')!))
const difference = perSample(some).get('weight')!.sub(looped).abs().max()
console.log(`difference from a loop over the samples: ${(await difference.item()).toExponential(0)}`)

const longest = 1 // of the gradients
const noise = 1 // its standard deviation, as a multiple of the longest gradient

/** The mean of the gradients of the samples, each shortened to `longest`, with noise. */
function privateGradients(batch: Tensor) {
  const gradients = perSample(batch)
  const squares = [...gradients.values()].map(g => g.flatten({ start: 1 }).square().sum({ axis: 1 }))
  const norms = squares.reduce((a, b) => a.add(b)).sqrt() // [batch]
  const factors = norms.div(longest).clamp({ min: 1 }).pow(-1)
  const scaled = vmap((g: Tensor, factor: Tensor) => g.mul(factor))
  const means = new Map<string, Tensor>()
  for (const [name, g] of gradients) {
    const sum = scaled(g, factors).sum({ axis: 0 })
    means.set(name, sum.add(randnLike(sum).mul(noise * longest)).div(batch.shape[0]))
  }
  return { norms, gradients: means }
}

const optimizer = new Adam(model, { learningRate: 0.03 })
for (let step = 0; step <= 100; step++) {
  const { norms, gradients } = privateGradients(train.at(randint(0, train.shape[0], [128])))
  optimizer.step(gradients)
  if (step % 25 > 0) continue
  const [least, most] = [await norms.min().item(), await norms.max().item()]
  console.log(`step ${step}: norms of the gradients from ${least.toFixed(2)} to ${most.toFixed(2)}`)
}

const isRight = model.forward(pixelsOf(test)).argmax({ axis: 1 }).equal(digitsOf(test))
const accuracy = 100 * (await isRight.cast('float32').mean().item())
console.log(`accuracy on digits that were not trained on: ${accuracy.toFixed(1)} %`)
