// A test file run once more in a process of its own: some things are chosen when a process starts, and not again.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Set in such a process. */
const AGAIN = 'COCAGRAD_TEST_AGAIN'

export const isAgain = process.env[AGAIN] !== undefined

/**
 * Runs the tests that a file declares in another environment; fails with all they print where one fails, or none runs.
 * @param file import.meta.url of the test file
 */
export async function runAgain(file: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const env: NodeJS.ProcessEnv = { ...process.env, ...environment, [AGAIN]: '1' }
  // otherwise the inner run would report to the outer runner in its binary protocol
  delete env.NODE_TEST_CONTEXT
  const inner = spawn(process.execPath, [...process.execArgv, fileURLToPath(file)], { env })
  let output = ''
  for (const stream of [inner.stdout, inner.stderr]) {
    stream.on('data', chunk => {
      output += chunk
    })
  }
  const code = await new Promise(resolve => inner.on('close', resolve))
  assert.equal(code, 0, output)
  assert.match(output, /# pass [1-9]|ℹ pass [1-9]/)
}
