// Classes of images: how they are read, their errors, and how a classification loss gets them.

import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { BatchIterator } from '../../src/data/batches.ts'
import { readCaptions } from '../../src/data/captions.ts'
import { ImageTextDataset } from '../../src/data/dataset.ts'
import { encodePng } from '../../src/data/images/image.ts'
import { classesOf, classTargets } from '../../src/data/labels.ts'
import { WordTokenizer } from '../../src/data/tokenizers/tokenizer.ts'
import { DataError } from '../../src/io/errors.ts'
import { temporaryFolder } from './folder.ts'

const grey = encodePng(new Uint8Array(48).fill(100), 4, 4)

/** A folder with images of one grey and files of text. */
async function folderWith(t: TestContext, images: readonly string[], lists: Readonly<Record<string, string>> = {}) {
  const folder = await temporaryFolder(t)
  for (const name of images) {
    await mkdir(join(folder, name, '..'), { recursive: true })
    await writeFile(join(folder, name), grey)
  }
  for (const [name, text] of Object.entries(lists)) await writeFile(join(folder, name), text)
  return folder
}

const lines = (...values: readonly object[]) => values.map(value => JSON.stringify(value)).join('\n')

test('labels are fields of lines: one or several, text or numbers, collected over lines', async t => {
  const list = lines(
    { file: 'a.png', caption: 'one', label: ' cat ' },
    { file: 'b.png', caption: ['two', '2'], labels: ['dog', 'cat', 'dog'] },
    { file: 'c.png', label: 7 },
    { file: 'a.png', caption: 'uno', label: 'pet' },
  )
  const folder = await folderWith(t, ['a.png', 'b.png', 'c.png'], { 'captions.jsonl': list })
  assert.deepEqual(
    (await readCaptions(folder, { labels: true })).map(({ file, captions, labels }) => [file, captions, labels]),
    [
      ['a.png', ['one', 'uno'], ['cat', 'pet']],
      ['b.png', ['two', '2'], ['dog', 'cat']],
      ['c.png', ['7'], ['7']],
    ],
  )
})

test('labels are a column, with or without captions', async t => {
  const folder = await folderWith(t, ['a.png', 'b.png'], { 'captions.csv': 'label,file\ncat,a.png\ndog,b.png' })
  const read = await readCaptions(folder, { labels: true })
  assert.deepEqual(
    read.map(({ labels, captions }) => [labels, captions]),
    [
      [['cat'], ['cat']],
      [['dog'], ['dog']],
    ],
  )
})

test('a folder for each class gives images, classes and captions', async t => {
  const folder = await folderWith(t, ['dog/2.png', 'cat/young/1.png', 'cat/3.png'], { 'dog/notes.txt': 'x' })
  assert.deepEqual(await readCaptions(folder, { labels: true }), [
    { file: 'cat/3.png', captions: ['cat'], labels: ['cat'], fields: {} },
    { file: 'cat/young/1.png', captions: ['cat'], labels: ['cat'], fields: {} },
    { file: 'dog/2.png', captions: ['dog'], labels: ['dog'], fields: {} },
  ])
})

test('without the option, labels are ordinary fields and a folder for each class throws', async t => {
  const list = lines({ file: 'a.png', caption: 'one', label: { any: 'thing' } })
  const folder = await folderWith(t, ['a.png'], { 'captions.jsonl': list })
  assert.deepEqual(await readCaptions(folder), [
    { file: 'a.png', captions: ['one'], fields: { label: { any: 'thing' } } },
  ])
  await assert.rejects(readCaptions(await folderWith(t, ['cat/1.png'])), /has none of captions\.jsonl/)
})

const a = { file: 'a.png', caption: 'a' }
const broken: [
  what: string,
  images: string[],
  lists: Record<string, string>,
  line: number | undefined,
  reason: RegExp,
][] = [
  ['no label', ['a.png'], { 'captions.jsonl': lines(a) }, 1, /has no 'label' and no 'labels'/],
  ['both fields', ['a.png'], { 'captions.jsonl': lines({ ...a, label: 'x', labels: ['x'] }) }, 1, /has both/],
  ['an empty label', ['a.png'], { 'captions.jsonl': lines({ ...a, label: ' ' }) }, 1, /'label' is empty/],
  ['no label in a list', ['a.png'], { 'captions.jsonl': lines({ ...a, labels: [] }) }, 1, /'labels' is an empty list/],
  ['a fraction', ['a.png'], { 'captions.jsonl': lines({ ...a, label: 0.5 }) }, 1, /'label' is 0\.5, neither text/],
  ['no column', ['a.png'], { 'captions.csv': 'file,caption\na.png,a' }, 1, /the header has no 'label' and no 'labels'/],
  ['an empty cell', ['a.png'], { 'captions.csv': 'file,label\na.png,' }, 2, /'label' is empty/],
  ['an image beside the classes', ['cat/1.png', '2.png'], {}, undefined, /'2\.png' beside the folders/],
  ['a class without images', ['cat/1.png'], { 'dog.txt': 'x' }, undefined, /a folder 'empty' without/],
]
for (const [what, images, lists, line, reason] of broken)
  test(`throws an error with file and line: ${what}`, async t => {
    const folder = await folderWith(t, images, lists)
    if (what === 'a class without images') await mkdir(join(folder, 'empty'))
    await assert.rejects(readCaptions(folder, { labels: true }), (error: unknown) => {
      assert.ok(error instanceof DataError, String(error))
      assert.match(error.message, reason)
      assert.equal(error.line, line)
      return true
    })
  })

test('classes are ordered by number, then by name', () => {
  const images = [['b', '10'], ['a'], ['9', 'b'], []].map(labels => ({ labels }))
  assert.deepEqual(classesOf(images), ['9', '10', 'a', 'b'])
})

test('a dataset has classes and labels, both parts of a split have the same classes, and the fingerprint depends on them', async t => {
  const files = Array.from({ length: 6 }, (_, i) => `${i}.png`)
  const of = (label: (i: number) => string) =>
    lines(...files.map((file, i) => ({ file, caption: 'x', label: label(i) })))
  const folder = await folderWith(t, files, { 'captions.jsonl': of(i => `c${i}`) })
  const open = (labels: boolean) => ImageTextDataset.open(folder, { imageSize: 4, labels })
  const [plain, labelled] = [await open(false), await open(true)]
  assert.deepEqual([plain.classes, plain.labels], [[], undefined])
  assert.deepEqual(labelled.labels?.(4), ['c4'])
  const { train, validation } = labelled.split({ validation: 0.5 })
  assert.deepEqual([train.classes, validation.classes], [labelled.classes, labelled.classes])
  assert.equal(labelled.classes.length, 6)
  await writeFile(
    join(folder, 'captions.jsonl'),
    of(() => 'c'),
  )
  assert.equal((await open(false)).fingerprint, plain.fingerprint)
  assert.notEqual((await open(true)).fingerprint, labelled.fingerprint)
})

test('a batch has the labels of its images if the data has labels', async t => {
  const folder = await folderWith(t, ['cat/1.png', 'cat/2.png', 'dog/3.png', 'fox/4.png'])
  const data = await ImageTextDataset.open(folder, { imageSize: 4, labels: true })
  const tokenizer = WordTokenizer.fromCaptions(['cat dog fox'])
  const options = { batchSize: 4, contextLength: 4 }
  const { labels, indices } = await new BatchIterator(data, tokenizer, options).next()
  assert.deepEqual(
    labels,
    [...indices].map(i => [['cat'], ['cat'], ['dog'], ['fox']][i]),
  )
  const unlabelled = {
    length: data.length,
    imageSize: 4,
    fingerprint: 'x',
    captions: (i: number) => data.captions(i),
    name: (i: number) => data.name(i),
    image: (i: number) => data.image(i),
  }
  assert.ok(!('labels' in (await new BatchIterator(unlabelled, tokenizer, options).next())))
})

test('targets are class numbers if each image has one class, and ones and zeros if one has several', () => {
  const classes = ['cat', 'dog', 'fox']
  assert.deepEqual(classTargets([['fox'], ['cat']], classes), { data: Int32Array.of(2, 0), shape: [2] })
  assert.deepEqual(classTargets([['fox', 'cat'], ['dog']], classes), {
    data: Int32Array.of(1, 0, 1, 0, 1, 0),
    shape: [2, 3],
  })
  assert.throws(() => classTargets([['cat'], ['cow']], classes), /label 'cow' of image 1 is not one of the 3 classes/)
  assert.throws(() => classTargets([[]], classes), /image 0 has no label/)
})
