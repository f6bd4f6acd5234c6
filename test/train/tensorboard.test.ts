// Event files for TensorBoard. test/golden/events.json has the scalars that TensorBoard read from the files in test/golden/events.

import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Linear } from '../../src/nn/index.ts'
import { SGD } from '../../src/optim/index.ts'
import { OptionsError, tensor } from '../../src/tensor/index.ts'
import { fit as fitInBrowser } from '../../src/train/fit.ts'
import {
  checkRunConfig,
  fit,
  type MetricsLine,
  openRun,
  RunConfigError,
  readMetrics,
  resumeTraining,
  train,
} from '../../src/train/index.ts'
import { crc32c, EventLog, isEventFile, record, scalarsEvent, scalarsOf } from '../../src/train/tensorboard.ts'
import { temporaryFolder } from '../data/folder.ts'
import { linesOf, writeAll } from '../golden/events.ts'
import { outcome, pictures, tinyConfig, tinyJson } from './tiny.ts'

const golden = new URL('../golden/', import.meta.url)

/** The whole records of an event file, and whether their checksums are right. */
function recordsOf(file: Uint8Array): Uint8Array[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const records: Uint8Array[] = []
  for (let at = 0; at + 12 <= file.length; ) {
    const length = Number(view.getBigUint64(at, true))
    if (at + 16 + length > file.length) break
    const data = file.subarray(at + 12, at + 12 + length)
    assert.deepEqual([...file.subarray(at, at + 16 + length)], [...record(data)])
    records.push(data)
    at += 16 + length
  }
  return records
}

/** Event files of a folder in the order in which TensorBoard reads them. */
const eventFiles = async (folder: string) => (await readdir(folder)).filter(isEventFile).sort()

const has = (event: Uint8Array, text: string) => Buffer.from(event).includes(text)

test('of several processes the time that each spent in exchanges is a curve', () => {
  const step = { kind: 'step', losses: { total: 1 }, measures: {}, communication: [0.25, 0.5] }
  const scalars = scalarsOf(step as unknown as MetricsLine)
  assert.equal(scalars['communication/rank0'], 0.25)
  assert.equal(scalars['communication/rank1'], 0.5)
})

test('crc32c is that of RFC 3720', () => {
  const bytes = (f: (i: number) => number) => Uint8Array.from({ length: 32 }, (_, i) => f(i))
  assert.equal(crc32c(bytes(() => 0)), 0x8a9136aa)
  assert.equal(crc32c(bytes(() => 0xff)), 0x62a8ab43)
  assert.equal(crc32c(bytes(i => i)), 0x46dd794e)
  assert.equal(crc32c(bytes(i => 31 - i)), 0x113fdb5c)
})

test('files are byte for byte those that TensorBoard has read', async t => {
  const folder = await temporaryFolder(t)
  await writeAll(folder)
  for (const name of ['killed', 'resumed']) {
    const files = await eventFiles(join(folder, name))
    assert.equal(files.length, name === 'killed' ? 1 : 2)
    for (const file of files)
      assert.deepEqual(
        await readFile(join(folder, name, file)),
        await readFile(new URL(`events/${name}/${file}`, golden)),
      )
  }
})

test('TensorBoard has read what was written: up to the last whole record, and without what a resumed training repeats', async () => {
  const { read } = JSON.parse(await readFile(new URL('events.json', golden), 'utf8'))
  const expected = (events: readonly (readonly [step: number, extra: number, wall: number])[], last?: string) => {
    const tags: Record<string, number[][]> = {}
    for (const [step, extra, wall] of events)
      for (const line of linesOf(step, extra))
        for (const [tag, value] of Object.entries(scalarsOf(line)))
          if (step !== events.at(-1)![0] || tag !== last) {
            tags[tag] ??= []
            tags[tag].push([step, Math.fround(value), wall])
          }
    return tags
  }
  const early = 1_700_000_000.25
  const late = 1_700_000_000.5
  const resumed = [[1, 0, early + 1], [2, 0, early + 2], [3, 100, late + 3], [4, 100, late + 4], [5, 100, late + 5]] as const // biome-ignore format: a list
  assert.deepEqual(read.resumed, expected(resumed))
  const killed = [1, 2, 3].map(step => [step, 0, 1_700_000_000 + step] as const)
  assert.deepEqual(read.killed, expected(killed, 'guard/error'))
})

test('values that float32 cannot hold are rounded, and steps may be large', () => {
  const event = scalarsEvent(1, 2 ** 40, { x: 0.1 })
  // field 2, a varint of 6 bytes
  assert.deepEqual([...event.subarray(9, 16)], [16, 128, 128, 128, 128, 128, 32])
  const view = new DataView(event.buffer, event.length - 4)
  assert.equal(view.getFloat32(0, true), Math.fround(0.1))
})

test('a run writes its metrics as events, and a new file when it is resumed', async t => {
  const folder = await temporaryFolder(t)
  const data = await pictures(folder)
  const settings = { steps: 6, checkpointEvery: 2, evaluateEvery: 3, guard: { every: 4 } }
  const config = tinyConfig(data, { ...settings, tensorboard: true })
  const run = join(folder, 'run')
  const stop = new AbortController()
  await assert.rejects(
    train(run, config, {
      onStep: ({ step }) => {
        if (step === 3) throw new Error('killed')
      },
    }),
    /killed/,
  )
  await resumeTraining(run, { signal: stop.signal })
  const [first, second] = await Promise.all(
    (await eventFiles(run)).map(async name => recordsOf(await readFile(join(run, name)))),
  )
  assert.ok([first, second].every(([version]) => has(version, 'brain.Event:2')))
  // field 2 is the step, field 7 the session that starts
  assert.deepEqual([...second[1].subarray(9)], [16, 3, 58, 2, 8, 1])
  const kinds = (events: readonly Uint8Array[]) =>
    events.map(event => (has(event, 'losses/total') ? 'step' : has(event, 'evaluation/loss') ? 'evaluation' : 'guard'))
  const lines: MetricsLine[] = await readMetrics(run)
  assert.deepEqual(
    kinds(second.slice(2)),
    lines.filter(({ step }) => step > 2).map(({ kind }) => kind),
  )
  assert.deepEqual(kinds(first.slice(1)), ['guard', 'step', 'step', 'step'])
  const { learningRate, losses } = lines.find(line => line.kind === 'step')!
  assert.ok(learningRate >= 0 && losses.total > 0)
  const plain = join(folder, 'plain')
  await train(plain, tinyConfig(data, settings))
  assert.deepEqual(await eventFiles(plain), [])
  assert.deepEqual((await outcome(run, 6)).checkpoint, (await outcome(plain, 6)).checkpoint)
  assert.equal((await openRun(run)).step, 6)
})

test('fit writes events into its folder', async t => {
  const folder = join(await temporaryFolder(t), 'fit')
  const start = (steps: number, others = {}) => {
    const model = new Linear(2, 1)
    const objective = { model, loss: ({ x }: { x: ReturnType<typeof tensor> }) => model.forward(x).square().mean() }
    const batches = [{ x: tensor([[1, 2]]) }]
    return { objective, batches, optimizer: new SGD(model), steps, folder, tensorboard: true, guard: false, ...others }
  }
  await fit(start(2))
  await fit(start(3))
  const files = await eventFiles(folder)
  const events = await Promise.all(files.map(async name => recordsOf(await readFile(join(folder, name)))))
  assert.deepEqual(
    events.map(({ length }) => length),
    [3, 3],
  )
  await assert.rejects(fit(start(3, { folder: undefined })), OptionsError)
  await assert.rejects(fitInBrowser(start(3, { folder: undefined })), /tensorboard needs a folder/)
  await assert.rejects(fit(start(3, { tensorboard: 1 })), /tensorboard must be true or false/)
})

test('what cannot be is refused', async t => {
  assert.throws(() => checkRunConfig(tinyJson('x', { tensorboard: 'yes' })), RunConfigError)
  await assert.rejects(EventLog.open(join(await temporaryFolder(t), 'no', 'folder'), 0), /does not exist/)
})
