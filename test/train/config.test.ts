import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { DataError, FileError } from '../../src/io/index.ts'

import { presets } from '../../src/models/index.ts'
import { checkRunConfig, mergeSettings, RunConfigError, readRunConfig } from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { tinyJson, tinyModel } from './tiny.ts'

const least = { model: 'tiny', data: 'pictures', steps: 10 }

/** What is wrong with a configuration, as lines. */
function problems(others: Record<string, unknown>): string[] {
  try {
    checkRunConfig({ ...least, ...others })
  } catch (error) {
    assert.ok(error instanceof RunConfigError && error instanceof DataError)
    return error.problems.map(({ field, reason }) => `${field}: ${reason}`)
  }
  return []
}

test('missing settings get their defaults', () => {
  assert.deepEqual(checkRunConfig(least), {
    ...least,
    family: 'coca',
    model: presets.tiny,
    validation: 0.1,
    batchSize: 64,
    optimizer: { name: 'adamw', learningRate: 1e-3, inBackward: false },
    schedule: 'cosine',
    clipNorm: 1,
    seed: 0,
    device: 'cpu',
    equalCaptions: 'positives',
    evaluateEvery: 0,
    evaluationExamples: 256,
    checkpointEvery: 200,
    keepLast: 3,
    guard: { every: 500, examples: 8, bound: 0.01, share: 0.02, onError: 'stop' },
    tensorboard: false,
    truncateCaptions: false,
    window: 16,
    fresh: [],
    freeze: [],
    accumulate: 1,
    gradientCheckpointing: false,
    strict: false,
    augment: {},
    normalize: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  })
})

test('a checked configuration passes the check again', () => {
  const config = checkRunConfig(tinyJson('x', { optimizer: { name: 'sgd', momentum: 0.9 }, clipNorm: null }))
  assert.deepEqual(checkRunConfig(JSON.parse(JSON.stringify(config))), config)
})

test('a model is a preset, a preset with differences, or complete', () => {
  const model = (value: unknown) => checkRunConfig({ ...least, model: value }).model
  assert.deepEqual(model('small'), presets.small)
  const differing = model({ preset: 'tiny', image: { layers: 5 }, loss: { captioning: { weight: 0 } } })
  assert.deepEqual(differing, {
    ...presets.tiny,
    image: { ...presets.tiny.image, layers: 5 },
    loss: { captioning: { weight: 0 } },
  })
  assert.deepEqual(model(tinyModel), tinyModel)
})

test('the error names the field of every mistake', () => {
  const expected: [settings: Record<string, unknown>, ...problems: (string | RegExp)[]][] = [
    [{ batchsize: 4 }, 'batchsize: is not a setting'],
    [{ batchSize: 0 }, 'batchSize: must be a positive integer, not 0'],
    [{ batchSize: 2.5 }, 'batchSize: must be a positive integer, not 2.5'],
    [{ data: undefined }, 'data: is missing'],
    [{ data: '' }, 'data: must be a path, not ""'],
    [{ steps: undefined }, 'steps: is missing: give steps or epochs'],
    [{ epochs: 2 }, 'steps: is given together with epochs: give one of them'],
    [{ validation: 1 }, 'validation: must be below 1, not 1'],
    [{ seed: -1 }, 'seed: must be an integer, 0 or more, not -1'],
    [{ device: 'cuda' }, 'device: must be one of reference, cpu, gpu, not "cuda"'],
    [{ schedule: 'step' }, 'schedule: must be one of constant, linear, cosine, not "step"'],
    [{ clipNorm: 0 }, 'clipNorm: must be above 0, not 0'],
    [{ augment: { flip: 1 } }, 'augment.flip: must be true or false, not 1'],
    [{ augment: { rotate: 1 } }, 'augment.rotate: is not a setting'],
    [{ normalize: { std: [1, 0, 1] } }, 'normalize.std.1: must be above 0, not 0'],
    [{ normalize: { mean: [1, 1] } }, 'normalize.mean: must be 3 numbers, one for each channel, not [1,1]'],
    [{ equalCaptions: true }, 'equalCaptions: must be one of distinct, positives, ignore, not true'],
    [{ optimizer: 'adam' }, 'optimizer: must be an object of settings, not "adam"'],
    [
      { optimizer: { name: 'adamax' } },
      'optimizer.name: must be one of adamw, adam, adafactor, lion, rmsprop, adagrad, muon, sgd, not "adamax"',
    ],
    [{ optimizer: { name: 'sgd', nesterov: true } }, 'optimizer.nesterov: needs a momentum above 0: give momentum too'],
    [{ optimizer: { name: 'muon', matrices: [] } }, 'optimizer.matrices: must have a name, not []'],
    [{ optimizer: { name: 'muon', scale: 'keller' } }, 'optimizer.scale: must be one of original, adamw, not "keller"'],
    [{ optimizer: { name: 'rmsprop', alpha: 1 } }, 'optimizer.alpha: must be below 1, not 1'],
    [
      { optimizer: { name: 'lion', epsilon: 1e-8, momentum: 0.9 } },
      'optimizer.epsilon: is not a setting of lion',
      'optimizer.momentum: is not a setting of lion',
    ],
    [{ optimizer: { learningRate: -1 } }, 'optimizer.learningRate: must be above 0, not -1'],
    [{ optimizer: { betas: [0.9, 1] } }, 'optimizer.betas.1: must be below 1, not 1'],
    [{ optimizer: { momentum: 0.9 } }, 'optimizer.momentum: is not a setting of adamw'],
    [{ optimizer: { name: 'sgd', betas: [0.9, 0.99] } }, 'optimizer.betas: is not a setting of sgd'],
    [{ model: 'huge' }, 'model: "huge" is not a preset; the presets are tiny, small, base, large, full'],
    [{ model: { preset: 3 } }, 'model.preset: 3 is not a preset; the presets are tiny, small, base, large, full'],
    [{ model: undefined }, 'model: is missing'],
    [{ model: 3 }, 'model: must be an object, not 3'],
    [{ model: { preset: 'tiny', image: { widht: 3 } } }, 'model.image.widht: is not a setting'],
    [{ model: JSON.parse('{"preset": "tiny", "__proto__": {"dropout": 0.5}}') }, 'model.__proto__: is not a setting'],
    [{ model: { preset: 'tiny', text: { heads: 3 } } }, 'model.text.heads: 3 does not divide the width 64'],
    [{ model: { preset: 'tiny', image: { patch: 5 } } }, 'model.image.patch: 5 does not divide the image size 32'],
    [{ model: { ...tinyModel, pooler: undefined } }, 'model.pooler: is missing'],
    [{ model: { preset: 'tiny', temperature: { initial: 3 } } }, /^model\.temperature\.initial: 3 must be in/],
    [{ stepz: 1, keepLast: 0 }, 'keepLast: must be a positive integer, not 0', 'stepz: is not a setting'],
  ]
  for (const [settings, ...lines] of expected) {
    const found = problems(settings)
    assert.equal(found.length, lines.length, `${JSON.stringify(settings)}: ${found.join('; ')}`)
    for (const [i, line] of lines.entries()) {
      if (typeof line === 'string') assert.equal(found[i], line)
      else assert.match(found[i], line)
    }
  }
})

test('the message names the file, and each mistake on its own line', async t => {
  const file = join(await temporaryFolder(t), 'run.json')
  await writeFile(file, JSON.stringify({ ...least, batchSize: 0, colour: 'red' }))
  await assert.rejects(readRunConfig(file), (error: unknown) => {
    assert.ok(error instanceof RunConfigError)
    const lines = ['2 mistakes', '  batchSize: must be a positive integer, not 0', '  colour: is not a setting']
    assert.equal(error.message, `${file}: ${lines.join('\n')}`)
    return true
  })
  await writeFile(file, '[1]')
  await assert.rejects(readRunConfig(file), { message: `${file}: must be an object of settings` })
  await writeFile(file, '{')
  await assert.rejects(readRunConfig(file), FileError)
})

test('settings of a model are merged into a preset that is given by its name', () => {
  const merged = mergeSettings({ model: 'tiny', steps: 3 }, { model: { loss: { captioning: { weight: 0 } } } })
  assert.deepEqual(merged, { model: { preset: 'tiny', loss: { captioning: { weight: 0 } } }, steps: 3 })
  assert.deepEqual(mergeSettings({ model: 'tiny' }, { model: 'small' }), { model: 'small' })
})
