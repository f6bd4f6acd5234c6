// Files that a fuzz test found, reduced to what matters: each is refused by an error that names it.

import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readLabels } from '../../src/cli/names.ts'
import {
  BatchIterator,
  ClipDataset,
  encodePng,
  ImageTextDataset,
  readTokenizer,
  WordTokenizer,
} from '../../src/data/index.ts'
import { EmbeddingFile } from '../../src/evaluate/index.ts'
import { readExperiment } from '../../src/experiments/config.ts'
import { npyHead, writeSafetensors } from '../../src/io/index.ts'
import { openClip } from '../../src/openclip/index.ts'
import { readKeptBatch } from '../../src/train/guard/kept.ts'
import { train } from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { pictures, tinyConfig } from '../train/tiny.ts'

const picture = encodePng(new Uint8Array(48), 4, 4)
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

async function folderWith(t: TestContext, files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  const folder = await temporaryFolder(t)
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), content)
  }
  return folder
}

test('a list of labels that is nested deeply is refused', async t => {
  const file = join(await folderWith(t, { 'labels.json': nested(5000) }), 'labels.json')
  await assert.rejects(readLabels(file), { name: 'DataError', file, message: /deeper than 100/ })
})

test('a number of frames that is no number is another field', async t => {
  for (const frames of ['{"toString": null}', nested(50), 'null', '"many"']) {
    const line = `{"clip": "k", "caption": "x", "frames": ${frames}}\n`
    const clips = await folderWith(t, { 'clips.jsonl': line, 'k/0.png': picture })
    assert.equal((await ClipDataset.open(clips, { imageSize: 4, frames: 1 })).length, 1)
  }
})

test('two merges that make the same piece are refused, since ids would have gaps', async t => {
  const folder = await folderWith(t, { 'vocab.bpe': '#version: 0.2\na b\na b\n' })
  const file = join(folder, 'vocab.bpe')
  await assert.rejects(readTokenizer(file), { name: 'TokenizerError', file, message: /line 3 makes 'ab'/ })
  await writeFile(file, '#version: 0.2\na b\nab c\nb c\na bc\n')
  await assert.rejects(readTokenizer(file), { name: 'TokenizerError', file, message: /line 5 makes 'abc'/ })
})

test('a kept batch whose metadata are no JSON is refused', async t => {
  const file = join(await temporaryFolder(t), 'a.safetensors')
  for (const batch of ['{"x": ', nested(5000)]) {
    await writeSafetensors(file, new Map(), { step: '1', parts: '1', position: '0', batch })
    await assert.rejects(readKeptBatch(file), { name: 'DataError', file, message: /its outline/ })
  }
})

test('settings of OpenCLIP that make no model are refused with the name of their file', async t => {
  const golden = join(import.meta.dirname, '../golden/clip/open_clip_config.json')
  const json = JSON.parse(await readFile(golden, 'utf8'))
  json.vision_cfg.mlp_ratio = 1e308
  const folder = await folderWith(t, { 'open_clip_config.json': JSON.stringify(json), 'model.safetensors': '' })
  const file = join(folder, 'open_clip_config.json')
  await assert.rejects(openClip(folder, { family: 'dual-encoder' }), {
    name: 'OpenClipError',
    file,
    message: /image\.hidden/,
  })
})

test('an experiment that is no object is refused', async t => {
  for (const content of ['null', '[]', '1']) {
    const file = join(await folderWith(t, { 'config.json': content }), 'config.json')
    await assert.rejects(readExperiment(file, { quick: true }), {
      name: 'ExperimentError',
      file,
      message: /not an object/,
    })
  }
})

test('the number of images beside an .npy may be any value in an error', async t => {
  const folder = await folderWith(t, {
    'e.npy': Buffer.concat([npyHead([1, 1]), Buffer.alloc(4)]),
    'e.json': '{"model": "m", "images": {"toString": null}}',
    'e.jsonl': '{"name": "a", "captions": []}\n',
  })
  const file = join(folder, 'e.json')
  await assert.rejects(EmbeddingFile.open(join(folder, 'e.npy')), {
    name: 'EmbeddingError',
    file,
    message: /lists \{"toString":null\} images/,
  })
})

test('a saved state of batches with other values is refused', async t => {
  const images = await folderWith(t, { 'captions.jsonl': '{"file": "a.png", "caption": "x"}\n', 'a.png': picture })
  const data = await ImageTextDataset.open(images, { imageSize: 4 })
  const batches = new BatchIterator(data, WordTokenizer.fromCaptions(['x']), { batchSize: 1, contextLength: 4 })
  const odd = JSON.parse('{"toString": null}')
  for (const field of ['seed', 'epoch', 'batch', 'window'])
    assert.throws(() => batches.restore({ ...batches.state, [field]: odd }), {
      name: 'BatchError',
      message: /saved state/,
    })
})

test('a batch that the data does not fill names the data', async t => {
  const folder = await temporaryFolder(t)
  const data = await pictures(folder)
  const batches = train(join(folder, 'run'), tinyConfig(data, { batchSize: 1000 }))
  await assert.rejects(batches, { name: 'BatchError', file: data, message: /do not fill a batch of 1000/ })
})
