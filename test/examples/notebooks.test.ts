// The notebooks are committed as they were executed, from the first cell to the last. That they can be is in test/package.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { describe, test } from 'node:test'
import { type Notebook, notebooks } from '../../scripts/notebooks/notebook.ts'

describe('the notebooks', async () => {
  for (const file of await notebooks()) {
    const { cells } = JSON.parse(await readFile(file, 'utf8')) as Notebook
    const code = cells.filter(({ cell_type }) => cell_type === 'code')

    test(`${basename(file)} was executed in order, without an error`, () => {
      assert.ok(code.length > 5)
      assert.deepEqual(
        code.map(({ execution_count }) => execution_count),
        code.map((_, i) => i + 1),
      )
      const outputs = code.flatMap(cell => cell.outputs ?? [])
      assert.ok(outputs.length > 5)
      assert.ok(outputs.every(({ output_type }) => output_type !== 'error'))
    })

    test(`${basename(file)} imports the package as a user does`, () => {
      const imported = Array.from(
        code
          .flatMap(({ source }) => source)
          .join('')
          .matchAll(/from '([^']+)'/g),
        ([, name]) => name,
      )
      assert.ok(imported.length > 0)
      for (const name of imported) assert.match(name, /^npm:cocagrad(\/\w+)?$/)
    })
  }

  test('there are three', async () => assert.equal((await notebooks()).length, 3))
})
