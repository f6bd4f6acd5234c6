// Times OpenCLIP's coca_ViT-B-32 at its full size, 253,560,065 parameters: loading, encoding an image, captioning it. The
// weights are random and never end a caption, so all captions take the same work.
//
//     npx tsx --conditions=source bench/openclip.ts --folder /tmp/coca-b32 [--rounds 5] [--blas off] [--threads 2] [--only beams6]
//
// The first run writes the checkpoint. bench/peers/torch_openclip.py does the same with it in PyTorch.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { noGrad } from '../src/autograd/index.ts'
import { CoCa } from '../src/models/index.ts'
import { fromOpenClipConfig, openClip, saveOpenClip } from '../src/openclip/index.ts'
import { device, fromData, Generator, type Tensor } from '../src/tensor/index.ts'

const { values: flags } = parseArgs({
  options: {
    folder: { type: 'string', default: '/tmp/coca-b32' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    blas: { type: 'string' },
    only: { type: 'string' },
  },
})
const rounds = Number(flags.rounds)

const config = {
  embed_dim: 512,
  vision_cfg: { image_size: 224, layers: 12, width: 768, patch_size: 32, attentional_pool: true },
  text_cfg: { context_length: 76, vocab_size: 49408, width: 512, heads: 8, layers: 12, embed_cls: true },
  multimodal_cfg: { context_length: 76, vocab_size: 49408, width: 512, heads: 8, layers: 12 },
}
const [start, length] = [49406, 20]

await device.use('cpu', { threads: Number(flags.threads), blas: flags.blas })
if (!existsSync(join(flags.folder, 'open_clip_model.safetensors'))) {
  const model = new CoCa(fromOpenClipConfig(config))
  await saveOpenClip(flags.folder, { model })
  process.stderr.write(`wrote ${model.parameterCount()} parameters to ${flags.folder}; run again to measure\n`)
  process.exit(0)
}

/** The minimum and the median of some rounds in milliseconds, without the first round. */
async function timed(f: () => Promise<unknown>): Promise<{ median: number; least: number }> {
  const times: number[] = []
  for (let i = 0; i <= rounds; i++) {
    const began = performance.now()
    await f()
    times.push(performance.now() - began)
  }
  const sorted = times.slice(1).sort((a, b) => a - b)
  return { median: Math.round(sorted[Math.floor(rounds / 2)]), least: Math.round(sorted[0]) }
}

const began = performance.now()
const { model } = await openClip(flags.folder)
const load = Math.round(performance.now() - began)
const generator = new Generator(1)
const image = fromData(
  Float32Array.from({ length: 3 * 224 * 224 }, () => generator.normal()),
  [1, 3, 224, 224],
)
const read = async (f: () => Tensor) => {
  const result = noGrad(f)
  await result.data()
  result.storage.free('its round')
}
const caption = (beams: number, cache: boolean) => () =>
  model.generate(image, { start, beams, cache, maximumLength: 1 + length })
const tasks: Record<string, () => Promise<unknown>> = {
  encode: () => read(() => model.encodeImage(image)),
  greedy: caption(1, true),
  greedyWithoutCache: caption(1, false),
  beams6: caption(6, true),
  beams6WithoutCache: caption(6, false),
}
const times: Record<string, { median: number; least: number }> = {}
for (const [name, task] of Object.entries(tasks)) if (name === (flags.only ?? name)) times[name] = await timed(task)
const peakMb = Math.round(process.resourceUsage().maxRSS / 1024)
process.stdout.write(`${JSON.stringify({ load, ...times, peakMb, device: device.description })}\n`)
process.exit(0)
