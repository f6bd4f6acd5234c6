import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Batch, BatchIterator, type BatchOptions } from '../../../src/data/batches.ts'
import type { BadSample } from '../../../src/data/image-text-source.ts'
import { openData } from '../../../src/data/open-data.ts'
import { ShardDataset } from '../../../src/data/shards/shard-dataset.ts'
import { WordTokenizer } from '../../../src/data/tokenizers/tokenizer.ts'
import { fc } from '../../support.ts'
import { temporaryFolder } from '../folder.ts'
import { greys, writeTar } from './make.ts'

/** So many shards with so many samples each, numbered on. */
async function shardsOf(t: TestContext, sizes: readonly number[]): Promise<string> {
  const folder = await temporaryFolder(t)
  let first = 0
  for (const [i, size] of sizes.entries()) {
    await writeTar(join(folder, `${String(i).padStart(2, '0')}.tar`), greys(first, size))
    first += size
  }
  return `${folder}/{00..${String(sizes.length - 1).padStart(2, '0')}}.tar`
}

const tokenizer = WordTokenizer.fromCaptions(Array.from({ length: 60 }, (_, i) => `grey ${i}`))

const iterator = (data: ShardDataset, options: Partial<BatchOptions> = {}) =>
  new BatchIterator(data, tokenizer, { batchSize: 3, contextLength: 4, ...options })

async function take(batches: BatchIterator, count: number): Promise<Batch[]> {
  const taken: Batch[] = []
  while (taken.length < count) taken.push(await batches.next())
  return taken
}

const captionsOf = (batches: readonly Batch[]) => batches.flatMap(batch => batch.captions)

test('an epoch contains every sample once, with its caption, and the next epoch has another order', async t => {
  const data = await ShardDataset.open(await shardsOf(t, [6, 3, 9]), { imageSize: 2, window: 2 })
  assert.equal(data.windows, 2)
  const batches = iterator(data, { seed: 1 })
  const epochs = [await take(batches, 6), await take(batches, 6)].map(captionsOf)
  for (const captions of epochs)
    assert.deepEqual([...captions].sort(), Array.from({ length: 18 }, (_, i) => `grey ${i}`).sort())
  assert.notDeepEqual(epochs[0], epochs[1])
  const [batch] = await take(batches, 1)
  for (const [i, caption] of batch.captions.entries())
    assert.equal(batch.images[i * 12], Math.fround(Number(caption.slice(5)) / 255))
})

test('a resumed run gets exactly the same samples', async t => {
  const list = await shardsOf(t, [5, 4, 8, 3, 7, 4])
  const cases = fc.record({
    window: fc.integer({ min: 1, max: 7 }),
    seed: fc.nat(99),
    stopAfter: fc.nat(20),
    ahead: fc.integer({ min: 1, max: 3 }),
    shuffle: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(cases, async ({ window, stopAfter, ...options }) => {
      const make = async () => iterator(await ShardDataset.open(list, { imageSize: 2, window }), options)
      const through = await take(await make(), stopAfter + 8)
      const stopped = await make()
      await take(stopped, stopAfter)
      const resumed = await make()
      resumed.restore(JSON.parse(JSON.stringify(stopped.state)))
      assert.deepEqual(await take(resumed, 8), through.slice(stopAfter))
    }),
    { numRuns: 25 },
  )
})

test('decoding on threads gives the same batches', async t => {
  const list = await shardsOf(t, [6, 6])
  const [alone, threaded] = await Promise.all(
    [0, 2].map(async threads => iterator(await ShardDataset.open(list, { imageSize: 2, threads }), { ahead: 2 })),
  )
  assert.deepEqual(await take(threaded, 6), await take(alone, 6))
})

test('a sample that cannot be read is replaced by another, the same at every attempt', async t => {
  const list = await shardsOf(t, [6, 6])
  const broken = join(list.replace('{00..01}.tar', ''), '01.tar')
  await writeTar(
    broken,
    greys(6, 6).map(([name, content]) => [name, name === '0008.png' ? 'no picture' : content]),
  )
  const seen = async () => {
    const bad: BadSample[] = []
    const data = await ShardDataset.open(list, { imageSize: 2 })
    const captions = captionsOf(await take(iterator(data, { onBadSample: sample => bad.push(sample) }), 4))
    return { bad: bad.slice(0, 1), captions }
  }
  const { bad, captions } = await seen()
  assert.deepEqual(bad, [{ file: broken, key: '0008', reason: 'is no PNG, JPEG, WebP, GIF, AVIF or TIFF' }])
  assert.equal(captions.length, 12)
  assert.ok(!captions.includes('grey 8'), 'the broken one is left out')
  for (let start = 0; start < 12; start += 3) assert.equal(new Set(captions.slice(start, start + 3)).size, 3)
  assert.deepEqual(await seen(), { bad, captions })
  const strict = iterator(await ShardDataset.open(list, { imageSize: 2 }))
  await assert.rejects(take(strict, 4), { name: 'ImageError', message: /01\.tar: 0008: is no PNG/ })
})

test('invalid samples and captions that are too long are reported to onBadSample or throw', async t => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'a.tar')
  await writeTar(path, [...greys(0, 5), ['lonely.png', 'x'], ['long.png', 'x'], ['long.txt', 'grey 1 grey 2 grey 3']])
  const bad: BadSample[] = []
  const data = await ShardDataset.open(path, { imageSize: 2 })
  await take(iterator(data, { onBadSample: sample => bad.push(sample) }), 1)
  assert.deepEqual(
    bad.slice(0, 2).map(({ key, reason }) => [key, reason.replace(/'.*'/, '…')]),
    [
      ['lonely', 'it has no text'],
      ['long', 'caption … takes 8 ids with start and end, and the context length is 4'],
    ],
  )
  await assert.rejects(
    iterator(await ShardDataset.open(path, { imageSize: 2 })).next(),
    /a\.tar: lonely: it has no text/,
  )
})

test('a batch throws if no sample can be read', async t => {
  const path = join(await temporaryFolder(t), 'a.tar')
  await writeTar(
    path,
    greys(0, 6).map(([name, content]) => [name, name.endsWith('png') ? 'x' : content]),
  )
  const batches = iterator(await ShardDataset.open(path, { imageSize: 2 }), { onBadSample: () => {} })
  await assert.rejects(batches.next(), /no replacement was found in 100 attempts/)
  const few = iterator(await ShardDataset.open(path, { imageSize: 2 }), { batchSize: 7 })
  await assert.rejects(few.next(), /do not fill a batch of 7/)
})

test('samples can be read from the position of an interruption', async t => {
  const list = await shardsOf(t, [3, 2, 4])
  const data = await ShardDataset.open(list, { imageSize: 2 })
  const names = async (from?: number) => {
    const found: string[] = []
    for await (const sample of data.samples({ from })) {
      assert.equal((await sample.image())[0], Math.fround(Number(sample.captions[0].slice(5)) / 255))
      found.push(sample.name)
    }
    return found
  }
  const all = await names()
  assert.equal(all.length, 9)
  for (const from of [0, 2, 3, 4, 9]) assert.deepEqual(await names(from), all.slice(from))
  assert.equal(await data.count(), 9)
})

test('a list in braces, a tar and a folder of tars open as shards', async t => {
  const list = await shardsOf(t, [2, 2])
  const folder = list.replace('/{00..01}.tar', '')
  for (const [path, count] of [
    [list, 2],
    [join(folder, '00.tar'), 1],
    [folder, 2],
  ] as const) {
    const data = await openData(path, { imageSize: 2 })
    assert.ok(data instanceof ShardDataset, path)
    assert.equal(data.shards.length, count)
  }
  await assert.rejects(openData(`${folder}/{00..02}.tar`, { imageSize: 2 }), {
    name: 'FileError',
    message: /02\.tar: does not/,
  })
  await writeFile(join(folder, 'captions.csv'), 'file,caption\n00.tar,a tar')
  assert.ok(!((await openData(folder, { imageSize: 2 })) instanceof ShardDataset), 'a caption file goes first')
})

test('a split assigns whole shards, by its seed', async t => {
  const data = await ShardDataset.open(await shardsOf(t, [1, 1, 1, 1, 1]), { imageSize: 2 })
  const { train, validation } = data.split({ validation: 0.4, seed: 3 })
  assert.deepEqual([train.shards.length, validation.shards.length], [3, 2])
  assert.deepEqual([...train.shards, ...validation.shards].sort(), [...data.shards].sort())
  assert.equal((await validation.all()).length, 2)
  assert.throws(() => data.split({ validation: 0.95 }), /0\.95 of 5 shards for validation leaves one part empty/)
})
