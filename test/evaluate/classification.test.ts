import assert from 'node:assert/strict'
import { test } from 'node:test'
import { classification, classLogits, labelledClassification } from '../../src/evaluate/index.ts'
import { DataError } from '../../src/io/index.ts'
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

test('logits are those of the model, row by row, however many images a batch has', async () => {
  const rows = pictures.flatMap(logitsOf)
  for (const batchSize of [1, 2, 64]) {
    const logits = await classLogits({ model }, images, { batchSize })
    assert.equal(logits.length, 15)
    for (const [i, x] of logits.entries()) assert.ok(Math.abs(x - rows[i]) < 1e-5, `logit ${i}: ${x} and ${rows[i]}`)
  }
})

test('a prediction is right if it is one of the labels, and the loss is the mean of -Σ p log q', async () => {
  const labels = expected.map((right, i) => {
    if (i === 0) return [classes[(right + 1) % 3]]
    return i === 1 ? classes.slice(0, 2) : [classes[right]]
  })
  const source = {
    ...images,
    imageSize: 8,
    fingerprint: '',
    captions: () => [''],
    name: String,
    labels: (i: number) => labels[i],
  }
  const { loss, accuracy, perClass } = await labelledClassification({ model }, source, { classes })
  const isRight = labels.map((own, i) => own.includes(classes[expected[i]]))
  assert.equal(accuracy, isRight.filter(right => right).length / 5)
  const losses = pictures.map((picture, i) => {
    const logits = logitsOf(picture)
    const logSum = Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0))
    const own = labels[i].map(name => logSum - logits[classes.indexOf(name)])
    return own.reduce((a, b) => a + b, 0) / own.length
  })
  assert.ok(Math.abs(loss - losses.reduce((a, b) => a + b, 0) / 5) < 1e-5, String(loss))
  assert.deepEqual(
    perClass.map(({ class: name, count }) => [name, count]),
    classes.map(name => [name, labels.filter(own => own.includes(name)).length]),
  )
  await assert.rejects(
    labelledClassification({ model }, { ...source, labels: () => ['horse'] }, { classes }),
    (error: Error) =>
      error instanceof DataError && /no example has one of the model's classes: the data has horse/.test(error.message),
  )
  await assert.rejects(
    labelledClassification({ model }, { ...source, labels: undefined }, { classes }),
    /image 0 has no label/,
  )
})

test('an image of a class that the model does not have counts as wrong, and the loss leaves it out', async () => {
  const source = (labels: readonly (readonly string[])[]) => ({
    ...images,
    length: labels.length,
    imageSize: 8,
    fingerprint: '',
    captions: () => [''],
    name: String,
    labels: (i: number) => labels[i],
  })
  const evaluate = (labels: readonly (readonly string[])[]) =>
    labelledClassification({ model }, source(labels), { classes })
  const right = expected.map(number => [classes[number]])
  const known = await evaluate(right.slice(0, 4))
  assert.equal(known.unknown, undefined)
  const { loss, accuracy, unknown, perClass, meanPerClass, top5 } = await evaluate([...right.slice(0, 4), ['zebra']])
  assert.equal(accuracy, 4 / 5)
  assert.equal(unknown, 1)
  assert.equal(top5, undefined)
  assert.ok(Math.abs(loss - known.loss) < 1e-6)
  assert.deepEqual(perClass.at(-1), { class: 'zebra', count: 1, accuracy: 0 })
  const present = known.perClass.filter(({ count }) => count > 0).length
  assert.ok(Math.abs(meanPerClass - present / (present + 1)) < 1e-12)
  // a label that is not a class of the model does not count beside one that is
  assert.deepEqual(await evaluate([[...right[0], 'zebra'], ...right.slice(1, 4)]), known)
})
