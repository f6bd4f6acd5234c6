// Times one training step of CoCa by 1, 2 and 4 processes that divide the same batch among them, each with as many threads as its share of
// the cores. Needs Open MPI. The last line is the result as JSON.
//
//     npm run -s bench:ranks -- --size small --steps 10

import { execFileSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { AdamW, CoCa, device, Generator, scope, seed } from '../src/index.ts'
import { openMpi } from '../src/mpi/index.ts'
import { batchGradients, CoCaObjective } from '../src/train/index.ts'
import { type SizeName, sizes, warmups } from './model.ts'

const { values: flags } = parseArgs({
  options: {
    size: { type: 'string', default: 'small' },
    steps: { type: 'string', default: '10' },
    ranks: { type: 'string', default: '1,2,4' },
    threads: { type: 'string' },
    child: { type: 'boolean', default: false },
  },
})
if (!(flags.size in sizes))
  throw new RangeError(`--size ${flags.size}: must be one of ${Object.keys(sizes).join(', ')}`)
const size = flags.size as SizeName

interface Timed {
  readonly ranks: number
  readonly threads: number
  readonly ms: number
  readonly min_ms: number
  /** of rank 0, per step, in exchanges */
  readonly communication_ms: number
  readonly loss: number
}

/** One of the processes. */
async function timeSteps(): Promise<void> {
  const { config, batch } = sizes[size]
  const threads = Number(flags.threads)
  await device.use('cpu', { threads })
  const ranks = openMpi()
  seed(0)
  const objective = new CoCaObjective(new CoCa(config))
  const optimizer = new AdamW(objective.model, { learningRate: 1e-4 })
  const generator = new Generator(1)
  const side = config.image.size as number
  const { context, vocabulary } = config.text
  const whole = {
    images: Float32Array.from({ length: batch * 3 * side * side }, () => generator.normal()),
    imageShape: [batch, 3, side, side] as [number, number, number, number],
    tokens: Int32Array.from({ length: batch * context }, () => generator.integer(vocabulary)),
    tokenShape: [batch, context] as [number, number],
  }
  const edge = (rank: number) => Math.round((rank * batch) / ranks.size)
  const own = objective.slice(whole, edge(ranks.rank), edge(ranks.rank + 1))
  const step = () =>
    scope(() => {
      const { loss, gradients } = batchGradients(objective, own, 1, ranks.size > 1 ? ranks : undefined)
      optimizer.step(gradients)
      return loss.total.dataSync()[0]
    })
  for (let i = 0; i < warmups[size]; i++) step()
  const before = ranks.seconds
  const times: number[] = []
  let loss = 0
  while (times.length < Number(flags.steps)) {
    ranks.barrier()
    const began = performance.now()
    loss = step()
    times.push(performance.now() - began)
  }
  const communication_ms = (1000 * (ranks.seconds - before)) / times.length
  times.sort((a, b) => a - b)
  const timed: Timed = {
    ranks: ranks.size,
    threads,
    ms: times[times.length >> 1],
    min_ms: times[0],
    communication_ms,
    loss,
  }
  if (ranks.rank === 0) console.log(JSON.stringify(timed))
}

function measure(count: number): Timed {
  const threads = Math.max(1, Math.floor(availableParallelism() / count))
  const program = [process.execPath, '--import', 'tsx', '--conditions=source', import.meta.filename, '--child']
  const options = ['--size', size, '--steps', flags.steps, '--threads', String(threads)]
  const launcher = ['--allow-run-as-root', '--oversubscribe', '--bind-to', 'none', '-n', String(count)]
  const output = execFileSync('mpirun', [...launcher, ...program, ...options], { encoding: 'utf8' })
  return JSON.parse(output.trim().split('\n').at(-1)!) as Timed
}

if (flags.child) await timeSteps()
else {
  const results = flags.ranks.split(',').map(count => measure(Number(count)))
  for (const { ranks, threads, ms, min_ms, communication_ms } of results)
    console.log(
      `ranks ${ranks}, threads of each ${threads}: ${ms.toFixed(1)} ms a step (${min_ms.toFixed(1)}), ${communication_ms.toFixed(1)} in exchanges`,
    )
  console.log(JSON.stringify(results))
}
