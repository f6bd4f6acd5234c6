// Gradients that become complete in another order on every process, in buckets. Rank 0 prints what it found as JSON.

import { openMpi } from '../../src/mpi/index.ts'
import { Linear, lossAndGradients, Module } from '../../src/nn/index.ts'
import { device, fromData, seed, type Tensor } from '../../src/tensor/index.ts'
import { GradientBuckets } from '../../src/train/gradient-buckets.ts'

const ranks = openMpi()
const { rank, size } = ranks
await device.use('cpu', { threads: 1, blas: 'off' })
seed(1)

/** Of 1088 bytes each. */
const width = 16
class Layers extends Module {
  readonly first = new Linear(width, width)
  readonly second = new Linear(width, width)
  readonly third = new Linear(width, width)

  /** The order of the layers is that of the process, which the gradients follow. */
  forward(x: Tensor): Tensor {
    const layers = [this.first, this.second, this.third]
    return [...layers.slice(rank % 3), ...layers.slice(0, rank % 3)].reduce((h, layer) => layer.forward(h), x)
  }
}
const model = new Layers()
const names = [...model.namedParameters()].map(([name]) => name)
const found: Record<string, unknown> = {}

const filled = (name: string, value: number): Tensor => {
  const { shape, size } = model.stateDict().get(name)!
  return fromData(new Float32Array(size).fill(value), shape)
}

// each process gives its own number, and the first one leaves a gradient out
const bytes = 1000
const buckets = new GradientBuckets(ranks, model, bytes)
const order = names.map((_, i) => names[(i + 2 * rank) % names.length])
const started: number[] = []
for (const name of order) {
  if (rank === 0 && name === 'second.bias') continue
  buckets.give(name, filled(name, (rank + 1) * (names.indexOf(name) + 1)))
  started.push(ranks.started)
}
buckets.startAll()
ranks.complete()
const sums = buckets.sums()
const factor = (name: string) => (size * (size + 1)) / 2 - (name === 'second.bias' ? 1 : 0)
found.names = [...sums.keys()]
found.isSum = [...sums].every(([name, sum]) =>
  sum.dataSync().every(x => x === factor(name) * (names.indexOf(name) + 1)),
)
found.started = ranks.allGatherText(JSON.stringify(started)).map(text => JSON.parse(text))
found.storages = new Set([...sums.values()].map(({ storage }) => storage)).size

const thrown = (f: () => void): string => {
  try {
    f()
  } catch (error) {
    return String(error)
  }
  return 'nothing'
}
const other = new GradientBuckets(ranks, model)
other.give('third.bias', filled('third.bias', 1))
found.twice = thrown(() => other.give('third.bias', filled('third.bias', 1)))
found.unknown = thrown(() => other.give('fourth.bias', filled('third.bias', 1)))

// through a backward pass whose order differs: the sum is that of the gradients that each process has alone
const x = fromData(
  Float32Array.from({ length: 2 * width }, (_, i) => Math.sin(i + rank)),
  [2, width],
)
const loss = () => model.forward(x).square().mean()
const alone = lossAndGradients(model, loss)
const exchanged = new GradientBuckets(ranks, model, bytes)
lossAndGradients(model, loss, { onGradient: (name, gradient) => exchanged.give(name, gradient) })
ranks.complete()
const together = exchanged.sums()
let largest = 0
for (const [name, gradient] of together) {
  const expected = Float64Array.from(alone.gradients.get(name)!.dataSync())
  ranks.allReduceSum(expected)
  const values = Array.from(gradient.dataSync())
  const scale = Math.sqrt(expected.reduce((sum, x) => sum + x * x, 0))
  const error = Math.sqrt(values.reduce((sum, y, i) => sum + (y - expected[i]) ** 2, 0))
  largest = Math.max(largest, error / scale)
}
found.largest = largest
found.order = [...together.keys()].join() === names.join()
if (rank === 0) console.log(JSON.stringify(found))
