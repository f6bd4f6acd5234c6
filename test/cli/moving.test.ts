// `cocagrad data moving`: clips as files, and its mistakes.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ClipDataset, movingExample } from '../../src/data/index.ts'
import { cocagrad } from './cli.ts'

const folder = mkdtempSync(join(tmpdir(), 'cocagrad-cli-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const out = join(folder, 'moving')

test('data moving writes clips, replaces them with --force only, and answers in JSON', async () => {
  const write = (...args: string[]) => cocagrad(['data', 'moving', '--out', out, ...args])
  const made = await write('--count', '3', '--seed', '5', '--frames', '4', '--pairs', 'seen', '--json')
  assert.equal(made.code, 0, made.stderr)
  const answer = { folder: out, clips: 3, frames: 4, list: 'clips.jsonl', seed: 5, pairs: 'seen' }
  assert.deepEqual(JSON.parse(made.stdout), answer)
  const data = await ClipDataset.open(out, { imageSize: 32, frames: 4 })
  assert.equal(data.length, 3)
  assert.deepEqual(data.captions(2), [movingExample(2, { seed: 5, frames: 4, pairs: 'seen' }).caption])

  const refused = await write('--count', '1')
  assert.deepEqual([refused.code, refused.stdout], [2, ''])
  assert.match(refused.stderr, /moving is not empty: it holds clips, clips\.jsonl/)
  const replaced = await write('--count', '1', '--force')
  assert.equal(replaced.code, 0, replaced.stderr)
  assert.match(replaced.stdout, /^1 clips of 8 frames and clips\.jsonl are in /)
  assert.equal((await ClipDataset.open(out, { imageSize: 32, frames: 8 })).length, 1)

  writeFileSync(join(out, 'notes.txt'), 'mine')
  const foreign = await write('--count', '1', '--force')
  assert.equal(foreign.code, 2)
  assert.match(foreign.stderr, /holds notes\.txt\. They are not part of a Moving Shapes folder/)
})

test('a clip of one frame is a mistake in the flag', async () => {
  const { code, stderr } = await cocagrad([
    'data',
    'moving',
    '--out',
    join(folder, 'never'),
    '--count',
    '1',
    '--frames',
    '1',
  ])
  assert.equal(code, 2)
  assert.match(stderr, /--frames <n>.*'1' is invalid\. A clip needs 2 frames at least/)
})
