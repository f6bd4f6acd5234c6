// What made a run is written down at every start, and a resumed run says what has changed.

import assert from 'node:assert/strict'
import { appendFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { device } from '../../src/tensor/index.ts'
import { changesBetween, provenance, readProvenance, recordProvenance } from '../../src/train/provenance.ts'
import { temporaryFolder } from '../data/folder.ts'

await device.use('reference')

const start = provenance(0, 'abc')

test('a start says versions, machine, device and data', async () => {
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
  assert.equal(start.cocagrad, version)
  assert.equal(start.node, process.version)
  assert.equal(start.device, 'reference')
  assert.equal(start.backend, device.description)
  assert.match(start.machine, new RegExp(`^${process.platform} ${process.arch}`))
  assert.ok(Math.abs(Date.parse(start.startedAt) - Date.now()) < 60_000)
})

test('equal starts have no changes, and the time is none', () => {
  assert.deepEqual(changesBetween(start, { ...start, step: 7, startedAt: '2020-01-01T00:00:00.000Z' }), [])
})

test('every change is a sentence with what was and what is', () => {
  assert.deepEqual(changesBetween({ ...start, node: 'v1.0.0', data: 'other' }, start), [
    `Node was v1.0.0 and is ${process.version}`,
    'the data to learn from has changed',
  ])
})

test('each start adds a line, and the next one is compared with it', async t => {
  const folder = await temporaryFolder(t)
  assert.deepEqual(await readProvenance(folder), [])
  assert.deepEqual(await recordProvenance(folder, { ...start, backend: '1 thread' }), [])
  // a kill in the middle of a line
  await appendFile(join(folder, 'provenance.jsonl'), '{"step":3,"sta')
  assert.deepEqual(await recordProvenance(folder, { ...start, step: 5, backend: '2 threads' }), [
    'what it computes with was 1 thread and is 2 threads',
  ])
  const starts = await readProvenance(folder)
  assert.deepEqual(
    starts.map(({ step, backend }) => [step, backend]),
    [
      [0, '1 thread'],
      [5, '2 threads'],
    ],
  )
})
