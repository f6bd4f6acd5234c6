// A training by `fit` of several processes, one of which fails or lags: fails.program.ts <how> [folder]

import { openMpi } from '../../src/mpi/index.ts'
import { Linear } from '../../src/nn/index.ts'
import { SGD } from '../../src/optim/index.ts'
import { device, fromData, seed, type Tensor } from '../../src/tensor/index.ts'
import { fit, type Objective } from '../../src/train/index.ts'

const [how, folder] = process.argv.slice(2)
await device.use('reference')
const ranks = openMpi()
console.log(`process ${process.pid}`)
seed(1)
const model = new Linear(3, 1)
let computed = 0
const objective: Objective<{ readonly x: Tensor }> = {
  model,
  loss({ x }) {
    computed++
    if (computed === 5 && ranks.rank === 1 && ['throws', 'is killed'].includes(how)) {
      console.log(`failed at ${Date.now()}`)
      if (how === 'throws') throw new Error('rank 1 has a mistake')
      process.kill(process.pid, 'SIGKILL')
    }
    if (computed === 5 && how === 'hangs') {
      if (ranks.rank === 1) process.kill(process.pid, 'SIGSTOP')
      if (ranks.rank === 3) for (;;);
    }
    if (how === 'lags' && ranks.rank === 1) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
    return model.forward(x).square().mean()
  },
}
const first: number[] = []
const { step, finished } = await fit({
  objective,
  batches: [
    {
      x: fromData(
        Float64Array.from({ length: 15 }, (_, i) => Math.sin(i)),
        [5, 3],
      ),
    },
  ],
  optimizer: new SGD(model, { learningRate: how === 'differs' && ranks.rank === 2 ? 0.2 : 0.1 }),
  steps: 6,
  folder,
  checkpointEvery: 3,
  guard: false,
  signal: {
    get aborted() {
      return how === 'stops' && ranks.rank === 1 && computed >= 4
    },
  },
  ranks,
  onStep: metrics => first.push(metrics.step - 1),
})
if (ranks.rank === 0) console.log(`from ${first[0]} to ${step}, ${finished ? '' : 'not '}finished`)
