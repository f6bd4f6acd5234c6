// One of the processes that bench/ranks/index.ts starts: times the training step that all of them divide, its parts without exchanges, and
// the sum over the processes for numbers of several lengths. Rank 0 prints the result as JSON.

import { parseArgs } from 'node:util'
import {
  AdamW,
  device,
  Generator,
  lossAndGradients,
  noGrad,
  randn,
  scope,
  type Tensor,
  valueAndGrad,
} from '../../src/index.ts'
import { openMpi } from '../../src/mpi/index.ts'
import { contrastiveRows, logSums } from '../../src/nn/contrastive-rows.ts'
import { batchGradients, CoCaObjective } from '../../src/train/index.ts'
import { type SizeName, sizes, trainingStep } from '../model.ts'
import { median } from '../peers/timing.ts'
import type { Sample, StepParts } from './model.ts'

/** What rank 0 measured; times in ms. */
export interface Measured {
  readonly ranks: number
  readonly threads: number
  /** of each step */
  readonly times: readonly number[]
  /** of the whole batch, before the first update and before the last */
  readonly losses: readonly [number, number]
  readonly parts?: StepParts
  readonly sums: readonly Sample[]
}

const { values: flags } = parseArgs({
  options: {
    size: { type: 'string', default: 'small' },
    steps: { type: 'string', default: '10' },
    warmup: { type: 'string', default: '3' },
    threads: { type: 'string', default: '1' },
    parts: { type: 'boolean', default: false },
  },
})
const size = flags.size as SizeName
const { config, batch } = sizes[size]
const threads = Number(flags.threads)
await device.use('cpu', { threads })
const ranks = openMpi()
// the same weights and batch as every peer
const { model, images, ids } = trainingStep(sizes[size])
const objective = new CoCaObjective(model)
const optimizer = new AdamW(model, { learningRate: 1e-4, betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 0.01 })
const whole = {
  images: Float32Array.from(images.dataSync()),
  imageShape: images.shape as [number, number, number, number],
  tokens: Int32Array.from(ids.dataSync()),
  tokenShape: ids.shape as [number, number],
}
const edge = (rank: number) => Math.round((rank * batch) / ranks.size)
const own = objective.slice(whole, edge(ranks.rank), edge(ranks.rank + 1))

/** Milliseconds of each call on the slowest rank; all ranks begin together. */
function timesOf(count: number, call: () => void): number[] {
  const times = Array.from({ length: count }, () => {
    ranks.barrier()
    const began = performance.now()
    call()
    return performance.now() - began
  })
  const { values } = ranks.allGather(Float64Array.from(times))
  return times.map((_, i) => Math.max(...times.map((_, rank) => values[rank * count + i] ?? 0).slice(0, ranks.size)))
}
const medianOf = (count: number, call: () => void): number => {
  call()
  return median(timesOf(count, call))
}

const losses: number[] = []
const step = () =>
  scope(() => {
    const { loss, gradients } = batchGradients(objective, own, 1, ranks.size > 1 ? ranks : undefined)
    optimizer.step(gradients)
    losses.push(loss.total.dataSync()[0])
  })
for (let i = 0; i < Number(flags.warmup); i++) step()
const times = timesOf(Number(flags.steps), step)

/** so many that the matrix of own rows and all pairs takes most of the time */
const [ROWS, PAIRS] = [256, 8192]

/** The parts of a step, each on all ranks at once and without exchanges. */
function timeParts(): StepParts {
  const count = Math.max(3, Number(flags.steps) >> 1)
  const { gradients } = lossAndGradients(model, () => objective.loss(own))
  const all = noGrad(() => objective.embeddings!(whole))
  const rows = (start: number, stop: number) => [{ start, stop }]
  const contrast = (image: Tensor, text: Tensor, start: number, stop: number) => {
    const [x, y] = [image, text].map(each => each.slice(rows(start, stop)))
    const batch = { all: { image, text }, rows: { start, stop } }
    const scale = model.logScale.exp()
    const sums = logSums({ image, text }, { ...batch, rows: { start: 0, stop: image.shape[0] } }, scale)
    const share = (x: Tensor, y: Tensor, logScale: Tensor) => {
      logSums({ image: x, text: y }, batch, logScale.exp())
      return contrastiveRows({ image: x, text: y }, batch, logScale.exp(), sums, model.contrast).differentiated
    }
    return medianOf(count, () => scope(() => void valueAndGrad(share, { wrt: [0, 1, 2] })(x, y, model.logScale)))
  }
  const many = () => randn([PAIRS, config.embedding], { generator: new Generator(2) })
  return {
    examples: own.imageShape[0],
    batch,
    contrast: contrast(all.images, all.captions, edge(ranks.rank), edge(ranks.rank + 1)),
    contrastPerPair: contrast(many(), many(), 0, ROWS) / (ROWS * PAIRS),
    gradients: medianOf(count, () => scope(() => void lossAndGradients(model, () => objective.loss(own)))),
    update: medianOf(count, () => scope(() => optimizer.step(gradients))),
    parameters: model.parameterCount(),
    width: config.embedding,
  }
}

/** Times of the sum over all ranks of so many bytes. */
const timeSums = (): Sample[] =>
  [2 ** 10, 2 ** 14, 2 ** 18, 2 ** 20, 2 ** 22].map(bytes => {
    const values = new Float32Array(bytes / 4)
    return { bytes, ms: medianOf(11, () => ranks.allReduceSum(values)) }
  })

const measured: Measured = {
  ranks: ranks.size,
  threads,
  times,
  losses: [losses[0], losses[losses.length - 1]],
  ...(flags.parts && { parts: timeParts() }),
  sums: flags.parts && ranks.size > 1 ? timeSums() : [],
}
if (ranks.rank === 0) console.log(JSON.stringify(measured))
