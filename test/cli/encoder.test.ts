// `--part encoder` of the commands that train, with encoders as timm and Hugging Face save them.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeShapes } from '../../src/data/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { cocagrad } from './cli.ts'

const golden = (name: string) => new URL(`../golden/${name}`, import.meta.url).pathname
const settingsOf = async (run: string) => JSON.parse(await readFile(join(run, 'config.json'), 'utf8'))
const short = ['--steps', '1', '--batch', '2', '--device', 'reference']

test('train and probe start from an encoder, and say what is new and what is left over', async t => {
  const folder = await temporaryFolder(t)
  const data = join(folder, 'pictures')
  await writeShapes({ out: data, count: 6, objects: 1 })
  const [run, probe] = [join(folder, 'run'), join(folder, 'probe')]
  const begin = ['--from', golden('timm'), '--part', 'encoder', '--data', data, ...short]
  const { code, stderr } = await cocagrad(['train', ...begin, '--preset', 'tiny', '--out', run])
  assert.equal(code, 0, stderr)
  assert.match(
    stderr,
    /38 parameters from .*golden\/timm; \d+ initialized at random \(generativePooler, .*logScale.*\); not used of it: head$/m,
  )
  const { from, part, family, model } = await settingsOf(run)
  assert.deepEqual(
    [from, part, family, model.image.width, model.text.width],
    [golden('timm'), 'encoder', 'coca', 24, 64],
  )
  const probed = await cocagrad([
    'probe',
    '--from',
    golden('vit'),
    '--part',
    'encoder',
    '--data',
    data,
    '--out',
    probe,
    ...short,
  ])
  assert.equal(probed.code, 0, probed.stderr)
  const classifier = await settingsOf(probe)
  assert.deepEqual(
    [classifier.family, classifier.model.image.hidden, classifier.normalize.mean],
    ['classifier', 40, [0.4, 0.5, 0.6]],
  )
  const distilled = ['--from', golden('encoders/timm-deit'), '--part', 'encoder', '--data', data, ...short]
  const left = await cocagrad(['train', ...distilled, '--preset', 'tiny', '--out', join(folder, 'distilled')])
  assert.match(left.stderr, /; left out of it, so that its encoder computes something else than before: dist_token$/m)
  const without = await cocagrad(['train', '--from', golden('vit'), '--data', data, '--out', join(folder, 'none')])
  assert.equal(without.code, 2)
  assert.match(
    without.stderr,
    /^error: .*vit: is a vision transformer, which is only an encoder: copy it with --part encoder/m,
  )
})
