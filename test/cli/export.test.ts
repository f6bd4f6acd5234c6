// `cocagrad export`: a run or a checkpoint becomes a folder that OpenCLIP opens, with the same weights.

import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readSafetensors } from '../../src/io/index.ts'
import { openClip } from '../../src/openclip/index.ts'
import { device } from '../../src/tensor/index.ts'
import { openModel, train } from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { pictures, tinyConfig } from '../train/tiny.ts'
import { cocagrad } from './cli.ts'

await device.use('cpu')
const own = new URL('../golden/own', import.meta.url).pathname

/** A CoCa as OpenCLIP has them. */
const model = {
  image: { size: 8, patch: 4, width: 8, layers: 1, heads: 2, classToken: true, inputNorm: true, patchBias: false },
  text: {
    vocabulary: 64,
    context: 6,
    width: 8,
    heads: 2,
    unimodalLayers: 1,
    multimodalLayers: 1,
    pad: 0,
    padIsWord: true,
    padMask: 'unimodalLate',
    classPosition: 'next',
    multimodal: { memoryNorm: true, selfMlp: true, outputBias: false },
  },
  pooler: { arrangement: 'shared', queries: 3, heads: 2, queryNorm: true },
  embedding: 8,
}

test('a run is exported with its weights, its normalisation and its tokenizer', async t => {
  const folder = await temporaryFolder(t)
  const [run, out] = [join(folder, 'run'), join(folder, 'out')]
  const normalize = { mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] }
  await train(run, tinyConfig(await pictures(folder, 8), { model, steps: 1, normalize }))
  const { code, stdout, stderr } = await cocagrad(['export', run, '--out', out, '--json'])
  assert.equal(code, 0, stderr)
  const files = ['open_clip_config.json', 'open_clip_model.safetensors', 'tokenizer.json']
  assert.deepEqual(JSON.parse(stdout).files, files)
  const [before, after] = [await openModel(run), await openModel(out)]
  assert.deepEqual(after.normalize, normalize)
  assert.equal(after.tokenizer.vocabularySize, before.tokenizer.vocabularySize)
  const written = after.model.stateDict()
  for (const [name, parameter] of before.model.namedParameters())
    assert.deepEqual(written.get(name)!.dataSync(), parameter.dataSync(), name)
  const twice = await cocagrad(['export', run, '--out', out])
  assert.equal(twice.code, 2)
  assert.match(twice.stderr, /^error: --out .*out: the folder must be new or empty$/m)
})

test('a run whose model OpenCLIP cannot build is refused with the setting, and nothing is written', async t => {
  const folder = await temporaryFolder(t)
  const [run, out] = [join(folder, 'run'), join(folder, 'out')]
  await train(run, tinyConfig(await pictures(folder, 8), { steps: 0 }))
  const { code, stderr } = await cocagrad(['export', run, '--out', out])
  assert.equal(code, 2, stderr)
  assert.match(stderr, /^error: image\.classToken = false: OpenCLIP has no such setting/m)
  await assert.rejects(readdir(out), { code: 'ENOENT' })
})

test('an export that finds the disk full leaves nothing, and one that was killed is not opened', async t => {
  const folder = await temporaryFolder(t)
  const [run, out] = [join(folder, 'run'), join(folder, 'some/where/out')]
  await train(run, tinyConfig(await pictures(folder, 8), { model, steps: 0 }))
  const first = new URL('./full-disk.ts', import.meta.url).href
  const full = await cocagrad(['export', run, '--out', out], undefined, { first })
  assert.equal(full.code, 2, full.stderr)
  assert.match(full.stderr, /^error: .*out\/open_clip_config\.json: no space left on the disk/m)
  await assert.rejects(readdir(join(folder, 'some')), { code: 'ENOENT' })
  // a folder that was there stays
  await mkdir(out, { recursive: true })
  await cocagrad(['export', run, '--out', out], undefined, { first })
  assert.deepEqual(await readdir(out), [])
  const { code, stderr } = await cocagrad(['export', run, '--out', out])
  assert.equal(code, 0, stderr)
  await rm(join(out, 'open_clip_config.json'))
  await assert.rejects(openClip(out), /out: has none of open_clip_config\.json/)
})

test('weights without a configuration need the name of an architecture, and are checked against it', async t => {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'a'))
  const file = join(folder, 'a', 'weights.safetensors')
  await writeFile(file, await readFile(join(own, 'weights.safetensors')))
  const args = ['export', file, '--out', join(folder, 'out')]
  const without = await cocagrad(args)
  assert.equal(without.code, 2)
  assert.match(without.stderr, /has none of open_clip_config\.json.*coca_ViT-B-32.*--architecture/)
  await assert.rejects(openClip(file, { architecture: 'coca_ViT-B-32' }), /weights\.safetensors: .*does not fit/)
  await assert.rejects(openClip(file, { architecture: 'ViT-B-64' as never }), /coca_ViT-B-32/)
})

test('a checkpoint is exported as it is', async t => {
  const out = join(await temporaryFolder(t), 'out')
  const { code, stdout, stderr } = await cocagrad(['export', own, '--out', out])
  assert.equal(code, 0, stderr)
  assert.match(stdout, /out: \d+,\d\d\d parameters, in open_clip_config\.json, open_clip_model\.safetensors/)
  const [a, b] = [join(own, 'weights.safetensors'), join(out, 'open_clip_model.safetensors')]
  const [before, after] = [(await readSafetensors(a)).tensors, (await readSafetensors(b)).tensors]
  for (const [name, { data }] of before) assert.deepEqual(after.get(name)?.data, data, name)
})
