// `pixels: 'openclip'` reaches the images wherever they are opened, and a run keeps it.

import assert from 'node:assert/strict'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { neededSegments } from '../../src/data/images/jpeg.ts'
import { decodeImage, openAnyData, openPictures, QuestionDataset } from '../../src/data/index.ts'
import { modelFingerprint } from '../../src/evaluate/index.ts'
import { measure } from '../../src/experiments/protocols.ts'
import { openRun, openRunData, readOrigin, train } from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { pictures, tinyConfig } from './tiny.ts'

const turned = join(import.meta.dirname, '../golden/pixels/exif6.jpg')
const expected = async () => (await decodeImage(turned, { size: 8, pixels: 'openclip' })).pixels

test('every way of opening images takes it', async t => {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'class'))
  await cp(turned, join(folder, 'class', 'a.jpg'))
  await writeFile(join(folder, 'captions.jsonl'), '{"file": "class/a.jpg", "caption": "a"}\n')
  await writeFile(join(folder, 'questions.jsonl'), '{"file": "class/a.jpg", "text": "a", "label": "b"}\n')
  const options = { imageSize: 8, pixels: 'openclip' } as const
  const all = await openAnyData(folder, options)
  assert.ok('image' in all)
  assert.deepEqual(await all.image(0), await expected())
  const clips = await openAnyData(folder, { ...options, frames: 1 }).catch(error => error.message)
  assert.match(String(clips), /holds images and no clips/)
  for (const path of [folder, join(folder, 'class')])
    for await (const sample of (await openPictures(path, options)).samples())
      assert.deepEqual(await sample.image(), await expected())
  const questions = await QuestionDataset.open(folder, options)
  assert.deepEqual(await questions.images(0), await expected())
  const upright = await openAnyData(folder, { imageSize: 8 })
  assert.notDeepEqual('image' in upright && (await upright.image(0)), await expected())
})

test('a run keeps it, its data are opened with it, and a run that starts from it has it too', async t => {
  const folder = await temporaryFolder(t)
  const shapes = await pictures(folder, 8)
  await cp(turned, join(shapes, 'turned.jpg'))
  await writeFile(join(shapes, 'captions.jsonl'), '{"file": "turned.jpg", "caption": "a"}\n')
  const run = join(folder, 'run')
  await train(run, { ...tinyConfig(shapes, { steps: 0, validation: 0, batchSize: 1 }), pixels: 'openclip' })
  const opened = await openRun(run)
  assert.equal(opened.pixels, 'openclip')
  const { train: data } = await openRunData(opened)
  assert.ok('image' in data)
  const size = opened.model.config.image.size
  const { pixels } = await decodeImage(turned, { size, pixels: 'openclip' })
  assert.deepEqual(await data.image(0), pixels)
  assert.equal((await readOrigin(run)).pixels, 'openclip')
  assert.notEqual(await modelFingerprint(opened), await modelFingerprint({ ...opened, pixels: 'upright' }))
})

test('an experiment measures a run on its pixels', async t => {
  const folder = await temporaryFolder(t)
  const shapes = await pictures(folder, 4)
  const lists = [0, 1].map(i => join(folder, String(i)))
  for (const [i, list] of lists.entries()) {
    await mkdir(list)
    // the same pixels, turned and not: for openclip they are equal
    await writeFile(join(list, 'a.jpg'), i === 0 ? neededSegments(await readFile(turned)) : await readFile(turned))
    await writeFile(join(list, 'captions.jsonl'), '{"file": "a.jpg", "caption": "a red circle"}\n')
  }
  const run = join(folder, 'run')
  const measured = async (pixels?: 'openclip') => {
    await train(`${run}-${pixels}`, {
      ...tinyConfig(shapes, { steps: 0, batchSize: 1, validation: 0 }),
      ...(pixels && { pixels }),
    })
    const opened = await openRun(`${run}-${pixels}`)
    const read: number[][] = []
    const encodeImage = opened.model.encodeImage.bind(opened.model)
    opened.model.encodeImage = images => {
      read.push([...images.dataSync()])
      return encodeImage(images)
    }
    for (const list of lists) await measure({ protocol: 'retrieval', title: '', on: '' }, opened as never, list, {})
    return read
  }
  const [first, second] = await measured('openclip')
  assert.deepEqual(first, second)
  const [plain, upright] = await measured()
  assert.notDeepEqual(plain, upright)
})
