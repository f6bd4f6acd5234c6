import assert from 'node:assert/strict'
import { test } from 'node:test'
import { classification } from '../../src/evaluate/index.ts'
import { ImageClassifier } from '../../src/models/index.ts'
import { device, NonFiniteError, tensor } from '../../src/tensor/index.ts'
import { small, stirred } from '../models/small.ts'

const model = stirred(() => new ImageClassifier({ image: small.image, classes: 3 }))
const pictures = Array.from({ length: 5 }, (_, i) =>
  Float32Array.from({ length: 192 }, (_, k) => ((k * (i + 2)) % 17) / 17),
)
const images = { length: 5, image: async (i: number) => pictures[i].slice() }
const classes = ['cat', 'dog', 'fox']

const logitsOf = (picture: Float32Array): number[] => {
  const pixels = tensor(
    Float64Array.from(picture, x => (x - 0.5) / 0.5),
    { shape: [1, 3, 8, 8], device: 'reference' },
  )
  return [...device.with('reference', () => model.forward(pixels)).dataSync()]
}
const expected = pictures.map(picture => {
  const logits = logitsOf(picture)
  return logits.indexOf(Math.max(...logits))
})

test('classification predicts the class with the largest logit in batches of any size, and computes its accuracy', async () => {
  const labels = expected.map((right, i) => (i === 0 ? (right + 1) % 3 : right))
  for (const batchSize of [2, 64]) {
    const { predictions, accuracy, confusion } = await classification({ model }, images, { classes, labels, batchSize })
    assert.deepEqual([...predictions], expected)
    assert.equal(accuracy, 0.8)
    assert.equal(confusion[labels[0]][expected[0]] >= 1, true)
  }
  assert.equal(model.training, true)
})

test('invalid labels, names and logits throw', async () => {
  const labels = [0, 0, 0, 0, 0]
  await assert.rejects(classification({ model }, images, { classes, labels: [0] }), /1 labels for 5 images/)
  await assert.rejects(classification({ model }, images, { classes: ['cat'], labels }), /1 names for the 3 classes/)
  await assert.rejects(classification({ model }, images, { classes, labels: [0, 0, 3, 0, 0] }), /label 3 of image 2/)
  const broken = { ...images, image: async () => new Float32Array(192).fill(Number.NaN) }
  await assert.rejects(classification({ model }, broken, { classes, labels }), NonFiniteError)
})
