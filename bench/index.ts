// Micro-benchmarks of the devices on this machine: single operations, the tape's overhead, and a training step. Only
// ratios within one run mean anything. `npm run bench -- --device gpu` takes another device.

import { parseArgs } from 'node:util'
import b from 'benny'
import {
  CoCa,
  type DeviceName,
  device,
  type GpuBackend,
  grad,
  lossAndGradients,
  presets,
  randint,
  randn,
  scope,
  seed,
  type Tensor,
} from '../src/index.ts'

const { values: flags } = parseArgs({ options: { device: { type: 'string' }, backend: { type: 'string' } } })
await device.use((flags.device ?? 'reference') as DeviceName, { backend: flags.backend as GpuBackend | undefined })
console.log(`device ${device.current}: ${device.description}`)
seed(1)

/** Computes, waits until it is really done, and gives the memory back. */
const settled = (f: () => Tensor) => () =>
  scope(async () => {
    const result = f()
    await result.slice(result.shape.map(() => ({ stop: 1 }))).data()
  })

const matrix = randn([256, 256])
const tokens = randn([8, 64, 256])
const row = randn([256])
const heads = randn([8, 4, 64, 64])
const small = randn([16])

await b.suite(
  'operations',
  b.add(
    'matmul 256 × 256',
    settled(() => matrix.matmul(matrix)),
  ),
  b.add(
    'add [8, 64, 256] + [256]',
    settled(() => tokens.add(row)),
  ),
  b.add(
    'gelu [8, 64, 256]',
    settled(() => tokens.gelu()),
  ),
  b.add(
    'softmax [8, 64, 256]',
    settled(() => tokens.softmax()),
  ),
  b.add(
    'layerNorm [8, 64, 256]',
    settled(() => tokens.layerNorm({ weight: row, bias: row })),
  ),
  b.add(
    'attention [8, 4, 64, 64]',
    settled(() => heads.attention(heads, heads, { causal: true })),
  ),
  b.cycle(),
  b.complete(),
)

await b.suite(
  'one small operation, 16 elements',
  b.add(
    'add',
    settled(() => small.add(small)),
  ),
  b.add(
    'add and its gradient',
    settled(() => grad(x => x.add(small).sum())(small)),
  ),
  b.cycle(),
  b.complete(),
)

const model = new CoCa(presets.tiny)
const { image, text } = presets.tiny
const images = randn([16, 3, image.size, image.size])
const ids = randint(1, text.vocabulary, [16, text.context])

await b.suite(
  'CoCa tiny, batch 16',
  b.add(
    'loss',
    settled(() => model.loss(images, ids).total),
  ),
  b.add(
    'loss and gradients',
    settled(() => lossAndGradients(model, () => model.loss(images, ids)).loss.total),
  ),
  b.cycle(),
  b.complete(),
)
