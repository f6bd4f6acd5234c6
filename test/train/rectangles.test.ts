// Runs of models of rectangular pictures, of three channels and of one: they are trained, resumed, evaluated, exported and continued
// at another size.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { decodeImage, openAnyData, picturesFor } from '../../src/data/index.ts'
import { embedImages, evaluateModel } from '../../src/evaluate/index.ts'
import { CoCa } from '../../src/models/index.ts'
import { resizeGrid } from '../../src/nn/index.ts'
import { saveOpenClip } from '../../src/openclip/index.ts'
import {
  checkRunConfig,
  initializeFrom,
  openRun,
  RunConfigError,
  resumeTraining,
  train,
} from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { outcome, pictures, tinyConfig, tinyJson, tinyModel } from './tiny.ts'

const image = { ...tinyModel.image, size: [8, 12], channels: 1 } as const
const model = { ...tinyModel, image }

test('a run of grey rectangles is the same resumed as in one piece, and its model is evaluated on them', async t => {
  const folder = await temporaryFolder(t)
  const data = await pictures(folder, 12)
  const augment = { flip: true, shift: 1, crop: { scale: [0.5, 1] } }
  const config = (steps: number) => tinyConfig(data, { model, augment, steps, checkpointEvery: 2 })
  await train(join(folder, 'whole'), config(4))
  await train(join(folder, 'parts'), config(2))
  await resumeTraining(join(folder, 'parts'), { steps: 4 })
  const [inOne, inParts] = await Promise.all(
    ['whole', 'parts'].map(async run => (await outcome(join(folder, run), 4)).checkpoint[0]),
  )
  assert.equal(inParts, inOne)
  const [whole, parts] = [await openRun(join(folder, 'whole')), await openRun(join(folder, 'parts'))]
  assert.deepEqual(whole.config.model.image, image)
  assert.deepEqual(whole.config.normalize, { mean: [0.5], std: [0.5] })
  const examples = await openAnyData(data, picturesFor(whole.model.config.image))
  assert.ok('image' in examples)
  assert.equal((await examples.image(0)).length, 8 * 12)
  const [result] = await evaluateModel(whole, examples, { protocols: ['retrieval'] })
  assert.ok(Object.values(result.values).every(Number.isFinite))
  const embeddings = await embedImages(whole, examples)
  assert.equal(embeddings.count, 12)
  assert.equal(parts.step, whole.step)
  await assert.rejects(
    saveOpenClip(join(folder, 'exported'), whole),
    /image\.channels = 1: must be 3: the images of OpenCLIP are red, green and blue/,
  )
})

test('the positions of a rectangle are interpolated along each axis, for a model of other pictures', () => {
  const [from, to] = [
    new CoCa({ ...tinyModel, image: { ...image, size: [8, 12] } }),
    new CoCa({ ...tinyModel, image: { ...image, size: 8 } }),
  ]
  const { resized } = initializeFrom(to, from)
  assert.deepEqual(resized, ['encoder.positions'])
  assert.deepEqual(to.encoder.positions.dataSync(), resizeGrid(from.encoder.positions, [2, 3], [2, 2]).dataSync())
  const colour = new CoCa({ ...tinyModel, image: { ...image, channels: 3 } })
  assert.throws(
    () => initializeFrom(colour, from, { part: 'encoder' }),
    /image\.channels is 1 there, but 3 here\. Write \{"image":\{"channels":1\}\}/,
  )
})

test('settings for other channels than files of pictures have are refused by name', () => {
  const problems = (others: object) => {
    try {
      checkRunConfig(tinyJson('data', { ...others }))
    } catch (error) {
      return error instanceof RunConfigError ? error.problems.map(({ field, reason }) => `${field}: ${reason}`) : error
    }
    return []
  }
  const of = (channels: unknown) => ({ model: { ...tinyModel, image: { ...image, channels } } })
  assert.deepEqual(problems(of(4)), [
    'model.image.channels: is 4, but files of pictures give 3 channels, red, green and blue, or 1, their luma: fit(…) trains a model on tensors with others',
  ])
  assert.deepEqual(problems({ ...of(1), normalize: { mean: [0.5, 0.5, 0.5] } }), [
    'normalize.mean: must be one number, for the one channel, not [0.5,0.5,0.5]',
  ])
  assert.deepEqual(problems(of(1)), [])
  assert.throws(() => picturesFor({ size: 8, channels: 2 }), /image\.channels is 2, but files of pictures give 3/)
})

test('what a picture becomes for a rectangle covers it and keeps the centre', async t => {
  const folder = await temporaryFolder(t)
  const data = await pictures(folder, 1)
  const examples = await openAnyData(data, { imageSize: [8, 16] })
  assert.ok('image' in examples)
  const square = await decodeImage(examples.name(0), { size: 16 })
  const wide = await examples.image(0)
  for (let c = 0; c < 3; c++)
    assert.deepEqual(wide.slice(c * 128, (c + 1) * 128), square.pixels.slice(c * 256 + 64, c * 256 + 192))
})
