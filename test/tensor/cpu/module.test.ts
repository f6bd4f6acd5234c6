// The committed compiled kernels agree with their source.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { compiler, generate, target } from '../../../scripts/build-kernels.ts'

const missing = existsSync(compiler) ? false : `the AssemblyScript compiler is not at ${compiler}: npm install`

test('module.ts is the output of npm run build:kernels', { skip: missing }, async () => {
  assert.ok(readFileSync(target, 'utf8') === (await generate()), 'run npm run -s build:kernels')
})
