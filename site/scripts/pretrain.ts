// Trains the model that lies beside the page, with the playground's own trainer, and writes public/shapes.safetensors.
//
//     npm --prefix site run pretrain

import { rename, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { encodeSafetensors } from 'cocagrad/data'
import { defaults } from '../playground/protocol.ts'
import { Trainer } from '../playground/trainer.ts'

const STEPS = 8000
const file = fileURLToPath(new URL('../public/shapes.safetensors', import.meta.url))

const trainer = await Trainer.start(defaults)
for (let step = 1; step <= STEPS; step++) {
  const { contrastive, captioning } = (await trainer.update()).losses
  if (step % 500 !== 0) continue
  const { exact, recall } = await trainer.look()
  console.log(
    `step ${step}: contrastive ${contrastive?.toFixed(3)}, captioning ${captioning?.toFixed(3)}, captions right ${exact}, found ${recall}`,
  )
}
const tensors = new Map()
for (const [name, tensor] of trainer.model.stateDict())
  tensors.set(name, { dtype: 'F32', shape: tensor.shape, data: await tensor.data() })
const pieces = encodeSafetensors(tensors, { step: `${STEPS}`, settings: JSON.stringify(defaults) })
await writeFile(`${file}.tmp`, Buffer.concat(pieces))
await rename(`${file}.tmp`, file)
