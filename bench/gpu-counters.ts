// Counts what one training step of CoCa asks of WebGPU, and times its JavaScript, on a GPU that computes nothing: it runs on any
// machine that has the package `webgpu`, and the loss is meaningless. That GPU has 512 MiB, too little for the size medium. The last
// line is the result as JSON.
//
//     npm run -s bench:gpu-counters -- --size tiny

import { parseArgs } from 'node:util'
import { device } from '../src/index.ts'
import { sizes, trainingStep, warmups } from './model.ts'
import { Counter, useNullGpu } from './null-gpu.ts'
import { median } from './peers/timing.ts'

const { values: flags } = parseArgs({
  options: {
    size: { type: 'string', default: 'tiny' },
    batch: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
if (flags.size !== 'tiny' && flags.size !== 'small') throw new RangeError(`--size ${flags.size}: must be tiny or small`)
const { size } = flags
const batch = flags.batch === undefined ? sizes[size].batch : Number(flags.batch)
if (!Number.isInteger(batch) || batch < 1) throw new RangeError(`--batch ${flags.batch}: must be a positive integer`)

useNullGpu()
const counter = new Counter()
await device.use('gpu')
const { step } = trainingStep({ ...sizes[size], batch })
const began = performance.now()
await step()
const firstMs = performance.now() - began
const first = counter.take()
const texts = new Set(counter.shaders).size
// the memory of a step is the same from its third repetition on
for (let i = 0; i < 3; i++) await step()
counter.take()
await step()
const { pipelines: newPipelines, ...steady } = counter.take()
counter.stop()

const times: number[] = []
const cpuTimes: number[] = []
for (let i = -warmups[size]; i < 30; i++) {
  const [start, cpu] = [performance.now(), process.cpuUsage()]
  await step()
  const { user, system } = process.cpuUsage(cpu)
  if (i < 0) continue
  times.push(performance.now() - start)
  cpuTimes.push((user + system) / 1000)
}

const result = {
  size,
  batch,
  ...steady,
  ms: median(times),
  minMs: Math.min(...times),
  // of all threads: what is left if other programs use the machine
  cpuMs: median(cpuTimes),
  pipelines: first.pipelines,
  texts,
  newPipelines,
  firstMs,
}
if (!flags.json) console.table(Object.fromEntries(Object.entries(result).map(([name, value]) => [name, { value }])))
console.log(JSON.stringify(result))
process.exit(0)
