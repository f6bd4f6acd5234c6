// The tasks of tasks.ts in cocagrad, with OpenCLIP's coca_ViT-B-32 at its full size; the last line is JSON.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { noGrad } from '../../src/autograd/index.ts'
import { CoCa } from '../../src/models/index.ts'
import { fromOpenClipConfig, openClip, saveOpenClip } from '../../src/openclip/index.ts'
import { type CpuOptions, device, fromData, type Tensor } from '../../src/tensor/index.ts'
import { median } from '../peers/timing.ts'
import { config, end, type InferenceResult, length, start, type TaskName, type Time, taskNames } from './tasks.ts'

const { values: flags } = parseArgs({
  options: {
    folder: { type: 'string', default: '/tmp/coca-b32' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    blas: { type: 'string' },
    'machine-code': { type: 'string' },
    only: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
})

await device.use('cpu', {
  threads: Number(flags.threads),
  blas: flags.blas,
  machineCode: flags['machine-code'] as CpuOptions['machineCode'],
})
if (flags.write) {
  if (!existsSync(join(flags.folder, 'open_clip_model.safetensors')))
    await saveOpenClip(flags.folder, { model: new CoCa(fromOpenClipConfig(config)) })
  process.exit(0)
}

const began = performance.now()
const { model } = await openClip(flags.folder)
const load = Math.round(performance.now() - began)

/** Numbers that need no generator: openclip.py makes the same. */
const images = (n: number) =>
  fromData(
    Float32Array.from({ length: n * 3 * 224 * 224 }, (_, i) => Math.sin(0.37 * (i % 9973) + 0.011 * (i % 131))),
    [n, 3, 224, 224],
  )
const texts = fromData(
  Int32Array.from({ length: 64 * 76 }, (_, i) => {
    const at = i % 76
    return at === 0 ? start : at === 75 ? end : 1 + ((7919 * (i + 1)) % (start - 1))
  }),
  [64, 76],
)
const [many, few] = [images(64), images(8)]

const read = async (f: () => Tensor) => {
  const result = noGrad(f)
  await result.data()
  result.storage.free('its round')
}
let caption: readonly number[] | undefined
const captions = (beams: number, cache: boolean) => async () => {
  // without an id that ends a caption, so that all take the same work
  const written = await model.generate(few, { start, beams, cache, maximumLength: 1 + length })
  if (beams === 1) caption = [...written[0].ids]
}
const run: Record<TaskName, () => Promise<unknown>> = {
  'encode images': () => read(() => model.encodeImage(many)),
  'encode texts': () => read(() => model.encodeText(texts)),
  greedy: captions(1, true),
  'greedy, recomputed': captions(1, false),
  'six beams': captions(6, true),
  'six beams, recomputed': captions(6, false),
}

async function timed(f: () => Promise<unknown>): Promise<Time> {
  const times: number[] = []
  for (let i = 0; i <= Number(flags.rounds); i++) {
    const began = performance.now()
    await f()
    if (i > 0) times.push(Math.round(performance.now() - began))
  }
  return { median: median(times), least: Math.min(...times) }
}

const times: Partial<Record<TaskName, Time>> = {}
for (const name of taskNames) if (name.includes(flags.only ?? '')) times[name] = await timed(run[name])
const peakMb = Math.round(process.resourceUsage().maxRSS / 1024)
console.log(JSON.stringify({ version: device.description, load, times, peakMb, caption } satisfies InferenceResult))
process.exit(0)
