// Files with one JSON value a line whose lines are damaged: an error names the file and the line, and nothing is written.

import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { EmbeddingJournal } from '../../src/evaluate/embedding-journal.ts'
import { Ledger } from '../../src/experiments/ledger.ts'
import { DataError } from '../../src/io/errors.ts'
import { parseMetrics } from '../../src/train/metrics.ts'
import { type Provenance, readProvenance, recordProvenance } from '../../src/train/provenance.ts'
import { readResults } from '../../src/train/results.ts'
import { temporaryFolder } from '../data/folder.ts'

const start = {
  step: 0,
  startedAt: '2026-01-01T00:00:00.000Z',
  cocagrad: '0.1.0',
  node: 'v20.0.0',
  machine: 'linux',
  device: 'cpu',
  backend: 'WebAssembly',
  data: 'abc',
} satisfies Provenance
const settings = { model: 'm', source: 'pictures', data: 'd', width: 4 }
const result = {
  date: '2026-01-01T00:00:00.000Z',
  step: 2,
  protocol: 'loss',
  data: 'd',
  fingerprint: 'f',
  examples: 3,
  options: {},
  values: { loss: 1 },
}

/** The files: good lines, and what reads them. */
const files: Readonly<Record<string, { readonly lines: readonly object[]; read(folder: string): Promise<unknown> }>> = {
  'metrics.jsonl': {
    lines: [
      { kind: 'step', step: 1, losses: { total: null }, measures: {}, learningRate: 1, gradientNorm: 1 },
      { kind: 'evaluation', step: 1, seconds: 1, values: { loss: 2 } },
    ],
    read: async folder => {
      const path = join(folder, 'metrics.jsonl')
      return parseMetrics((await readFile(path, 'utf8')).split('\n').slice(0, -1), path)
    },
  },
  'results.jsonl': { lines: [result, result], read: readResults },
  'provenance.jsonl': { lines: [start, start], read: readProvenance },
  'journal.jsonl': {
    lines: [settings, { position: 0, images: 0, texts: 0, bytes: 0, skipped: [] }],
    read: async folder => (await EmbeddingJournal.open(folder, settings)).close(),
  },
  'parts.jsonl': {
    lines: [{ settings: { seeds: 1 } }, { part: 'a', seconds: 1, values: { accuracy: null } }],
    read: async folder => (await Ledger.open(folder, { seeds: 1 })).close(),
  },
}

const DAMAGED = ['{"', '{"a', '{}', '{"kind":"step"}', '{"step":-1}', '{"step":"1"}', `{"a":${'['.repeat(20_000)}`]
const NOT_OBJECTS = ['null', '5', '"text"', '[]', '', '\u0000']

for (const [name, { lines, read }] of Object.entries(files))
  test(`${name}: a damaged line is named`, async t => {
    const folder = await temporaryFolder(t)
    const path = join(folder, name)
    await mkdir(dirname(path), { recursive: true })
    const write = async (last: string) => {
      await writeFile(path, `${JSON.stringify(lines[0])}\n${last}\n`)
      return readFile(path, 'utf8')
    }
    await write(JSON.stringify(lines[1]))
    await read(folder)
    for (const damaged of [...DAMAGED, ...NOT_OBJECTS]) {
      const before = await write(damaged)
      await assert.rejects(read(folder), (error: unknown) => {
        assert.ok(error instanceof DataError, `${damaged.slice(0, 20)}: ${error}`)
        assert.deepEqual([error.file, error.line], [path, 2], damaged.slice(0, 20))
        return true
      })
      assert.equal(await readFile(path, 'utf8'), before)
    }
  })

test('a run is not resumed after a damaged line of its starts', async t => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'provenance.jsonl')
  for (const damaged of ['{"step":', '{"step":null}', '{"step":0}']) {
    await writeFile(path, `${damaged}\n`)
    await assert.rejects(recordProvenance(path, start), { name: 'DataError', file: path, line: 1 })
    assert.equal(await readFile(path, 'utf8'), `${damaged}\n`)
  }
})
