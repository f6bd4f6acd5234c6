// The faults that `npm run mutants` puts in stand in the code as it is: code that moved on would leave them behind.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { mutantsOfKernels } from '../../scripts/mutants/kernels.ts'
import { mutantsByReplacement } from '../../scripts/mutants/replacements.ts'
import { mutantsOfRules } from '../../scripts/mutants/rules.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

for (const [what, mutantsOf, least] of [
  ['rules', mutantsOfRules, 300],
  ['the tape and the masks', mutantsByReplacement, 60],
  ['kernels', mutantsOfKernels, 300],
] as const)
  test(`faults of ${what} can be put in`, () => {
    const mutants = mutantsOf(root)
    assert.ok(mutants.length >= least, `${mutants.length} faults`)
  })
