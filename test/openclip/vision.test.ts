// Vision transformers of timm and of Hugging Face as encoders: their numbers, their names, and what is refused.

import assert from 'node:assert/strict'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { readSafetensors, type SafetensorsTensor, writeSafetensors } from '../../src/io/index.ts'
import { EncoderError, openEncoder, PretrainedEncoder } from '../../src/openclip/index.ts'
import { difference } from '../../src/openclip/verify.ts'
import { ofTimm } from '../../src/openclip/vision.ts'
import { device, fromData } from '../../src/tensor/index.ts'
import { initializeFrom } from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { bytesInUse } from '../tensor/cpu/peak.ts'

await device.use('cpu')
const golden = (name: string) => new URL(`../golden/${name}`, import.meta.url).pathname
const floats = ({ data, shape }: SafetensorsTensor) => fromData(data as Float32Array, shape)

/** Encoders of encoders.py: HuggingFace's CLIP, SigLIP, DeiT and DINOv2, and timm's DeiT, DeiT III, DINOv2, and of rectangles. */
const others = ['clip', 'siglip', 'deit', 'dinov2', 'timm-deit', 'timm-deit3', 'timm-dinov2', 'timm-rectangle']

for (const name of ['timm', 'vit', ...others.map(each => `encoders/${each}`)])
  for (const on of ['reference', 'cpu'] as const)
    test(`the tokens of ${name} before and after the last norm, on ${on}`, async () => {
      await device.use(on)
      const { model, image } = await openEncoder(golden(name))
      const { tensors } = await readSafetensors(join(golden(name), 'io.safetensors'))
      const bare = new PretrainedEncoder({ image: { ...image, outputNorm: false } })
      for (const [path, parameter] of bare.namedParameters()) parameter.assign(model.stateDict().get(path)!.add(0))
      for (const [which, encoder] of [
        ['before', bare],
        ['after', model],
      ] as const) {
        const tokens = encoder.forward(floats(tensors.get('images')!))
        const error = difference(tokens.dataSync(), tensors.get(which)!.data as Float32Array)
        assert.ok(error <= 1e-5, `${which}: ${error}`)
      }
      await device.use('cpu')
    })

test('a token for distillation is left out and named, and its position too', async () => {
  for (const [name, token] of [
    ['deit', 'embeddings.distillation_token'],
    ['timm-deit', 'dist_token'],
  ]) {
    const { dropped, unused, model } = await openEncoder(golden(`encoders/${name}`))
    assert.deepEqual(dropped, [token])
    assert.ok(!unused.includes(token))
    assert.equal(model.encoder.tokens, 10)
  }
  assert.deepEqual((await openEncoder(golden('timm'))).dropped, [])
})

test('positions of patches alone have zeros for the class token; the factors of LayerScale are in the projections', async () => {
  const folder = golden('encoders/timm-deit3')
  const { model } = await openEncoder(folder)
  const { tensors } = await readSafetensors(join(folder, 'model.safetensors'))
  const given = (name: string) => tensors.get(name)!.data as Float32Array
  const state = model.encoder.stateDict()
  const positions = state.get('positions')!.dataSync()
  assert.deepEqual([...positions.slice(0, 12)], Array(12).fill(0))
  assert.deepEqual([...positions.slice(12)], [...given('pos_embed')])
  const bias = given('blocks.1.mlp.fc2.bias').map((x, i) => x * given('blocks.1.ls2.gamma')[i])
  assert.deepEqual([...state.get('blocks.1.mlp.down.bias')!.dataSync()], [...bias])
})

test('the image tower of a CLIP of Hugging Face, with what its configuration leaves out', async t => {
  const { image, unused } = await openEncoder(golden('encoders/clip'))
  assert.deepEqual([image.activation, image.inputNorm, image.patchBias], ['quickGelu', true, false])
  assert.deepEqual([...new Set(unused.map(name => name.split('.')[0]))].sort(), [
    'logit_scale',
    'text_model',
    'text_projection',
    'visual_projection',
  ])
  // a vision_config holds what differs from the defaults of the library
  const bare = await changed(t, 'encoders/clip', same, json => ({ ...json, vision_config: { num_attention_heads: 2 } }))
  const found = (await openEncoder(bare)).image
  assert.deepEqual([found.activation, found.heads, found.normEpsilon], ['quickGelu', 2, 1e-5])
  const older = await changed(t, 'encoders/clip', x =>
    x.set('vision_model.embeddings.position_ids', { dtype: 'I32', shape: [1, 10], data: new Int32Array(10) }),
  )
  assert.ok((await openEncoder(older)).unused.includes('vision_model.embeddings.position_ids'))
})

test('register tokens and SwiGLU of DINOv2, and kinds that are not read, are refused by name', async t => {
  const dinov2 = (change: (tensors: Map<string, SafetensorsTensor>) => unknown) =>
    changed(t, 'encoders/dinov2', change).then(openEncoder)
  await assert.rejects(
    dinov2(x => x.set('embeddings.register_tokens', ones(1, 4, 12))),
    /register tokens \(reg_tokens\), in the tensor 'embeddings\.register_tokens'/,
  )
  await assert.rejects(
    dinov2(x => x.set('encoder.layer.0.mlp.weights_in.weight', ones(64, 12))),
    /\(SwiGLU\), in the tensor 'encoder\.layer\.0\.mlp\.weights_in\.weight'/,
  )
  const other = await changed(t, 'encoders/clip', same, json => ({ ...json, model_type: 'siglip2' }))
  await assert.rejects(openEncoder(other), /model_type = "siglip2": must be one of clip, clip_vision_model, siglip/)
})

test('channels and patches are those of the weights; the shape of the grid is that of the configuration, or a square', async t => {
  const { image } = await openEncoder(golden('encoders/timm-rectangle'))
  assert.deepEqual([image.size, image.patch, image.channels], [[8, 15], [4, 5], 2])
  const without = await changed(t, 'encoders/timm-rectangle', same, json => ({
    ...json,
    model_args: { ...(json.model_args as object), img_size: undefined },
  }))
  await assert.rejects(openEncoder(without), /has 7 positions, which are not those of a square/)
  const grey = await changed(t, 'timm', x => x.set('patch_embed.proj.weight', ones(24, 1, 4, 4)))
  assert.equal((await openEncoder(grey)).image.channels, 1)
})

test('an encoder in parts is read by its index', async t => {
  const folder = await changed(t, 'timm', same)
  const file = join(folder, 'model.safetensors')
  const { tensors } = await readSafetensors(file)
  await rm(file)
  const parts = [...tensors.keys()].map((name, i) => [name, `model-0000${1 + (i % 2)}-of-00002.safetensors`] as const)
  for (const part of new Set(parts.map(([, part]) => part)))
    await writeSafetensors(join(folder, part), new Map([...tensors].filter((_, i) => parts[i][1] === part)))
  const index = { metadata: { total_size: 1 }, weight_map: Object.fromEntries(parts) }
  await writeFile(`${file}.index.json`, JSON.stringify(index))
  const [whole, some] = [await openEncoder(golden('timm')), await openEncoder(folder)]
  const state = some.model.stateDict()
  for (const [name, value] of whole.model.namedParameters())
    assert.deepEqual(state.get(name)!.dataSync(), value.dataSync(), name)
})

test("timm's named models have the heads, the epsilon and the activation that timm gives them", async () => {
  const names = JSON.parse(await readFile(golden('timm.json'), 'utf8')) as Record<string, unknown[]>
  assert.equal(Object.keys(names).length, 111)
  for (const [architecture, [, heads, normEpsilon, activation]] of Object.entries(names))
    assert.deepEqual(ofTimm({ architecture }), { heads, normEpsilon, activation }, architecture)
  assert.deepEqual(ofTimm({ architecture: 'vit_base_patch16_224.augreg_in21k' }).heads, 12)
})

test('settings come from the shapes, and what belongs to a head is named', async () => {
  const { image, normalize, unused } = await openEncoder(golden('vit'))
  const sizes = { size: 16, patch: 4, width: 24, layers: 2, heads: 3, hidden: 40, normEpsilon: 1e-12 }
  const choices = { activation: 'gelu', classToken: true, inputNorm: false, outputNorm: true, patchBias: true }
  assert.deepEqual(image, { ...sizes, ...choices })
  assert.deepEqual(normalize, { mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.4] })
  assert.deepEqual(unused, ['classifier.bias', 'classifier.weight'])
})

/** A copy of a checkpoint with other tensors or another configuration. */
async function changed(
  t: TestContext,
  name: string,
  change: (tensors: Map<string, SafetensorsTensor>) => unknown,
  config: (json: Record<string, unknown>) => object | undefined = json => json,
): Promise<string> {
  const folder = await temporaryFolder(t)
  const tensors = new Map((await readSafetensors(join(golden(name), 'model.safetensors'))).tensors)
  change(tensors)
  await writeSafetensors(join(folder, 'model.safetensors'), tensors)
  const json = config(JSON.parse(await readFile(join(golden(name), 'config.json'), 'utf8')))
  if (json) await writeFile(join(folder, 'config.json'), JSON.stringify(json))
  return folder
}

const ones = (...shape: number[]): SafetensorsTensor => ({
  dtype: 'F32',
  shape,
  data: new Float32Array(shape.reduce((size, n) => size * n, 1)).fill(1),
})
const same = () => {}

test('names may have a prefix, and there may be no class token and no last norm', async t => {
  const plain = await openEncoder(golden('timm'))
  const wrapped = await changed(t, 'timm', tensors => {
    for (const [name, tensor] of [...tensors]) {
      tensors.delete(name)
      tensors.set(`_orig_mod.${name}`, tensor)
    }
  })
  const { model, unused } = await openEncoder(wrapped)
  assert.deepEqual(initializeFrom(model, plain.model).fresh, [])
  assert.deepEqual(unused, ['_orig_mod.head.bias', '_orig_mod.head.weight'])
  // Hugging Face's ViTModel has no prefix, and a pooler
  const bare = await changed(t, 'vit', tensors => {
    for (const [name, tensor] of [...tensors]) {
      tensors.delete(name)
      if (name.startsWith('vit.')) tensors.set(name.slice(4), tensor)
    }
    tensors.set('pooler.dense.weight', ones(24, 24))
  })
  const [a, b] = [await openEncoder(bare), await openEncoder(golden('vit'))]
  assert.deepEqual(a.unused, ['pooler.dense.weight'])
  for (const [name, value] of b.model.namedParameters())
    assert.deepEqual(a.model.stateDict().get(name)!.dataSync(), value.dataSync(), name)
  const pooled = await changed(t, 'timm', tensors => {
    for (const name of ['cls_token', 'norm.weight', 'norm.bias']) tensors.delete(name)
    tensors.set('pos_embed', ones(1, 16, 24))
    tensors.set('fc_norm.weight', ones(24))
  })
  const { image, unused: heads } = await openEncoder(pooled)
  assert.deepEqual([image.classToken, image.outputNorm, image.size], [false, false, 16])
  assert.ok(heads.includes('fc_norm.weight'))
})

test('opening reads no weight, and each is read when it is first needed', async () => {
  // the models of other tests are collected before
  const before = await bytesInUse()
  const bytes = () => device.get().memory().bytes - before
  const { model, image } = await openEncoder(golden('encoders/timm-deit3'))
  assert.ok(model.parameters().every(({ isAbsent }) => isAbsent))
  assert.equal(bytes(), 0)
  const [first] = model.encoder.blocks
  first.mlp.down.weight.load()
  // and not the tensor beside it, nor the factors of LayerScale
  assert.equal(bytes(), 4 * first.mlp.down.weight.size)
  first.attention.key.weight.load()
  assert.equal(bytes(), 4 * (first.mlp.down.weight.size + image.width ** 2))
})

test('values that are not finite are an error of their first use, which names all of them', async t => {
  const folder = await changed(t, 'timm', x => {
    x.set('blocks.0.ls1.gamma', ones(24))
    x.get('blocks.0.ls1.gamma')!.data.fill(Number.NaN as never)
    x.get('norm.bias')!.data[3] = Number.POSITIVE_INFINITY
  })
  const { model } = await openEncoder(folder)
  model.encoder.blocks[0].mlp.up.weight.load()
  const message = /blocks\.0\.ls1\.gamma \[24\] has NaN at 0.*norm\.bias \[24\] has Infinity at 3/
  for (const parameter of [model.encoder.blocks[0].attention.output.weight, model.encoder.outputNorm!.bias])
    assert.throws(() => parameter.load(), { name: 'NonFiniteWeightsError', message })
})

describe('what an encoder here does not have is refused by its name', () => {
  const timm: [string, (tensors: Map<string, SafetensorsTensor>) => unknown, RegExp][] = [
    [
      'layer scale of BEiT',
      x => x.set('blocks.0.gamma_1', ones(24)),
      /layer scale of another kind.*blocks\.0\.gamma_1/,
    ],
    ['factors of another width', x => x.set('blocks.0.ls1.gamma', ones(23)), /blocks\.0\.ls1\.gamma/],
    [
      "timm's packed SwiGLU",
      x => x.set('blocks.0.mlp.fc2.weight', ones(24, 48)),
      /gated feed-forward layers \(SwiGLU\): 'blocks\.0\.mlp\.fc1\.weight' makes 96 values and .*fc2\.weight' takes 48/,
    ],
    ["SwiGLU of DINOv2's authors", x => x.set('blocks.0.mlp.w12.weight', ones(2)), /\(SwiGLU\).*blocks\.0\.mlp\.w12/],
    ['register tokens', x => x.set('reg_token', ones(1, 4, 24)), /register tokens \(reg_tokens\)/],
    ['norms of queries', x => x.set('blocks.1.attn.q_norm.weight', ones(8)), /qk_norm/],
    [
      'a distillation token alone',
      x => {
        x.delete('cls_token')
        x.set('dist_token', ones(1, 1, 24))
      },
      /a distillation token without a class token/,
    ],
    ['no bias of qkv', x => x.delete('blocks.1.attn.qkv.bias'), /has no blocks\.1\.attn\.qkv\.bias: qkv_bias = false/],
    ['RMS norms', x => x.delete('blocks.0.norm1.bias'), /has no blocks\.0\.norm1\.bias/],
    ['a last norm without a bias', x => x.delete('norm.bias'), /has no norm\.bias/],
    ['a last norm without a weight', x => x.delete('norm.weight'), /has no norm\.weight/],
    ['another tensor', x => x.set('blocks.0.conv.weight', ones(2)), /has blocks\.0\.conv\.weight: a plain/],
    ['positions of no square', x => x.set('pos_embed', ones(1, 18, 24)), /18 positions.*with or without 1 for tokens/],
    ['another width of a layer', x => x.set('blocks.1.mlp.fc1.weight', ones(12, 24)), /blocks\.1\.mlp\.fc1\.weight/],
  ]
  for (const [what, change, message] of timm)
    test(what, async t => {
      const folder = await changed(t, 'timm', change)
      await assert.rejects(openEncoder(folder), message)
    })

  const configs: [string, string, object, RegExp][] = [
    [
      'timm',
      'another architecture',
      { architecture: 'vit_base_patch16_rpn_224' },
      /config\.json: architecture = "vit_/,
    ],
    ['timm', 'no architecture', { architecture: undefined }, /architecture = null: is not the name/],
    ['timm', 'an unknown argument', { model_args: { mlp_layer: 'swiglu' } }, /model_args\.mlp_layer = "swiglu"/],
    ['timm', 'another activation', { model_args: { act_layer: 'mish' } }, /model_args\.act_layer = "mish"/],
    ['timm', 'heads that do not divide', { model_args: { num_heads: 5 } }, /heads = 5: does not divide the width 24/],
    ['vit', 'another kind', { model_type: 'dinov2' }, /model_type = "dinov2": must be one of vit/],
    ['vit', 'another activation', { hidden_act: 'mish' }, /hidden_act = "mish": must be one of gelu/],
    ['vit', 'no heads', { num_attention_heads: undefined }, /num_attention_heads = null: is missing/],
  ]
  for (const [name, what, change, message] of configs)
    test(`${what} in the configuration of ${name}`, async t => {
      const folder = await changed(t, name, same, json => ({ ...json, ...change }))
      await assert.rejects(
        openEncoder(folder),
        (error: unknown) => error instanceof EncoderError && message.test(error.message),
      )
    })

  test('weights without a configuration, and files that are something else', async t => {
    const bare = (name: string) => changed(t, name, same, () => undefined)
    await assert.rejects(openEncoder(await bare('timm')), /has no config\.json.*"architecture": "vit_base_patch16_224"/)
    await assert.rejects(openEncoder(await bare('vit')), /has no config\.json.*num_attention_heads/)
    await assert.rejects(openEncoder(golden('clip')), /clip: is not a vision transformer of timm or of Hugging Face/)
    await assert.rejects(openEncoder(golden('nowhere')), /nowhere/)
  })
})
