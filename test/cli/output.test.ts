// What other people's names and captions do to the output: nothing.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { skippedLine, table } from '../../src/cli/output.ts'
import { DataError } from '../../src/io/errors.ts'
import { temporaryFolder } from '../data/folder.ts'
import { fc } from '../support.ts'

const HOSTILE = 'a\u001b]0;title\u0007\u009b2J\nb\r\u202ec'
// biome-ignore lint/suspicious/noControlCharactersInRegex: this is what must not be there
const CONTROL = /[\0-\x08\x0b-\x1f\x7f-\x9f\u202e]/

test('names and captions cannot move the cursor, set the title or forge a line', () => {
  for (const text of [skippedLine({ file: HOSTILE, key: HOSTILE, reason: HOSTILE }), table(['name'], [[HOSTILE]])]) {
    assert.doesNotMatch(text, CONTROL)
    assert.match(text, /a\\u001b\]0;title\\u0007\\u009b2J\\nb\\r\\u202ec/)
  }
  const error = new DataError('two lines:\n  of a reason\u001b[2J', { file: HOSTILE })
  assert.doesNotMatch(error.message, CONTROL)
  assert.equal(error.message.split('\n').length, 2)
})

test('JSON has every text as it is, and no control character', async t => {
  const folder = await temporaryFolder(t)
  const program = join(folder, 'answer.ts')
  const output = JSON.stringify(join(import.meta.dirname, '../../src/cli/output.ts'))
  writeFileSync(program, `import { answer } from ${output}\nanswer(true, JSON.parse(process.argv[2]), '')\n`)
  const texts = [HOSTILE, ...fc.sample(fc.string({ unit: 'binary' }), 200)].filter(text => !/\p{Surrogate}/u.test(text))
  const stdout = execFileSync(
    process.execPath,
    ['--conditions=source', '--import', 'tsx', program, JSON.stringify(texts)],
    {
      encoding: 'utf8',
    },
  )
  assert.deepEqual(JSON.parse(stdout), texts)
  assert.doesNotMatch(stdout, CONTROL)
})
