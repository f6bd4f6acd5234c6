// The table of protocols: which apply to a model and to data, and what they measure.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type ImageTextSource, type MultiImageSource, WordTokenizer } from '../../src/data/index.ts'
import {
  type EvaluatedModel,
  evaluateModel,
  ProtocolError,
  type ProtocolName,
  protocolNames,
  protocols,
  retrieval,
  zeroShot,
} from '../../src/evaluate/index.ts'
import { Captioner, CoCa, DualEncoder, ImageClassifier } from '../../src/models/index.ts'
import { Generator, seed } from '../../src/tensor/index.ts'
import { tinyModel } from '../train/tiny.ts'

const tokenizer = WordTokenizer.fromCaptions(['a red circle', 'a blue star', 'green ring small large on black'])
const { image, text, pooler, embedding } = tinyModel
const withWords = { ...text, vocabulary: tokenizer.vocabularySize }
seed(1)
const coca = { model: new CoCa({ image, text: withWords, pooler, embedding }), tokenizer }
const dual = { model: new DualEncoder({ image, text: withWords, embedding }), tokenizer }
const captioner = { model: new Captioner({ image, text: withWords }), tokenizer }
const classes = ['red circle', 'blue star', 'green ring']
const classifier = { model: new ImageClassifier({ image, classes: 3 }), classes }

const side = image.size
const pixels = (index: number, count = 1) => {
  const generator = new Generator(index)
  return Float32Array.from({ length: count * 3 * side * side }, () => generator.uniform())
}
const common = {
  length: 6,
  imageSize: side,
  fingerprint: 'in memory',
  captions: (i: number) => [`a small ${classes[i % 3]}`],
  labels: (i: number) => [classes[i % 3]],
  name: (i: number) => `example ${i}`,
}
const pictures: ImageTextSource = { ...common, image: async i => pixels(i) }
const unlabelled: ImageTextSource = { ...pictures, labels: undefined }
const named: ImageTextSource = { ...pictures, captions: pictures.labels! }
const clips: MultiImageSource = { ...common, imagesPerExample: 2, images: async i => pixels(i, 2) }
const bare: ImageTextSource = { ...unlabelled, captions: () => [] }

describe('the protocols that apply', () => {
  const applied = async (trained: EvaluatedModel, data: ImageTextSource | MultiImageSource) =>
    (await evaluateModel(trained, data)).map(({ protocol }) => protocol)
  const cases: [string, EvaluatedModel, ImageTextSource | MultiImageSource, ProtocolName[]][] = [
    ['a coca and labelled images', coca, pictures, ['loss', 'retrieval', 'captioning', 'zero-shot']],
    ['a coca and images without labels', coca, unlabelled, ['loss', 'retrieval', 'captioning']],
    ['a coca and images whose captions are their classes', coca, named, ['zero-shot']],
    ['a coca and clips', coca, clips, ['retrieval', 'zero-shot']],
    ['a dual encoder', dual, pictures, ['loss', 'retrieval', 'zero-shot']],
    ['a captioner', captioner, pictures, ['loss', 'captioning']],
    ['a classifier', classifier, pictures, ['classification']],
  ]
  for (const [name, trained, data, expected] of cases)
    test(`to ${name}`, async () => assert.deepEqual(await applied(trained, data), expected))

  const refused: [string, EvaluatedModel, ImageTextSource | MultiImageSource, RegExp][] = [
    ['a captioner and clips', captioner, clips, /no protocol applies: loss: it needs single images.*; captioning: /],
    ['a classifier and clips', classifier, clips, /no protocol applies: classification: it needs single images/],
    ['a classifier without labels', classifier, unlabelled, /classification: example 0 has no label/],
    [
      'a classifier and other classes',
      { ...classifier, classes: ['cat', 'dog', 'horse'] },
      pictures,
      /classification: no example has one of the model's classes: the data has .*red circle.*, the model cat, dog, horse/,
    ],
    ['images alone', coca, bare, /retrieval: example 0 has no caption; .*zero-shot: the data has no labels/],
  ]
  for (const [name, trained, data, message] of refused)
    test(`are none for ${name}, and the error says why`, () =>
      assert.rejects(applied(trained, data), error => error instanceof ProtocolError && message.test(error.message)))
})

test('a note names the words of zero-shot prompts that the model does not know', async () => {
  const noteOf = async (classes: readonly string[]) =>
    (await evaluateModel(coca, pictures, { protocols: ['zero-shot'], classes, templates: ['a {}'] }))[0].note
  assert.match((await noteOf([...classes, 'zebra']))!, /^the model does not know .*'zebra'$/)
  assert.doesNotMatch((await noteOf(classes)) ?? '', /red|ring/)
})

test('a note says that some examples have a class that the classifier does not have', async () => {
  const [{ note, values, examples }] = await evaluateModel(
    { ...classifier, classes: ['red circle', 'blue star', 'horse'] },
    pictures,
  )
  assert.match(
    note!,
    /^\d+ of \d+ examples have a class that the model does not have \(green ring\): they count as wrong/,
  )
  assert.equal(examples, pictures.length)
  assert.ok(values.accuracy < 1)
})

test('a protocol that is named has to apply, and prompts have to be used', async () => {
  const refuses = (message: RegExp, ...args: Parameters<typeof evaluateModel>) =>
    assert.rejects(evaluateModel(...args), error => error instanceof ProtocolError && message.test(error.message))
  assert.deepEqual(
    (await evaluateModel(coca, pictures, { protocols: ['zero-shot', 'loss'] })).map(({ protocol }) => protocol),
    ['loss', 'zero-shot'],
  )
  await refuses(/retrieval does not apply: the model does not embed/, captioner, pictures, { protocols: ['retrieval'] })
  await refuses(/captioning does not apply: it needs single images/, coca, clips, { protocols: ['captioning'] })
  await refuses(/zero-shot does not apply: no image has .* one of horse/, coca, pictures, { classes: ['horse'] })
  await refuses(/zero-shot does not apply: the data has no labels/, coca, unlabelled, { templates: ['{}'] })
  await refuses(/classes and templates are for zero-shot/, coca, pictures, { protocols: ['loss'], classes })
  const wrong = evaluateModel(coca, pictures, { protocols: ['zeroshot'] as never })
  await assert.rejects(wrong, /protocols must be a list of 'loss', 'retrieval'/)
})

test('values are those of the functions, in the order of the measures', async () => {
  const results = await evaluateModel(coca, pictures)
  for (const { protocol, values, examples } of results) {
    const keys = protocols[protocol].measures.map(({ key }) => key)
    assert.deepEqual(
      Object.keys(values),
      keys.filter(key => key in values),
    )
    assert.equal(examples, 6)
  }
  const [, found, , named] = results
  const { imageToText, textToImage } = await retrieval(coca, pictures)
  assert.deepEqual(found.values, {
    ...{ 'imageToText.1': imageToText.recall[1], 'imageToText.5': imageToText.recall[5] },
    ...{ 'imageToText.10': imageToText.recall[10], 'textToImage.1': textToImage.recall[1] },
    ...{ 'textToImage.5': textToImage.recall[5], 'textToImage.10': textToImage.recall[10] },
  })
  const sorted = [...classes].sort()
  const labels = Array.from({ length: 6 }, (_, i) => sorted.indexOf(classes[i % 3]))
  const { accuracy } = await zeroShot(coca, pictures, { classes: sorted, labels })
  // as many images of each class: the mean over classes is the same
  assert.deepEqual(named.values, { accuracy })
})

test('zero-shot uses the labels of the data, or the only class in a caption if classes are given', async () => {
  const one = async (data: ImageTextSource, given?: readonly string[]) =>
    (await evaluateModel(coca, data, { protocols: ['zero-shot'], classes: given }))[0]
  assert.equal((await one(pictures)).examples, 6)
  assert.deepEqual((await one(pictures)).options, {})
  const words = await one(unlabelled, ['circle', 'star'])
  assert.equal(words.examples, 4)
  assert.equal(words.note, '2 of 6 images match no label, or several')
  assert.deepEqual(words.options, { classes: ['circle', 'star'] })
  // 'small' and 'red' are both in the caption of a red circle
  assert.equal((await one(unlabelled, ['small', 'red'])).examples, 4)
  const both: ImageTextSource = { ...pictures, labels: () => ['red circle', 'blue star'] }
  const { json } = await one(both)
  const { perClass } = json.zeroShot as { perClass: { count: number }[] }
  assert.deepEqual(
    perClass.map(({ count }) => count),
    [6, 6],
  )
  const same: ImageTextSource = { ...pictures, labels: () => ['red circle'] }
  await assert.rejects(one(same), /there is one class, 'red circle', and it needs several/)
})

test('results of clips say how many frames were used', async () => {
  const results = await evaluateModel(coca, clips)
  assert.deepEqual(
    results.map(({ options }) => options),
    [{ frames: 2 }, { frames: 2 }],
  )
})

test('every protocol is in the table under its name, and its measures have different keys', () => {
  assert.deepEqual(Object.keys(protocols), [...protocolNames])
  for (const name of protocolNames) {
    assert.equal(protocols[name].name, name)
    const keys = protocols[name].measures.map(({ key }) => key)
    assert.equal(new Set(keys).size, keys.length)
  }
})
