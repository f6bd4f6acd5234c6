// Labels in shards: where they are read from, and the classes of data that are not all known.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import {
  type BadSample,
  BatchIterator,
  openAnyData,
  openClips,
  openData,
  ShardDataset,
} from '../../../src/data/index.ts'
import { indexShard } from '../../../src/data/shards/shard-index.ts'
import { temporaryFolder } from '../folder.ts'
import { grey, greyClip, type Members, writeTar } from './make.ts'

/** A picture with other files by their endings. */
const picture = (key: string, files: Readonly<Record<string, string>>): Members => [
  [`${key}.png`, grey(1)],
  ...Object.entries(files).map(([ending, content]) => [`${key}.${ending}`, content] as const),
]

/** Shards with these members, as a list in braces. */
async function shardsOf(t: TestContext, ...shards: readonly Members[]): Promise<string> {
  const folder = await temporaryFolder(t)
  for (const [i, members] of shards.entries()) await writeTar(join(folder, `${i}.tar`), members)
  return join(folder, shards.length === 1 ? '0.tar' : `{0..${shards.length - 1}}.tar`)
}

async function index(t: TestContext, labels: boolean | 'optional', ...samples: readonly Members[]) {
  const { samples: found, bad } = await indexShard(await shardsOf(t, samples.flat()), { labels })
  return {
    found: found.map(({ key, captions, labels: own }) => [key, captions, own]),
    reasons: bad.map(({ key, reason }) => [key, reason]),
  }
}

const animals = [
  picture('a', { cls: 'cat\n' }),
  picture('b', { txt: 'a dog', cls: '7' }),
  picture('c', { json: '{"label": "fox"}' }),
  picture('d', { json: '{"labels": ["dog", 3, "dog"], "caption": "two"}' }),
  picture('e', { json: '{"label": 7}', cls: '7', txt: 'seven' }),
]

test('labels are those of a .cls or of label or labels in a .json, and captions where there are none', async t => {
  const { found, reasons } = await index(t, true, ...animals)
  assert.deepEqual(found, [
    ['a', ['cat'], ['cat']],
    ['b', ['a dog'], ['7']],
    ['c', ['fox'], ['fox']],
    ['d', ['two'], ['dog', '3']],
    ['e', ['seven'], ['7']],
  ])
  assert.deepEqual(reasons, [])
})

test('without labels, a .cls is ignored', async t => {
  const { found, reasons } = await index(t, false, ...animals)
  assert.deepEqual(found, [
    ['b', ['a dog'], undefined],
    ['d', ['two'], undefined],
    ['e', ['seven'], undefined],
  ])
  assert.deepEqual(reasons, [
    ['a', 'it has no text'],
    ['c', "its .json file has no 'caption'"],
  ])
})

const odd = [
  picture('none', { txt: 'words' }),
  picture('box', { txt: 'words', json: '{"labels": [{"box": 1}]}' }),
  picture('twice', { txt: 'words', json: '{"label": "a", "labels": ["b"]}' }),
]
const wrong = [
  picture('differs', { cls: 'cat', json: '{"label": "dog"}' }),
  picture('empty', { cls: ' \n' }),
  picture('lines', { cls: 'cat\ndog' }),
  [['alone.cls', 'cat']] as const,
]
const wrongReasons = [
  ['differs', "its .cls file says 'cat' and its .json file 'dog'"],
  ['empty', 'its .cls file is empty'],
  ['lines', 'its .cls file has several lines, where one class is expected'],
  ['alone', 'it has no image'],
]

test('a sample without a label, or with a wrong one, cannot be used', async t => {
  const { found, reasons } = await index(t, true, ...odd, ...wrong)
  assert.deepEqual(found, [])
  assert.deepEqual(reasons, [
    ['none', "it has no label: neither a .cls file nor a 'label' in a .json file"],
    ['box', `its .json file is wrong: 'labels' is {"box":1}, neither text nor a whole number`],
    ['twice', "its .json file is wrong: has both 'label' and 'labels': use one of them"],
    ...wrongReasons,
  ])
})

test('optional labels may be missing', async t => {
  const { found, reasons } = await index(t, 'optional', ...odd, ...wrong, animals[2])
  assert.deepEqual(found, [
    ['none', ['words'], undefined],
    ['box', ['words'], undefined],
    ['twice', ['words'], undefined],
    ['c', ['fox'], ['fox']],
  ])
  assert.deepEqual(reasons, wrongReasons)
})

test('the classes of shards are found in all of them, also by a part of a split', async t => {
  const list = await shardsOf(
    t,
    animals.slice(0, 2).flat(),
    animals.slice(2, 4).flat(),
    [...animals[4]],
    [...picture('f', { cls: '10' }), ...picture('g', { txt: 'no label' })],
  )
  const data = await openData(list, { imageSize: 2, labels: true, threads: 2 })
  assert.ok(data instanceof ShardDataset)
  assert.deepEqual(data.classes, [])
  const { train, validation } = data.split({ validation: 0.5, seed: 1 })
  const listed: number[][] = []
  const classes = await train.readClasses({ onShard: (...progress) => listed.push(progress) })
  assert.deepEqual(classes, ['3', '7', '10', 'cat', 'dog', 'fox'])
  assert.deepEqual(listed, [
    [1, 4],
    [2, 4],
    [3, 4],
    [4, 4],
  ])
  for (const part of [data, train, validation]) assert.deepEqual(part.classes, classes)
  assert.equal((await train.count()) + (await validation.count()), 6)
  assert.deepEqual(await validation.readClasses({ onShard: () => assert.fail('all shards are known') }), classes)
})

test('batches of shards have labels', async t => {
  const list = await shardsOf(t, animals.slice(0, 2).flat(), animals.slice(2).flat())
  const data = await openData(list, { imageSize: 2, labels: true })
  const batch = await new BatchIterator(data, undefined, { batchSize: 5, shuffle: false }).next()
  assert.deepEqual(batch.labels, [['cat'], ['7'], ['fox'], ['dog', '3'], ['7']])
  const plain = await openData(list, { imageSize: 2 })
  const without = new BatchIterator(plain, undefined, { batchSize: 3, onBadSample: () => {} })
  assert.ok(!('labels' in (await without.next())))
})

test('a sample of a class that is not among the given ones cannot be used', async t => {
  const list = await shardsOf(t, animals.flat())
  const options = { imageSize: 2, labels: true, classes: ['fox', 'cat', '7'] } as const
  const data = await openData(list, options)
  assert.ok(data instanceof ShardDataset)
  assert.deepEqual([data.classes, await data.readClasses()], [options.classes, options.classes])
  const bad: BadSample[] = []
  const source = await data.all(sample => bad.push(sample))
  assert.equal(source.length, 4)
  assert.deepEqual(
    bad.map(({ key, reason }) => [key, reason]),
    [['d', "its label 'dog' is not one of the 3 classes"]],
  )
  const others = await openData(list, { ...options, classes: ['fox', 'cat'] })
  assert.notEqual(others.fingerprint, data.fingerprint)
  await assert.rejects(openData(list, { ...options, labels: false }), /classes are given, but labels are not read/)
  const folder = join(list, '..')
  await assert.rejects(openData(join(folder, 'captions.csv'), options), /is not a list of tars.*leave out classes/)
})

test('shards without labels have no classes', async t => {
  const list = await shardsOf(t, picture('a', { txt: 'words' }), picture('b', { txt: 'words' }))
  const data = await openData(list, { imageSize: 2, labels: true })
  assert.ok(data instanceof ShardDataset)
  await assert.rejects(data.readClasses(), /0\.tar: has no labels: no sample in it nor in the other shards has a \.cls/)
  const plain = await ShardDataset.open(list, { imageSize: 2 })
  await assert.rejects(plain.readClasses(), /was opened without labels: write labels: true/)
})

test('any data in shards have the labels that there are', async t => {
  const some = await shardsOf(t, [...animals[0], ...picture('z', { txt: 'words' })])
  const data = await openAnyData(some, { imageSize: 2 })
  assert.deepEqual([data.labels?.(0), data.labels?.(1)], [['cat'], []])
  const none = await openAnyData(await shardsOf(t, picture('z', { txt: 'words' })), { imageSize: 2 })
  assert.equal(none.labels, undefined)
})

test('clips have labels, too', async t => {
  const members = [...greyClip('a', 1, 2, { cls: 'up' }), ...greyClip('b', 1, 2, { json: '{"label": "down"}' })]
  const data = await openClips(await shardsOf(t, members), { imageSize: 2, frames: 2, labels: true })
  const batch = await new BatchIterator(data, undefined, { batchSize: 2, shuffle: false }).next()
  assert.deepEqual(
    [batch.labels, batch.captions],
    [
      [['up'], ['down']],
      ['up', 'down'],
    ],
  )
})
