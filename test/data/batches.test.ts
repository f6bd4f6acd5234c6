import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { type Batch, BatchIterator, type BatchOptions } from '../../src/data/batches.ts'
import { ImageTextDataset } from '../../src/data/dataset.ts'
import { type ImageTextSource, selectExamples } from '../../src/data/image-text-source.ts'
import { encodePng } from '../../src/data/images/image.ts'
import { WordTokenizer } from '../../src/data/tokenizers/tokenizer.ts'
import { fc } from '../support.ts'
import { temporaryFolder } from './folder.ts'

const SIDE = 2

/** Images in memory: every pixel of image i is i / 255. */
function source(
  captions: readonly (readonly string[])[],
  image?: (i: number) => Promise<Float32Array>,
): ImageTextSource {
  return {
    length: captions.length,
    imageSize: SIDE,
    fingerprint: JSON.stringify(captions),
    captions: index => captions[index],
    name: index => `image ${index}`,
    image: image ?? (async index => new Float32Array(3 * SIDE * SIDE).fill(index / 255)),
  }
}

const numbered = (count: number) => source(Array.from({ length: count }, (_, i) => [`n ${i}`]))

function iterator(data: ImageTextSource, options: Partial<BatchOptions> & { batchSize: number }): BatchIterator {
  const captions = Array.from({ length: data.length }, (_, i) => data.captions(i)).flat()
  return new BatchIterator(data, WordTokenizer.fromCaptions(captions), { contextLength: 4, ...options })
}

async function take(batches: BatchIterator, count: number): Promise<Batch[]> {
  const taken: Batch[] = []
  while (taken.length < count) taken.push(await batches.next())
  return taken
}

test('a batch holds images, ids and captions of the same examples', async () => {
  const [batch] = await take(iterator(numbered(10), { batchSize: 4 }), 1)
  assert.deepEqual(batch.imageShape, [4, 3, SIDE, SIDE])
  assert.deepEqual(batch.tokenShape, [4, 4])
  const tokenizer = WordTokenizer.fromCaptions(Array.from({ length: 10 }, (_, i) => `n ${i}`))
  for (let i = 0; i < 4; i++) {
    assert.equal(batch.captions[i], `n ${batch.indices[i]}`)
    assert.equal(tokenizer.decode(batch.tokens.subarray(i * 4, i * 4 + 4)), batch.captions[i])
    assert.deepEqual(batch.images.subarray(i * 12, i * 12 + 12), new Float32Array(12).fill(batch.indices[i] / 255))
  }
})

test('an epoch contains every example once, in its own order', async () => {
  const batches = iterator(numbered(12), { batchSize: 5, dropLast: false, seed: 3 })
  assert.equal(batches.batchesPerEpoch, 3)
  const orders = []
  for (let epoch = 0; epoch < 3; epoch++) {
    const taken = await take(batches, 3)
    assert.deepEqual(
      taken.map(batch => [batch.epoch, batch.batch, batch.indices.length]),
      [
        [epoch, 0, 5],
        [epoch, 1, 5],
        [epoch, 2, 2],
      ],
    )
    const order = taken.flatMap(batch => [...batch.indices])
    assert.deepEqual(
      [...order].sort((a, b) => a - b),
      [...Array(12).keys()],
    )
    orders.push(order.join())
  }
  assert.equal(new Set(orders).size, 3)
})

test('an incomplete last batch is dropped, and without shuffling the order is that of the data', async () => {
  const batches = iterator(numbered(7), { batchSize: 3, shuffle: false })
  const taken = await take(batches, 3)
  assert.deepEqual(
    taken.map(batch => [...batch.indices]),
    [
      [0, 1, 2],
      [3, 4, 5],
      [0, 1, 2],
    ],
  )
})

test('an epoch is a function of the seed and the epoch number', async () => {
  const orderOf = async (seed: number, epoch: number) => {
    const order = []
    for await (const batch of iterator(numbered(20), { batchSize: 4, seed }).epoch(epoch)) order.push(...batch.indices)
    return order.join()
  }
  const streamed = await take(iterator(numbered(20), { batchSize: 4, seed: 5 }), 15)
  const third = streamed.slice(10).flatMap(batch => [...batch.indices])
  assert.equal(await orderOf(5, 2), third.join())
  assert.notEqual(await orderOf(6, 2), third.join())
  assert.notEqual(await orderOf(5, 1), third.join())
})

test('each of several captions is chosen in some epoch', async () => {
  const data = source(Array.from({ length: 30 }, (_, i) => [`a ${i}`, `b ${i}`, `c ${i}`]))
  const taken = await take(iterator(data, { batchSize: 30 }), 10)
  const counts = new Map<string, number>()
  for (const { captions, indices } of taken)
    for (const [i, caption] of captions.entries()) {
      assert.ok(data.captions(indices[i]).includes(caption))
      counts.set(caption[0], (counts.get(caption[0]) ?? 0) + 1)
    }
  for (const letter of 'abc') assert.ok(counts.get(letter)! > 60, `${letter}: ${counts.get(letter)}`)
})

test('with distinct captions no batch has two equal texts, and only the last batches are incomplete', async () => {
  const shape = fc.record({
    kinds: fc.array(fc.nat(12), { minLength: 1, maxLength: 60 }),
    batchSize: fc.integer({ min: 1, max: 6 }),
    seed: fc.nat(1000),
  })
  await fc.assert(
    fc.asyncProperty(shape, async ({ kinds, batchSize, seed }) => {
      const data = source(kinds.map((kind, i) => [i % 2 ? `Kind ${kind}` : `kind  ${kind}`]))
      const batches = iterator(data, { batchSize, seed, distinctCaptions: true, dropLast: false })
      const seen: number[] = []
      for await (const { captions, indices } of batches.epoch(1)) {
        const texts = captions.map(caption => caption.toLowerCase().replace('  ', ' '))
        assert.equal(new Set(texts).size, texts.length)
        assert.ok(texts.length >= 1 && texts.length <= batchSize)
        seen.push(...indices)
      }
      assert.deepEqual(
        seen.sort((a, b) => a - b),
        [...kinds.keys()],
      )
    }),
    { numRuns: 80 },
  )
})

test('a postponed example is the first of the next batch that can take it', async () => {
  const data = source([['a'], ['a'], ['b'], ['c'], ['d'], ['a']])
  const batches = iterator(data, { batchSize: 2, shuffle: false, distinctCaptions: true, dropLast: false })
  const taken = await take(batches, batches.batchesPerEpoch!)
  assert.deepEqual(
    taken.map(batch => [...batch.indices]),
    [
      [0, 2],
      [1, 3],
      [4, 5],
    ],
  )
})

const random = fc.record({
  count: fc.integer({ min: 4, max: 30 }),
  batchSize: fc.integer({ min: 1, max: 4 }),
  seed: fc.nat(99),
  distinctCaptions: fc.boolean(),
  dropLast: fc.boolean(),
  stopAfter: fc.nat(12),
})

test('a resumed run gets bitwise the same batches', async () => {
  await fc.assert(
    fc.asyncProperty(random, async ({ count, stopAfter, ...options }) => {
      const data = source(Array.from({ length: count }, (_, i) => [`k ${i % 7}`, `other ${i % 5}`]))
      const noise: BatchOptions['augment'] = (image, generator) => image.map(pixel => pixel + generator.uniform())
      const make = () =>
        iterator(data, { ...options, augment: noise, normalize: { mean: [0.5, 0.4, 0.3], std: [1, 2, 3] } })
      const through = await take(make(), stopAfter + 6)
      const stopped = make()
      await take(stopped, stopAfter)
      const state = JSON.parse(JSON.stringify(stopped.state))
      const resumed = make()
      await take(resumed, 1)
      resumed.restore(state)
      assert.deepEqual(await take(resumed, 6), through.slice(stopAfter))
      assert.deepEqual(await take(stopped, 6), through.slice(stopAfter))
    }),
    { numRuns: 40 },
  )
})

test('restoring a state of other data, another tokenizer or other options throws and names the difference', async () => {
  const data = numbered(8)
  const state = iterator(data, { batchSize: 4 }).state
  const refusal = (batches: BatchIterator, changed: object = {}) => {
    try {
      batches.restore({ ...state, ...changed })
      return 'restored'
    } catch (error) {
      assert.equal((error as Error).name, 'BatchError')
      return (error as Error).message
    }
  }
  const same = () => iterator(data, { batchSize: 4 })
  assert.equal(refusal(same()), 'restored')
  assert.match(refusal(iterator(data, { batchSize: 2 })), /has batchSize 4, but these batches have 2/)
  assert.match(refusal(iterator(data, { batchSize: 4, seed: 1 })), /has seed 0, but these batches have 1/)
  assert.match(refusal(iterator(data, { batchSize: 4, contextLength: 5 })), /has contextLength 4|other ids/)
  assert.match(refusal(iterator({ ...data, fingerprint: 'x' }, { batchSize: 4 })), /belongs to other data/)
  const others = new BatchIterator(data, WordTokenizer.fromCaptions(['n 3']), { batchSize: 4, contextLength: 4 })
  assert.match(refusal(others), /belongs to another tokenizer/)
  assert.match(refusal(same(), { batch: 2 }), /at batch 2 of epoch 0, which does not exist/)
  assert.match(refusal(same(), { epoch: -1 }), /of epoch -1/)
  assert.match(refusal(same(), { batch: 0.5 }), /batch 0.5/)
})

test('exactly one batch is decoded ahead, which does not change the state', async () => {
  const asked: number[] = []
  const data = source(
    Array.from({ length: 9 }, (_, i) => [`n ${i}`]),
    async index => {
      asked.push(index)
      return new Float32Array(12)
    },
  )
  const batches = iterator(data, { batchSize: 3, shuffle: false })
  assert.deepEqual(asked, [])
  await batches.next()
  await wait(5)
  assert.deepEqual(asked, [0, 1, 2, 3, 4, 5])
  assert.deepEqual([batches.state.epoch, batches.state.batch], [0, 1])
  await batches.next()
  await wait(5)
  assert.equal(asked.length, 9)
})

test('overlapping calls resolve in order', async () => {
  const batches = iterator(numbered(12), { batchSize: 2, shuffle: false })
  const taken = await Promise.all([batches.next(), batches.next(), batches.next()])
  assert.deepEqual(
    taken.map(batch => [...batch.indices]),
    [
      [0, 1],
      [2, 3],
      [4, 5],
    ],
  )
})

test('an image that cannot be read fails its own batch only, which can be tried again', async t => {
  const folder = await temporaryFolder(t)
  const names = [0, 1, 2, 3].map(i => `${i}.png`)
  for (const [i, name] of names.entries())
    await writeFile(join(folder, name), encodePng(new Uint8Array(12).fill(i), 2, 2))
  const lines = names.map((file, i) => JSON.stringify({ file, caption: `n ${i}` }))
  await writeFile(join(folder, 'captions.jsonl'), lines.join('\n'))
  const dataset = await ImageTextDataset.open(folder, { imageSize: SIDE })
  const last = join(folder, '3.png')
  const kept = await readFile(last)
  await writeFile(last, kept.subarray(0, 40))

  const batches = iterator(dataset, { batchSize: 2, shuffle: false })
  assert.deepEqual([...(await batches.next()).indices], [0, 1])
  const { state } = batches
  await wait(20)
  await assert.rejects(batches.next(), { name: 'ImageError', file: last })
  assert.deepEqual(batches.state, state)
  await writeFile(last, kept)
  assert.deepEqual([...(await batches.next()).indices], [2, 3])
})

test('a caption that is too long throws before training, and the error names its image', () => {
  const data = source([['a b'], ['a b', 'a b c']])
  assert.throws(() => iterator(data, { batchSize: 1 }), {
    name: 'TokenizerError',
    message: "image 1: caption 'a b c' takes 5 ids with start and end, and the context length is 4",
  })
  assert.doesNotThrow(() => iterator(data, { batchSize: 1, truncate: true }))
})

test('options that give no batch throw', () => {
  assert.throws(() => iterator(numbered(3), { batchSize: 0 }), /batchSize must be a positive integer, not 0/)
  assert.throws(
    () => iterator(numbered(3), { batchSize: 4 }),
    /3 examples do not fill a batch of 4: batchSize must be at most 3$/,
  )
  assert.throws(() => iterator(numbered(3), { batchSize: 1, seed: -1 }), /seed must be a non-negative integer, not -1/)
  const same = source([['a'], ['a'], ['a']])
  assert.throws(
    () => iterator(same, { batchSize: 2, distinctCaptions: true }),
    /do not fill a batch of 2 with distinct captions/,
  )
  assert.throws(() => iterator(source([['a'], []]), { batchSize: 1 }), /image 1: has no caption/)
})

test('an image of the wrong shape throws an error that names it', async () => {
  const data = source([['a'], ['b']], async () => new Float32Array(5))
  await assert.rejects(iterator(data, { batchSize: 2 }).next(), /image \d: has 5 values, but \[3, 2, 2\] has 12/)
})

test('data that has bytes makes the batches of the same data as numbers, to the bit, and is asked for numbers only by augment', async t => {
  const folder = await temporaryFolder(t)
  const names = ['a', 'b', 'c', 'd', 'e']
  for (const [i, name] of names.entries())
    await writeFile(
      join(folder, `${name}.png`),
      encodePng(
        Uint8Array.from({ length: 5 * 4 * 3 }, (_, at) => (at * 37 + i * 11) & 255),
        5,
        4,
      ),
    )
  await writeFile(
    join(folder, 'captions.jsonl'),
    names.map(name => JSON.stringify({ file: `${name}.png`, caption: name })).join('\n'),
  )
  const data = await ImageTextDataset.open(folder, { imageSize: 3 })
  const numbers: ImageTextSource = {
    ...source(names.map(name => [name])),
    imageSize: 3,
    image: (i, crop) => data.image(i, crop),
  }
  let asked = 0
  const bytes: ImageTextSource = {
    ...numbers,
    image: (i, crop) => {
      asked++
      return data.image(i, crop)
    },
    bytes: (i, crop) => data.bytes(i, crop),
  }
  const common = { batchSize: 2, seed: 3, crop: { scale: [0.5, 1] } as const }
  const scale = { mean: [0.5, 0.4, 0.3], std: [0.3, 0.2, 0.1] }
  const all = (data: ImageTextSource, options: Partial<BatchOptions>) =>
    take(iterator(data, { ...common, ...options }), 6)
  for (const [options, times] of [
    [{ normalize: scale }, 0],
    [{ normalize: scale, augment: (image: Float32Array) => image.map(x => 1 - x) }, 12],
    [{}, 24],
  ] as const) {
    const made = await all(bytes, options)
    assert.ok(asked >= times && (times > 0 || asked === 0), `asked ${asked} times for numbers`)
    assert.deepEqual(
      made.map(({ images }) => images),
      (await all(numbers, options)).map(({ images }) => images),
    )
  }
  // and a part of it too
  assert.deepEqual(await selectExamples(bytes, [2, 0]).bytes!(1), await data.bytes(0))
})
