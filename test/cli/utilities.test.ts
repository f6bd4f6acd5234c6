// Averages of weights, learning rates of parts, event files and soups on the command line.

import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { answerOf, assertMistake, cocagrad } from './cli.ts'

const folder = mkdtempSync(join(tmpdir(), 'cocagrad-utilities-'))
const shapes = join(folder, 'shapes')
const run = join(folder, 'run')

const flags = ['--ema', '0.9', '--rate', 'encoder=0.1', '--rate', 'encoder.positions=0.5', '--layer-decay', '0.5']

before(async () => {
  await answerOf('data', 'shapes', '--out', shapes, '--count', '16', '--objects', '1', '--seed', '3')
  const config = join(folder, 'config.json')
  const settings = {
    family: 'classifier',
    model: { preset: 'tiny', image: { size: 16, width: 16, layers: 1, heads: 2 } },
    batchSize: 4,
    validation: 0.25,
    device: 'reference',
    optimizer: { learningRate: 0.01, rates: { encoder: 0.7, head: 0.5 } },
  }
  writeFileSync(config, JSON.stringify(settings))
  await answerOf('train', '--config', config, '--data', shapes, '--out', run, '--steps', '3', '--tensorboard', ...flags)
})
after(() => rmSync(folder, { recursive: true, force: true }))

test('train takes an average, learning rates of parts and event files', () => {
  const { ema, tensorboard, optimizer } = JSON.parse(readFileSync(join(run, 'config.json'), 'utf8'))
  assert.deepEqual([ema, tensorboard, optimizer.learningRate, optimizer.layerDecay], [0.9, true, 0.01, 0.5])
  assert.deepEqual(optimizer.rates, { encoder: 0.1, head: 0.5, 'encoder.positions': 0.5 })
  assert.ok(readdirSync(run).some(name => name.startsWith('events.out.tfevents.')))
  assert.ok(readdirSync(join(run, 'checkpoints', 'step-000003')).includes('average.safetensors'))
})

test('--weights chooses the average or the last weights', async () => {
  const evaluate = (...weights: string[]) => answerOf('evaluate', '--run', run, '--data', shapes, ...weights)
  const [usual, average, last] = [
    await evaluate(),
    await evaluate('--weights', 'average'),
    await evaluate('--weights', 'last'),
  ]
  assert.equal(usual.loss, average.loss)
  assert.notEqual(usual.loss, last.loss)
  const { code, stderr } = await cocagrad(['evaluate', '--run', run, '--data', shapes, '--weights', 'best'])
  assert.notEqual(code, 0)
  assert.match(stderr, /--weights.*average, last/)
})

test('soup prints each run and both soups, and writes a run', async () => {
  const tuned: string[] = []
  for (const seed of ['1', '2']) {
    const out = join(folder, `tuned-${seed}`)
    await answerOf(
      'train',
      '--data',
      shapes,
      '--from',
      run,
      '--out',
      out,
      '--steps',
      '2',
      '--batch',
      '4',
      '--seed',
      seed,
    )
    tuned.push(out)
  }
  const out = join(folder, 'soup')
  const { code, stdout, stderr } = await cocagrad(['soup', ...tuned, '--data', shapes, '--out', out, '--greedy'])
  assert.equal(code, 0, stderr)
  for (const line of [/16 images +loss +accuracy/, /tuned-1 at step 2/, /uniform soup of 2/, /greedy soup of [12]: /])
    assert.match(stdout, line)
  assert.match(stdout, /score: accuracy, higher is better; the greedy soup is in .*soup/)
  const { accuracy } = await answerOf('evaluate', '--run', out, '--data', shapes)
  const again = await answerOf('soup', ...tuned, '--data', shapes, '--out', join(folder, 'again'))
  assert.deepEqual([again.greedy.values.accuracy, again.written.soup], [accuracy, 'uniform'])
  const { code: ok } = await cocagrad(['doctor', out])
  assert.ok(ok === 0 || ok === 1)
  const mixed = await cocagrad(['soup', tuned[0], run, '--data', shapes, '--out', join(folder, 'never')])
  assert.equal(mixed.code, 2)
  assert.match(mixed.stderr, /its origin is/)
})

test('flags that cannot be are errors', async () => {
  const train = ['train', '--data', shapes, '--out', join(folder, 'never'), '--steps', '1', '--batch', '4']
  await assertMistake([...train, '--rate', 'encoder'], "--rate 'encoder': expected a part and a factor above 0")
  await assertMistake([...train, '--rate', 'encoder=0'], "--rate 'encoder=0': expected a part and a factor")
  await assertMistake([...train, '--rate', 'encoder=1', '--rate', 'encoder=2'], '--rate: encoder is given twice')
  await assertMistake([...train, '--rate', 'nothing=1'], '--rate nothing: matches nothing in this model')
  await assertMistake([...train, '--layer-decay', '2'], '--layer-decay: must be at most 1')
  await assertMistake([...train, '--ema', '1'], '--ema: must be below 1')
  await assertMistake(['soup', run, '--data', shapes, '--out', join(folder, 'never')], 'give at least two runs')
  await assertMistake(['soup', run, run, '--data', shapes, '--out', join(folder, 'never')], 'is given twice')
})
