// A denoising diffusion model (Ho et al. 2020, arXiv 2006.11239) of two moons. In 50 steps noise is added to points, until little
// else is left. A network learns to predict that noise. Step by step, its predictions turn points of pure noise into moons.

import { Adam, concat, Linear, Module, mseLoss, randint, randn, randnLike, seed, type Tensor, tensor } from 'cocagrad'

const steps = 50
const betas = Array.from({ length: steps }, (_, t) => 0.001 + (0.15 * t) / steps) // variance of the noise of each step
// share of a point's variance that is left after each step
const kept = betas.map((_, t) => betas.slice(0, t + 1).reduce((product, beta) => product * (1 - beta), 1))
const frequencies = tensor([1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128])
const [signal, noisiness] = [tensor(kept).sqrt(), tensor(kept.map(share => 1 - share)).sqrt()]

class Denoiser extends Module {
  layers = [new Linear(2 + 16, 64), new Linear(64, 64), new Linear(64, 64), new Linear(64, 2)]

  /** noisy points [batch, 2] and their times int32 [batch] → the noise in them [batch, 2] */
  forward(x: Tensor, t: Tensor): Tensor {
    const angles = t.cast('float32').unsqueeze(1).mul(frequencies)
    const [first, second, third, last] = this.layers
    const y = first.forward(concat([x, angles.sin(), angles.cos()], 1)).silu()
    return last.forward(third.forward(second.forward(y).silu()).silu())
  }
}

/** Points on two interleaved half circles around the origin, [2 count, 2]. */
function twoMoons(count: number): Tensor {
  const angles = randn([count, 1]).mul(100) // many turns, so that every direction is as likely
  const upper = concat([angles.cos().sub(0.5), angles.sin().abs().sub(0.25)], 1)
  return concat([upper, upper.neg()])
}

seed(0)
const model = new Denoiser()
const optimizer = new Adam(model)
for (let step = 0; step <= 2000; step++) {
  const points = twoMoons(64)
  const t = randint(0, steps, [128])
  const noise = randnLike(points)
  const noisy = points.mul(signal.at(t).unsqueeze(1)).add(noise.mul(noisiness.at(t).unsqueeze(1)))
  const learningRate = 1e-2 * (1 - step / 2001)
  const loss = optimizer.minimize(() => mseLoss(model.forward(noisy, t), noise), { learningRate })
  if (step % 400 === 0) console.log(`step ${step}: loss ${(await loss.item()).toFixed(3)}`)
}

const beginning = randn([500, 2])
let x = beginning
for (let t = steps - 1; t >= 0; t--) {
  const noise = model.forward(x, tensor(Array(500).fill(t), { dtype: 'int32' }))
  x = x.sub(noise.mul(betas[t] / Math.sqrt(1 - kept[t]))).div(Math.sqrt(1 - betas[t]))
  if (t > 0) x = x.add(randnLike(x).mul(Math.sqrt(betas[t])))
}

const picture = Array.from({ length: 20 }, () => Array(64).fill(' '))
for (const [px, py] of (await x.array()) as number[][]) {
  const row = picture[Math.round(10 - 10 * py)]
  if (row) row[Math.round(32 + 20 * px)] = '*'
}
console.log(picture.map(row => row.join('')).join('\n'))

/** mean distance to the nearest of 1000 real points */
async function distanceToMoons(points: Tensor): Promise<string> {
  const squares = points.unsqueeze(1).sub(twoMoons(500)).square().sum({ axis: 2 }) // of all pairs
  return (await squares.min({ axis: 1 }).sqrt().mean().item()).toFixed(3)
}
console.log(`distance from the moons: noise ${await distanceToMoons(beginning)}, samples ${await distanceToMoons(x)}`)
