// Files that a fuzz test found, reduced to what matters: each is refused by an error that names it.

import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readLabels } from '../../src/cli/names.ts'
import { ClipDataset, encodePng, ImageTextDataset, readTokenizer } from '../../src/data/index.ts'
import { writeSafetensors } from '../../src/io/index.ts'
import { openClip } from '../../src/openclip/index.ts'
import { readKeptBatch } from '../../src/train/guard/kept.ts'
import { temporaryFolder } from '../data/folder.ts'

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

test('a line of captions or clips, and a list of labels, is not nested deeply', async t => {
  const line = (field: string, path: string) => `{"${field}": "${path}", "caption": "x", "frames": ${nested(5000)}}\n`
  const images = await folderWith(t, { 'captions.jsonl': line('file', 'a.png'), 'a.png': picture })
  const refusal = (file: string, line?: number) => ({ name: 'DataError', file, line, message: /deeper than 100/ })
  await assert.rejects(ImageTextDataset.open(images, { imageSize: 4 }), refusal(join(images, 'captions.jsonl'), 1))
  const clips = await folderWith(t, { 'clips.jsonl': line('clip', 'k'), 'k/0.png': picture })
  const open = () => ClipDataset.open(clips, { imageSize: 4, frames: 1 })
  await assert.rejects(open(), refusal(join(clips, 'clips.jsonl'), 1))
  const labels = join(await folderWith(t, { 'labels.json': nested(5000) }), 'labels.json')
  await assert.rejects(readLabels(labels), refusal(labels))
})

test('a number of frames that is no number is another field', async t => {
  for (const frames of ['{"toString": null}', '[[1]]', 'null', '"many"']) {
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
    await assert.rejects(readKeptBatch(file), { name: 'DataError', file, message: /the batch in its metadata/ })
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
