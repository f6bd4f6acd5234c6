// Every family of models through the command line: training, the commands that apply, and an error of those that do not.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type FamilyName, familyNames } from '../../src/models/index.ts'
import { answerOf, assertMistake, cocagrad } from './cli.ts'

const folder = mkdtempSync(join(tmpdir(), 'cocagrad-families-'))
const shapes = join(folder, 'shapes')
const picture = join(shapes, 'images', '000000.png')
const runOf = (family: FamilyName) => join(folder, family)

const image = { size: 16, width: 16, layers: 1, heads: 2 }
const text = { width: 16, heads: 2 }
const models: Readonly<Record<FamilyName, object>> = {
  coca: { preset: 'tiny', image, text, pooler: { queries: 2, heads: 2 }, embedding: 8 },
  'dual-encoder': { preset: 'tiny', image, text, embedding: 8 },
  captioner: { preset: 'tiny', image, text },
  classifier: { preset: 'tiny', image },
  'video-classifier': { preset: 'tiny', image, frames: 3 },
  'multimodal-classifier': { preset: 'tiny', image, text, pooler: { queries: 2, heads: 2 } },
}
const clips = join(folder, 'clips')
const questions = join(shapes, 'questions.jsonl')
const dataOf = (family: FamilyName): string =>
  family === 'video-classifier' ? clips : family === 'multimodal-classifier' ? questions : shapes

before(async () => {
  await answerOf('data', 'shapes', '--out', shapes, '--count', '16', '--objects', '1', '--seed', '3')
  await answerOf('data', 'moving', '--out', clips, '--count', '16', '--frames', '3')
  const list = readFileSync(join(shapes, 'captions.jsonl'), 'utf8').trim().split('\n')
  const asked = list
    .map(line => JSON.parse(line))
    .map(({ file, caption }) => {
      const label = caption.includes('red') ? 'yes' : 'no'
      return `${JSON.stringify({ file, text: 'is the shape red?', label })}\n`
    })
  writeFileSync(questions, asked.join(''))
  for (const family of familyNames) {
    const config = join(folder, `${family}.json`)
    writeFileSync(
      config,
      JSON.stringify({ model: models[family], batchSize: 4, validation: 0.25, device: 'reference' }),
    )
    const flags = [
      '--family',
      family,
      '--config',
      config,
      '--data',
      dataOf(family),
      '--out',
      runOf(family),
      '--steps',
      '2',
    ]
    const trained = await answerOf('train', ...flags)
    assert.deepEqual({ step: trained.step, finished: trained.finished }, { step: 2, finished: true })
  }
})

after(() => rmSync(folder, { recursive: true, force: true }))

for (const family of familyNames)
  describe(`a ${family}`, () => {
    const run = runOf(family)

    it('is written to the configuration of its run, and --resume continues it', async () => {
      assert.equal(JSON.parse(readFileSync(join(run, 'config.json'), 'utf8')).family, family)
      assert.equal((await answerOf('train', '--out', run, '--resume', '--steps', '3')).step, 3)
    })

    it('is examined by the doctor', async () => {
      const { code, stdout, stderr } = await cocagrad(['doctor', run])
      assert.ok(code === 0 || code === 1, stderr)
      assert.match(stdout, /parts of the model against finite differences/)
      assert.doesNotMatch(stdout, /the gradient of \S+ is wrong/)
    })

    it('passes gradcheck --model with its configuration', async () => {
      const { ok, verdicts } = await answerOf('gradcheck', '--model', join(run, 'config.json'))
      assert.ok(ok && verdicts.length >= 6)
    })
  })

describe('evaluate', () => {
  it('measures what each family can do', async () => {
    const keys = async (family: FamilyName) =>
      Object.keys(await answerOf('evaluate', '--run', runOf(family), '--data', dataOf(family)))
    const both = ['losses', 'texts', 'retrieval']
    assert.deepEqual(await keys('coca'), ['run', 'step', 'images', ...both, 'captioning', 'zeroShot'])
    assert.deepEqual(await keys('dual-encoder'), ['run', 'step', 'images', ...both, 'zeroShot'])
    assert.deepEqual(await keys('captioner'), ['run', 'step', 'images', 'losses', 'captioning'])
    const classes = ['accuracy', 'meanPerClass', 'perClass', 'top5']
    assert.deepEqual(await keys('classifier'), ['run', 'step', 'images', 'loss', ...classes])
    assert.deepEqual(
      (await keys('video-classifier')).filter(key => key !== 'top5'),
      ['run', 'step', 'clips', 'loss', ...classes.filter(key => key !== 'top5')],
    )
    assert.deepEqual(await keys('multimodal-classifier'), [
      'run',
      'step',
      'images',
      'loss',
      ...classes.filter(key => key !== 'top5'),
    ])
  })

  it('is an error for a classifier and images of other classes', async () => {
    const other = join(shapes, 'other.jsonl')
    writeFileSync(other, '{"file": "images/000000.png", "label": "a horse"}\n')
    await assertMistake(
      ['evaluate', '--run', runOf('classifier'), '--data', other],
      'the data has a horse',
      'other.jsonl',
    )
  })
})

describe('classify', () => {
  it('prints the probabilities of the classes of a classifier', async () => {
    const [{ label, scores }] = await answerOf('classify', picture, '--run', runOf('classifier'))
    const classes = JSON.parse(readFileSync(join(runOf('classifier'), 'classes.json'), 'utf8'))
    assert.ok(classes.includes(label))
    assert.equal(scores.length, classes.length)
    const total = scores.reduce((sum: number, { probability }: { probability: number }) => sum + probability, 0)
    assert.ok(Math.abs(total - 1) < 1e-6)
  })

  it('takes labels for a dual encoder, and none for a classifier', async () => {
    const [{ scores }] = await answerOf('classify', picture, '--labels', 'circle,star', '--run', runOf('dual-encoder'))
    assert.equal(scores.length, 2)
    await assertMistake(
      ['classify', picture, '--labels', 'a,b', '--run', runOf('classifier')],
      '--labels a,b',
      'own classes',
    )
    await assertMistake(['classify', picture, '--run', runOf('coca')], '--labels')
  })
})

describe('a command for another family', () => {
  it('is an error that names both', async () => {
    const cases: [args: string[], family: FamilyName][] = [
      [['caption', picture], 'classifier'],
      [['caption', picture], 'dual-encoder'],
      [['embed', shapes, '--out', join(folder, 'never.safetensors')], 'captioner'],
      [['retrieve', '--images', shapes, '--query', 'a circle'], 'classifier'],
      [['classify', picture, '--labels', 'a,b'], 'captioner'],
      [['classify', picture], 'video-classifier'],
      [['caption', picture], 'multimodal-classifier'],
    ]
    for (const [args, family] of cases)
      await assertMistake([...args, '--run', runOf(family)], `a ${family}`, runOf(family))
  })

  it('captions pictures by a captioner, and finds them by a dual encoder', async () => {
    const [{ caption }] = await answerOf('caption', picture, '--run', runOf('captioner'))
    assert.equal(typeof caption, 'string')
    const { found } = await answerOf(
      'retrieve',
      '--images',
      shapes,
      '--query',
      'circle',
      '--run',
      runOf('dual-encoder'),
    )
    assert.equal(found.length, 5)
  })
})

describe('a mistake', () => {
  it('is an error that names the flag', async () => {
    await assertMistake(
      ['train', '--family', 'clip', '--data', shapes, '--out', join(folder, 'never')],
      '--family',
      'clip',
      'captioner',
    )
    await assertMistake(['gradcheck', '--family', 'captioner'], '--family captioner', '--model')
  })

  it('of a flag that the family does not have names the family', async () => {
    const flags = [
      '--family',
      'classifier',
      '--tokenizer',
      'words.json',
      '--data',
      shapes,
      '--out',
      join(folder, 'never'),
    ]
    await assertMistake(['train', ...flags], 'tokenizer', 'classifier')
  })
})
