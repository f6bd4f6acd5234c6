// `probe` and `finetune` at the command line: a pretrained model, a task, its accuracy on other data.

import assert from 'node:assert/strict'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { tinyModel } from '../train/tiny.ts'
import { answerOf, cocagrad } from './cli.ts'

const folder = mkdtempSync(join(tmpdir(), 'cocagrad-tasks-'))
after(() => rmSync(folder, { recursive: true }))
const path = (name: string) => join(folder, name)
// the context holds statements about two images
const model = { ...tinyModel, text: { ...tinyModel.text, context: 20 } }

before(async () => {
  await answerOf('data', 'shapes', '--out', path('images'), '--count', '60', '--objects', '1')
  await answerOf('data', 'moving', '--out', path('clips'), '--count', '24', '--frames', '4')
  await answerOf('data', 'questions', '--task', 'pairs', '--out', path('pairs'), '--count', '24')
  writeFileSync(path('coca.json'), JSON.stringify({ model, batchSize: 4, device: 'reference', steps: 2 }))
  await answerOf('train', '--config', path('coca.json'), '--data', path('images'), '--out', path('coca'))
})

const short = ['--steps', '3', '--batch', '4', '--device', 'reference']
const settingsOf = (run: string) => JSON.parse(readFileSync(join(path(run), 'config.json'), 'utf8'))

describe('probe', () => {
  it('trains a head on kept features, evaluates it on other data, and keeps the figures in the run', async () => {
    const images = path('images')
    const args = ['--from', path('coca'), '--data', images, '--out', path('probe'), ...short]
    const result = await answerOf('probe', ...args, '--validation', '0', '--test', images)
    assert.equal(result.images, 60)
    assert.equal(typeof result.accuracy, 'number')
    const { family, freeze, features, labelSmoothing, ema } = settingsOf('probe')
    assert.deepEqual([family, freeze, labelSmoothing, ema], ['classifier', ['encoder'], 0.1, 0.999])
    assert.equal(readdirSync(features).filter(name => name.endsWith('.f32')).length, 1)
    const [line] = readFileSync(join(path('probe'), 'results.jsonl'), 'utf8')
      .trim()
      .split('\n')
    assert.equal(JSON.parse(line).protocol, 'classification')
  })

  it('trains a new head, also on a classifier of other classes; finetune does with --fresh head', async () => {
    const args = ['--from', path('other'), '--data', path('images'), ...short]
    const classes = ['train', '--family', 'classifier', '--config', path('classes.json'), '--data', path('two')]
    for (const [i, name] of ['cat', 'cat', 'cat', 'dog', 'dog', 'dog'].entries()) {
      mkdirSync(path(`two/${name}`), { recursive: true })
      copyFileSync(path(`images/images/${String(i).padStart(6, '0')}.png`), path(`two/${name}/${i}.png`))
    }
    const { image } = model
    writeFileSync(path('classes.json'), JSON.stringify({ model: { image }, batchSize: 2, steps: 1 }))
    await answerOf(...classes, '--out', path('other'), '--device', 'reference', '--validation', '0')
    await answerOf('probe', ...args, '--out', path('new-head'))
    const refused = await cocagrad(['finetune', ...args, '--out', path('new-head-too')])
    assert.match(refused.stderr, /head\.output\.weight is \[2, 8\] there.*fresh/)
    await answerOf('finetune', ...args, '--out', path('new-head-too'), '--fresh', 'head')
  })

  it('opens the data of --test before it trains', async () => {
    const args = ['probe', '--from', path('coca'), '--data', path('images'), '--out', path('early'), ...short]
    const { code, stderr } = await cocagrad([...args, '--test', path('nowhere')])
    assert.equal(code, 2)
    assert.match(stderr, /nowhere: does not exist/)
    assert.ok(!existsSync(path('early')))
  })

  it('of clips takes the number of frames', async () => {
    const args = ['--task', 'video', '--frames', '3', '--from', path('coca'), '--data', path('clips')]
    await answerOf('probe', ...args, '--out', path('actions'), ...short)
    const { family, model } = settingsOf('actions')
    assert.deepEqual([family, model.frames], ['video-classifier', 3])
  })
})

describe('finetune', () => {
  it('trains everything, the encoder at a tenth of the learning rate', async () => {
    const args = ['--from', path('coca'), '--data', path('images'), '--out', path('tuned'), ...short]
    await answerOf('finetune', ...args)
    const { family, freeze, optimizer } = settingsOf('tuned')
    assert.deepEqual([family, freeze, optimizer.rates], ['classifier', [], { encoder: 0.1 }])
  })

  it('answers questions about pairs of images; flags and a file override the defaults', async () => {
    writeFileSync(path('own.json'), JSON.stringify({ labelSmoothing: 0.2 }))
    const args = ['--task', 'multimodal', '--images', '2', '--from', path('coca'), '--data', path('pairs')]
    const own = ['--config', path('own.json'), '--ema', '0.9', '--rate', 'encoder=0.5']
    const result = await answerOf(
      'finetune',
      ...args,
      '--out',
      path('answers'),
      ...short,
      ...own,
      '--test',
      path('pairs'),
    )
    assert.equal(typeof result.accuracy, 'number')
    const { model, labelSmoothing, ema, optimizer } = settingsOf('answers')
    assert.deepEqual([model.images, labelSmoothing, ema, optimizer.rates], [2, 0.2, 0.9, { encoder: 0.5 }])
  })

  it('is resumed like a training', async () => {
    const resumed = await answerOf('finetune', '--out', path('tuned'), '--resume', '--steps', '5')
    assert.deepEqual([resumed.step, resumed.finished], [5, true])
  })
})

describe('a mistake', () => {
  const cases: [string, readonly string[], RegExp][] = [
    ['no model', ['probe', '--data', 'x'], /--from <model> is missing: probe starts from a pretrained model/],
    [
      'frames of images',
      ['finetune', '--from', 'm', '--data', 'x', '--frames', '3'],
      /--frames 3: is for --task video/,
    ],
    [
      'several images of one',
      ['finetune', '--from', 'm', '--data', 'x', '--images', '2'],
      /--images 2: is for --task multimodal/,
    ],
    [
      'a task that a probe does not have',
      ['probe', '--task', 'multimodal', '--from', 'm'],
      /Allowed choices are image, video/,
    ],
  ]
  for (const [what, args, message] of cases)
    it(`with ${what} is one sentence that names the flag, and writes nothing`, async () => {
      const { code, stderr } = await cocagrad([...args, '--out', path('never')])
      assert.equal(code, 2, stderr)
      assert.match(stderr, message)
      assert.ok(!existsSync(path('never')))
    })
})
