// One training step of CoCa, timed: the median over steps that come after three of warm-up.
//
//     npm run -s bench:step -- --size small --device cpu --blas off --threads 1 --json

import { parseArgs } from 'node:util'
import { type DeviceName, device } from '../src/index.ts'
import { type SizeName, sizes, trainingStep } from './model.ts'

const { values: flags } = parseArgs({
  options: {
    size: { type: 'string', default: 'tiny' },
    device: { type: 'string', default: 'cpu' },
    steps: { type: 'string', default: '10' },
    warmup: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
  },
})
if (!(flags.size in sizes)) throw new RangeError(`--size ${flags.size}: one of ${Object.keys(sizes).join(', ')}`)

await device.use(flags.device as DeviceName)
const { model, step } = trainingStep(flags.size as SizeName)
for (let i = 0; i < Number(flags.warmup); i++) await step()
const times: number[] = []
let loss = 0
for (let i = 0; i < Number(flags.steps); i++) {
  const began = performance.now()
  loss = await step()
  times.push(performance.now() - began)
}
times.sort((a, b) => a - b)
console.log(
  JSON.stringify({
    size: flags.size,
    device: device.current,
    ms: times[times.length >> 1],
    min_ms: times[0],
    loss,
    params: model.parameterCount(),
    rss_mb: Math.round(process.resourceUsage().maxRSS / 1024),
  }),
)
