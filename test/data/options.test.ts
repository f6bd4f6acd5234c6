// The options of data and training are checked before anything is read.

import { describe } from 'node:test'
import * as data from '../../src/entries/data.ts'
import * as training from '../../src/entries/train.ts'
import { loose, refuse } from '../loose.ts'

const { BatchIterator, decodeImage, ImageTextDataset, openData, openPictures, ShardDataset, shapesExample } =
  loose(data)
const { ClipDataset, movingExample, trainBytePairs, WordTokenizer, writeMovingShapes, writeShapes } = loose(data)
const { accumulateGradients, embedImages, embedPictures, embedTexts, examineRun, openModel, openRun } = loose(training)
const { captioning, initializeFrom, pictureBatches, readOrigin, resumeTraining, retrieval, train, zeroShot } =
  loose(training)

const nothing = 'there/is/nothing/here'

describe('options of data', () => {
  refuse([
    [
      'openData(path, { size: 8 })',
      () => openData(nothing, { size: 8 }),
      'OptionsError',
      'openData: there is no option size',
      'write openData(path, { imageSize: 8 })',
    ],
    ['openData(path)', () => openData(nothing), 'OptionsError', 'imageSize is missing'],
    [
      'ImageTextDataset.open(path, { …, cache: 0 })',
      () => ImageTextDataset.open(nothing, { imageSize: 8, cache: 0 }),
      'OptionsError',
      'ImageTextDataset.open: there is no option cache',
    ],
    [
      "ShardDataset.open(list, { …, decoder: 'pil' })",
      () => ShardDataset.open(nothing, { imageSize: 8, decoder: 'pil' }),
      'OptionsError',
      "decoder must be 'auto', 'sharp' or 'javascript', not 'pil'",
    ],
    [
      'openPictures(path, { …, captions: false })',
      () => openPictures(nothing, { imageSize: 8, captions: false }),
      'OptionsError',
      'openPictures: there is no option captions',
    ],
    ['decodeImage(path, 8)', () => decodeImage(nothing, 8), 'OptionsError', 'write decodeImage(source, { size: 8 })'],
    [
      'decodeImage(path, { …, crop: { scal } })',
      () => decodeImage(nothing, { size: 8, crop: { scal: [0, 1], seed: 1 } }),
      'OptionsError',
      'crop.scal',
      '{ crop: { scale: [0, 1] } }',
    ],
    [
      'new BatchIterator(…, { batch_size: 2 })',
      () => new BatchIterator({}, {}, { batch_size: 2 }),
      'OptionsError',
      'BatchIterator: there is no option batch_size',
      '{ batchSize: 2 }',
    ],
    [
      'new BatchIterator(…, { …, normalize: { means } })',
      () => new BatchIterator({}, {}, { batchSize: 2, contextLength: 8, normalize: { means: [0], std: [1] } }),
      'OptionsError',
      'normalize.means',
      '{ normalize: { mean: [0] } }',
    ],
    [
      'WordTokenizer.fromCaptions(c, { lowercase: false })',
      () => WordTokenizer.fromCaptions([], { lowercase: false }),
      'OptionsError',
      '{ lowerCase: false }',
    ],
    [
      'trainBytePairs(c, { vocab_size: 300 })',
      () => trainBytePairs([], { vocab_size: 300 }),
      'OptionsError',
      'trainBytePairs: there is no option vocab_size',
    ],
    [
      'shapesExample(0, { pair: all })',
      () => shapesExample(0, { pair: 'all' }),
      'OptionsError',
      "write shapesExample(index, { pairs: 'all' })",
    ],
    [
      'movingExample(0, { framesPerClip: 3 })',
      () => movingExample(0, { framesPerClip: 3 }),
      'OptionsError',
      'movingExample: there is no option framesPerClip',
    ],
    ['writeMovingShapes({ count: 3 })', () => writeMovingShapes({ count: 3 }), 'OptionsError', 'out is missing'],
    [
      'ClipDataset.open(path, { imageSize: 8 })',
      () => ClipDataset.open(nothing, { imageSize: 8 }),
      'OptionsError',
      'frames is missing',
    ],
    ['writeShapes({ count: 3 })', () => writeShapes({ count: 3 }), 'OptionsError', 'writeShapes: out is missing'],
  ])
})

describe('options of training', () => {
  refuse([
    [
      'train(folder, config, { onstep })',
      () => train(nothing, {}, { onstep: () => {} }),
      'OptionsError',
      'train: there is no option onstep',
      '{ onStep: … }',
    ],
    [
      'resumeTraining(folder, { epochs: 3 })',
      () => resumeTraining(nothing, { epochs: 3 }),
      'OptionsError',
      'resumeTraining: there is no option epochs',
    ],
    [
      'resumeTraining(folder, 100)',
      () => resumeTraining(nothing, 100),
      'OptionsError',
      'resumeTraining: options must be an object, not 100',
      '{ step: 100 }',
    ],
    ['openRun(folder, 100)', () => openRun(nothing, 100), 'OptionsError', 'write openRun(folder, { step: 100 })'],
    [
      "readOrigin(path, 'words.json')",
      () => readOrigin(nothing, 'words.json'),
      'OptionsError',
      "readOrigin: options must be an object, not 'words.json'",
    ],
    [
      'openModel(path, { vocab: 1 })',
      () => openModel(nothing, { vocab: 1 }),
      'OptionsError',
      'openModel: there is no option vocab',
    ],
    [
      'examineRun(folder, { stepp: 1 })',
      () => examineRun(nothing, { stepp: 1 }),
      'OptionsError',
      'write examineRun(folder, { step: 1 })',
    ],
    [
      'embedImages(trained, images, { batch_size: 1 })',
      () => embedImages({ model: { config: {} } }, [], { batch_size: 1 }),
      'OptionsError',
      '{ batchSize: 1 }',
    ],
    [
      'embedTexts(trained, texts, { batch_size: 1 })',
      () => embedTexts({}, [], { batch_size: 1 }),
      'OptionsError',
      'embedTexts: there is no option batch_size',
    ],
    [
      'embedPictures(…, { from: 3 })',
      () => embedPictures({}, {}, 'a.npy', { source: 'a', from: 3 }),
      'OptionsError',
      'embedPictures: there is no option from',
    ],
    [
      'pictureBatches(…, { batch: 3 })',
      () => pictureBatches({}, {}, { batch: 3 }).next(),
      'OptionsError',
      '{ batchSize: 3 }',
    ],
    [
      'pictureBatches(…, { batchSize: 0 })',
      () => pictureBatches({}, {}, { batchSize: 0 }).next(),
      'OptionsError',
      'batchSize must be a whole number above 0, not 0',
    ],
    [
      'zeroShot(…, { classes })',
      () => zeroShot({}, [], { classes: ['a'] }),
      'OptionsError',
      'zeroShot: labels is missing',
    ],
    [
      'retrieval(…, { batch: 3 })',
      () => retrieval({}, { length: 0 }, { batch: 3 }),
      'OptionsError',
      'retrieval: there is no option batch',
    ],
    [
      'captioning(…, { beams: 3 })',
      () => captioning({}, {}, { beams: 3 }),
      'OptionsError',
      'captioning: there is no option beams',
    ],
    ['initializeFrom(…, { frsh: [] })', () => initializeFrom({}, {}, { frsh: [] }), 'OptionsError', '{ fresh: [] }'],
    [
      'accumulateGradients(…, 4)',
      () => accumulateGradients({}, {}, {}, 4),
      'OptionsError',
      'write accumulateGradients(model, images, ids, { parts: 4 })',
    ],
  ])
})
