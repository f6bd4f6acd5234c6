// Data whose kind is found out by looking at it: images or clips, with the labels that they have.

import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { encodePng, ImageTextDataset, openAnyData, openData, writeMovingShapes } from '../../src/data/index.ts'
import { temporaryFolder } from './folder.ts'

const png = encodePng(new Uint8Array(12), 2, 2)

/** Writes files, by their paths; a picture where there is no text. */
async function folderWith(t: Parameters<typeof temporaryFolder>[0], files: Record<string, string | undefined>) {
  const folder = await temporaryFolder(t)
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(folder, path, '..'), { recursive: true })
    await writeFile(join(folder, path), text ?? png)
  }
  return folder
}
const lines = (...list: object[]) => list.map(line => `${JSON.stringify(line)}\n`).join('')
const labelsOf = async (path: string, frames?: number) => {
  const data = await openAnyData(path, { imageSize: 2, frames })
  return Array.from({ length: data.length }, (_, i) => data.labels?.(i))
}

test('labels are read where there are any, and an image may have none', async t => {
  const files = { 'a.png': undefined, 'b.png': undefined, 'c.png': undefined }
  const list = lines(
    { file: 'a.png', caption: 'a cat', label: 'cat' },
    { file: 'b.png', caption: 'a tree' },
    { file: 'c.png', labels: ['dog', 'fox'] },
    { file: 'a.png', caption: 'an old cat', label: 'pet' },
  )
  const some = await folderWith(t, { ...files, 'captions.jsonl': list })
  assert.deepEqual(await labelsOf(some), [['cat', 'pet'], [], ['dog', 'fox']])
  const data = await openAnyData(some, { imageSize: 2 })
  assert.deepEqual(
    [0, 1, 2].map(i => data.captions(i)),
    [['a cat', 'an old cat'], ['a tree'], ['dog', 'fox']],
  )

  const table = await folderWith(t, {
    ...files,
    'captions.csv': 'file,caption,label\na.png,a cat,cat\nb.png,a tree,\n',
  })
  assert.deepEqual(await labelsOf(table), [['cat'], []])
  const none = await folderWith(t, { 'a.png': undefined, 'captions.jsonl': lines({ file: 'a.png', caption: 'a' }) })
  assert.deepEqual(await labelsOf(none), [undefined])
  // fields of another kind by that name are not labels
  const other = lines({ file: 'a.png', caption: 'a', labels: [{ box: [1, 2] }] })
  assert.deepEqual(await labelsOf(await folderWith(t, { 'a.png': undefined, 'captions.jsonl': other })), [undefined])
  // an image needs a caption or a label
  const bare = await folderWith(t, { 'a.png': undefined, 'captions.jsonl': lines({ file: 'a.png' }) })
  await assert.rejects(labelsOf(bare), /captions\.jsonl:1: has no 'caption'/)
})

test('labels that are not optional are read as before, with equal fingerprints', async t => {
  const list = lines({ file: 'a.png', caption: 'a cat', label: 'cat' })
  const folder = await folderWith(t, { 'a.png': undefined, 'captions.jsonl': list })
  const [any, strict] = [
    await openAnyData(folder, { imageSize: 2 }),
    await openData(folder, { imageSize: 2, labels: true }),
  ]
  assert.equal(any.fingerprint, strict.fingerprint)
  const partly = await folderWith(t, {
    ...{ 'a.png': undefined, 'b.png': undefined },
    'captions.jsonl': list + lines({ file: 'b.png', caption: 'a tree' }),
  })
  const open = (labels: boolean | 'optional') => ImageTextDataset.open(partly, { imageSize: 2, labels })
  await assert.rejects(open(true), /captions\.jsonl:2: has no 'label' and no 'labels'/)
  assert.equal((await open(false)).labels, undefined)
  assert.deepEqual((await open('optional')).classes, ['cat'])
})

test('a folder is images or clips by its list, or by the number of frames', async t => {
  const classes = await folderWith(t, { 'cat/1.png': undefined, 'cat/2.png': undefined, 'dog/1.png': undefined })
  assert.deepEqual(await labelsOf(classes), [['cat'], ['cat'], ['dog']])
  assert.deepEqual(await labelsOf(await folderWith(t, { 'a/1.png': undefined, 'a/2.png': undefined }), 2), [undefined])
  assert.deepEqual(await labelsOf(await folderWith(t, { 'up/a/1.png': undefined, 'up/a/2.png': undefined }), 2), [
    ['up'],
  ])

  const moving = join(await temporaryFolder(t), 'moving')
  await writeMovingShapes({ out: moving, count: 2, seed: 1, frames: 3 })
  for (const path of [moving, join(moving, 'clips.jsonl')]) {
    const data = await openAnyData(path, { imageSize: 32, frames: 3 })
    assert.equal('imagesPerExample' in data && data.imagesPerExample, 3)
    assert.equal(data.labels?.(0).length, 1)
    await assert.rejects(openAnyData(path, { imageSize: 32 }), /holds clips: say how many frames/)
  }
  const images = await folderWith(t, { 'a.png': undefined, 'captions.jsonl': lines({ file: 'a.png', caption: 'a' }) })
  await assert.rejects(
    openAnyData(images, { imageSize: 2, frames: 2 }),
    /holds images and no clips: frames, which is 2/,
  )
  await assert.rejects(openAnyData(join(images, 'nothing'), { imageSize: 2 }), /nothing: does not exist/)
})
