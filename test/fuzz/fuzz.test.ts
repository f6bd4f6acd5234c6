// Every reader of files, in short: its valid files are accepted, and mutated ones are refused by an error that names the file, or
// accepted, in little time and memory. `npm run fuzz` takes longer.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { temporaryFolder } from '../data/folder.ts'
import '../reference.ts'
import { prepare, readCase, writeSample } from './cases.ts'
import { fuzz, replayOf, Tallies } from './fuzz.ts'
import { readers } from './readers.ts'

const { FC_SEED, FC_RUNS } = process.env
const seed = FC_SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(FC_SEED)
const cases = 60 * Number(FC_RUNS ?? 1)

describe('valid files are accepted', () => {
  for (const reader of Object.keys(readers))
    test(reader, async t => {
      const folder = await temporaryFolder(t)
      for (const [i, sample] of (await prepare(reader, folder)).entries()) {
        const place = join(folder, String(i))
        const { outcome, message } = await readCase(reader, await writeSample(sample, place), place)
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
