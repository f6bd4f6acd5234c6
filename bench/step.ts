// Times one training step of CoCa: the median over steps after a warm-up. The last line is the result as JSON; without --json a
// table or a profile may come before it.
//
//     npm run -s bench:step -- --size small --device cpu --blas off --threads 1 --profile
//     npm run -s bench:step -- --size small --capture

import { parseArgs } from 'node:util'
import { type CpuDevice, type CpuOptions, type DeviceName, device, profile } from '../src/index.ts'
import { type SizeName, sizes, trainingStep, warmups } from './model.ts'

const { values: flags } = parseArgs({
  options: {
    size: { type: 'string', default: 'tiny' },
    device: { type: 'string', default: 'cpu' },
    blas: { type: 'string' },
    'machine-code': { type: 'string' },
    threads: { type: 'string' },
    batch: { type: 'string' },
    steps: { type: 'string' },
    warmup: { type: 'string' },
    capture: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})

function positive(flag: 'threads' | 'batch' | 'steps' | 'warmup'): number | undefined {
  const text = flags[flag]
  if (text === undefined) return undefined
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`--${flag} ${text}: must be a positive integer`)
  return value
}

if (!(flags.size in sizes))
  throw new RangeError(`--size ${flags.size}: must be one of ${Object.keys(sizes).join(', ')}`)
const size = flags.size as SizeName
const steps = positive('steps') ?? { tiny: 200, small: 20, medium: 10 }[size]
const warmup = positive('warmup') ?? warmups[size]

await device.use(flags.device as DeviceName, {
  threads: positive('threads'),
  blas: flags.blas,
  machineCode: flags['machine-code'] as CpuOptions['machineCode'],
})
const { model, step } = trainingStep(
  { ...sizes[size], batch: positive('batch') ?? sizes[size].batch },
  { isCaptured: flags.capture },
)
const firstLoss = await step()
for (let i = 1; i < warmup; i++) await step()
const times: number[] = []
let loss = 0
const timedStep = async () => {
  const began = performance.now()
  loss = await step()
  times.push(performance.now() - began)
}
const profiled = flags.profile ? await profile(timedStep, { runs: steps }) : undefined
while (times.length < steps) await timedStep()
times.sort((a, b) => a - b)
const median = (times[(steps - 1) >> 1] + times[steps >> 1]) / 2

const { name, description } = device.get()
const cpu = name === 'cpu' ? (device.get() as CpuDevice) : undefined
if (!flags.json) console.log(`${size} on ${name}: ${description}`)
if (profiled) console.log(`${profiled}`)
console.log(
  JSON.stringify({
    size,
    device: name,
    backend: cpu ? `wasm, ${cpu.instructions}` : description,
    machine_code: cpu?.machineCode ?? null,
    blas: cpu?.blas ?? null,
    threads: cpu?.threads ?? 1,
    ms: median,
    min_ms: times[0],
    loss,
    first_loss: firstLoss,
    params: model.parameterCount(),
    rss_mb: Math.round(process.resourceUsage().maxRSS / 1024),
  }),
)
