// Runs on shards: stopped and resumed, with samples that cannot be used.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { DataError } from '../../src/io/index.ts'

import { readMetrics, resumeTraining, train } from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { greys, writeTar } from '../data/shards/make.ts'
import { outcome, tinyConfig } from './tiny.ts'

type Context = Parameters<typeof temporaryFolder>[0]

/** Five shards of four samples each; of the last, one picture is broken and one has no text. */
async function shards(t: Context): Promise<{ folder: string; list: string }> {
  const folder = await temporaryFolder(t)
  for (let i = 0; i < 5; i++) {
    const members = greys(4 * i, 4).map(([name, content]) => [name, name === '0017.png' ? 'broken' : content] as const)
    await writeTar(join(folder, `${i}.tar`), i < 4 ? members : members.filter(([name]) => name !== '0018.txt'))
  }
  return { folder, list: `${folder}/{0..4}.tar` }
}

test('a resumed run from shards computes the same weights as an uninterrupted one', async t => {
  const { folder, list } = await shards(t)
  const config = tinyConfig(list, { window: 2, steps: 12, checkpointEvery: 5, augment: { crop: { scale: [0.5, 1] } } })
  await train(join(folder, 'through'), config)
  const stop = new AbortController()
  const stopped = await train(join(folder, 'run'), config, {
    signal: stop.signal,
    onStep: ({ step }) => step === 7 && stop.abort(),
  })
  assert.deepEqual([stopped.step, stopped.finished], [7, false])
  await resumeTraining(join(folder, 'run'))
  assert.deepEqual(await outcome(join(folder, 'run'), 12), await outcome(join(folder, 'through'), 12))
})

test('samples that cannot be used are counted, recorded once with shard and key, and reported', async t => {
  const { folder, list } = await shards(t)
  const run = join(folder, 'run')
  const told: string[] = []
  const config = tinyConfig(list, { validation: 0, steps: undefined, epochs: 3 })
  await train(run, config, { onBadSample: ({ key }) => told.push(key!) })
  const lines = (await readFile(join(run, 'skipped.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  const shard = join(folder, '4.tar')
  assert.deepEqual(
    lines.sort((a, b) => (a.key < b.key ? -1 : 1)),
    [
      { file: shard, key: '0017', reason: 'is neither PNG, JPEG nor WebP' },
      { file: shard, key: '0018', reason: 'it has no text' },
    ],
  )
  assert.deepEqual(told.sort(), ['0017', '0018'])
  const last = (await readMetrics(run)).at(-1)!
  assert.ok(
    last.kind === 'step' && last.skipped === 2 && last.waiting >= 0 && last.waiting <= last.seconds,
    JSON.stringify(last),
  )
  assert.equal(last.step, 3 * 6) // 19 samples in batches of 3
})

test('strict throws for them', async t => {
  const { folder, list } = await shards(t)
  await assert.rejects(
    train(join(folder, 'run'), tinyConfig(list, { strict: true, validation: 0 })),
    error => error instanceof DataError && /4\.tar: 0018: it has no text/.test(error.message),
  )
})
