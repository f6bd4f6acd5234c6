// Batches as `cocagrad train` makes them, from a folder of pictures with captions; the last line is JSON.

import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { BatchIterator, CLIP_NORMALIZE, imageDecoder, openData, readTokenizer } from '../../src/data/index.ts'
import { device, fromData } from '../../src/tensor/index.ts'
import { contextLength, imageSize, type LoadingResult, type TaskName } from './tasks.ts'

const { values: flags } = parseArgs({
  options: {
    folder: { type: 'string', default: '.cache/loading' },
    vocabulary: { type: 'string', default: '' },
    task: { type: 'string', default: 'train' },
    workers: { type: 'string', default: '1' },
    batch: { type: 'string', default: '32' },
    passes: { type: 'string', default: '2' },
    check: { type: 'string' },
  },
})
const isTraining = (flags.task as TaskName) === 'train'
await device.use('cpu', { threads: 1 })
const data = await openData(flags.folder, { imageSize, threads: Number(flags.workers), cacheBytes: 0 })
const tokenizer = await readTokenizer(flags.vocabulary)
const batchSize = Number(flags.batch)
const batches = new BatchIterator(data, tokenizer, {
  ...{ batchSize, contextLength, ahead: 2, shuffle: isTraining, normalize: CLIP_NORMALIZE },
  ...(isTraining && { crop: { scale: [0.9, 1] } }),
})

if (flags.check !== undefined) {
  // the first batch of evaluation beside that of OpenCLIP: pixels as float32, then ids as int64
  const { images, tokens } = await batches.next()
  const bytes = readFileSync(flags.check)
  const theirs = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + images.byteLength))
  const ids = new BigInt64Array(
    bytes.buffer.slice(bytes.byteOffset + images.byteLength, bytes.byteOffset + bytes.length),
  )
  let largest = 0
  for (let i = 0; i < images.length; i++) largest = Math.max(largest, Math.abs(images[i] - theirs[i]))
  const sameIds = ids.length === tokens.length && tokens.every((id, i) => BigInt(id) === ids[i])
  console.log(JSON.stringify({ images: batchSize, largest, sameIds }))
  process.exit(0)
}

const perPass = batches.batchesPerEpoch!
const cpu = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
async function pass(): Promise<{ readonly rate: number; readonly work: number }> {
  const began = performance.now()
  const worked = cpu()
  for (let i = 0; i < perPass; i++) {
    const { images, imageShape, tokens, tokenShape } = await batches.next()
    const tensors = [fromData(images, imageShape), fromData(tokens, tokenShape)]
    for (const tensor of tensors) tensor.storage.free('its batch')
  }
  const images = perPass * batchSize
  return { rate: (1000 * images) / (performance.now() - began), work: (cpu() - worked) / images }
}
await pass()
const timed: Awaited<ReturnType<typeof pass>>[] = []
for (let i = 0; i < Number(flags.passes); i++) timed.push(await pass())
const peakMb = Math.round(process.resourceUsage().maxRSS / 1024)
const { name, turboJpeg } = await imageDecoder()
const version = `cocagrad, decoded by ${turboJpeg ?? name}`
const [rates, work] = [timed.map(({ rate }) => rate), timed.map(({ work }) => work)]
console.log(JSON.stringify({ version, rates, work, peakMb } satisfies LoadingResult))
process.exit(0)
