// Measures how the time of a training step grows with the batch, the width, the length of texts and images, and the depth, by
// doubling one of them at a time.
//
//     npm run bench:scaling -- --size small

import { parseArgs } from 'node:util'
import { device, sidesOf } from '../src/index.ts'
import { type Size, type SizeName, sizes, trainingStep, warmups } from './model.ts'
import { median } from './peers/timing.ts'

const { values: flags } = parseArgs({ options: { size: { type: 'string', default: 'small' } } })
const base: Size = sizes[flags.size as SizeName]
const { image, text } = base.config

/** The model with some settings changed. */
const changed = (batch: number, imagePart: Partial<typeof image>, textPart: Partial<typeof text>) => ({
  batch,
  config: { ...base.config, image: { ...image, ...imagePart }, text: { ...text, ...textPart } },
})
const { batch } = base
const [wide, deep] = [2 * image.width, 2 * image.layers]
const cases: Readonly<Record<string, Pick<Size, 'config' | 'batch'>>> = {
  unchanged: base,
  'half the batch': changed(batch / 2, {}, {}),
  'twice the batch': changed(2 * batch, {}, {}),
  'four times the batch': changed(4 * batch, {}, {}),
  'twice the width': changed(batch, { width: wide, heads: 2 * image.heads }, { width: wide, heads: 2 * text.heads }),
  'four times the patches': changed(batch, { size: 2 * sidesOf(image.size)[0] }, {}),
  'twice the text': changed(batch, {}, { context: 2 * text.context }),
  'twice the depth': changed(
    batch,
    { layers: deep },
    { unimodalLayers: 2 * text.unimodalLayers, multimodalLayers: 2 * text.multimodalLayers },
  ),
}

await device.use('cpu')
console.log(`${flags.size} on ${device.description}`)
let first = 0
for (const [name, size] of Object.entries(cases)) {
  const { model, step } = trainingStep(size)
  for (let i = 0; i < warmups[flags.size as SizeName]; i++) await step()
  const times: number[] = []
  for (let i = 0; i < 12; i++) {
    const began = performance.now()
    await step()
    times.push(performance.now() - began)
  }
  const ms = median(times)
  first ||= ms
  const columns = [ms.toFixed(1).padStart(9), (ms / first).toFixed(2).padStart(6)]
  console.log(`${name.padEnd(24)} ${columns.join(' ')}   ${model.parameterCount().toLocaleString('en')} parameters`)
  for (const parameter of model.parameters()) parameter.storage.free('the next model')
}
