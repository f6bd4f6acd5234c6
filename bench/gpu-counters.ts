// Counts what one training step of CoCa asks of WebGPU, and times its JavaScript, on a GPU that computes nothing: it runs on any
// machine that has the package `webgpu`, and the loss is meaningless. That GPU has 512 MiB, too little for the size medium. The last
// line is the result as JSON. Other frameworks start from the file that `npm run -s bench:weights -- --size tiny` writes.
//
//     npm run -s bench:gpu-counters -- --size tiny
//     npm run -s bench:gpu-counters -- --size tiny --peer tfjs
//     npm run -s bench:gpu-counters -- --size tiny --activations float16
//
// `peakBytes`, `heldBytes` and `betweenBytes` are bytes of tensors, as the device counts them, of cocagrad only: in use at the highest
// point of a step, held for the backward pass when it begins, and there between steps. `bufferBytes` are those of all
// buffers, with what a pool holds and what is lost by rounding sizes up.

import { parseArgs } from 'node:util'
import { type ActivationDType, device, lossAndGradients, scope } from '../src/index.ts'
import { sizes, trainingStep, warmups } from './model.ts'
import { Counter, useNullGpu } from './null-gpu.ts'
import { median } from './peers/timing.ts'
import { readStart, weightsFile } from './peers/weights.ts'

const { values: flags } = parseArgs({
  options: {
    size: { type: 'string', default: 'tiny' },
    batch: { type: 'string' },
    peer: { type: 'string', default: 'cocagrad' },
    activations: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
if (flags.size !== 'tiny' && flags.size !== 'small') throw new RangeError(`--size ${flags.size}: must be tiny or small`)
const { size } = flags
const batch = flags.batch === undefined ? sizes[size].batch : Number(flags.batch)
if (!Number.isInteger(batch) || batch < 1) throw new RangeError(`--batch ${flags.batch}: must be a positive integer`)

/** The bytes of the device's tensors: those in use now, and those that a forward pass makes and that its tape keeps. */
const memory = { inUse: (): number => 0, held: (): number => 0 }

/** The step of each framework on WebGPU; the others need not be installed. */
const steps: Readonly<Record<string, () => Promise<() => Promise<number>>>> = {
  async cocagrad() {
    await device.use('gpu', { activations: flags.activations as ActivationDType | undefined })
    const { model, images, ids, step } = trainingStep({ ...sizes[size], batch })
    memory.inUse = () => device.get().memory().bytes
    memory.held = () => {
      const before = memory.inUse()
      return scope(() => {
        let held = 0
        lossAndGradients(model, () => {
          const loss = model.loss(images, ids)
          held = memory.inUse() - before
          return loss
        })
        return held
      })
    }
    return step
  },
  async tfjs() {
    const [{ startTfjs }, { tfjsTraining }] = await Promise.all([
      import('./peers/tfjs-start.ts'),
      import('./peers/tfjs-training.ts'),
    ])
    await startTfjs('webgpu', 1)
    return (await tfjsTraining(await readStart(weightsFile(size)))).step
  },
  async 'jax-js'() {
    const [{ startJax }, { jaxTraining }] = await Promise.all([
      import('./peers/jax-start.ts'),
      import('./peers/jax-training.ts'),
    ])
    const jax = await startJax(1)
    await jax.init('webgpu')
    jax.defaultDevice('webgpu')
    return (await jaxTraining(jax, await readStart(weightsFile(size)))).step
  },
}
const { peer } = flags
if (!Object.hasOwn(steps, peer)) throw new RangeError(`--peer ${peer}: must be one of ${Object.keys(steps).join(', ')}`)
if (peer !== 'cocagrad' && flags.activations !== undefined)
  throw new RangeError(`--activations is for cocagrad, not for ${peer}`)
if (peer !== 'cocagrad' && flags.batch !== undefined) throw new RangeError(`--batch is for cocagrad, not for ${peer}`)

useNullGpu()
const counter = new Counter()
const step = await steps[peer]()
const began = performance.now()
await step()
const firstMs = performance.now() - began
const first = counter.take()
const texts = new Set(counter.shaders).size
// the memory of a step is the same from its third repetition on
for (let i = 0; i < 3; i++) await step()
counter.take()
let peakBytes = 0
counter.onDispatch = () => {
  peakBytes = Math.max(peakBytes, memory.inUse())
}
await step()
const { pipelines: newPipelines, ...steady } = counter.take()
const { bufferBytes } = counter
counter.stop()
const heldBytes = memory.held()

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
  peer,
  size,
  batch,
  ...steady,
  bufferBytes,
  ...(peer === 'cocagrad' ? { betweenBytes: memory.inUse(), peakBytes, heldBytes } : {}),
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
