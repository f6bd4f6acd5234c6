// A network that tells the pitch of a tone. Two workers make the tones, new ones in every epoch, while it trains.

import { AdamW, crossEntropy, Linear, noGrad, relu, Sequential, seed } from 'cocagrad'
import { DataLoader } from 'cocagrad/data'
import tones from './tones.ts'

const loader = new DataLoader(await tones({ count: 300, samples: 16 }), {
  batchSize: 30,
  shuffle: true,
  workers: 2,
  dtypes: { pitch: 'int32' },
})

seed(1)
const model = new Sequential(new Linear(16, 32), relu, new Linear(32, 3))
const optimizer = new AdamW(model, { learningRate: 0.01 })
for (let epoch = 0; epoch < 15; epoch++) {
  let sum = 0
  for await (const { wave, pitch } of loader)
    sum += await optimizer.minimize(() => crossEntropy(model.forward(wave), pitch)).item()
  if (epoch % 2 === 0) console.log(`epoch ${epoch}: loss ${(sum / loader.batchesPerEpoch!).toFixed(3)}`)
}

let right = 0
for await (const { wave, pitch } of loader)
  right += await noGrad(() => model.forward(wave).argmax({ axis: 1 }).equal(pitch).sum()).item()
console.log(`tones that it had not heard: ${((100 * right) / 300).toFixed(1)} % right`)
