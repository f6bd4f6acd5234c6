// Runs that start from the image encoder of another model: of a run, of a checkpoint of OpenCLIP, of timm and of Hugging Face.

import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { resizeGrid } from '../../src/nn/index.ts'
import { openClip, openEncoder, saveOpenClip } from '../../src/openclip/index.ts'
import { device, type Tensor } from '../../src/tensor/index.ts'
import {
  checkRunConfig,
  type Initialization,
  InitializationError,
  initializeFrom,
  openRun,
  type RunConfig,
  RunConfigError,
  train,
  withOrigin,
} from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { coca, small } from '../models/small.ts'
import { pictures, tinyConfig, tinyJson, tinyModel } from './tiny.ts'

const golden = (name: string) => new URL(`../golden/${name}`, import.meta.url).pathname
const numbers = (x: Tensor): number[] => [...x.dataSync()]

/** The rest of the model, beside the encoder. */
const { image: _, ...others } = tinyModel

const shared = await mkdtemp(join(tmpdir(), 'encoder-'))
after(() => rm(shared, { recursive: true }))
const data = await pictures(shared)

/** Settings of a run of no steps: its weights are the initial ones. */
const begun = async (from: string, settings: Record<string, unknown> = {}) => {
  const json = { from, part: 'encoder', data, model: others, steps: 0, batchSize: 3, device: 'reference', ...settings }
  return checkRunConfig(await withOrigin(json)) as RunConfig<'coca'>
}

async function start(t: TestContext, config: RunConfig<'coca'>) {
  let initialization: Initialization | undefined
  const onStart = (start: { readonly initialization?: Initialization }) => {
    initialization = start.initialization
  }
  const { folder, model } = await train(join(await temporaryFolder(t), 'run'), config, { onStart })
  return { folder, model, ...initialization! }
}

for (const [name, head] of [
  ['timm', ['head.bias', 'head.weight']],
  ['vit', ['classifier.bias', 'classifier.weight']],
] as const)
  test(`a CoCa starts from a vision transformer of ${name}, and everything else is new`, async t => {
    const config = await begun(golden(name))
    const opened = await openEncoder(golden(name))
    assert.deepEqual(config.model.image, opened.image)
    assert.deepEqual(config.normalize, opened.normalize)
    const { model, folder, copied, fresh, unused } = await start(t, config)
    assert.deepEqual(unused, head)
    assert.deepEqual([...copied, ...fresh].sort(), [...model.namedParameters()].map(([name]) => name).sort())
    const theirs = opened.model.stateDict()
    for (const name of copied) assert.deepEqual(numbers(model.stateDict().get(name)!), numbers(theirs.get(name)!), name)
    assert.equal(copied.length, theirs.size)
    // the others are random, by the seed of the run
    const again = await start(t, config)
    const other = await start(t, { ...config, seed: config.seed + 1 })
    for (const name of fresh)
      assert.deepEqual(numbers(model.stateDict().get(name)!), numbers(again.model.stateDict().get(name)!), name)
    const { queries } = model.generativePooler!
    assert.notDeepEqual(numbers(queries), numbers(other.model.generativePooler!.queries))
    const saved = (await openRun(folder)).config
    assert.deepEqual([saved.from, saved.part], [golden(name), 'encoder'])
  })

test('what is left out of a distilled encoder is named', async t => {
  const { dropped, unused } = await start(t, await begun(golden('encoders/deit')))
  assert.deepEqual(dropped, ['embeddings.distillation_token'])
  assert.deepEqual(unused, ['pooler.dense.bias', 'pooler.dense.weight'])
  assert.equal((await start(t, await begun(golden('timm')))).dropped, undefined)
})

test('the encoder of a run, of a CoCa and of a CLIP of OpenCLIP, with its activation', async t => {
  const first = await train(join(await temporaryFolder(t), 'first'), tinyConfig(data, { steps: 0 }))
  const own = await start(t, await begun(first.folder))
  assert.deepEqual(numbers(own.model.encoder.positions), numbers(first.model.encoder.positions))
  assert.ok(own.unused.includes('logScale') && !own.unused.some(name => name.startsWith('encoder.')))
  for (const [name, family] of [
    ['clip', 'dual-encoder'],
    ['own', 'coca'],
  ] as const) {
    await device.use('reference')
    const { model } = await openClip(golden(name), { family })
    assert.equal(model.config.activation, 'quickGelu')
    const { model: begins } = await start(t, await begun(golden(name)))
    assert.equal(begins.config.image.activation, 'quickGelu')
    const state = begins.encoder.stateDict()
    for (const [name, value] of model.encoder.stateDict())
      assert.deepEqual(numbers(state.get(name)!), numbers(value), name)
  }
})

test('positions for larger images are interpolated; a preset gives the other parts', async t => {
  const model = { preset: 'tiny', image: { size: 32 } }
  const config = await begun(golden('vit'), { model })
  assert.deepEqual([config.model.image.size, config.model.image.width, config.model.text.width], [32, 24, 64])
  const { model: larger, resized } = await start(t, config)
  assert.deepEqual(resized, ['encoder.positions'])
  const { positions } = (await openEncoder(golden('vit'))).model.encoder
  const expected = resizeGrid(positions.slice([{ start: 1 }]), 4, 8)
  assert.deepEqual(numbers(larger.encoder.positions).slice(24), numbers(expected))
})

test('settings that differ are an error with the values to write', async t => {
  const { image } = small
  const [source, model] = [
    coca({ ...small, activation: 'quickGelu', image: { ...image, normEpsilon: 1e-6, classToken: true } }),
    coca({ ...small, image: { ...image, width: 8 } }),
  ]
  const before = numbers(model.logScale)
  assert.throws(
    () => initializeFrom(model, source, { part: 'encoder', file: 'vit' }),
    (error: unknown) =>
      error instanceof InitializationError &&
      error.message ===
        'vit: the encoders have different settings: image.width is 12 there, but 8 here; image.classToken is true there, but false here; ' +
          "image.normEpsilon is 0.000001 there, but 0.00001 here; image.activation is 'quickGelu' there, but 'gelu' here. " +
          'Write {"image":{"width":12,"classToken":true,"normEpsilon":0.000001,"activation":"quickGelu"}} in the settings of the model',
  )
  assert.deepEqual(numbers(model.logScale), before)
  const other = { image: { width: 16, outputNorm: false, activation: 'relu' } }
  await assert.rejects(
    begun(golden('timm'), { model: { ...others, ...other } }),
    (error: unknown) =>
      error instanceof RunConfigError &&
      error.problems.map(({ field }) => field).join() ===
        'model.image.width,model.image.outputNorm,model.image.activation' &&
      /model\.image\.width: must be 24, as in the encoder of .*timm, not 16/.test(error.message),
  )
  // settings that do not come from withOrigin
  const complete = tinyConfig(data, { from: golden('timm'), part: 'encoder' })
  await assert.rejects(
    start(t, complete),
    /timm: the encoders have different settings: image\.width is 24 there, but 8/,
  )
})

test('part and architecture need from, a vision transformer needs part, and a run has no other architecture', async t => {
  for (const given of [{ part: 'encoder' }, { architecture: 'coca_ViT-B-32' }])
    assert.throws(() => tinyConfig(data, given), /(part|architecture): has no effect without from/)
  assert.throws(() => tinyConfig(data, { part: 'decoder', from: 'x' }), /part: must be one of encoder/)
  await assert.rejects(begun(golden('timm'), { part: undefined }), /timm: is a vision transformer.*--part encoder/)
  const clip = begun(golden('encoders/clip'), { part: undefined })
  await assert.rejects(clip, /has the image tower of a CLIP of Hugging Face: copy it with --part encoder/)
  const { part: _, ...whole } = await begun(golden('timm'))
  await assert.rejects(start(t, whole as RunConfig<'coca'>), /timm: is a vision transformer.*--part encoder/)
  const first = await train(join(await temporaryFolder(t), 'first'), tinyConfig(data, { steps: 0 }))
  await assert.rejects(begun(first.folder, { architecture: 'coca_base' }), /is a run, whose architecture is known/)
})

test('a checkpoint without a configuration is read by the name of its architecture', async t => {
  // its architecture is far too large for a test: the configuration is read, and then the weights do not fit
  const folder = join(await temporaryFolder(t), 'alone')
  await mkdir(folder)
  await cp(join(golden('own'), 'weights.safetensors'), join(folder, 'epoch.safetensors'))
  const file = join(folder, 'epoch.safetensors')
  await assert.rejects(begun(file), /has none of open_clip_config\.json.*--architecture/)
  const config = await begun(file, { architecture: 'coca_ViT-B-32' })
  assert.deepEqual([config.architecture, config.model.image.width], ['coca_ViT-B-32', 768])
  const json = { from: file, architecture: 'coca_ViT-B-32', tokenizer: 'words.json', data, steps: 0 }
  const whole = checkRunConfig(await withOrigin(json)) as RunConfig<'coca'>
  assert.deepEqual([whole.model.text.vocabulary, whole.model.image.width], [49408, 768])
})

test('a run of a dual encoder starts from a CLIP of OpenCLIP', async t => {
  const folder = await temporaryFolder(t)
  const image = {
    size: 8,
    patch: 4,
    width: 8,
    layers: 1,
    heads: 2,
    classToken: true,
    inputNorm: true,
    patchBias: false,
  }
  const text = { vocabulary: 64, context: 6, width: 8, heads: 2, unimodalLayers: 1, multimodalLayers: 0, pad: 0 }
  const made = await train(
    join(folder, 'made'),
    checkRunConfig({
      ...tinyJson(data, { steps: 1, family: 'dual-encoder' }),
      model: {
        image: { ...image, outputNorm: true },
        text: { ...text, padIsWord: true, padMask: 'none', summary: 'highest' },
        summary: 'class',
        embedding: 6,
      },
    }) as unknown as RunConfig<'dual-encoder'>,
  )
  const released = join(folder, 'released')
  await saveOpenClip(released, { model: made.model })
  const json = { from: released, tokenizer: join(made.folder, 'tokenizer.json'), data, steps: 0, batchSize: 3 }
  const config = checkRunConfig(await withOrigin(json)) as RunConfig<'dual-encoder'>
  assert.deepEqual([config.family, config.model.summary], ['dual-encoder', 'class'])
  const { model } = await train(join(folder, 'run'), config)
  const state = model.stateDict()
  for (const [name, value] of made.model.namedParameters())
    assert.deepEqual(numbers(state.get(name)!), numbers(value), name)
})
