// Every reader of files, in short: its valid files are accepted, and mutated ones are refused by an error that names the file, or
// accepted, in little time and memory. `npm run fuzz` takes longer.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { temporaryFolder } from '../data/folder.ts'
import '../reference.ts'
import { Cases, writeSample } from './cases.ts'
import { fuzz, replayOf, Tallies } from './fuzz.ts'
import { readers } from './readers.ts'

const { FC_SEED, FC_RUNS } = process.env
const seed = FC_SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(FC_SEED)
const cases = 60 * Number(FC_RUNS ?? 1)

const valid = new Cases(readers)

describe('valid files are accepted', () => {
  for (const reader of Object.keys(readers))
    test(reader, async t => {
      const folder = await temporaryFolder(t)
      for (const [i, sample] of (await valid.samples(reader, folder)).entries()) {
        const place = join(folder, String(i))
        const { outcome, message } = await valid.read(reader, await writeSample(sample, place), place)
        assert.equal(outcome, 'accepted', `${sample.name}: ${message}`)
      }
    })
})

test('mutated files are refused or accepted, in little time and memory', async t => {
  const tallies = new Tallies()
  const tasks = Object.keys(readers).map(reader => ({ reader, from: 0, to: cases }))
  const faults = await fuzz(tasks, { seed, onCase: found => tallies.add(found) })
  t.diagnostic(`seed ${seed}\n${tallies}`)
  const told = faults.map(fault => `${fault.reader} ${fault.outcome}: ${replayOf(fault, seed)}\n${fault.message}`)
  assert.deepEqual(told, [], `with seed ${seed}\n${told.join('\n')}`)
})

test('a reader that crashes, never ends or takes much memory is found', async () => {
  const outcomesOf = async (names: readonly string[], caseSeconds?: number) => {
    const found: [reader: string, outcome: string][] = []
    await fuzz(
      names.map(reader => ({ reader, from: 0, to: 1 })),
      { seed, readers: './faulty.ts', caseSeconds, onCase: ({ reader, outcome }) => found.push([reader, outcome]) },
    )
    return Object.fromEntries(found)
  }
  assert.deepEqual(await outcomesOf(['typed', 'nameless', 'crash', 'late', 'exit', 'large']), {
    typed: 'refused',
    nameless: 'crashed',
    crash: 'crashed',
    late: 'crashed',
    exit: 'crashed',
    large: 'large',
  })
  assert.deepEqual(await outcomesOf(['hang', 'typed'], 1), { hang: 'hung', typed: 'refused' })
})
