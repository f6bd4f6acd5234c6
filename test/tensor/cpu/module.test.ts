// The committed compiled kernels agree with their source.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { generate, targets } from '../../../scripts/build-kernels.ts'
import { compilerFile } from '../../../scripts/compile-kernels.ts'

const missing = existsSync(compilerFile) ? false : `the AssemblyScript compiler is not at ${compilerFile}: npm install`

test('the modules are the output of npm run build:kernels', { skip: missing }, async () => {
  const texts = await generate()
  for (const [name, target] of Object.entries(targets))
    assert.ok(readFileSync(target, 'utf8') === texts[name as keyof typeof targets], 'run npm run -s build:kernels')
})
