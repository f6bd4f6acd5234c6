// The experiments that come with the package, in their short forms, at the command line.

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { experimentNames } from '../../src/experiments/index.ts'
import { isLong } from '../support.ts'
import { cocagrad } from './cli.ts'

const folder = mkdtempSync(join(tmpdir(), 'cocagrad-experiments-'))
after(() => rmSync(folder, { recursive: true }))

describe('experiment', () => {
  for (const name of experimentNames())
    it(`${name} --quick measures everything and writes numbers, a table and plots`, {
      // the two that train the most models take a minute
      skip: !isLong && ['architecture', 'objectives'].includes(name) && 'npm run test:long',
    }, async () => {
      const out = join(folder, name)
      const { code, stdout, stderr } = await cocagrad(['experiment', name, '--quick', '--out', out, '--json'])
      assert.equal(code, 0, stderr)
      const { rows, measures, files, notes } = JSON.parse(stdout)
      assert.deepEqual(notes, [])
      for (const file of files) assert.ok(existsSync(file), file)
      const measured = measures.filter(({ id }: { id: string }) =>
        rows.some(({ cells }: { cells: object }) => id in cells),
      )
      assert.equal(measured.length, measures.length)
      const page = readFileSync(join(out, 'results.md'), 'utf8')
      for (const { name } of rows) assert.ok(page.includes(name), name)
      assert.match(stderr, /1 of \d+: /)
    })

  it('without such a name says which there are', async () => {
    const { code, stderr } = await cocagrad(['experiment', 'nothing', '--out', join(folder, 'never')])
    assert.equal(code, 2)
    assert.match(
      stderr,
      /^error: nothing: is not an experiment: there are architecture, objectives, protocols, transfer/,
    )
  })
})
