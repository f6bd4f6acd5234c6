// Clips in shards: they are the clips of the folder that was packed, in every way in which they are read.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import {
  type BadSample,
  BatchIterator,
  type BatchOptions,
  ClipDataset,
  openAnyData,
  openClips,
  openData,
  ShardClipDataset,
  ShardDataset,
  WordTokenizer,
  writeMovingShapes,
} from '../../../src/data/index.ts'
import { fc } from '../../support.ts'
import { temporaryFolder } from '../folder.ts'
import { grey, greyClip, greys, type Members, shardsOfMoving, writeTar } from './make.ts'

/** Moving Shapes as a folder and as shards. */
async function moving(t: TestContext, count: number, shards: number): Promise<{ folder: string; list: string }> {
  const out = await temporaryFolder(t)
  const folder = join(out, 'moving')
  await writeMovingShapes({ out: folder, count, seed: 3 })
  return { folder, list: await shardsOfMoving(folder, out, shards) }
}

const reading = { imageSize: 16, frames: 3, labels: true } as const

async function take<Batch>(batches: { next(): Promise<Batch> }, count: number): Promise<Batch[]> {
  const taken: Batch[] = []
  while (taken.length < count) taken.push(await batches.next())
  return taken
}

/** All clips of one shard, with those that cannot be used. */
async function clipsOf(t: TestContext, members: Members, frames = 2) {
  const path = join(await temporaryFolder(t), 'a.tar')
  await writeTar(path, members)
  const bad: BadSample[] = []
  const data = await ShardClipDataset.open(path, { imageSize: 4, frames })
  const source = await data.all(sample => bad.push(sample))
  const levels = async (index: number) => {
    const pixels = await source.images(index)
    return Array.from({ length: frames }, (_, frame) => Math.round(255 * pixels[frame * 48]))
  }
  return { path, data, source, levels, bad, reasons: bad.map(({ key, reason }) => [key, reason]) }
}

test('Moving Shapes in shards have the frames, captions and labels of the folder', async t => {
  const { folder, list } = await moving(t, 7, 3)
  const whole = await ClipDataset.open(folder, reading)
  const shards = await ShardClipDataset.open(list, reading)
  const source = await shards.all()
  assert.deepEqual([source.length, source.imagesPerExample, shards.imagesPerExample], [7, 3, 3])
  for (let index = 0; index < 7; index++) {
    assert.deepEqual(await source.images(index), await whole.images(index))
    assert.deepEqual(source.captions(index), whole.captions(index))
    assert.deepEqual(source.labels?.(index), whole.labels?.(index))
  }
  assert.equal(source.name(3), `${list.replace('{0..2}', '1')}: clips/000003`)
  assert.deepEqual(source.place?.(3), { file: list.replace('{0..2}', '1'), key: 'clips/000003' })
  assert.deepEqual(await shards.readClasses(), whole.classes)
  assert.equal(await shards.count(), 7)
})

test('the batches of shards are those of the folder', async t => {
  const { folder, list } = await moving(t, 8, 2)
  const whole = await ClipDataset.open(folder, reading)
  const tokenizer = WordTokenizer.fromCaptions(Array.from({ length: 8 }, (_, i) => whole.captions(i)).flat())
  const shards = await openClips(list, reading)
  assert.ok(shards instanceof ShardClipDataset)
  const options = { batchSize: 3, contextLength: 16, seed: 4 }
  const random = { ...options, crop: { scale: [0.5, 1] as const } }
  assert.deepEqual(
    await take(new BatchIterator(await shards.all(), tokenizer, random), 5),
    await take(new BatchIterator(whole, tokenizer, random), 5),
  )
  const inOrder = { ...options, shuffle: false }
  const streamed = await take(new BatchIterator(shards, tokenizer, inOrder), 4)
  assert.deepEqual(streamed, await take(new BatchIterator(whole, tokenizer, inOrder), 4))
  assert.deepEqual(streamed[0].imageShape, [3, 3, 3, 16, 16])
})

test('a resumed run gets exactly the same clips', async t => {
  const { list } = await moving(t, 18, 5)
  const cases = fc.record({
    window: fc.integer({ min: 1, max: 6 }),
    threads: fc.constantFrom(0, 2),
    seed: fc.nat(99),
    stopAfter: fc.nat(9),
    shuffle: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(cases, async ({ window, threads, stopAfter, ...random }) => {
      const options: BatchOptions = { batchSize: 3, crop: { scale: [0.5, 1] }, ...random }
      const make = async (reader = threads) =>
        new BatchIterator(
          await ShardClipDataset.open(list, { ...reading, window, threads: reader }),
          undefined,
          options,
        )
      const through = await take(await make(0), stopAfter + 4)
      const stopped = await make()
      await take(stopped, stopAfter)
      const resumed = await make()
      resumed.restore(JSON.parse(JSON.stringify(stopped.state)))
      assert.deepEqual(await take(resumed, 4), through.slice(stopAfter))
    }),
    { numRuns: 12 },
  )
  const saved = new BatchIterator(await ShardClipDataset.open(list, reading), undefined, { batchSize: 3 }).state
  const fewer = new BatchIterator(await ShardClipDataset.open(list, { ...reading, frames: 2 }), undefined, {
    batchSize: 3,
  })
  assert.throws(() => fewer.restore(saved), /imagesPerExample 3, but these batches have 2/)
})

test('a clip consists of the numbered images of one name, ordered by their numbers and evenly spaced', async t => {
  const { levels, source, reasons } = await clipsOf(
    t,
    [
      ...greyClip('a', 10, 5, { txt: 'one' }),
      ['b.frame-12.png', grey(32)],
      ['b.frame-10.png', grey(30)],
      ['b.depth.png', 'not looked at'],
      ['b.frame-9.PNG', grey(29)],
      ['b.frame-11.png', grey(31)],
      ['b.json', '{"captions": ["two", "three"], "frames": 4}'],
      ['notes.md', 'nothing'],
    ],
    3,
  )
  assert.deepEqual(reasons, [])
  assert.deepEqual(
    [await levels(0), await levels(1)],
    [
      [10, 12, 14],
      [29, 30, 32],
    ],
  )
  assert.deepEqual([source.captions(0), source.captions(1), source.labels], [['one'], ['two', 'three'], undefined])
})

test('a clip with an error is left out, and the error is reported with its shard and key', async t => {
  const good = greyClip('good', 1, 2, { txt: 'words' })
  const { reasons, bad, path, source, data } = await clipsOf(t, [
    ...good,
    ...greyClip('few', 1, 1, { txt: 'words' }),
    ...greyClip('gap', 1, 4, { txt: 'words' }).filter(([name]) => name !== 'gap.002.png'),
    ...greyClip('twice', 1, 2, { txt: 'words' }),
    ['twice.frame-1.png', grey(1)],
    ...greyClip('copied', 1, 2, { txt: 'words' }),
    ['copied.001.png', grey(1)],
    ...greyClip('short', 1, 2, { json: '{"caption": "words", "frames": 3}' }),
    ...greyClip('silent', 1, 2, {}),
    ['none.txt', 'words'],
    ['picture.png', grey(1)],
    ['picture.txt', 'words'],
    ...greyClip('both', 1, 2, { txt: 'words', png: '' }),
    ...good,
  ])
  assert.deepEqual(reasons, [
    ['few', 'it has 1 frame, and 2 are wanted'],
    ['gap', 'it has no frame 2: its 3 frames have numbers from 0 to 3'],
    ['twice', "it has two frames with the number 1: '001.png' and 'frame-1.png'"],
    ['copied', 'it has two files .001.png'],
    ['short', "it has 2 frames, but 'frames' of its .json file is 3"],
    ['silent', 'it has no text'],
    ['none', 'it has no frames'],
    ['picture', 'it is a picture, not a clip'],
    ['both', 'it has a picture beside its frames'],
    ['good', 'its key occurred before'],
  ])
  assert.ok(bad.every(({ file }) => file === path))
  assert.equal(source.length, 1)
  await assert.rejects(data.all(), { name: 'DataError', message: /a\.tar: few: it has 1 frame, and 2 are wanted/ })
})

test('a clip with a broken frame is replaced in training, and named in an error', async t => {
  const members = [0, 1, 2, 3, 4, 5].flatMap(i => greyClip(`${i}`, 10 * i, 2, { txt: `clip ${i}` }))
  const broken = members.map(([name, content]) => [name, name === '2.001.png' ? 'no picture' : content] as const)
  const { path, data, source } = await clipsOf(t, broken)
  await assert.rejects(source.images(2), { name: 'ImageError', message: /a\.tar: 2\.001\.png: is no PNG/ })
  const bad: BadSample[] = []
  const batches = new BatchIterator(data, undefined, { batchSize: 2, onBadSample: sample => bad.push(sample) })
  const captions = (await take(batches, 3)).flatMap(batch => batch.captions)
  assert.ok(!captions.includes('clip 2'))
  assert.deepEqual(bad[0], { file: path, key: '2', reason: 'is no PNG, JPEG, WebP, GIF, AVIF or TIFF' })
})

test('shards of clips and of pictures are told apart', async t => {
  const { folder, list } = await moving(t, 4, 2)
  const [inShards, inFolder] = [
    await openAnyData(list, { imageSize: 16, frames: 3 }),
    await openAnyData(folder, reading3),
  ]
  assert.ok('images' in inShards && 'images' in inFolder)
  assert.deepEqual(await inShards.images(2), await inFolder.images(2))
  assert.deepEqual(inShards.labels?.(2), inFolder.labels?.(2))
  await assert.rejects(openAnyData(list, { imageSize: 16 }), /holds clips: say how many frames/)
  await assert.rejects(openData(list, { imageSize: 16 }), /clips-0\.tar: holds clips.*ShardClipDataset\.open/)

  const pictures = join(await temporaryFolder(t), 'a.tar')
  await writeTar(pictures, [...greys(0, 2), ...greyClip('moves', 1, 2, { txt: 'words' })])
  await assert.rejects(
    openAnyData(pictures, { imageSize: 4, frames: 2 }),
    /holds images and no clips: frames, which is 2/,
  )
  await assert.rejects(openClips(pictures, { imageSize: 4, frames: 2 }), /a\.tar: holds pictures.*ShardDataset\.open/)
  const bad: BadSample[] = []
  const data = await ShardDataset.open(pictures, { imageSize: 4 })
  assert.equal((await data.all(sample => bad.push(sample))).length, 2)
  assert.deepEqual(bad, [{ file: pictures, key: 'moves', reason: 'it is a clip of 2 frames, not a picture' }])
})

const reading3 = { imageSize: 16, frames: 3 } as const

test('a folder with a list of clips is that of the list, even with tars in it', async t => {
  const { folder } = await moving(t, 2, 1)
  await writeFile(join(folder, 'old.tar'), 'no tar')
  assert.ok((await openClips(folder, reading)) instanceof ClipDataset)
})

test('a split assigns whole shards', async t => {
  const { list } = await moving(t, 5, 5)
  const data = await ShardClipDataset.open(list, reading)
  const { train, validation } = data.split({ validation: 0.4, seed: 3 })
  assert.deepEqual([train.shards.length, validation.shards.length], [3, 2])
  assert.deepEqual([...train.shards, ...validation.shards].sort(), [...data.shards].sort())
  assert.deepEqual([train.imagesPerExample, (await validation.all()).length], [3, 2])
})

test('frames must be a positive integer', async t => {
  const { list } = await moving(t, 1, 1)
  for (const frames of [0, 1.5])
    await assert.rejects(openClips(list, { imageSize: 4, frames }), /frames must be a positive integer/)
})
