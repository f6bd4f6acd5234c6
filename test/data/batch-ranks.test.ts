// Batches of several processes: together they are those of one process, whichever samples cannot be read, and each process reads only
// its own pictures.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  type Augmentation,
  type Batch,
  BatchIterator,
  type BatchOptions,
  type BatchRanks,
} from '../../src/data/batches.ts'
import type { BadSample, ImageTextSource } from '../../src/data/image-text-source.ts'
import { ShardDataset } from '../../src/data/shards/shard-dataset.ts'
import { WordTokenizer } from '../../src/data/tokenizers/tokenizer.ts'
import { equalRows } from '../../src/evaluate/inputs.ts'
import { DataError, ImageError } from '../../src/io/index.ts'
import { fc } from '../support.ts'
import { temporaryFolder } from './folder.ts'
import { greys, writeTar } from './shards/make.ts'

const SIDE = 2

/** Processes in this one, which wait for each other. */
function processes(size: number): BatchRanks[] {
  const rounds: { readonly texts: string[]; readonly all: PromiseWithResolvers<string[]> }[] = []
  return Array.from({ length: size }, (_, rank) => {
    let round = 0
    return {
      rank,
      size,
      allGatherText(own) {
        rounds[round] ??= { texts: [], all: withResolvers() }
        const { texts, all } = rounds[round++]
        texts[rank] = own
        if (texts.filter(text => text !== undefined).length === size) all.resolve(texts)
        return all.promise
      },
    }
  })
}

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
}

function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve!: (value: T) => void
  const promise = new Promise<T>(done => {
    resolve = done
  })
  return { promise, resolve }
}

/** Images in memory, of which some are broken; `read` has the numbers of those that were read. */
function source(count: number, captions: number, broken: ReadonlySet<number>) {
  const read: number[] = []
  const data: ImageTextSource = {
    length: count,
    imageSize: SIDE,
    fingerprint: 'numbered',
    captions: index => [`n ${index % captions}`],
    labels: index => [`${index % 3}`],
    name: index => `image ${index}`,
    async image(index, crop) {
      read.push(index)
      // in another order than they were asked for
      for (let i = 0; i < (index * 7) % 5; i++) await undefined
      if (broken.has(index)) throw new ImageError('is broken', { file: `image ${index}` })
      return new Float32Array(3 * SIDE * SIDE).fill(index / 255 + (crop ? (crop.seed % 97) / 1000 : 0))
    },
  }
  return { data, read }
}

/** The batches of a number of processes, taken in turn, and what they reported. */
async function taken(
  count: number,
  data: () => ReturnType<typeof source>,
  options: BatchOptions,
  ranks: readonly (BatchRanks | undefined)[],
) {
  return Promise.all(
    ranks.map(async own => {
      const bad: BadSample[] = []
      const { data: mine, read } = data()
      const tokenizer = WordTokenizer.fromCaptions(Array.from({ length: mine.length }, (_, i) => mine.captions(i)[0]))
      const told = options.onBadSample && { onBadSample: (sample: BadSample) => void bad.push(sample) }
      const iterator = new BatchIterator(mine, tokenizer, { contextLength: 4, ...options, ...told, ranks: own })
      const batches: Batch[] = []
      while (batches.length < count) batches.push(await iterator.next())
      return { batches, bad, read, state: iterator.state }
    }),
  )
}

const joined = (parts: readonly (Float32Array | Int32Array)[]): number[] => parts.flatMap(part => [...part])

/** How many batches, of how many examples, by how many processes, with how many different captions, and which images are broken. */
const cases = fc
  .record({
    ranks: fc.integer({ min: 2, max: 4 }),
    size: fc.integer({ min: 4, max: 7 }),
    captions: fc.integer({ min: 8, max: 30 }),
    distinctCaptions: fc.boolean(),
    seed: fc.nat(100),
    broken: fc.uniqueArray(fc.nat(29), { maxLength: 8 }),
    ahead: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ broken, ...others }) => ({ ...others, broken: new Set(broken) }))

test('the parts of several processes are the batches of one, whichever images are broken', () =>
  fc.assert(
    fc.asyncProperty(cases, async ({ ranks, size, captions, broken, ...options }) => {
      const augment: Augmentation = (image, generator) => image.map(x => x + generator.uniform())
      const all = { batchSize: size, crop: { scale: [0.8, 1] as const }, augment, onBadSample: () => {}, ...options }
      const data = () => source(30, captions, broken)
      const [one] = await taken(6, data, all, [undefined])
      const parts = await taken(6, data, all, processes(ranks))
      for (const [i, whole] of one.batches.entries()) {
        const own = parts.map(({ batches }) => batches[i])
        assert.deepEqual(joined(own.map(({ images }) => images)), joined([whole.images]))
        assert.deepEqual(joined(own.map(({ tokens }) => tokens)), joined([whole.tokens]))
        assert.deepEqual(joined(own.map(({ indices }) => indices)), joined([whole.indices]))
        assert.deepEqual(joined(own.map(({ groups }) => groups!)), joined([equalRows(whole.tokens, whole.tokenShape)]))
        assert.deepEqual(
          own.flatMap(({ captions }) => captions),
          whole.captions,
        )
        assert.deepEqual(
          own.flatMap(({ labels }) => labels),
          whole.labels,
        )
        assert.equal(
          own.reduce((sum, { imageShape }) => sum + imageShape[0], 0),
          size,
        )
      }
      // one process reports what it finds in advance, so one of a group of one is compared
      const [single] = await taken(6, data, all, processes(1))
      for (const { bad, state } of parts) {
        assert.deepEqual(bad, single.bad)
        assert.deepEqual(state, one.state)
      }
    }),
  ))

test('every process reads only the images of its own examples', async () => {
  const data = () => source(24, 24, new Set<number>())
  const parts = await taken(4, data, { batchSize: 6, ahead: 1 }, processes(3))
  const read = parts.map(({ read }) => read)
  assert.equal(new Set(read.flat()).size, 24)
  for (const own of read) assert.ok(own.length <= 2 * 6, `${own.length} images`)
  const shared = read[0].filter(index => read[1].includes(index))
  // an image of another epoch, which was read in advance
  assert.ok(shared.length <= 2, `${shared}`)
})

test('without onBadSample all processes throw the error of the first broken image', async () => {
  const data = () => source(9, 9, new Set([2, 7]))
  const options = { batchSize: 9, shuffle: false }
  const failures = await Promise.all(
    processes(3).map(async own => {
      const { data: mine } = data()
      const iterator = new BatchIterator(mine, undefined, { ...options, ranks: own })
      return iterator.next().then(
        () => assert.fail('a batch'),
        error => error,
      )
    }),
  )
  for (const error of failures) {
    assert.ok(error instanceof DataError)
    assert.equal(error.message, 'image 2: is broken')
  }
})

test('a batch with fewer examples than processes is refused', async () => {
  const { data } = source(9, 9, new Set())
  const [own] = processes(3)
  const batches = new BatchIterator(data, undefined, { batchSize: 2, ranks: own })
  await assert.rejects(batches.next(), {
    name: 'RangeError',
    message: /a batch of 2 examples has none for some of 3 ranks/,
  })
})

test('processes take the samples of shards that one process takes, and another number of them goes on', async t => {
  const folder = await temporaryFolder(t)
  for (const [i, size] of [5, 7, 6].entries()) await writeTar(join(folder, `${i}.tar`), greys(10 * i, size))
  const tokenizer = WordTokenizer.fromCaptions(Array.from({ length: 30 }, (_, i) => `grey ${i}`))
  const make = async (ranks?: BatchRanks) =>
    new BatchIterator(await ShardDataset.open(folder, { imageSize: SIDE, window: 2 }), tokenizer, {
      ...{ batchSize: 4, contextLength: 4, seed: 2, ranks },
    })
  const take = async (iterator: BatchIterator, count: number) => {
    const batches: Batch[] = []
    while (batches.length < count) batches.push(await iterator.next())
    return batches
  }
  const whole = await take(await make(), 9)
  const three = await Promise.all(processes(3).map(make))
  const first = await Promise.all(three.map(iterator => take(iterator, 5)))
  const two = await Promise.all(processes(2).map(make))
  for (const iterator of two) iterator.restore(JSON.parse(JSON.stringify(three[1].state)))
  const second = await Promise.all(two.map(iterator => take(iterator, 4)))
  for (const [i, { images, captions }] of whole.entries()) {
    const parts = i < 5 ? first.map(batches => batches[i]) : second.map(batches => batches[i - 5])
    assert.deepEqual(
      parts.flatMap(part => part.captions),
      captions,
    )
    assert.deepEqual(joined(parts.map(part => part.images)), joined([images]))
  }
})
