// A SigLIP of OpenCLIP with smaller towers: features, loss and gradients are OpenCLIP's, and tensors go there and back.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { readSafetensors, toInt32 } from '../../src/io/index.ts'
import { DualEncoder, type DualEncoderConfig } from '../../src/models/index.ts'
import { lossAndGradients, withoutAllocation } from '../../src/nn/index.ts'
import { openClipArchitectures } from '../../src/openclip/architectures.ts'
import { loadOpenClip, readOpenClipSettings } from '../../src/openclip/checkpoint.ts'
import { fromClipConfig, openClipTensors, toClipConfig, toOpenClipState } from '../../src/openclip/index.ts'
import { writePreprocessing } from '../../src/openclip/preprocessing.ts'
import { difference } from '../../src/openclip/verify.ts'
import { device, fromData, type Tensor } from '../../src/tensor/index.ts'
import { accumulateGradients } from '../../src/train/objectives/image-text.ts'
import { withOrigin } from '../../src/train/open-model.ts'
import { temporaryFolder } from '../data/folder.ts'

await device.use('cpu')

/** ViT-B-16-SigLIP with the sizes of test/golden/siglip.py. */
const released = fromClipConfig(openClipArchitectures['ViT-B-16-SigLIP'])
const text = { vocabulary: 14, context: 7, width: 12, heads: 3, hidden: 48, unimodalLayers: 2 }
const image = { size: 12, patch: 4, width: 16, layers: 2, heads: 2, hidden: 64 }
const small: DualEncoderConfig = {
  ...released,
  image: { ...released.image, ...image },
  text: { ...released.text, ...text },
  embedding: 16,
}
const configs = {
  siglip: small,
  'siglip-tanh': {
    ...small,
    image: { ...small.image, size: 14, hidden: 52, cropToPatches: true, activation: 'geluTanh' },
    text: { ...small.text, activation: 'geluTanh' },
  },
} as const satisfies Record<string, DualEncoderConfig>
type Golden = keyof typeof configs
const goldens = Object.keys(configs) as readonly Golden[]

const fileOf = (golden: Golden, name: string) =>
  new URL(`../golden/${golden}/${name}.safetensors`, import.meta.url).pathname
const tensorsOf = async (golden: Golden, name: string) => (await readSafetensors(fileOf(golden, name))).tensors

async function opened(golden: Golden) {
  const model = new DualEncoder(configs[golden])
  await loadOpenClip(fileOf(golden, 'open_clip_model'), model)
  const [io, gradients] = [await tensorsOf(golden, 'io'), await tensorsOf(golden, 'grads')]
  const [images, ids] = [io.get('images')!, io.get('text')!]
  return {
    model: model.eval(),
    io,
    gradients,
    images: fromData(images.data as Float32Array, images.shape),
    ids: fromData(toInt32(ids, 'text'), ids.shape),
  }
}

for (const [golden, name] of goldens.flatMap(golden =>
  (['reference', 'cpu'] as const).map(name => [golden, name] as const),
))
  test(`features, loss and gradients of ${golden} are those of OpenCLIP, on ${name}`, async t => {
    await device.use(name)
    const { model, io, gradients, images, ids } = await opened(golden)
    let [forward, backward] = [0, 0]
    const close = (own: Tensor, theirs: string, of: typeof io, tolerance: number) => {
      const error = difference(own.dataSync(), of.get(theirs)!.data as Float32Array)
      assert.ok(error <= tolerance, `${theirs}: ${error}`)
      return error
    }
    for (const [own, theirs] of [
      [model.encodeImage(images), 'image_features'],
      [model.encodeText(ids), 'text_features'],
    ] as const)
      forward = Math.max(forward, close(own, theirs, io, 1e-5))
    const whole = lossAndGradients(model, () => model.loss(images, ids))
    for (const computed of [whole, accumulateGradients(model, images, ids, { parts: 2 })]) {
      forward = Math.max(forward, close(computed.loss.total, 'loss', io, 1e-5))
      const state = toOpenClipState(model, computed.gradients)
      assert.deepEqual([...state.keys()].sort(), [...gradients.keys()].sort())
      for (const [tensor, gradient] of state) backward = Math.max(backward, close(gradient, tensor, gradients, 1e-4))
    }
    t.diagnostic(`largest errors: ${forward.toExponential(1)} forward, ${backward.toExponential(1)} gradients`)
    await device.use('cpu')
  })

for (const golden of goldens)
  test(`tensors of ${golden} are written with the names and bits that were read`, async () => {
    const { model } = await opened(golden)
    const before = await tensorsOf(golden, 'open_clip_model')
    const after = toOpenClipState(model)
    assert.deepEqual([...after.keys()].sort(), [...before.keys()].sort())
    for (const [name, tensor] of before) {
      assert.deepEqual(after.get(name)!.shape, tensor.shape, name)
      assert.deepEqual(after.get(name)!.dataSync(), tensor.data, name)
    }
  })

describe('the configuration of a SigLIP', () => {
  test('ViT-B-16-SigLIP has 203,155,970 parameters, all of which have a name', () => {
    const model = withoutAllocation(() => new DualEncoder(released))
    assert.equal(model.parameterCount(), 203_155_970)
    const named = openClipTensors(model).flatMap(({ parameters }) => parameters)
    assert.deepEqual(named.sort(), [...model.stateDict().keys()].sort())
  })

  for (const [name, architecture] of Object.entries(openClipArchitectures))
    if (!name.startsWith('coca'))
      test(`${name} converts there and back`, () => {
        const config = fromClipConfig(architecture)
        assert.deepEqual(fromClipConfig(toClipConfig(config)), config)
      })

  test('with sizes that timm does not have, or without a projection of the same width, is refused', () => {
    assert.throws(() => toClipConfig(small), /^ConfigError: image = .* is not the size of a tower of timm/)
    const { model_cfg } = openClipArchitectures['ViT-B-16-SigLIP'] as { readonly model_cfg?: object }
    assert.throws(() => fromClipConfig({ ...model_cfg, embed_dim: 512 }), /embed_dim = 512: must be 768/)
  })
})

test('a released folder says that pictures are squashed, and a run that begins from it keeps to that', async t => {
  const folder = await temporaryFolder(t)
  const preprocess_cfg = { mean: 0.5, std: 0.5, interpolation: 'bicubic', resize_mode: 'squash' }
  const json = { ...openClipArchitectures['ViT-B-16-SigLIP'], preprocess_cfg }
  await writeFile(join(folder, 'open_clip_config.json'), JSON.stringify(json))
  await writeFile(join(folder, 'open_clip_model.safetensors'), '')
  const { preprocessing } = await readOpenClipSettings(folder, { family: 'dual-encoder' })
  assert.deepEqual(preprocessing, { size: 224, resize: 'squash', mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] })
  const named = { family: 'dual-encoder', architecture: 'ViT-B-16-SigLIP' } as const
  assert.deepEqual((await readOpenClipSettings(folder, named)).preprocessing, preprocessing)
  assert.equal(writePreprocessing(preprocessing).resize_mode, 'squash')
  const settings = { from: folder, tokenizer: 'tokenizer.json', data: 'pictures' }
  const pixelsOf = async (more: object) => ((await withOrigin({ ...settings, ...more })) as { pixels: string }).pixels
  assert.equal(await pixelsOf({}), 'squash')
  assert.equal(await pixelsOf({ pixels: 'openclip' }), 'openclip-squash')
})
