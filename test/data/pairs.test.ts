// Images and captions in memory as data for batches.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BatchIterator, ImageTextPairs, WordTokenizer } from '../../src/data/index.ts'

const grey = (value: number, side = 4) => ({ width: side, height: side, data: new Uint8Array(side * side).fill(value) })
const pairs = [
  { image: grey(0), caption: 'black', labels: ['dark'] },
  { image: grey(255, 7), caption: ['white', 'bright '], labels: ['light'], name: 'white.png' },
  { image: grey(51), caption: 'grey', labels: ['dark', 'grey'] },
]

describe('ImageTextPairs', () => {
  test('has images, captions and labels', async () => {
    const data = new ImageTextPairs(pairs, { imageSize: [2, 3], channels: 1 })
    assert.equal(data.length, 3)
    assert.deepEqual(await data.image(2), new Float32Array(6).fill(51 / 255))
    assert.deepEqual(await data.image(1), new Float32Array(6).fill(1))
    assert.deepEqual(data.captions(1), ['white', 'bright'])
    assert.deepEqual(
      [data.labels!(2), data.classes],
      [
        ['dark', 'grey'],
        ['dark', 'grey', 'light'],
      ],
    )
    assert.deepEqual([data.name(0), data.name(1)], ['pair 0', 'white.png'])
  })

  test('an image may be changed without changing the next one', async () => {
    const data = new ImageTextPairs(pairs, { imageSize: 2 })
    ;(await data.image(0)).fill(1)
    assert.deepEqual(await data.image(0), new Float32Array(12))
  })

  test('a crop is of the picture itself, not of the scaled one', async () => {
    const wide = { width: 8, height: 4, data: Uint8Array.from({ length: 32 }, (_, i) => (i % 8) * 30) }
    const data = new ImageTextPairs([{ image: wide, caption: 'a ramp' }], { imageSize: 4, channels: 1 })
    const whole = await data.image(0)
    const crop = { scale: [0.1, 0.3], seed: 1 } as const
    assert.notDeepEqual(await data.image(0, crop), whole)
    assert.deepEqual(await data.image(0, crop), await data.image(0, crop))
    assert.deepEqual(await data.image(0), whole)
  })

  test('the fingerprint depends on captions, labels and names', () => {
    const of = (change: object) =>
      new ImageTextPairs([{ ...pairs[0], ...change }, ...pairs.slice(1)], { imageSize: 2 }).fingerprint
    const changes = [{}, { caption: 'night' }, { labels: ['night'] }, { name: 'night.png' }]
    assert.equal(new Set(changes.map(of)).size, 4)
    assert.equal(of({}), of({ image: grey(9) }), 'pixels are not part of it')
  })

  test('makes batches that can be resumed', async () => {
    const tokenizer = WordTokenizer.fromCaptions(pairs.flatMap(({ caption }) => caption))
    const data = new ImageTextPairs(pairs, { imageSize: 2 })
    const make = () => new BatchIterator(data, tokenizer, { batchSize: 2, contextLength: 4, dropLast: false })
    const batches = make()
    const first = await batches.next()
    assert.deepEqual(
      [first.imageShape, first.tokenShape],
      [
        [2, 3, 2, 2],
        [2, 4],
      ],
    )
    const again = make()
    again.restore(JSON.parse(JSON.stringify(batches.state)))
    for (let i = 0; i < 3; i++) assert.deepEqual(await again.next(), await batches.next())
  })

  const wrong: Readonly<Record<string, [unknown[], RegExp]>> = {
    'no pairs': [[], /there are no pairs/],
    'a pair without a caption': [[pairs[0], { image: grey(1) }], /^pair 1: has no caption/],
    'an empty caption': [[{ image: grey(1), caption: ['a', ' '] }], /^pair 0: its caption is " ", not a text/],
    'labels of some pairs only': [[pairs[0], { image: grey(1), caption: 'x' }], /^pair 1: has no labels, but other/],
  }
  for (const [what, [given, message]] of Object.entries(wrong))
    test(`refuses ${what}`, () => {
      assert.throws(() => new ImageTextPairs(given as typeof pairs, { imageSize: 2 }), { name: 'DataError', message })
    })

  test('an image of another size than its bytes is named', async () => {
    const data = new ImageTextPairs([{ image: { ...grey(1), width: 3 }, caption: 'a', name: 'a.png' }], {
      imageSize: 2,
    })
    await assert.rejects(data.image(0), { name: 'ImageError', message: /^a\.png: has 16 bytes/ })
  })
})
