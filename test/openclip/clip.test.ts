// OpenCLIP's CLIP as a dual encoder: its numbers, its names, and settings that are errors.

import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { readSafetensors, toInt32, writeSafetensors } from '../../src/io/index.ts'
import { DualEncoder } from '../../src/models/index.ts'
import { ConfigError, lossAndGradients, withoutAllocation } from '../../src/nn/index.ts'
import {
  fromClipConfig,
  openClip,
  openClipTensors,
  saveOpenClip,
  toClipConfig,
  toOpenClipState,
} from '../../src/openclip/index.ts'
import { difference } from '../../src/openclip/verify.ts'
import { device, fromData, type Tensor } from '../../src/tensor/index.ts'
import { openModel } from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'

await device.use('cpu')
const golden = new URL('../golden/clip', import.meta.url).pathname
const dual = { family: 'dual-encoder' } as const

/** As OpenCLIP's ViT-B-32-quickgelu.json. */
const b32 = {
  embed_dim: 512,
  quick_gelu: true,
  vision_cfg: { image_size: 224, layers: 12, width: 768, patch_size: 32 },
  text_cfg: { context_length: 77, vocab_size: 49408, width: 512, heads: 8, layers: 12 },
}

for (const name of ['reference', 'cpu'] as const)
  test(`features, loss and gradients are those of OpenCLIP, on ${name}`, async () => {
    await device.use(name)
    const { model } = await openClip(golden, dual)
    const [io, gradients] = await Promise.all(
      ['io', 'grads'].map(async file => (await readSafetensors(join(golden, `${file}.safetensors`))).tensors),
    )
    const [images, text] = [io.get('images')!, io.get('text')!]
    const x = fromData(images.data as Float32Array, images.shape)
    const ids = fromData(toInt32(text, 'text'), text.shape)
    const close = (own: Tensor, theirs: string, of: typeof io, tolerance: number) => {
      const error = difference(own.dataSync(), of.get(theirs)!.data as Float32Array)
      assert.ok(error <= tolerance, `${theirs}: ${error}`)
    }
    close(model.encodeImage(x), 'image_features', io, 1e-5)
    close(model.encodeText(ids), 'text_features', io, 1e-5)
    const computed = lossAndGradients(model, () => model.loss(x, ids))
    close(computed.loss.total, 'loss', io, 1e-5)
    const state = toOpenClipState(model, computed.gradients)
    assert.equal(state.size, gradients.size - 1)
    for (const [tensor, gradient] of state) close(gradient, tensor, gradients, 1e-4)
    await device.use('cpu')
  })

test('a CLIP is saved with the same names and bits that were loaded', async t => {
  const folder = join(await temporaryFolder(t), 'saved')
  const opened = await openClip(golden, dual)
  await saveOpenClip(folder, opened)
  const [before, after] = await Promise.all(
    [golden, folder].map(async path => (await readSafetensors(join(path, 'open_clip_model.safetensors'))).tensors),
  )
  assert.deepEqual([...after.keys()].sort(), [...before.keys()].sort())
  for (const [name, tensor] of before) assert.deepEqual(after.get(name), tensor, name)
  assert.deepEqual((await openClip(folder, dual)).model.config, opened.model.config)
})

test('a CLIP with custom_text, whose text tower has a name of its own, is the same model', async t => {
  const folder = join(await temporaryFolder(t), 'custom')
  await mkdir(folder, { recursive: true })
  const json = JSON.parse(await readFile(join(golden, 'open_clip_config.json'), 'utf8'))
  await writeFile(join(folder, 'open_clip_config.json'), JSON.stringify({ ...json, custom_text: true }))
  const { tensors } = await readSafetensors(join(golden, 'open_clip_model.safetensors'))
  const custom = [...tensors].map(
    ([name, tensor]) => [/^(visual|logit)/.test(name) ? name : `text.${name}`, tensor] as const,
  )
  await writeSafetensors(join(folder, 'open_clip_model.safetensors'), new Map(custom))
  const [plain, other] = [await openClip(golden, dual), await openClip(folder, dual)]
  const state = other.model.stateDict()
  for (const [name, parameter] of plain.model.namedParameters())
    assert.deepEqual(state.get(name)!.dataSync(), parameter.dataSync(), name)
})

test('a checkpoint of another family than the expected one is an error that says so', async () => {
  await assert.rejects(openClip(golden), /open_clip_config\.json: is a checkpoint of a dual-encoder, not of a coca/)
  const coca = new URL('../golden/own', import.meta.url).pathname
  await assert.rejects(openClip(coca, dual), /config\.json: is a checkpoint of a coca, not of a dual-encoder/)
  await assert.rejects(openModel(golden, { family: 'captioner' }), /is a checkpoint of a coca or dual-encoder, not of/)
  await assert.rejects(openModel(golden, { family: ['coca', 'dual-encoder'] }), /has no tokenizer next to its weights/)
})

describe('the configuration of a CLIP', () => {
  test('ViT-B-32: 302 tensors, 151,277,313 parameters, converts there and back', () => {
    const config = fromClipConfig(b32)
    const model = withoutAllocation(() => new DualEncoder(config))
    assert.equal(openClipTensors(model).length, 302)
    assert.equal(model.parameterCount(), 151_277_313)
    const named = openClipTensors(model).flatMap(({ parameters }) => parameters)
    assert.deepEqual(named.sort(), [...model.stateDict().keys()].sort())
    assert.deepEqual(fromClipConfig(toClipConfig(config)), config)
    const late = { ...b32, vision_cfg: { ...b32.vision_cfg, final_ln_after_pool: true, patch_dropout: 0.5 } }
    assert.deepEqual(fromClipConfig(late), config)
  })

  const refused: [string, object, RegExp][] = [
    ['a text that the first token gives', { text_cfg: { pool_type: 'first' } }, /^text_cfg\.pool_type = "first"/],
    ['a tower of timm', { vision_cfg: { timm_model_name: 'vit_base' } }, /^vision_cfg\.timm_model_name = "vit_base"/],
    ['a pooler', { vision_cfg: { attentional_pool: true } }, /^vision_cfg\.attentional_pool = true/],
    ['the mean of the patches', { vision_cfg: { pool_type: 'avg' } }, /^vision_cfg\.pool_type = "avg"/],
    ['an unknown setting', { text_cfg: { depth: 3 } }, /^text_cfg\.depth = 3: is not a known setting/],
  ]
  for (const [what, change, message] of refused)
    test(`throws an error that names the setting: ${what}`, () =>
      assert.throws(
        () => fromClipConfig({ ...b32, ...change }),
        (error: unknown) => error instanceof ConfigError && message.test(error.message),
      ))

  test('that OpenCLIP does not support throws an error that names the setting', () => {
    const config = fromClipConfig(b32)
    const { text } = config
    assert.throws(() => toClipConfig({ ...config, summary: 'pooler' }), /^ConfigError: summary = "pooler"/)
    assert.throws(() => toClipConfig({ ...config, text: { ...text, summary: 'class' } }), /text\.summary = "class"/)
    assert.throws(() => toClipConfig({ ...config, text: { ...text, padMask: 'both' } }), /text\.padMask = "both"/)
  })
})
