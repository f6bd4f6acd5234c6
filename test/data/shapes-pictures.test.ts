// Shapes that are drawn as they are needed are those of a folder.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  BatchIterator,
  DataError,
  ImageTextDataset,
  ShapesPictures,
  WordTokenizer,
  writeShapes,
} from '../../src/entries/data.ts'
import { temporaryFolder } from './folder.ts'

for (const options of [
  { seed: 1, pairs: 'seen' },
  { seed: 4, level: 3 },
  { objects: 1, pairs: 'held-out' },
] as const)
  test(`batches of drawn Shapes are those of a folder: ${JSON.stringify(options)}`, async t => {
    const out = join(await temporaryFolder(t), 'shapes')
    await writeShapes({ ...options, count: 24, out })
    const folder = await ImageTextDataset.open(out, { imageSize: 32 })
    const drawn = new ShapesPictures({ ...options, count: 24 })
    assert.equal(drawn.fingerprint, folder.fingerprint)
    const tokenizer = WordTokenizer.fromCaptions(drawn.allCaptions)
    const [a, b] = [folder, drawn].map(
      data => new BatchIterator(data, tokenizer, { batchSize: 8, contextLength: 32, seed: 3 }),
    )
    for (let i = 0; i < 4; i++) assert.deepEqual(await b.next(), await a.next())
    b.restore(a.state)
    await assert.rejects(async () => drawn.captions(24), DataError)
  })
