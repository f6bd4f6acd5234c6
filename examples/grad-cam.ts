// Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391): where does the network of cnn.ts see a digit? The gradient of the digit's logit
// says how much each feature matters. The features, weighted by that, are a map of what speaks for the digit.

import { grad, randLike, type Tensor } from 'cocagrad'
import { images, labels, model } from './cnn.ts' // trains the network

const features = model.features(images)
const logitOfDigit = (f: Tensor) => model.classify(f).gather(labels.unsqueeze(1), { axis: 1 }).sum()
const weights = grad(logitOfDigit)(features).mean({ axis: [2, 3], keepDims: true })
const maps = features.mul(weights).sum({ axis: 1, keepDims: true }).relu() // [count, 1, 4, 4]
const heat = maps.div(maps.max({ axis: [2, 3], keepDims: true }).add(1e-9)).interpolate({ size: 8, mode: 'bilinear' })

console.log('\nsome digits, and below each the heat of its pixels:')
for (const pictures of [images, heat]) {
  const grey = (await pictures.at(':6').array()) as number[][][][]
  for (let y = 0; y < 8; y++)
    console.log(
      grey.map(([rows]) => rows[y].map(value => ' .:+#@'[Math.floor(5.99 * value)].repeat(2)).join('')).join('  '),
    )
}

/** Accuracy where the 12 pixels with the highest scores of each picture are dark. */
async function accuracyWithout(scores: Tensor): Promise<string> {
  const twelfth = scores.flatten({ start: 1 }).topk(12).values.at(':', -1).reshape([-1, 1, 1, 1])
  const hidden = images.maskedFill(scores.greaterEqual(twelfth), 0)
  const isRight = model.forward(hidden).argmax({ axis: 1 }).equal(labels)
  return `${(100 * (await isRight.cast('float32').mean().item())).toFixed(1)} %`
}
console.log(`\nwithout 12 hot pixels the network is right for ${await accuracyWithout(heat)}`)
console.log(`without 12 random pixels it is right for ${await accuracyWithout(randLike(heat))}`)
