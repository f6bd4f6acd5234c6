// `cocagrad evaluate`: protocols by name, clips, and classes and templates from files.

import assert from 'node:assert/strict'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, test } from 'node:test'
import { readLabels, readTemplates } from '../../src/cli/names.ts'
import { writeMovingShapes } from '../../src/data/index.ts'
import { train } from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { pictures, tinyConfig, tinyModel } from '../train/tiny.ts'
import { cocagrad } from './cli.ts'

test('classes and templates are read from lines, a JSON list or the command line', async t => {
  const folder = await temporaryFolder(t)
  const file = async (text: string) => {
    const path = join(folder, 'list')
    await writeFile(path, text)
    return path
  }
  assert.deepEqual(await readLabels('a, b c'), ['a', 'b c'])
  assert.deepEqual(await readLabels(await file('golden retriever\n\n  tabby, cat\r\n')), [
    'golden retriever',
    'tabby, cat',
  ])
  assert.deepEqual(await readLabels(await file('["tabby, cat", "dog"]\n')), ['tabby, cat', 'dog'])
  assert.deepEqual(await readTemplates(['a {}', await file('a photo of a {}.\na {} there\n')]), [
    ...['a {}', 'a photo of a {}.', 'a {} there'],
  ])
  assert.equal(await readTemplates(undefined), undefined)
  const refusals: [string, RegExp][] = [
    ['a\nb\na\n', /list:3: 'a' is listed twice/],
    [
      'a\nb\na\n\nb\nb\n',
      /list:3: 'a' is listed twice\n {2}line 5: 'b' is listed twice\n {2}line 6: 'b' is listed twice$/,
    ],
    [`a\n${'a\n'.repeat(7)}`, /line 6: 'a' is listed twice\n {2}and 2 more lines$/],
    ['["a", "a", "b", "b"]', /list: 'a' is listed twice\n {2}'b' is listed twice$/],
    ['\n', /list: contains no labels/],
    ['["a", 3]', /list: is not a list of texts/],
    ['["a", ', /list: begins with \[ and is not JSON/],
    [`${'['.repeat(5000)}${']'.repeat(5000)}`, /list: begins with \[ and nests objects and lists deeper than 100/],
  ]
  for (const [text, message] of refusals) await assert.rejects(readLabels(await file(text)), message)
  await assert.rejects(readTemplates([await file('a {}\nnothing\n')]), /list:2: 'nothing' has no \{\} for the label/)
  await assert.rejects(
    readTemplates([await file('one\na {}\ntwo\na {}\n')]),
    /list:1: 'one' has no \{\} for the label\n {2}line 3: 'two' has no .*\n {2}line 4: 'a \{\}' is listed twice$/,
  )
  await assert.rejects(readTemplates(['a photo']), /--template 'a photo' has no \{\} for the label, and is no file/)
})

describe('evaluate', () => {
  let folder = ''
  const at = (name: string) => join(folder, name)
  const run = (...args: string[]) => cocagrad(['evaluate', '--run', at('run'), '--device', 'reference', ...args])
  async function answerOf(...args: string[]) {
    const { code, stdout, stderr } = await run(...args, '--json')
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout)
  }
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cocagrad-evaluate-'))
    const shapes = await pictures(folder, 12)
    const model = { ...tinyModel, text: { ...tinyModel.text, context: 12 } }
    await train(at('run'), tinyConfig(shapes, { steps: 1, model }))
    await writeMovingShapes({ out: at('moving'), count: 4, seed: 2 })
    for (const name of ['circle', 'star']) await cp(join(shapes, 'images'), at(`classes/${name}`), { recursive: true })
    await writeFile(at('labels.json'), '["circle", "star", "ring", "cross", "square", "heart"]')
    await writeFile(at('templates.txt'), 'a small {}\na large {}\n')
  })
  after(() => rm(folder, { recursive: true, force: true }))

  it('measures what --protocol names, and shows top-5 for more than five classes', async () => {
    const prompts = ['--labels', at('labels.json'), '--template', at('templates.txt')]
    const result = await answerOf('--data', at('pictures'), '--protocol', 'zero-shot', ...prompts)
    assert.deepEqual(Object.keys(result), ['run', 'step', 'images', 'zeroShot'])
    const { accuracy, top5, meanPerClass, perClass } = result.zeroShot
    assert.ok(top5 >= accuracy && meanPerClass >= 0 && meanPerClass <= 1)
    assert.equal(perClass.length, 6)
    const { stdout } = await run('--data', at('pictures'), '--protocol', 'zero-shot', ...prompts, '--no-record')
    assert.match(stdout, /zero-shot top-1 of 6 classes .*%\nzero-shot top-5 .*%/)
  })

  it('uses the labels of the data: a folder for each class has no captions to retrieve', async () => {
    const result = await answerOf('--data', at('classes'))
    assert.deepEqual(Object.keys(result), ['run', 'step', 'images', 'zeroShot'])
    assert.equal(result.images, 24)
    assert.deepEqual(
      result.zeroShot.perClass.map(({ class: name, count }: { class: string; count: number }) => [name, count]),
      [
        ['circle', 12],
        ['star', 12],
      ],
    )
  })

  it('measures losses in batches of --batch-size', async () => {
    const result = await answerOf('--data', at('pictures'), '--protocol', 'loss', '--batch-size', '4', '--no-record')
    assert.equal(result.losses.batchSize, 4)
  })

  it('measures clips with --frames', async () => {
    const result = await answerOf('--data', at('moving'), '--frames', '3')
    assert.deepEqual(Object.keys(result), ['run', 'step', 'clips', 'texts', 'retrieval', 'zeroShot'])
    assert.equal(result.clips, 4)
  })

  it('is an error that says why, for what does not apply', async () => {
    const refuses = async (message: RegExp, ...args: string[]) => {
      const { code, stdout, stderr } = await run(...args)
      assert.deepEqual([code, stdout], [2, ''], stderr)
      assert.match(stderr, message)
    }
    const [shapes, moving] = [at('pictures'), at('moving')]
    await refuses(/moving: holds clips: say how many frames .*--frames 8/, '--data', moving)
    await refuses(/pictures: holds images and no clips: frames, which is 4/, '--data', shapes, '--frames', '4')
    await refuses(/moving: loss does not apply: .*clips/, '--data', moving, '--frames', '4', '--protocol', 'loss')
    await refuses(/zero-shot does not apply: no image has/, '--data', shapes, '--labels', 'horse,cow')
    await refuses(/--labels a,b is for zero-shot/, '--data', shapes, '--labels', 'a,b', '--protocol', 'loss')
    await refuses(/--protocol 'accuracy': expected one of loss, retrieval/, '--data', shapes, '--protocol', 'accuracy')
  })
})
