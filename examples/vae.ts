// A variational autoencoder (Kingma and Welling 2013, arXiv 1312.6114) of real digits (digits.md). The encoder turns a picture into
// a normal distribution over 8 numbers. The decoder draws the picture again from a random point of that distribution. The loss
// keeps the distributions near N(0, 1), so points of N(0, 1) become new digits.

import { Adam, bceWithLogitsLoss, Linear, Module, randint, randn, randnLike, seed, type Tensor, tensor } from 'cocagrad'
import { rows } from './data/digits.ts' // 64 pixels from 0 to 16, and the digit

const digits = tensor(rows).at(':', ':64').div(16)

class Vae extends Module {
  encoder = new Linear(64, 128)
  mean = new Linear(128, 8)
  logVariance = new Linear(128, 8)
  decoder = new Linear(8, 128)
  pixels = new Linear(128, 64)

  /** points [batch, 8] → logits of the pixels [batch, 64] */
  decode(z: Tensor): Tensor {
    return this.pixels.forward(this.decoder.forward(z).relu())
  }

  /** the negative evidence lower bound of pictures [batch, 64], a mean over the pictures */
  loss(x: Tensor) {
    const hidden = this.encoder.forward(x).relu()
    const [mean, logVariance] = [this.mean.forward(hidden), this.logVariance.forward(hidden)]
    // a random point, computed so that its gradient reaches the mean and the variance
    const z = mean.add(logVariance.div(2).exp().mul(randnLike(mean)))
    const reconstruction = bceWithLogitsLoss(this.decode(z), x, { reduction: 'sum' }).div(x.shape[0])
    // KL divergence of N(mean, variance) from N(0, 1)
    const divergence = mean.square().add(logVariance.exp()).sub(logVariance).sub(1).div(2).sum({ axis: 1 }).mean()
    return { total: reconstruction.add(divergence), reconstruction, divergence }
  }
}

seed(0)
const model = new Vae()
const optimizer = new Adam(model, { learningRate: 3e-3 })
for (let step = 0; step <= 1500; step++) {
  const batch = digits.at(randint(0, digits.shape[0], [64]))
  const { total, reconstruction, divergence } = optimizer.minimize(() => model.loss(batch))
  if (step % 300 > 0) continue
  const [all, rec, kl] = [await total.item(), await reconstruction.item(), await divergence.item()]
  console.log(`step ${step}: loss ${all.toFixed(1)} (reconstruction ${rec.toFixed(1)}, divergence ${kl.toFixed(1)})`)
}

console.log('\ndigits that nobody wrote:')
const logits = model.decode(randn([8, 8]))
const drawn = (await logits.sigmoid().reshape([8, 8, 8]).array()) as number[][][]
for (let y = 0; y < 8; y++)
  console.log(drawn.map(rows => rows[y].map(grey => ' .:+#@'[Math.floor(5.99 * grey)].repeat(2)).join('')).join('  '))
