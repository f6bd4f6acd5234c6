// An optimizer that is divided among processes computes what an undivided one does, and its checkpoints are the same files.

import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { answerOf, runRanks, skip } from './ranks.ts'

interface Compared {
  readonly isSame: boolean
  readonly shares: readonly number[]
  readonly names: readonly (readonly string[])[]
  readonly allNames: readonly string[]
}
type Answer = Readonly<Record<string, Compared>>

/** Asserts that the last checkpoints of two trainings have the same bytes. */
async function assertSameCheckpoints(folder: string, name: string, step: number): Promise<void> {
  const [whole, divided] = ['whole', 'divided'].map(kind =>
    join(folder, name, kind, 'checkpoints', `step-00000${step}`),
  )
  const files = await readdir(whole)
  assert.deepEqual(await readdir(divided), files)
  assert.ok(files.includes('optimizer.safetensors') && files.includes('average.safetensors'))
  for (const file of files)
    assert.deepEqual(await readFile(join(divided, file)), await readFile(join(whole, file)), `${name}: ${file}`)
}

describe('an optimizer divided among 3 processes', { skip }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'shards-'))
  const answer = skip ? {} : answerOf<Answer>(await runRanks(3, 'shards.program.ts', [folder]))

  for (const [name, { isSame, shares, names, allNames }] of Object.entries(answer))
    it(`computes what an undivided one does, each process with the state of some parameters alone: ${name}`, () => {
      assert.ok(isSame)
      assert.deepEqual(names.flat().sort(), [...allNames].sort())
      assert.ok(Math.abs(shares.reduce((a, b) => a + b) - 1) < 1e-9, `${shares}`)
      // the largest parameter has half of all elements
      assert.ok(Math.max(...shares) < 0.65, `${shares}`)
    })

  it('writes the checkpoints of an undivided one', async () => {
    for (const name of ['AdamW', 'AdamW in float8', 'Muon']) await assertSameCheckpoints(folder, name, 3)
  })

  for (const [count, step] of [
    [4, 5],
    [2, 7],
    [1, 9],
  ])
    it(`is resumed with another number of processes, bit for bit: ${count}`, async () => {
      const resumed = answerOf<Answer>(await runRanks(count, 'shards.program.ts', [folder, String(step)]))
      for (const [name, { isSame, names }] of Object.entries(resumed)) {
        assert.ok(isSame, name)
        assert.equal(names.length, count)
        await assertSameCheckpoints(folder, name, step)
      }
    })
})
