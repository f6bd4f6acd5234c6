// Clips in shards through the command line: they are measured as those of the folder, and a model of clips is trained on them.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { writeMovingShapes } from '../../src/data/index.ts'
import { greyClip, shardsOfMoving, writeTar } from '../data/shards/make.ts'
import { cocagrad } from './cli.ts'

const folder = mkdtempSync(join(tmpdir(), 'cocagrad-cli-shards-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const clips = join(folder, 'clips')
const run = (family: string) => join(folder, family)
let shards: string

async function answerOf(...args: string[]) {
  const { code, stdout, stderr } = await cocagrad([...args, '--json'])
  assert.equal(code, 0, stderr)
  return { value: JSON.parse(stdout), stderr }
}

const image = { size: 16, width: 16, layers: 1, heads: 2 }
const text = { width: 16, heads: 2 }
const models = {
  coca: { preset: 'tiny', image, text, pooler: { queries: 2, heads: 2 }, embedding: 8 },
  'video-classifier': { preset: 'tiny', image, frames: 3 },
}

async function trainOn(family: keyof typeof models, data: string, steps: number) {
  const config = join(folder, `${family}.json`)
  writeFileSync(config, JSON.stringify({ model: models[family], batchSize: 4, validation: 0.25, device: 'reference' }))
  const flags = ['--family', family, '--config', config, '--data', data, '--out', run(family)]
  return answerOf('train', ...flags, '--steps', String(steps))
}

before(async () => {
  await writeMovingShapes({ out: clips, count: 16, frames: 4, seed: 5 })
  shards = await shardsOfMoving(clips, folder, 4)
})

it('a CoCa is measured on clips in shards as on those of the folder', async () => {
  const pictures = join(folder, 'pictures')
  await answerOf('data', 'shapes', '--out', pictures, '--count', '16')
  await trainOn('coca', pictures, 0)
  const measure = async (data: string) =>
    (await answerOf('evaluate', '--run', run('coca'), '--data', data, '--frames', '3', '--no-record')).value
  const inShards = await measure(shards)
  assert.equal(inShards.clips, 16)
  assert.ok(inShards.retrieval && inShards.zeroShot)
  assert.deepEqual(inShards, await measure(clips))
})

it('a model of clips is trained on shards, continued and measured', async () => {
  const { value, stderr } = await trainOn('video-classifier', shards, 2)
  assert.deepEqual([value.step, value.finished], [2, true])
  assert.match(stderr, /listed 4 shards/)
  const resumed = await answerOf('train', '--out', run('video-classifier'), '--resume', '--steps', '3')
  assert.equal(resumed.value.step, 3)
  const broken = join(folder, 'broken.tar')
  await writeTar(broken, greyClip('dark', 1, 2, { cls: 'grows' }))
  const list = `{${shards.replace('{0..3}', '0')},${broken}}`
  const measure = (data: string) =>
    answerOf('evaluate', '--run', run('video-classifier'), '--data', data, '--no-record')
  const measured = await measure(list)
  assert.equal(measured.value.clips, 4)
  assert.match(measured.stderr, /skipped .*broken\.tar: dark: it has 2 frames, and 3 are wanted/)
  const [inShards, inFolder] = [await measure(shards), await measure(clips)]
  assert.deepEqual(inShards.value, inFolder.value)
})
