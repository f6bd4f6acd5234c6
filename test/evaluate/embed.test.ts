// Embeddings written to a file and read back: after a kill at any point, the same file results.

import assert from 'node:assert/strict'
import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openPictures, WordTokenizer } from '../../src/data/index.ts'
import { EmbeddingError, EmbeddingFile, embedPictures, modelFingerprint } from '../../src/evaluate/index.ts'
import { npyHead } from '../../src/io/formats/npy.ts'
import { CoCa } from '../../src/models/index.ts'
import { device, fromData, Generator, NonFiniteError, seed } from '../../src/tensor/index.ts'

import { temporaryFolder } from '../data/folder.ts'
import { assertCloseNumbers, fc, runs } from '../support.ts'
import { pictures, tinyModel } from '../train/tiny.ts'

await device.use('reference')

function small() {
  seed(3)
  const tokenizer = WordTokenizer.fromCaptions(['a small large red green blue circle star square'])
  return { model: new CoCa(tinyModel), tokenizer }
}

const options = (source: string) => ({ source, batchSize: 3, truncate: true })

async function embedded(t: TestContext) {
  const folder = await temporaryFolder(t)
  const source = await pictures(folder, 11)
  const data = await openPictures(source, { imageSize: 8 })
  const trained = small()
  const whole = join(folder, 'whole.safetensors')
  await embedPictures(trained, data, whole, options(source))
  return { folder, source, data, trained, whole: await readFile(whole) }
}

test('a run stopped or killed after any batch continues to the same file', async t => {
  const { folder, source, data, trained, whole } = await embedded(t)
  let number = 0
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 11 }),
      fc.constantFrom('image', 'text', 'samples', 'journal.jsonl'),
      fc.integer({ min: 0, max: 50 }),
      async (stopAt, part, garbage) => {
        const file = join(folder, `${number++}.safetensors`)
        const stop = new AbortController()
        const onProgress = (done: number) => done >= stopAt && stop.abort()
        await embedPictures(trained, data, file, { ...options(source), signal: stop.signal, onProgress }).then(
          () => {},
          error => assert.equal(error, stop.signal.reason),
        )
        const isWhole = await readFile(file).catch(() => undefined)
        if (isWhole === undefined) {
          await appendFile(join(`${file}.parts`, part), `{"${'é'.repeat(garbage)}`.slice(0, 2 + garbage))
          await embedPictures(trained, data, file, options(source))
        }
        assert.deepEqual(await readFile(file), whole)
      },
    ),
    runs(8),
  )
})

test('parts shorter than their journal says throw an error that names them', async t => {
  const { folder, source, data, trained } = await embedded(t)
  const file = join(folder, 'cut.npy')
  const stop = new AbortController()
  const onProgress = (done: number) => done >= 6 && stop.abort()
  await assert.rejects(embedPictures(trained, data, file, { ...options(source), signal: stop.signal, onProgress }))
  await writeFile(join(`${file}.parts`, 'image'), 'cut')
  await assert.rejects(
    embedPictures(trained, data, file, options(source)),
    error =>
      error instanceof EmbeddingError && /parts\/image: has 3 bytes, but the journal says \d+/.test(error.message),
  )
})

test('a caption that is too long throws an error that names its picture, unless truncate is set', async t => {
  const { folder, source, data, trained } = await embedded(t)
  await writeFile(
    join(source, 'captions.jsonl'),
    JSON.stringify({ file: 'images/000004.png', caption: 'a '.repeat(tinyModel.text.context) }),
  )
  const changed = await openPictures(source, { imageSize: 8 })
  assert.notEqual(changed.fingerprint, data.fingerprint)
  const embed = (truncate: boolean) =>
    embedPictures(trained, changed, join(folder, 'long.npy'), { ...options(source), truncate })
  await assert.rejects(embed(false), /000004\.png: .*--truncate/)
  assert.deepEqual(await embed(true), { images: 1, texts: 1, width: 8, skipped: 0 })
})

test('a picture whose embedding is not finite throws an error that names it, and the rows before it are kept', async t => {
  const { folder, source, data, trained, whole } = await embedded(t)
  const file = join(folder, 'broken.safetensors')
  const { encodeImage } = trained.model
  let batches = 0
  trained.model.encodeImage = images => {
    const embedding = encodeImage.call(trained.model, images)
    if (++batches !== 3) return embedding
    const values = embedding.dataSync()
    values[8] = Number.NaN
    return fromData(values, embedding.shape)
  }
  await assert.rejects(
    embedPictures(trained, data, file, options(source)),
    error =>
      error instanceof NonFiniteError &&
      error.message.startsWith(`number 0 of the embedding of ${join(source, 'images', '000007.png')} is NaN`),
  )
  await embedPictures(trained, data, file, options(source))
  assert.deepEqual(await readFile(file), whole)
  assert.equal(batches, 3 + 2, 'two batches were done again')
})

test('a fingerprint depends on weights, words and normalisation', async () => {
  const { model, tokenizer } = small()
  const first = await modelFingerprint({ model, tokenizer })
  assert.equal(await modelFingerprint(small()), first)
  seed(4)
  const others = [
    { model: new CoCa(tinyModel), tokenizer },
    { model, tokenizer: WordTokenizer.fromCaptions(['a circle']) },
    { model, tokenizer, normalize: { mean: [0, 0, 0], std: [1, 1, 1] } },
  ]
  for (const other of others) assert.notEqual(await modelFingerprint(other), first)
})

test('the nearest rows over several blocks equal those of sorting all rows', async t => {
  const [folder, count, width] = [await temporaryFolder(t), 9000, 4]
  const generator = new Generator(1)
  const data = Float32Array.from({ length: count * width }, () => generator.uniform() - 0.5)
  const file = join(folder, 'many.npy')
  await writeFile(file, Buffer.concat([npyHead([count, width]), Buffer.from(data.buffer)]))
  await writeFile(join(folder, 'many.json'), JSON.stringify({ model: 'm', images: count }))
  const lines = Array.from({ length: count }, (_, i) => JSON.stringify({ name: `é ${i}`, captions: [] }))
  await writeFile(join(folder, 'many.jsonl'), `${lines.join('\n')}\n`)
  const query = { data: Float32Array.of(1, -2, 3, 0.5), count: 1, width }
  const cosine = (row: number) => query.data.reduce((sum, x, i) => sum + x * data[row * width + i], 0)
  const expected = Array.from({ length: count }, (_, row) => row).sort((a, b) => cosine(b) - cosine(a) || a - b)
  const index = await EmbeddingFile.open(file)
  const found = await index.nearest(query, 20)
  assert.deepEqual(
    found.map(({ row, name }) => [row, name]),
    expected.slice(0, 20).map(row => [row, `é ${row}`]),
  )
  assertCloseNumbers(
    found.map(each => each.cosine),
    found.map(each => cosine(each.row)),
    1e-5,
  )
  assert.equal((await index.nearest(query, 2 * count)).length, count)
  await assert.rejects(index.nearest({ ...query, width: 3 }, 1), /rows of 4 numbers, but the query has 3/)
  for (const value of [Number.NaN, Infinity]) {
    await writeFile(
      file,
      Buffer.concat([npyHead([count, width]), Buffer.from(data.with(8000 * width + 1, value).buffer)]),
    )
    await assert.rejects(
      index.nearest(query, 1),
      error =>
        error instanceof EmbeddingError &&
        error.message === `${file}: row 8000 contains ${value}: remove the file and embed the pictures again`,
    )
  }
  await writeFile(file, Buffer.concat([npyHead([count, width]), Buffer.alloc(8)]))
  await assert.rejects(
    EmbeddingFile.open(file),
    /many\.npy: \[9000,4\] of float32 takes 144000 bytes, but the file holds 8/,
  )
})
