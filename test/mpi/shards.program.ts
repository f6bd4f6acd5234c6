// Trainings whose optimizer is divided among the processes, beside the same ones where each process has all of it:
// shards.program.ts <folder> [steps]. With steps, the trainings in the folder are resumed. Rank 0 prints what it found as JSON.

import { join } from 'node:path'
import { openMpi } from '../../src/mpi/index.ts'
import { Linear, Sequential } from '../../src/nn/index.ts'
import {
  Adafactor,
  Adagrad,
  Adam,
  AdamW,
  ExponentialMovingAverage,
  Lion,
  Muon,
  type Optimizer,
  RMSprop,
  SGD,
} from '../../src/optim/index.ts'
import { device, fromData, seed, type Tensor } from '../../src/tensor/index.ts'
import { fit, type Objective } from '../../src/train/index.ts'

const [folder, resumed] = process.argv.slice(2)
const ranks = openMpi()
await device.use('cpu', { threads: 1, blas: 'off' })

const make = () => {
  seed(3)
  const model = new Sequential(new Linear(6, 40), new Linear(40, 30), new Linear(30, 20), new Linear(20, 5))
  model.freeze(false)
  const [, , , last] = model.parameters()
  last.trainable = false
  return model
}
type Model = ReturnType<typeof make>

const optimizers: Readonly<Record<string, (model: Model) => Optimizer>> = {
  AdamW: model => new AdamW(model),
  'AdamW in float8': model => new AdamW(model, { moments: 'float8' }),
  Adam: model => new Adam(model, { weightDecay: 0.1 }),
  Lion: model => new Lion(model),
  SGD: model => new SGD(model, { momentum: 0.9 }),
  RMSprop: model => new RMSprop(model),
  Adagrad: model => new Adagrad(model),
  Adafactor: model => new Adafactor(model),
  Muon: model => new Muon(model),
}

const x = fromData(
  Float32Array.from({ length: 66 }, (_, i) => Math.sin(i)),
  [11, 6],
)

/** Trains with the optimizer undivided or divided. */
async function trained(name: string, shardOptimizer: boolean, steps: number, path?: string) {
  const model = make()
  const optimizer = optimizers[name](model)
  const average = new ExponentialMovingAverage(model)
  const objective: Objective<{ readonly x: Tensor }> = { model, loss: ({ x }) => model.forward(x).square().mean() }
  const losses: number[] = []
  await fit({
    ...{ objective, optimizer, average, steps, shardOptimizer, ranks, guard: false, maximumNorm: 0.05 },
    batches: [{ x }],
    folder: path,
    onStep: metrics => losses.push(metrics.losses.total, metrics.gradientNorm),
  })
  const values = [...model.stateDict(), ...average.stateDict().tensors].flatMap(([, value]) => [...value.dataSync()])
  const { tensors } = optimizer.stateDict()
  const bytes = [...tensors.values()].reduce((sum, { size }) => sum + 4 * size, 0)
  return { values, losses, bytes, names: Object.keys(optimizer.stateDict().values.steps) }
}

const isSame = (a: readonly number[], b: readonly number[]) =>
  a.length === b.length && a.every((x, i) => Object.is(x, b[i]))

const found: Record<string, unknown> = {}
const saved = ['AdamW', 'AdamW in float8', 'Muon']
const steps = Number(resumed ?? 3)
for (const name of resumed ? saved : Object.keys(optimizers)) {
  const path = (kind: string) => (saved.includes(name) ? join(folder, name, kind) : undefined)
  const whole = await trained(name, false, steps, path('whole'))
  const divided = await trained(name, true, steps, path('divided'))
  const isSameHere = isSame(divided.values, whole.values) && isSame(divided.losses, whole.losses)
  const bytes = [...ranks.allGather(Float64Array.of(divided.bytes)).values]
  found[name] = {
    isSame: !ranks.any(!isSameHere),
    shares: bytes.map(each => each / whole.bytes),
    names: ranks.allGatherText(JSON.stringify(divided.names)).map(text => JSON.parse(text)),
    allNames: whole.names,
  }
}
if (ranks.rank === 0) console.log(JSON.stringify(found))
