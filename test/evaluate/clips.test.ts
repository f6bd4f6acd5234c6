// Clips in the space of embeddings: the mean of the embeddings of their frames.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WordTokenizer } from '../../src/data/index.ts'
import { type ClipSource, embedImages, retrieval, zeroShot } from '../../src/evaluate/index.ts'
import { Module } from '../../src/nn/index.ts'
import { NonFiniteError, OutOfMemoryError, type Tensor, tensor } from '../../src/tensor/index.ts'
import { assertCloseNumbers, fc } from '../support.ts'

const tokenizer = WordTokenizer.fromCaptions(['left right up down'])
const at = (degrees: number) => [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)]
const ANGLES: Readonly<Record<string, number>> = { left: 0, right: 60, up: 120, down: 180 }

/** Embeds an image by its first pixel, an angle in units of 180 degrees. */
class Known extends Module {
  readonly config = { image: { size: 1 }, text: { context: 4 }, embedding: 2 }
  /** number of images of each call */
  readonly batches: number[] = []
  most = Number.POSITIVE_INFINITY

  encodeImage(images: Tensor): Tensor {
    const [count] = images.shape
    if (count > this.most) throw new OutOfMemoryError({ device: 'cpu', bytes: 1, used: 1, limit: 1 })
    this.batches.push(count)
    return tensor(Array.from(images.slice([{}, 0, 0, 0]).dataSync(), x => at((x * 0.5 + 0.5) * 180)))
  }

  encodeText(ids: Tensor): Tensor {
    const [rows, length] = ids.shape
    const data = ids.dataSync()
    const words = (row: number) => tokenizer.decode(data.subarray(row * length, (row + 1) * length))
    return tensor(Array.from({ length: rows }, (_, row) => at(ANGLES[words(row)])))
  }
}

/** Clips whose frames have these angles. */
const clipsOf = (angles: readonly (readonly number[])[]): ClipSource & { name(index: number): string } => ({
  length: angles.length,
  imagesPerExample: angles[0].length,
  name: index => `clip-${index}`,
  images: async index => Float32Array.from(angles[index].flatMap(angle => [angle / 180, 0, 0])),
})

const lists = fc
  .record({ frames: fc.integer({ min: 1, max: 5 }), clips: fc.integer({ min: 1, max: 6 }) })
  .chain(({ frames, clips }) =>
    fc.array(fc.array(fc.integer({ min: 0, max: 170 }), { minLength: frames, maxLength: frames }), {
      minLength: clips,
      maxLength: clips,
    }),
  )

test('the embedding of a clip is the mean of the embeddings of its frames, of length 1, for every batch size', async () => {
  await fc.assert(
    fc.asyncProperty(lists, fc.integer({ min: 1, max: 12 }), async (angles, batchSize) => {
      const { data, count, width } = await embedImages({ model: new Known(), tokenizer }, clipsOf(angles), {
        batchSize,
      })
      const expected = angles.flatMap(own => {
        const sums = [0, 1].map(k => own.reduce((sum, angle) => sum + at(angle)[k], 0))
        return sums.map(x => x / Math.hypot(...sums))
      })
      assert.deepEqual([count, width], [angles.length, 2])
      assertCloseNumbers([...data], expected, 1e-5)
    }),
  )
})

test('the embedding of a clip is blind to the order of its frames', async () => {
  await fc.assert(
    fc.asyncProperty(lists, async angles => {
      const embed = async (some: readonly (readonly number[])[]) => [
        ...(await embedImages({ model: new Known(), tokenizer }, clipsOf(some))).data,
      ]
      assertCloseNumbers(await embed(angles.map(own => [...own].reverse())), await embed(angles), 1e-6)
    }),
  )
})

test('frames of several clips share a batch, and fewer are embedded at once if memory is short', async () => {
  const angles = Array.from({ length: 5 }, (_, i) => [10 * i, 10 * i + 4, 10 * i + 8])
  const clips = clipsOf(angles)
  const model = new Known()
  const seen: string[] = []
  const whole = await embedImages({ model, tokenizer }, clips, {
    batchSize: 7,
    onProgress: (done, total) => seen.push(`${done}/${total}`),
  })
  assert.deepEqual(model.batches, [6, 6, 3])
  assert.deepEqual(seen, ['2/5', '4/5', '5/5'])
  const small = new Known()
  small.most = 2
  assertCloseNumbers(
    [...(await embedImages({ model: small, tokenizer }, clips, { batchSize: 7 })).data],
    [...whole.data],
    1e-6,
  )
  assert.ok(small.batches.every(count => count <= 2))
})

test('clips are found by captions, and classified by the names of classes', async () => {
  const trained = { model: new Known(), tokenizer }
  const words = ['left', 'right', 'up', 'down']
  const clips = clipsOf(words.map(word => [-20, 0, 20].map(turn => Math.min(180, Math.abs(ANGLES[word] + turn)))))
  const { imageToText, textToImage } = await retrieval(trained, { ...clips, captions: i => [words[i]] })
  assert.deepEqual([imageToText.recall[1], textToImage.recall[1]], [1, 1])
  const result = await zeroShot(trained, clips, { classes: words, labels: [0, 1, 2, 3], templates: ['{}'] })
  assert.equal(result.accuracy, 1)
})

test('an embedding that is not finite is an error that names the frame and the clip', async () => {
  const clips = clipsOf([
    [0, 10],
    [20, Number.NaN],
  ])
  await assert.rejects(
    embedImages({ model: new Known(), tokenizer }, clips),
    error => error instanceof NonFiniteError && /frame 2 of clip-1 is NaN/.test(error.message),
  )
})
