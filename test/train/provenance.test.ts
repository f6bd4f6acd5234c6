// Every start of a run is recorded, and a resumed run reports the changes.

import assert from 'node:assert/strict'
import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { device } from '../../src/tensor/index.ts'
import { resumeTraining, train } from '../../src/train/index.ts'
import { changesBetween, type Provenance, provenance, recordProvenance } from '../../src/train/provenance.ts'
import { temporaryFolder } from '../data/folder.ts'
import { pictures, tinyConfig } from './tiny.ts'

await device.use('reference')

const start = provenance(0, 'abc')

/** The lines of a file that recordProvenance wrote. */
const starts = async (file: string): Promise<Provenance[]> =>
  (await readFile(file, 'utf8'))
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))

test('a start records versions, machine, device and data', async () => {
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
  assert.equal(start.cocagrad, version)
  assert.equal(start.node, process.version)
  assert.equal(start.device, 'reference')
  assert.equal(start.backend, device.description)
  assert.match(start.machine, new RegExp(`^${process.platform} ${process.arch}`))
  assert.ok(Math.abs(Date.parse(start.startedAt) - Date.now()) < 60_000)
})

test('equal starts have no changes, and a different time is not a change', () => {
  assert.deepEqual(changesBetween(start, { ...start, step: 7, startedAt: '2020-01-01T00:00:00.000Z' }), [])
})

test('every change is a sentence with the old and the new value', () => {
  assert.deepEqual(changesBetween({ ...start, node: 'v1.0.0', data: 'other' }, start), [
    `Node was v1.0.0 and is now ${process.version}`,
    'the training data has changed',
  ])
})

test('each start appends a line, and the next one is compared with it', async t => {
  const file = join(await temporaryFolder(t), 'provenance.jsonl')
  assert.deepEqual(await recordProvenance(file, { ...start, backend: '1 thread' }), [])
  // a kill in the middle of a line
  await appendFile(file, '{"step":3,"sta')
  assert.deepEqual(await recordProvenance(file, { ...start, step: 5, backend: '2 threads' }), [
    'the backend was 1 thread and is now 2 threads',
  ])
  const recorded = await starts(file)
  assert.deepEqual(
    recorded.map(({ step, backend }) => [step, backend]),
    [
      [0, '1 thread'],
      [5, '2 threads'],
    ],
  )
})

test('a damaged line throws an error that names it, and the file is unchanged', async t => {
  const file = join(await temporaryFolder(t), 'provenance.jsonl')
  const text = `${JSON.stringify(start)}\n{"step":3,\n`
  await writeFile(file, text)
  await assert.rejects(recordProvenance(file, start), {
    name: 'DataError',
    line: 2,
    message: /provenance\.jsonl:2: is not JSON/,
  })
  assert.equal(await readFile(file, 'utf8'), text)
})

test('a run records its start, and a resumed run reports the changes', async t => {
  const folder = await temporaryFolder(t)
  const run = join(folder, 'run')
  const file = join(run, 'provenance.jsonl')
  await train(run, tinyConfig(await pictures(folder), { steps: 1 }))
  const [first] = await starts(file)
  assert.deepEqual({ ...first, startedAt: '' }, { ...provenance(0, first.data), startedAt: '' })

  await writeFile(file, `${JSON.stringify({ ...first, node: 'v1.0.0' })}\n`)
  const changes: string[] = []
  await resumeTraining(run, { steps: 2, onStart: start => changes.push(...start.changes) })
  assert.deepEqual(changes, [`Node was v1.0.0 and is now ${process.version}`])
  assert.deepEqual(
    (await starts(file)).map(({ step }) => step),
    [0, 1],
  )
})
