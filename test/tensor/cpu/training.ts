// Three training steps of a small CoCa, and a hash of all bits of its weights: a program that a test runs with several numbers of
// threads.

import { createHash } from 'node:crypto'
import { AdamW, randint, randn, seed } from '../../../src/index.ts'
import { CoCa, presets } from '../../../src/models/index.ts'

seed(0)
const model = new CoCa(presets.tiny)
const optimizer = new AdamW(model, { learningRate: 1e-3 })
for (let step = 0; step < 3; step++) {
  const images = randn([24, 3, 32, 32])
  const ids = randint(1, 64, [24, 16])
  optimizer.minimize(() => model.loss(images, ids), { maximumNorm: 0.5 })
}
const hash = createHash('sha256')
for (const parameter of model.parameters()) hash.update(new Uint8Array(parameter.dataSync().buffer))
console.log(hash.digest('hex'))
