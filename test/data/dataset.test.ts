import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ImageTextDataset } from '../../src/data/dataset.ts'
import { encodePng } from '../../src/data/images/image.ts'
import { temporaryFolder } from './folder.ts'

/** A folder of `count` flat images 4×4; image i has the grey level i. */
async function greyFolder(t: TestContext, count: number): Promise<string> {
  const folder = await temporaryFolder(t)
  for (let i = 0; i < count; i++) await writeFile(join(folder, `${i}.png`), encodePng(new Uint8Array(48).fill(i), 4, 4))
  const lines = Array.from({ length: count }, (_, i) =>
    JSON.stringify({ file: `${i}.png`, caption: [`grey ${i}`, 'grey'] }),
  )
  await writeFile(join(folder, 'captions.jsonl'), lines.join('\n'))
  return folder
}

test('a folder opens without decoding, and every image has its captions', async t => {
  const folder = await greyFolder(t, 5)
  await writeFile(join(folder, '4.png'), 'broken')
  const dataset = await ImageTextDataset.open(folder, { imageSize: 4 })
  assert.equal(dataset.length, 5)
  assert.deepEqual(dataset.captions(3), ['grey 3', 'grey'])
  assert.deepEqual(await dataset.image(3), new Float32Array(48).fill(3 / 255))
  await assert.rejects(dataset.image(4), { name: 'ImageError', file: join(folder, '4.png') })
  await assert.rejects(dataset.image(5), /has no example 5: there are 5/)
  assert.throws(() => dataset.captions(-1), /has no example -1/)
})

test('an image is decoded once while the cache has space, and the result can be changed', async t => {
  const folder = await greyFolder(t, 3)
  const dataset = await ImageTextDataset.open(folder, { imageSize: 4, cacheBytes: 2 * 48 })
  const first = await dataset.image(0)
  first.fill(9)
  await dataset.image(1)
  await dataset.image(2)
  for (let i = 0; i < 3; i++) await rm(join(folder, `${i}.png`))
  assert.deepEqual(await dataset.image(0), new Float32Array(48))
  assert.deepEqual(await dataset.image(1), new Float32Array(48).fill(1 / 255))
  await assert.rejects(dataset.image(2), { name: 'FileError', reason: 'does not exist' })
})

test('a split depends on its seed, and its parts keep their captions and pixels', async t => {
  const dataset = await ImageTextDataset.open(await greyFolder(t, 20), { imageSize: 4 })
  const { train, validation } = dataset.split({ validation: 0.25, seed: 1 })
  assert.deepEqual([train.length, validation.length], [15, 5])
  const files = [...train.examples, ...validation.examples].map(example => example.file)
  assert.deepEqual(files.sort(), dataset.examples.map(example => example.file).sort())
  assert.deepEqual(dataset.split({ validation: 0.25, seed: 1 }).validation.examples, validation.examples)
  assert.notDeepEqual(dataset.split({ validation: 0.25, seed: 2 }).validation.examples, validation.examples)
  const level = Number.parseInt(validation.examples[2].file, 10)
  assert.deepEqual(await validation.image(2), new Float32Array(48).fill(level / 255))
  for (const share of [0, 1, 0.001, -1, 2, Number.NaN])
    assert.throws(() => dataset.split({ validation: share }), /leaves one part empty/, String(share))
})

test('the fingerprint changes only with a caption, a name or the order', async t => {
  const folder = await greyFolder(t, 3)
  const path = join(folder, 'captions.jsonl')
  const fingerprintOf = async (...lines: [string, string][]) => {
    await writeFile(path, lines.map(([file, caption]) => JSON.stringify({ caption, file, extra: lines })).join('\n'))
    return (await ImageTextDataset.open(folder, { imageSize: 4 })).fingerprint
  }
  const original = await fingerprintOf(['0.png', 'a'], ['1.png', 'b'])
  assert.equal(await fingerprintOf(['0.png', ' a'], ['./1.png', 'b']), original)
  const others = [
    await fingerprintOf(['0.png', 'a'], ['1.png', 'c']),
    await fingerprintOf(['0.png', 'a'], ['2.png', 'b']),
    await fingerprintOf(['1.png', 'b'], ['0.png', 'a']),
    await fingerprintOf(['0.png', 'a']),
  ]
  assert.equal(new Set([original, ...others]).size, 5)
})

test('an image size of 0 throws', async t => {
  const folder = await greyFolder(t, 1)
  await assert.rejects(
    ImageTextDataset.open(folder, { imageSize: 0 }),
    /imageSize must be a whole number above 0, or \[height, width\], not 0/,
  )
})
