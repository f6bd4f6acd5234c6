// Writes the initial weights and the batch of our training step to a file, from which the other frameworks start too.
//
//     npm run -s bench:weights -- --size small --weights small.safetensors

import { parseArgs } from 'node:util'
import { type SafetensorsTensor, writeSafetensors } from '../../src/io/index.ts'

import { sizes, trainingStep } from '../model.ts'
import { sizeName, weightsFile } from './weights.ts'

const { values: flags } = parseArgs({
  options: { size: { type: 'string', default: 'tiny' }, weights: { type: 'string' } },
})
const size = sizeName(flags.size)
const path = flags.weights ?? weightsFile(size)

const { model, images, ids } = trainingStep(sizes[size])
const tensors = new Map<string, SafetensorsTensor>()
for (const [name, tensor] of [...model.stateDict(), ['batch.images', images] as const]) {
  const data = await tensor.data()
  if (!(data instanceof Float32Array)) throw new TypeError(`'${name}' is ${tensor.dtype}, not float32`)
  tensors.set(name, { dtype: 'F32', shape: tensor.shape, data })
}
tensors.set('batch.ids', { dtype: 'I32', shape: ids.shape, data: Int32Array.from(await ids.data()) })
await writeSafetensors(path, tensors, { size, config: JSON.stringify(sizes[size].config) })
console.log(`${path}: ${model.parameterCount().toLocaleString('en')} parameters`)
