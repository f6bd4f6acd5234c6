// Batches of examples with several images each: their shape, the same changes to all images of an example, and resuming.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RandomCrop } from '../../src/data/index.ts'
import {
  type BadSample,
  BatchIterator,
  type ImageTextSource,
  type MultiImageSource,
  selectExamples,
  WordTokenizer,
} from '../../src/data/index.ts'
import { BatchError, DataError } from '../../src/io/index.ts'

const SIDE = 2
const SIZE = 3 * SIDE * SIDE

/** Ten examples: image k of example i is filled with (10 i + k) / 1000. */
class Numbered implements MultiImageSource {
  readonly length = 10
  readonly imageSize = SIDE
  readonly fingerprint = 'numbered'
  readonly imagesPerExample: number
  readonly crops: (RandomCrop | undefined)[] = []
  readonly broken: readonly number[]

  constructor(imagesPerExample: number, broken: readonly number[] = []) {
    this.imagesPerExample = imagesPerExample
    this.broken = broken
  }

  captions(index: number): readonly string[] {
    return [`example ${index % 5}`]
  }

  labels(index: number): readonly string[] {
    return [index % 2 === 0 ? 'even' : 'odd']
  }

  name(index: number): string {
    return `number ${index}`
  }

  async images(index: number, crop?: RandomCrop): Promise<Float32Array> {
    this.crops.push(crop)
    if (this.broken.includes(index)) throw new DataError('is broken', { file: this.name(index) })
    const pixels = new Float32Array(this.imagesPerExample * SIZE)
    for (let k = 0; k < this.imagesPerExample; k++) pixels.fill((10 * index + k) / 1000, k * SIZE, (k + 1) * SIZE)
    return pixels
  }
}

/** The numbers of the images of a batch. */
const numbersOf = (images: Float32Array): number[] =>
  Array.from({ length: images.length / SIZE }, (_, i) => Math.round(1000 * images[i * SIZE]))

test('a batch has the images of an example in order, its caption and its labels', async () => {
  const source = new Numbered(3)
  const tokenizer = WordTokenizer.fromCaptions(Array.from({ length: 10 }, (_, i) => source.captions(i)[0]))
  for (const [words, contextLength] of [
    [tokenizer, 5],
    [undefined, 0],
  ] as const) {
    const batch = await new BatchIterator(source, words, { batchSize: 4, contextLength, seed: 2 }).next()
    assert.deepEqual(batch.imageShape, [4, 3, 3, SIDE, SIDE])
    assert.deepEqual([batch.tokenShape, batch.tokens.length], [[4, contextLength], 4 * contextLength])
    assert.deepEqual(
      numbersOf(batch.images),
      [...batch.indices].flatMap(index => [0, 1, 2].map(k => 10 * index + k)),
    )
    assert.deepEqual(
      batch.labels,
      [...batch.indices].map(index => source.labels(index)),
    )
    assert.deepEqual(
      batch.captions,
      [...batch.indices].map(index => source.captions(index)[0]),
    )
  }
})

test('an example of one image of several has an axis for it', async () => {
  const batch = await new BatchIterator(new Numbered(1), undefined, { batchSize: 2 }).next()
  assert.deepEqual(batch.imageShape, [2, 1, 3, SIDE, SIDE])
})

test('all images of an example are changed alike, and those of others in another way', async () => {
  const source = new Numbered(3)
  const factors: number[] = []
  const options = {
    batchSize: 4,
    crop: { scale: [0.5, 1] as const },
    augment: (image: Float32Array, generator: { uniform(): number }) => {
      assert.equal(image.length, SIZE)
      const factor = generator.uniform()
      factors.push(factor)
      return image.map(x => x * factor)
    },
    normalize: { mean: [0, 0, 0.5], std: [1, 1, 2] },
    ahead: 1,
  }
  const { images, indices } = await new BatchIterator(source, undefined, options).next()
  for (const [i, index] of [...indices].entries()) {
    const at = (k: number, channel: number) => images[(i * 3 + k) * SIZE + channel * SIDE * SIDE]
    const factor = at(1, 0) / ((10 * index + 1) / 1000)
    for (const k of [0, 1, 2]) {
      const value = (factor * (10 * index + k)) / 1000
      assert.ok(Math.abs(at(k, 0) - value) < 1e-6)
      assert.ok(Math.abs(at(k, 2) - (value - 0.5) / 2) < 1e-6)
    }
  }
  assert.equal(new Set(factors.slice(0, 12)).size, 4)
  assert.equal(new Set(source.crops.slice(0, 4).map(crop => crop?.seed)).size, 4)
})

test('a resumed iterator gives the same batches, and another number of images is an error', async () => {
  const open = () => new BatchIterator(new Numbered(2), undefined, { batchSize: 3, seed: 5 })
  const whole = open()
  await whole.next()
  const { state } = whole
  assert.equal(state.imagesPerExample, 2)
  const resumed = open()
  resumed.restore(JSON.parse(JSON.stringify(state)))
  for (let i = 0; i < 5; i++) assert.deepEqual(await resumed.next(), await whole.next())
  const other = new BatchIterator(new Numbered(3), undefined, { batchSize: 3, seed: 5 })
  assert.throws(
    () => other.restore(state),
    (error: unknown) =>
      error instanceof BatchError && /has imagesPerExample 2, but these batches have 3/.test(error.message),
  )
})

test('an example with an image that cannot be read is replaced, if that is allowed', async () => {
  const bad: BadSample[] = []
  const source = new Numbered(2, [3])
  const options = { batchSize: 10, shuffle: false, dropLast: false }
  await assert.rejects(new BatchIterator(source, undefined, options).next(), { name: 'DataError', file: 'number 3' })
  const few = selectExamples(source, [0, 3, 5, 6])
  const told = { ...options, batchSize: 2, onBadSample: (sample: BadSample) => bad.push(sample) }
  const { indices, images } = await new BatchIterator(few, undefined, told).next()
  assert.deepEqual(bad, [{ file: 'number 3', reason: 'is broken' }])
  assert.ok(indices[0] === 0 && indices[1] > 1)
  assert.deepEqual(numbersOf(images).slice(2), indices[1] === 2 ? [50, 51] : [60, 61])
})

test('images of another size are an error that says the shape', async () => {
  const source = new Numbered(2)
  source.images = async () => new Float32Array(SIZE)
  await assert.rejects(
    new BatchIterator(source, undefined, { batchSize: 1 }).next(),
    /has 12 values, but \[2, 3, 2, 2\] has 24/,
  )
})

test('chosen examples keep what the source says about them', async () => {
  const source = new Numbered(2)
  const some = selectExamples(source, [7, 2], 'two of them')
  assert.deepEqual([some.length, some.imagesPerExample, some.fingerprint], [2, 2, 'two of them'])
  assert.deepEqual([some.name(0), some.captions(1), some.labels?.(0)], ['number 7', ['example 2'], ['odd']])
  assert.deepEqual(numbersOf(await some.images(1)), [20, 21])
  const single: ImageTextSource = {
    length: 3,
    imageSize: SIDE,
    fingerprint: 'single',
    captions: index => [`${index}`],
    name: index => `${index}`,
    place: index => ({ file: 'a.tar', key: `${index}` }),
    image: async index => new Float32Array(SIZE).fill(index / 1000),
  }
  const last = selectExamples(single, [2])
  assert.deepEqual([last.fingerprint, last.labels, last.place?.(0)], ['single', undefined, { file: 'a.tar', key: '2' }])
  assert.deepEqual(numbersOf(await last.image(0)), [2])
})
