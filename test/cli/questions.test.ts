// `cocagrad data questions`, and the levels of `cocagrad data shapes`.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { QuestionDataset, shapesExample, shapesQuestion } from '../../src/data/index.ts'
import { cocagrad } from './cli.ts'

const folder = mkdtempSync(join(tmpdir(), 'cocagrad-cli-'))
after(() => rmSync(folder, { recursive: true, force: true }))

test('data questions writes questions and answers in JSON', async () => {
  const out = join(folder, 'pairs')
  const flags = ['--task', 'pairs', '--out', out, '--count', '3', '--seed', '5', '--pairs', 'seen', '--level', '2']
  const made = await cocagrad(['data', 'questions', ...flags, '--json'])
  assert.equal(made.code, 0, made.stderr)
  const options = { seed: 5, pairs: 'seen', task: 'pairs', level: 2 } as const
  assert.deepEqual(JSON.parse(made.stdout), { folder: out, questions: 3, list: 'questions.jsonl', ...options })
  const data = await QuestionDataset.open(out, { imageSize: 32, images: 2 })
  assert.deepEqual(data.captions(2), [shapesQuestion(2, options).text])

  const refused = await cocagrad(['data', 'questions', ...flags])
  assert.deepEqual([refused.code, refused.stdout], [2, ''])
  assert.match(refused.stderr, /pairs is not empty: it holds images, questions\.jsonl/)
})

test('data questions needs a task, and takes no held-out pairs', async () => {
  const without = await cocagrad(['data', 'questions', '--out', join(folder, 'never'), '--count', '1'])
  assert.equal(without.code, 2)
  assert.match(without.stderr, /--task/)
  const held = ['--task', 'vqa', '--out', join(folder, 'never'), '--count', '1', '--pairs', 'held-out']
  const refused = await cocagrad(['data', 'questions', ...held])
  assert.equal(refused.code, 2)
  assert.match(refused.stderr, /Allowed choices are seen, all/)
})

test('data shapes writes a level, and refuses more objects than it has', async () => {
  const out = join(folder, 'hard')
  const made = await cocagrad([
    'data',
    'shapes',
    '--out',
    out,
    '--count',
    '2',
    '--level',
    '3',
    '--objects',
    '4',
    '--json',
  ])
  assert.equal(made.code, 0, made.stderr)
  assert.equal(JSON.parse(made.stdout).level, 3)
  const [first] = readFileSync(join(out, 'captions.jsonl'), 'utf8').split('\n')
  assert.equal(JSON.parse(first).caption, shapesExample(0, { level: 3, objects: 4 }).caption)
  const refused = await cocagrad(['data', 'shapes', '--out', join(folder, 'never'), '--count', '1', '--objects', '3'])
  assert.equal(refused.code, 2)
  assert.match(refused.stderr, /--objects 3: a picture of level 1 has 2 objects at most/)
})
