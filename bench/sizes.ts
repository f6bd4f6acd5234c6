// Time and memory of one task with a released size of CoCa, in a process of its own; the last line is JSON.
//
//     npx tsx --conditions=source bench/sizes.ts --model FOLDER|base|full --task caption|embed|frozen|whole [--batch 8] [--steps 5]
//         [--in-backward] [--moments float8] [--gradient-checkpointing] [--threads 2] [--blas off]
//         [--dtype float64] [--optimizer sgd] [--learning-rate 1e-5]
//
// FOLDER is a checkpoint of OpenCLIP; base and full are sizes of the paper with random weights. caption writes 20 tokens for one image,
// embed embeds one, whole updates all parameters by AdamW, and frozen all but those of the image encoder. bench/peers/torch_sizes.py
// does the same in PyTorch with the same images, texts and settings, so that losses are equal.

import { parseArgs } from 'node:util'
import { noGrad } from '../src/autograd/index.ts'
import { CoCa, type CoCaConfig, presets } from '../src/models/index.ts'
import { checkpointBlocks } from '../src/nn/index.ts'
import { withLateValues } from '../src/nn/parameter.ts'
import { openClip } from '../src/openclip/index.ts'
import { AdamW, SGD } from '../src/optim/index.ts'
import { type CpuOptions, type DType, device, fromData, full, scope, seed } from '../src/tensor/index.ts'
import { sidesOf } from '../src/tensor/sides.ts'
import { median } from './peers/timing.ts'

const { values: flags } = parseArgs({
  options: {
    model: { type: 'string', default: 'base' },
    task: { type: 'string', default: 'whole' },
    batch: { type: 'string', default: '8' },
    steps: { type: 'string', default: '5' },
    'in-backward': { type: 'boolean', default: false },
    moments: { type: 'string', default: 'float32' },
    'gradient-checkpointing': { type: 'boolean', default: false },
    threads: { type: 'string', default: '2' },
    blas: { type: 'string' },
    'machine-code': { type: 'string' },
    dtype: { type: 'string', default: 'float32' },
    optimizer: { type: 'string', default: 'adamw' },
    'learning-rate': { type: 'string', default: '1e-5' },
  },
})
if (!['adamw', 'sgd'].includes(flags.optimizer))
  throw new RangeError(`--optimizer ${flags.optimizer}: must be adamw or sgd`)
const [batch, steps] = [Number(flags.batch), Number(flags.steps)]
const LENGTH = 20

await device.use('cpu', {
  threads: Number(flags.threads),
  blas: flags.blas,
  machineCode: flags['machine-code'] as CpuOptions['machineCode'],
})
seed(1)

/** Numbers that need no generator: PyTorch makes the same. */
const images = (n: number, height: number, width: number) =>
  fromData(
    Float32Array.from({ length: n * 3 * height * width }, (_, i) => Math.sin(0.37 * (i % 9973) + 0.011 * (i % 131))),
    [n, 3, height, width],
  )
const texts = (n: number, context: number, vocabulary: number) =>
  fromData(
    Int32Array.from({ length: n * context }, (_, i) =>
      i % context < context / 2 ? 1 + ((7919 * (i + 1)) % (vocabulary - 1)) : 0,
    ),
    [n, context],
  )

/** A model of the paper's sizes; without training all weights are one number, because drawing two billion takes minutes. */
function modelOf(preset: CoCaConfig, isTrained: boolean): CoCa {
  if (isTrained) return new CoCa(preset)
  const model = withLateValues(() => new CoCa(preset))
  for (const parameter of model.parameters()) parameter.assignLater(() => full(parameter.shape, 0.01))
  return model
}

async function run(): Promise<Record<string, unknown>> {
  const began = performance.now()
  const preset = flags.model === 'base' || flags.model === 'full' ? presets[flags.model] : undefined
  const isTrained = flags.task === 'whole' || flags.task === 'frozen'
  const model = preset ? modelOf(preset, isTrained) : (await openClip(flags.model)).model
  const { image, text } = model.config
  const [height, width] = sidesOf(image.size)
  if (flags.task === 'embed') await scope(() => noGrad(() => model.encodeImage(images(1, height, width))).data())
  if (flags.task === 'caption') {
    const start = text.vocabulary - 2
    await model.generate(images(1, height, width), { start, maximumLength: 1 + LENGTH })
  }
  if (!isTrained) return { seconds: (performance.now() - began) / 1000 }
  if (flags.task === 'frozen') for (const parameter of model.encoder.parameters()) parameter.trainable = false
  if (flags['gradient-checkpointing']) checkpointBlocks(model)
  const moments = flags.moments as 'float32' | 'bfloat16' | 'float8'
  const learningRate = Number(flags['learning-rate'])
  const optimizer =
    flags.optimizer === 'sgd'
      ? new SGD(model, { learningRate, momentum: 0.9 })
      : new AdamW(model, { learningRate, betas: [0.9, 0.98], epsilon: 1e-6, weightDecay: 0.01, moments })
  if (flags.dtype === 'float64') model.double()
  const [x, ids] = [
    images(batch, height, width).cast(flags.dtype as DType),
    texts(batch, text.context, text.vocabulary),
  ]
  const [losses, times]: [number[], number[]] = [[], []]
  for (let i = 0; i < steps; i++) {
    const start = performance.now()
    const loss = optimizer.minimize(() => model.loss(x, ids), { inBackward: flags['in-backward'] })
    losses.push(await loss.total.item())
    times.push((performance.now() - start) / 1000)
  }
  return { seconds: median(times.slice(1)), losses }
}

const found = await run().catch((error: Error) => ({ error: error.message }))
const peakMb = Math.round(process.resourceUsage().maxRSS / 1000)
const { model, task } = flags
process.stdout.write(`${JSON.stringify({ model, task, batch, ...found, peakMb, device: device.description })}\n`)
process.exit(0)
