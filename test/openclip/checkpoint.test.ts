// Reading and writing of released checkpoints, and the errors for those that do not fit.

import assert from 'node:assert/strict'
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import {
  NonFiniteWeightsError,
  parseSafetensors,
  readSafetensors,
  type SafetensorsTensor,
  writeSafetensors,
} from '../../src/io/index.ts'
import type { Module } from '../../src/nn/index.ts'
import { OpenClipError, openClip, saveOpenClip } from '../../src/openclip/index.ts'

import { device, full } from '../../src/tensor/index.ts'

import { temporaryFolder } from '../data/folder.ts'
import { archive } from '../io/zip.ts'

await device.use('cpu')

const golden = (name: string) => new URL(`../golden/${name}`, import.meta.url).pathname

/** A folder as it is released: the configuration wrapped, the weights under their usual name. */
async function released(t: TestContext, change: (tensors: Map<string, SafetensorsTensor>) => void = () => {}) {
  const folder = join(await temporaryFolder(t), 'model')
  const model = JSON.parse(await readFile(golden('own/config.json'), 'utf8'))
  const preprocess = { size: 12, mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6], interpolation: 'random', fill_color: 3 }
  await mkdir(folder, { recursive: true })
  await writeFile(
    join(folder, 'open_clip_config.json'),
    JSON.stringify({ model_cfg: model, preprocess_cfg: preprocess }),
  )
  const { tensors } = await readSafetensors(golden('own/weights.safetensors'))
  change(tensors)
  await writeSafetensors(join(folder, 'open_clip_model.safetensors'), tensors)
  return folder
}

/** What was opened, when all weights have been read. */
async function loaded<O extends { readonly model: Module }>(opening: Promise<O>): Promise<O> {
  const opened = await opening
  for (const parameter of opened.model.parameters()) parameter.load()
  return opened
}

const sorted = <T>(map: ReadonlyMap<string, T>) => new Map([...map].sort(([a], [b]) => (a < b ? -1 : 1)))

for (const name of ['coca-a', 'coca-base', 'own'])
  test(`${name} is saved with the same names and bits that were loaded`, async t => {
    const folder = join(await temporaryFolder(t), 'saved')
    const opened = await openClip(golden(name))
    await saveOpenClip(folder, opened)
    assert.deepEqual((await readdir(folder)).sort(), ['open_clip_config.json', 'open_clip_model.safetensors'])
    const before = await readSafetensors(golden(`${name}/weights.safetensors`))
    const after = await readSafetensors(join(folder, 'open_clip_model.safetensors'))
    assert.deepEqual(sorted(after.tensors), sorted(before.tensors))
    const again = await openClip(folder)
    assert.deepEqual(again.model.config, opened.model.config)
    assert.deepEqual(again.preprocessing, opened.preprocessing)
  })

test('a model with the corrected mask is not saved, because OpenCLIP would build another one', async t => {
  const folder = join(await temporaryFolder(t), 'saved')
  const { model } = await openClip(golden('coca-m'))
  await assert.rejects(
    saveOpenClip(folder, { model }),
    /text\.padMask = "unimodal": OpenCLIP has no setting for this mask: .* Set text\.padMask to 'unimodalLate'/,
  )
  await assert.rejects(readdir(folder), { code: 'ENOENT' })
})

test('a released folder gives its preprocessing and tokenizer, and can be opened by its weights', async t => {
  const folder = await released(t)
  await writeFile(join(folder, 'tokenizer.json'), '{}')
  const { model, preprocessing, tokenizerFiles, weights } = await openClip(folder)
  assert.deepEqual(preprocessing, { size: 12, resize: 'shortest', mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] })
  assert.deepEqual(tokenizerFiles, [join(folder, 'tokenizer.json')])
  assert.equal(weights, join(folder, 'open_clip_model.safetensors'))
  assert.equal(model.training, false)
  const alone = await openClip(weights)
  assert.deepEqual(alone.model.unimodal.positions.dataSync(), model.unimodal.positions.dataSync())
})

test("the default preprocessing is CLIP's", async () => {
  const { preprocessing } = await openClip(golden('coca-m'))
  assert.deepEqual(preprocessing.size, 24)
  assert.deepEqual(preprocessing.mean, [0.48145466, 0.4578275, 0.40821073])
  assert.deepEqual(preprocessing.std, [0.26862954, 0.26130258, 0.27577711])
})

test('the scale of the logits may be a list of one number, and one number is enough for the normalisation', async t => {
  const folder = await released(t, tensors => {
    tensors.set('logit_scale', { ...tensors.get('logit_scale')!, shape: [1] })
  })
  const file = join(folder, 'open_clip_config.json')
  const text = (await readFile(file, 'utf8')).replace('"mean":[0.1,0.2,0.3]', '"mean":0.5')
  await writeFile(file, text.replace('"embed_dim"', '"nonscalar_logit_scale":true,"embed_dim"'))
  const { model, preprocessing } = await openClip(folder)
  assert.deepEqual(model.logScale.shape, [])
  assert.deepEqual(preprocessing.mean, [0.5, 0.5, 0.5])
  const { tensors } = await readSafetensors(golden('own/weights.safetensors'))
  assert.equal(model.logScale.dataSync()[0], tensors.get('logit_scale')!.data[0])
})

describe('half precision', () => {
  /** The upper halves of a float32's bits: bfloat16, cut off. */
  const brain = (x: Float32Array) =>
    Uint16Array.from(new Uint32Array(x.buffer.slice(x.byteOffset, x.byteOffset + x.byteLength)), word => word >>> 16)

  test('is read as float32, from safetensors', async t => {
    const folder = await released(t)
    const file = join(folder, 'open_clip_model.safetensors')
    const { tensors } = parseSafetensors(await readFile(file))
    const header: Record<string, unknown> = {}
    const pieces: Buffer[] = []
    let offset = 0
    for (const [name, { shape, data }] of tensors) {
      const halves = Buffer.from(brain(data as Float32Array).buffer)
      header[name] = { dtype: 'BF16', shape, data_offsets: [offset, offset + halves.length] }
      offset += halves.length
      pieces.push(halves)
    }
    const json = Buffer.from(JSON.stringify(header))
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(json.length))
    await writeFile(file, Buffer.concat([length, json, ...pieces]))
    const { model } = await openClip(folder)
    const full = tensors.get('text.cls_emb')!.data as Float32Array
    const cut = new Float32Array(Uint32Array.from(brain(full), word => word << 16).buffer)
    assert.deepEqual(model.unimodal.classToken!.dataSync(), cut)
  })
})

/** A state dict as PyTorch pickles it: every tensor with a storage of its own. */
function pickled(tensors: ReadonlyMap<string, SafetensorsTensor>, prefix: string, inner?: string): Buffer {
  const text = (value: string) => {
    const length = Buffer.alloc(4)
    length.writeUInt32LE(value.length)
    return Buffer.concat([Buffer.from('X'), length, Buffer.from(value)])
  }
  const int = (value: number) => {
    const bytes = Buffer.alloc(5)
    bytes.writeUInt8(0x4a)
    bytes.writeInt32LE(value, 1)
    return bytes
  }
  const tuple = (...items: Buffer[]) => Buffer.concat([Buffer.from('('), ...items, Buffer.from('t')])
  const items = [...tensors].flatMap(([name, { shape, data }], i) => {
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1))
    const id = tuple(
      text('storage'),
      Buffer.from('ctorch\nFloatStorage\n'),
      text(`${i}`),
      text('cpu'),
      int(data.length),
    )
    const args = tuple(
      Buffer.concat([id, Buffer.from('Q')]),
      int(0),
      tuple(...shape.map(int)),
      tuple(...strides.map(int)),
      Buffer.of(0x89),
      Buffer.from('ccollections\nOrderedDict\n)R'),
    )
    return [text(prefix + name), Buffer.from('ctorch._utils\n_rebuild_tensor_v2\n'), args, Buffer.from('R')]
  })
  const state = Buffer.concat([Buffer.from('ccollections\nOrderedDict\n)R('), ...items, Buffer.from('u')])
  const whole = inner ? Buffer.concat([Buffer.from('}'), text(inner), state, Buffer.from('s')]) : state
  return Buffer.concat([Buffer.of(0x80, 2), whole, Buffer.from('.')])
}

/** Tensors in a file as PyTorch writes it. */
async function writeTorch(
  file: string,
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  prefix = '',
  inner?: string,
): Promise<void> {
  const storages = [...tensors.values()].map(({ data }, i) => [
    `archive/data/${i}`,
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  ])
  await writeFile(
    file,
    archive({ 'archive/data.pkl': pickled(tensors, prefix, inner), ...Object.fromEntries(storages) }),
  )
}

for (const [what, prefix, inner] of [
  ['a state dict', '', undefined],
  ['a training checkpoint of several processes', 'module.', 'state_dict'],
] as const)
  test(`a file of PyTorch gives the same model: ${what}`, async t => {
    const folder = await released(t)
    const { tensors } = await readSafetensors(join(folder, 'open_clip_model.safetensors'))
    const file = join(folder, 'open_clip_pytorch_model.bin')
    await writeTorch(file, tensors, prefix, inner)
    const expected = await loaded(openClip(folder))
    await rm(join(folder, 'open_clip_model.safetensors'))
    // the same model as Hugging Face names its tensors, which stands beside it in released folders
    await writeSafetensors(join(folder, 'model.safetensors'), new Map())
    const opened = await openClip(folder)
    assert.equal(opened.weights, file)
    for (const [name, parameter] of opened.model.namedParameters())
      assert.deepEqual(parameter.dataSync(), expected.model.stateDict().get(name)!.dataSync(), name)
    tensors.get('visual.ln_pre.bias')!.data[2] = -Infinity
    await writeTorch(file, tensors, prefix, inner)
    await assert.rejects(
      loaded(openClip(folder)),
      (error: unknown) =>
        error instanceof NonFiniteWeightsError &&
        error.message.startsWith(`${file}: 1 of 89 tensors has`) &&
        error.message.includes('visual.ln_pre.bias [24] has -Infinity at 2'),
    )
  })

describe('a checkpoint that does not fit throws an error that names', () => {
  const cases: [string, (tensors: Map<string, SafetensorsTensor>) => void, RegExp][] = [
    ['a missing tensor', tensors => tensors.delete('text.cls_emb'), /missing: text\.cls_emb/],
    [
      'an unexpected tensor',
      tensors => tensors.set('visual.head.bias', { dtype: 'F32', shape: [1], data: new Float32Array(1) }),
      /not in the module: visual\.head\.bias/,
    ],
    [
      'a tensor of another shape',
      tensors => tensors.set('text.cls_emb', { dtype: 'F32', shape: [23], data: new Float32Array(23) }),
      /text\.cls_emb is \[24\] here and \[23\] there/,
    ],
    [
      'a tensor of integers',
      tensors => tensors.set('text.cls_emb', { dtype: 'I32', shape: [24], data: new Int32Array(24) }),
      /tensor 'text\.cls_emb' is I32, not one of F16, BF16, F32, F64/,
    ],
  ]
  for (const [what, change, message] of cases)
    test(what, async t => {
      const folder = await released(t, change)
      await assert.rejects(
        openClip(folder),
        error =>
          error instanceof OpenClipError &&
          message.test(error.message) &&
          error.message.includes('open_clip_model.safetensors'),
      )
    })

  test('a missing folder, configuration or weights', async t => {
    const folder = await released(t)
    await assert.rejects(openClip(join(folder, 'nowhere')), /nowhere: does not exist/)
    await rename(join(folder, 'open_clip_model.safetensors'), join(folder, 'kept'))
    await assert.rejects(openClip(folder), /has none of open_clip_model\.safetensors/)
    await rm(join(folder, 'open_clip_config.json'))
    await assert.rejects(openClip(join(folder, 'kept')), /has none of open_clip_config\.json/)
  })

  test('an invalid setting, with its file', async t => {
    const folder = await released(t)
    const file = join(folder, 'open_clip_config.json')
    const text = await readFile(file, 'utf8')
    await writeFile(file, text.replace('"embed_cls":true', '"embed_cls":true,"hf_model_name":"roberta-base"'))
    await assert.rejects(openClip(folder), /open_clip_config\.json: text_cfg\.hf_model_name = "roberta-base"/)
    await writeFile(file, text.replace('[0.4,', '[0,'))
    await assert.rejects(openClip(folder), /preprocess_cfg\.std = \[0,0\.5,0\.6\]: must be three numbers/)
  })

  const pixels: [string, string, RegExp][] = [
    [
      'another size than that of the model',
      '"size":13',
      /preprocess_cfg\.size = 13: must be the model's image size, 12/,
    ],
    ['two sizes', '"size":[12,24]', /preprocess_cfg\.size = \[12,24\]: must be/],
    [
      'another way to scale',
      '"size":12,"resize_mode":"longest"',
      /preprocess_cfg\.resize_mode = "longest": is not supp/,
    ],
    ['no channels of colour', '"size":12,"mode":"L"', /preprocess_cfg\.mode = "L": is not supported/],
    ['an unknown setting', '"size":12,"crop_pct":0.9', /preprocess_cfg\.crop_pct = 0\.9: is not a known setting/],
  ]
  for (const [what, setting, message] of pixels)
    test(`preprocessing that would give other pixels: ${what}`, async t => {
      const folder = await released(t)
      const file = join(folder, 'open_clip_config.json')
      await writeFile(file, (await readFile(file, 'utf8')).replace('"size":12', setting))
      await assert.rejects(
        openClip(folder),
        error => error instanceof OpenClipError && error.file === file && message.test(error.message),
      )
    })

  test('bilinear interpolation', async t => {
    const folder = await released(t)
    const file = join(folder, 'open_clip_config.json')
    await writeFile(file, (await readFile(file, 'utf8')).replace('"random"', '"bilinear"'))
    await assert.rejects(openClip(folder), /preprocess_cfg\.interpolation = "bilinear": is not supported/)
  })
})

test('weights that are not finite in float32 throw an error with the file and the tensors', async t => {
  const folder = await released(t, tensors => {
    tensors.set('text.cls_emb', { dtype: 'F64', shape: [24], data: new Float64Array(24).fill(1e300, 7) })
    tensors.get('logit_scale')!.data[0] = Number.NaN
  })
  await assert.rejects(loaded(openClip(folder)), (error: unknown) => {
    assert.ok(error instanceof NonFiniteWeightsError, String(error))
    assert.equal(error.file, join(folder, 'open_clip_model.safetensors'))
    assert.match(
      error.reason,
      /^2 of 89 tensors have values that are not finite: .*\. Download or convert the checkpoint/,
    )
    assert.deepEqual(
      error.tensors.map(({ name, value, index }) => [name, value, index]),
      [
        ['logit_scale', Number.NaN, 0],
        ['text.cls_emb', Infinity, 7],
      ],
    )
    return true
  })
})

test('saving weights that are not finite throws and leaves no file', async t => {
  const folder = join(await temporaryFolder(t), 'saved')
  const { model } = await openClip(golden('own'))
  model.logScale.assign(full([], Infinity))
  await assert.rejects(
    saveOpenClip(folder, { model }),
    (error: unknown) =>
      error instanceof NonFiniteWeightsError && /open_clip_model\.safetensors: .*logit_scale/.test(error.message),
  )
  assert.deepEqual(await readdir(folder), [])
})

test('saving a model that OpenCLIP does not support throws and leaves no folder', async t => {
  const folder = join(await temporaryFolder(t), 'saved')
  const { model } = await openClip(golden('own'))
  Reflect.set(model, 'config', { ...model.config, activation: 'relu' })
  await assert.rejects(saveOpenClip(folder, { model }), /activation = "relu": OpenCLIP has no such setting/)
  await assert.rejects(readdir(folder), { code: 'ENOENT' })
})

test('a write that fails leaves the old file', async t => {
  const folder = join(await temporaryFolder(t), 'saved')
  await cp(golden('own'), folder, { recursive: true })
  const { model } = await openClip(folder)
  await saveOpenClip(folder, { model })
  const before = await readFile(join(folder, 'open_clip_model.safetensors'))
  model.unimodal.classToken!.assignLater(() => {
    throw new Error('no power')
  })
  await assert.rejects(saveOpenClip(folder, { model }), /no power/)
  assert.deepEqual(await readFile(join(folder, 'open_clip_model.safetensors')), before)
  assert.deepEqual(
    (await readdir(folder)).filter(name => name.endsWith('.tmp')),
    [],
  )
})
